//! Connections that are revoked many at once.

use super::ConnectionFilter;
use crate::column::words;
use crate::{
    ConnectionId, ConnectionRevocationId, EnvironmentId, ProjectId, Tenant, Timestamp, WorkspaceId,
};

words! {
    /// What came of revoking one connection.
    RevocationOutcome {
        /// The app has not been asked yet.
        Pending = "pending",
        /// The app has taken the grant back; the record is deleted.
        Revoked = "revoked",
        /// The app has no way to take it back; the record is deleted.
        NotOffered = "not_offered",
        /// The app did not confirm it. The record is kept, so that it can be tried again.
        Failed = "failed",
    }
}

/// A revocation of many connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRevocation {
    /// Its id.
    pub id: ConnectionRevocationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Those of the customer with this external id.
    pub customer: Option<String>,
    /// Those to the app of this slug.
    pub app: Option<String>,
    /// The one of this name.
    pub name: Option<String>,
    /// Those made before then.
    pub created_before: Option<Timestamp>,
    /// Those that nobody has used since then.
    pub unused_since: Option<Timestamp>,
    /// Connections are marked from the newest on, down to this one.
    pub marked_to: ConnectionId,
    /// How many were marked.
    pub found: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When all were marked.
    pub marked_at: Option<Timestamp>,
    /// When the app of each had been asked.
    pub ended_at: Option<Timestamp>,
}

impl ConnectionRevocation {
    /// The environment.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }

    /// Which connections it is about.
    pub fn filter(&self) -> ConnectionFilter {
        ConnectionFilter {
            customer: self.customer.clone(),
            app: self.app.clone(),
            name: self.name.clone(),
            created_before: self.created_before,
            unused_since: self.unused_since,
        }
    }
}

/// A connection whose app is to be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRevocation {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
}

/// How many connections of a revocation have come to one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationTally {
    /// The outcome.
    pub outcome: RevocationOutcome,
    /// How many.
    pub connections: i64,
}

/// A connection that its app did not confirm to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationFailure {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The app.
    pub app: String,
    /// Its name, as long as its record is there.
    pub name: Option<String>,
    /// Why.
    pub reason: String,
}
