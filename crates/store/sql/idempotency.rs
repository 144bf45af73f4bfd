//! Answers kept for repeated requests. The scope is a digest of tenant, route and key.

use crate::DbConn;
use causeway_types::entity::EarlierRequest;
use causeway_types::place::Sealed;
use causeway_types::{Timestamp, WorkspaceId};

/// Claims the key for a request; false if it was claimed before.
pub async fn claim(
    c: &mut DbConn,
    workspace: WorkspaceId,
    scope: &[u8],
    request_digest: &[u8],
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO idempotency (scope, workspace_id, request_digest, created_at_us)
         VALUES ($1, $2, $3, $4) ON CONFLICT (scope) DO NOTHING",
        scope,
        workspace as _,
        request_digest,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    scope: &[u8],
) -> sqlx::Result<Option<EarlierRequest>> {
    sqlx::query_as!(
        EarlierRequest,
        r#"SELECT request_digest, status, response AS "response: _", created_at_us AS "created_at: _"
           FROM idempotency WHERE workspace_id = $1 AND scope = $2"#,
        workspace as _,
        scope
    )
    .fetch_optional(c)
    .await
}

pub async fn finish(
    c: &mut DbConn,
    workspace: WorkspaceId,
    scope: &[u8],
    status: i64,
    response: &Sealed,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE idempotency SET status = $3, response = $4 WHERE workspace_id = $1 AND scope = $2",
        workspace as _,
        scope,
        status,
        response as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Gives a claim up, so that the request can be sent again.
pub async fn release(c: &mut DbConn, workspace: WorkspaceId, scope: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM idempotency WHERE workspace_id = $1 AND scope = $2 AND status IS NULL",
        workspace as _,
        scope
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Forgets answers older than `before`.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM idempotency WHERE created_at_us < $1", before as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}
