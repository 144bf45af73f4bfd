//! The audit chain: one row an event, each holding the hash of itself and its predecessor.

use crate::DbConn;
use causeway_types::entity::{AuditCheckpoint, AuditFilter, AuditHead, AuditRow};
use causeway_types::{Timestamp, WorkspaceId};

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

/// Locks the head of the chain until the transaction ends, without taking a number: what is read
/// after it is what every earlier change of the workspace that writes an event left.
pub async fn lock_head(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<bool> {
    sqlx::query!("UPDATE audit_head SET seq = seq WHERE workspace_id = $1", workspace as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected() == 1)
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

/// A page of the heads of all chains that have rows, by workspace: for the node, which watches them.
pub async fn heads(
    c: &mut DbConn,
    after: WorkspaceId,
    limit: i64,
) -> sqlx::Result<Vec<(WorkspaceId, AuditHead)>> {
    let rows = sqlx::query!(
        r#"SELECT workspace_id AS "workspace_id: WorkspaceId", seq, hash FROM audit_head
           WHERE workspace_id > $1 AND seq > 0 ORDER BY workspace_id LIMIT $2"#,
        after as _,
        limit
    )
    .fetch_all(c)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.workspace_id, AuditHead { seq: row.seq, hash: row.hash }))
        .collect())
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

/// A page of the events before a row that pass a filter, newest first. What stands for any text in
/// `LIKE` stands for itself here.
pub async fn filtered(
    c: &mut DbConn,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<AuditRow>> {
    sqlx::query_as!(
        AuditRow,
        r#"SELECT seq, at_us AS "at: _", actor, action, detail, hash
           FROM audit
           WHERE workspace_id = $1 AND seq < $2
             AND (CAST($3 AS TEXT) IS NULL OR actor = $3
               OR SUBSTR(actor, 1, LENGTH($3) + 1) = $3 || ' ')
             AND (CAST($4 AS TEXT) IS NULL OR action = $4)
             AND (CAST($5 AS TEXT) IS NULL OR REPLACE(detail, '"' || $5 || '"', '') <> detail)
             AND at_us >= $6 AND at_us < $7
           ORDER BY seq DESC LIMIT $8"#,
        workspace as _,
        before,
        filter.actor,
        filter.action,
        filter.about,
        filter.since as _,
        filter.until as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// The numbers of the first and the last event of a span of time, if there is any.
pub async fn span(
    c: &mut DbConn,
    workspace: WorkspaceId,
    since: Timestamp,
    until: Timestamp,
) -> sqlx::Result<Option<(i64, i64)>> {
    let found = sqlx::query!(
        r#"SELECT MIN(seq) AS "first: i64", MAX(seq) AS "last: i64" FROM audit
           WHERE workspace_id = $1 AND at_us >= $2 AND at_us < $3"#,
        workspace as _,
        since as _,
        until as _
    )
    .fetch_one(c)
    .await?;
    Ok(found.first.zip(found.last))
}

/// Removes the rows up to and including a number, and says how many there were.
pub async fn prune(c: &mut DbConn, workspace: WorkspaceId, through: i64) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM audit WHERE workspace_id = $1 AND seq <= $2", workspace as _, through)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}

/// How long a workspace keeps its events, in days; None is for ever.
pub async fn retention(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "SELECT retention_days FROM audit_head WHERE workspace_id = $1",
        workspace as _
    )
    .fetch_optional(c)
    .await
    .map(Option::flatten)
}

/// The workspaces that do not keep their events for ever: for the node, which prunes them.
pub async fn retained(c: &mut DbConn) -> sqlx::Result<Vec<WorkspaceId>> {
    sqlx::query_scalar!(
        r#"SELECT workspace_id AS "workspace_id: _" FROM audit_head
           WHERE retention_days IS NOT NULL ORDER BY workspace_id"#
    )
    .fetch_all(c)
    .await
}

pub async fn set_retention(
    c: &mut DbConn,
    workspace: WorkspaceId,
    days: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE audit_head SET retention_days = $2 WHERE workspace_id = $1",
        workspace as _,
        days
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Adds a checkpoint, unless there is one for this row.
pub async fn insert_checkpoint(c: &mut DbConn, v: &AuditCheckpoint) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO audit_checkpoint (workspace_id, seq, hash, at_us, signing_key_id, signature)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (workspace_id, seq) DO NOTHING",
        v.workspace_id as _,
        v.seq,
        v.hash,
        v.at as _,
        v.signing_key_id as _,
        v.signature
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// A page of a workspace's checkpoints after a row, oldest first.
pub async fn checkpoints(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<AuditCheckpoint>> {
    sqlx::query_as!(
        AuditCheckpoint,
        r#"SELECT workspace_id AS "workspace_id: _", seq, hash, at_us AS "at: _",
             signing_key_id AS "signing_key_id: _", signature
           FROM audit_checkpoint WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"#,
        workspace as _,
        after,
        limit
    )
    .fetch_all(c)
    .await
}

/// The newest checkpoint that was signed before a time and covers no row after `through`.
pub async fn last_checkpoint(
    c: &mut DbConn,
    workspace: WorkspaceId,
    before: Timestamp,
    through: i64,
) -> sqlx::Result<Option<AuditCheckpoint>> {
    sqlx::query_as!(
        AuditCheckpoint,
        r#"SELECT workspace_id AS "workspace_id: _", seq, hash, at_us AS "at: _",
             signing_key_id AS "signing_key_id: _", signature
           FROM audit_checkpoint WHERE workspace_id = $1 AND at_us < $2 AND seq <= $3
           ORDER BY seq DESC LIMIT 1"#,
        workspace as _,
        before as _,
        through
    )
    .fetch_optional(c)
    .await
}

/// Removes the checkpoints before a row, whose rows are gone.
pub async fn prune_checkpoints(
    c: &mut DbConn,
    workspace: WorkspaceId,
    before: i64,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM audit_checkpoint WHERE workspace_id = $1 AND seq < $2",
        workspace as _,
        before
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}
