//! The packages that workflows import.

pub(crate) mod list;

use causeway_types::entity::{Ecosystem, PackageUse};
use causeway_types::{VersionId, VersionPackageId, WorkflowId};
use serde::Serialize;
use utoipa::ToSchema;

/// A package that the active version of a workflow has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Package)]
pub(crate) struct PackageBody {
    /// The id of this package in this version.
    id: VersionPackageId,
    /// `npm` or `pypi`.
    ecosystem: Ecosystem,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// The digest of its archive: `sha512-` and base64 (npm), `sha256:` and hexadecimal (PyPI).
    integrity: String,
    /// Where it lies among the packages: for npm its folder, as a package may be there in several
    /// versions; for PyPI the name of its file.
    place: String,
    /// The workflow.
    workflow_id: WorkflowId,
    /// The workflow's name.
    workflow: String,
    /// The workflow's active version.
    version_id: VersionId,
    /// That version's number.
    version_number: i64,
}

impl From<PackageUse> for PackageBody {
    fn from(one: PackageUse) -> Self {
        Self {
            id: one.id,
            ecosystem: one.ecosystem,
            name: one.name,
            version: one.version,
            integrity: one.integrity,
            place: one.place,
            workflow_id: one.workflow_id,
            workflow: one.workflow,
            version_id: one.version_id,
            version_number: one.number,
        }
    }
}
