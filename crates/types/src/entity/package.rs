//! The packages of versions.

use crate::column::words;
use crate::{
    EnvironmentId, ProjectId, Tenant, VersionId, VersionPackageId, WorkflowId, WorkspaceId,
};

words! {
    /// Where a package comes from.
    Ecosystem {
        /// npm, for Node.
        Npm = "npm",
        /// PyPI, for Python.
        Pypi = "pypi",
    }
}

/// A package that a version's code can import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPackage {
    /// Its id.
    pub id: VersionPackageId,
    /// The version.
    pub version_id: VersionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Where it lies in its layer; one name may lie there several times.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive, as its ecosystem writes it.
    pub integrity: String,
    /// The layer that it is part of.
    pub layer: String,
}

/// A package and the version of a workflow that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUse {
    /// Its id: of this package in this version.
    pub id: VersionPackageId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its name.
    pub workflow: String,
    /// Its active version.
    pub version_id: VersionId,
    /// That version's number.
    pub number: i64,
    /// Where the package comes from.
    pub ecosystem: Ecosystem,
    /// Where it lies in its layer.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive.
    pub integrity: String,
}

/// Which packages are asked for. What is left out counts for every one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageFilter {
    /// The workflow whose active version has it.
    pub workflow: Option<WorkflowId>,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// A layer that an active version needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveLayer {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The version.
    pub version_id: VersionId,
    /// Its digest.
    pub layer: String,
}

impl ActiveLayer {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}
