//! The staff's requests for access to the workspace, as its owners see them.

pub(crate) mod approve;
pub(crate) mod deny;
pub(crate) mod end;
pub(crate) mod list;

use causeway_identity::{AccessStanding, AccessView};
use causeway_types::entity::Role;
use causeway_types::{AccessRequestId, Timestamp, UserId, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// A staff member's request for access to a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessRequest)]
pub(crate) struct AccessRequestBody {
    /// Its id.
    id: AccessRequestId,
    /// The workspace.
    workspace_id: WorkspaceId,
    /// Who asks.
    user_id: UserId,
    /// Their e-mail address.
    email: String,
    /// Their name.
    name: String,
    /// The role that they ask for.
    role: Role,
    /// Why.
    reason: String,
    /// For how long, from the approval on.
    minutes: i64,
    /// How it stands.
    state: AccessStateWord,
    /// When it was made.
    requested_at: Timestamp,
    /// Who decided, as the audit chain names them.
    decided_by: Option<String>,
    /// When.
    decided_at: Option<Timestamp>,
    /// Until when an approval counts.
    expires_at: Option<Timestamp>,
    /// When it was ended before.
    ended_at: Option<Timestamp>,
}

/// How a request for access stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessStateWord {
    /// It waits for a decision.
    Pending,
    /// It waited for seven days, and cannot be decided any more.
    Lapsed,
    /// It is approved, and counts.
    Active,
    /// It was approved, and its time is over.
    Expired,
    /// It was denied.
    Denied,
    /// It was withdrawn, or ended before its time.
    Ended,
}

impl From<AccessStanding> for AccessStateWord {
    fn from(standing: AccessStanding) -> Self {
        match standing {
            AccessStanding::Pending => Self::Pending,
            AccessStanding::Lapsed => Self::Lapsed,
            AccessStanding::Active => Self::Active,
            AccessStanding::Expired => Self::Expired,
            AccessStanding::Denied => Self::Denied,
            AccessStanding::Ended => Self::Ended,
        }
    }
}

impl From<AccessView> for AccessRequestBody {
    fn from(view: AccessView) -> Self {
        let AccessView { request, standing, email, name } = view;
        Self {
            id: request.id,
            workspace_id: request.workspace_id,
            user_id: request.user_id,
            email,
            name,
            role: request.role,
            reason: request.reason,
            minutes: request.minutes,
            state: standing.into(),
            requested_at: request.requested_at,
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            expires_at: request.expires_at,
            ended_at: request.ended_at,
        }
    }
}
