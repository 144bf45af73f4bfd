//! Whose data it is, and who acts.

use crate::{ApiKeyId, ConnectSessionId, EnvironmentId, NodeId, ProjectId, WorkspaceId};

/// The owner of every record: a workspace, and within it one environment of one project.
/// Every store function takes it, so a finder without an owner does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// The workspace: data keys and audit chain belong to it.
    pub workspace: WorkspaceId,
    /// The project.
    pub project: ProjectId,
    /// `development` or `production` of the project.
    pub environment: EnvironmentId,
}

/// Who does something, as the audit chain records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A program with an API key.
    ApiKey(ApiKeyId),
    /// A customer who holds a connect link.
    Customer(ConnectSessionId),
    /// Causeway itself, on this node.
    Node(NodeId),
    /// Somebody with a shell on the machine, through the CLI.
    Machine,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApiKey(id) => write!(f, "{id}"),
            Self::Customer(id) => write!(f, "{id}"),
            Self::Node(id) => write!(f, "{id}"),
            Self::Machine => f.write_str("machine"),
        }
    }
}
