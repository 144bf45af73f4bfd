//! Components.

use crate::column::words;
use crate::place::Sealed;
use crate::{
    ComponentId, DynamicPropsId, EnvironmentId, ProjectId, Tenant, Timestamp, WorkspaceId,
};

words! {
    /// What a component is for.
    ComponentKind {
        /// It does something when it is called.
        Action = "action",
        /// It emits events.
        Source = "source",
    }
}

/// A published version of a component. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its id.
    pub id: ComponentId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its author's name for it, which all its versions have.
    pub key: String,
    /// Three numbers, as in `1.0.2`.
    pub version: String,
    /// What it is for.
    pub kind: ComponentKind,
    /// What people call it.
    pub name: String,
    /// What it does, in a few words.
    pub description: Option<String>,
    /// The slugs of the apps that its props link, each between spaces.
    pub apps: String,
    /// The digest of its content, and of what it was published with.
    pub digest: String,
    /// When it was published.
    pub created_at: Timestamp,
}

impl Component {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// What of a component is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentSeals {
    /// What it says of itself.
    pub definition: Sealed,
    /// Its files.
    pub bundle: Sealed,
}

/// The props that a component has with certain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicProps {
    /// Their id.
    pub id: DynamicPropsId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The component.
    pub component_id: ComponentId,
    /// The digest of their definitions: the same props are kept once.
    pub digest: String,
    /// Their definitions.
    pub definitions: Sealed,
    /// When the component had them first.
    pub created_at: Timestamp,
}
