//! Telling the other nodes.

use crate::DbConn;
use causeway_types::WorkspaceId;

/// The channel on which nodes tell that somebody's access to a workspace has changed. The payload
/// is the workspace.
pub const ACCESS: &str = "causeway_access";

/// The channel on which nodes tell that webhooks are to be delivered. There is no payload.
pub const WEBHOOKS: &str = "causeway_webhooks";

/// Tells the other nodes that webhooks are to be delivered, when the transaction commits.
pub async fn webhooks_due(c: &mut DbConn) -> sqlx::Result<()> {
    sqlx::query!(r#"SELECT COUNT(pg_notify($1, '')) AS "n!: i64""#, WEBHOOKS)
        .fetch_one(c)
        .await
        .map(|_| ())
}

/// Tells the other nodes when the transaction commits, and only if it does.
pub async fn access_changed(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<()> {
    sqlx::query!(r#"SELECT COUNT(pg_notify($1, $2)) AS "n!: i64""#, ACCESS, workspace.to_string())
        .fetch_one(c)
        .await
        .map(|_| ())
}
