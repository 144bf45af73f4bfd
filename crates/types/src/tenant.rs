//! Whose data it is, and who acts.

use crate::{
    AccessRequestId, ApiKeyId, ConnectSessionId, EnvironmentId, MachineClientId, NodeId, ProjectId,
    UserId, WorkspaceId,
};

/// The installation itself, which is a workspace like any other: its members are the staff that
/// operates it, its audit chain has what belongs to no workspace, and its data key seals the keys
/// with which Causeway signs.
pub const INSTALLATION: WorkspaceId = WorkspaceId::lowest();

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
    /// A program with an access token that its OAuth client obtained.
    MachineClient(MachineClientId),
    /// A person who is signed in.
    User(UserId),
    /// A member of the staff, under an approved request for access to the workspace.
    Staff(UserId, AccessRequestId),
    /// Somebody who is not known: who fails to sign in, or sends a report.
    Anonymous,
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
            Self::MachineClient(id) => write!(f, "{id}"),
            Self::User(id) => write!(f, "{id}"),
            Self::Staff(user, request) => write!(f, "{user} {request}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Customer(id) => write!(f, "{id}"),
            Self::Node(id) => write!(f, "{id}"),
            Self::Machine => f.write_str("machine"),
        }
    }
}
