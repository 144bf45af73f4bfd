//! Who may sign in to a workspace, and how.

use crate::DbConn;
use causeway_types::{Timestamp, WorkspaceId};

/// The rules as JSON: `causeway_identity::SsoRules`.
pub async fn get(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT rules FROM sso_policy WHERE workspace_id = $1", workspace as _)
        .fetch_optional(c)
        .await
}

pub async fn set(
    c: &mut DbConn,
    workspace: WorkspaceId,
    rules: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO sso_policy (workspace_id, rules, updated_at_us) VALUES ($1, $2, $3)
         ON CONFLICT (workspace_id) DO UPDATE
           SET rules = excluded.rules, updated_at_us = excluded.updated_at_us",
        workspace as _,
        rules,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
