//! The audit chain: one row an event, each holding the hash of itself and its predecessor.

use crate::DbConn;
use causeway_types::WorkspaceId;
use causeway_types::entity::{AuditHead, AuditRow};

pub async fn insert_head(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO audit_head (workspace_id, seq, hash) VALUES ($1, 0, $2)
         ON CONFLICT (workspace_id) DO NOTHING",
        workspace as _,
        &[0_u8; 32][..]
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Takes the next number of the chain. The update locks the head until the transaction ends, so
/// two writers cannot take the same one.
pub async fn advance_head(
    c: &mut DbConn,
    workspace: WorkspaceId,
) -> sqlx::Result<Option<AuditHead>> {
    sqlx::query_as!(
        AuditHead,
        "UPDATE audit_head SET seq = seq + 1 WHERE workspace_id = $1 RETURNING seq, hash",
        workspace as _
    )
    .fetch_optional(c)
    .await
}

pub async fn set_head_hash(
    c: &mut DbConn,
    workspace: WorkspaceId,
    hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE audit_head SET hash = $2 WHERE workspace_id = $1", workspace as _, hash)
        .execute(c)
        .await
        .map(|_| ())
}

pub async fn head(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Option<AuditHead>> {
    sqlx::query_as!(
        AuditHead,
        "SELECT seq, hash FROM audit_head WHERE workspace_id = $1",
        workspace as _
    )
    .fetch_optional(c)
    .await
}

pub async fn insert(c: &mut DbConn, workspace: WorkspaceId, v: &AuditRow) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO audit (workspace_id, seq, at_us, actor, action, detail, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        workspace as _,
        v.seq,
        v.at as _,
        v.actor,
        v.action,
        v.detail,
        v.hash
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn page(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<AuditRow>> {
    sqlx::query_as!(
        AuditRow,
        r#"SELECT seq, at_us AS "at: _", actor, action, detail, hash
           FROM audit WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"#,
        workspace as _,
        after,
        limit
    )
    .fetch_all(c)
    .await
}
