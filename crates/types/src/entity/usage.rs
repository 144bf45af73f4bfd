//! What is counted of the use of apps.

use crate::column::words;
use crate::{EnvironmentId, Timestamp, WorkspaceId};

/// How many calls an app still takes in a window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateBudget {
    /// Whose budget, and which.
    pub key: String,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// When the window ends.
    pub ends_at: Timestamp,
    /// How many calls were taken of it.
    pub used: i64,
    /// Until when the app takes none.
    pub blocked_until: Timestamp,
}

words! {
    /// What is counted.
    UsageKind {
        /// A call through the proxy.
        ProxyCall = "proxy_call",
        /// A run of an action.
        ActionRun = "action_run",
    }
}

/// How much was used in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageCount {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// What.
    pub kind: UsageKind,
    /// When the hour began.
    pub hour: Timestamp,
    /// How much.
    pub count: i64,
}
