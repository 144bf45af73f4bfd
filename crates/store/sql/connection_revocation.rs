//! Connections that are revoked many at once: the revocation, and the last attempt for each
//! connection.

use crate::DbConn;
use causeway_types::entity::{
    ConnectionRevocation, DueRevocation, RevocationFailure, RevocationOutcome, RevocationTally,
};
use causeway_types::{ConnectionId, ConnectionRevocationId, Tenant, Timestamp, WorkspaceId};

/// Selects whole revocations.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            ConnectionRevocation,
            "SELECT r.id AS \"id: _\", r.workspace_id AS \"workspace_id: _\", r.project_id AS \"project_id: _\", r.environment_id AS \"environment_id: _\", r.customer, r.app, r.name, r.created_before_us AS \"created_before: _\", r.unused_since_us AS \"unused_since: _\", r.marked_to AS \"marked_to: _\", r.found, r.created_at_us AS \"created_at: _\", r.marked_at_us AS \"marked_at: _\", r.ended_at_us AS \"ended_at: _\" FROM connection_revocation r "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &ConnectionRevocation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connection_revocation (id, workspace_id, project_id, environment_id, customer,
           app, name, created_before_us, unused_since_us, marked_to, found, created_at_us,
           marked_at_us, ended_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.customer,
        v.app,
        v.name,
        v.created_before as _,
        v.unused_since as _,
        v.marked_to as _,
        v.found,
        v.created_at as _,
        v.marked_at as _,
        v.ended_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionRevocationId,
) -> sqlx::Result<Option<ConnectionRevocation>> {
    select!(
        "WHERE r.workspace_id = $1 AND r.environment_id = $2 AND r.id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// Revocations whose connections are not all marked yet, oldest first: a node's own work.
pub async fn unmarked(c: &mut DbConn, limit: i64) -> sqlx::Result<Vec<ConnectionRevocation>> {
    select!("WHERE r.ended_at_us IS NULL AND r.marked_at_us IS NULL ORDER BY r.id LIMIT $1", limit)
        .fetch_all(c)
        .await
}

/// Revocations of which nothing is left to do and that have not ended: a node's own work.
pub async fn worked_off(c: &mut DbConn, limit: i64) -> sqlx::Result<Vec<ConnectionRevocation>> {
    select!(
        "WHERE r.ended_at_us IS NULL AND r.marked_at_us IS NOT NULL AND NOT EXISTS (SELECT 1 FROM connection_revocation_item i WHERE i.revocation_id = r.id AND i.outcome = 'pending') ORDER BY r.id LIMIT $1",
        limit
    )
    .fetch_all(c)
    .await
}

/// Says how far the marking of connections is. False if somebody else has got on with it since it
/// stood at `from`.
pub async fn advance(
    c: &mut DbConn,
    v: &ConnectionRevocation,
    from: ConnectionId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_revocation SET marked_to = $4, found = $5, marked_at_us = $6
         WHERE workspace_id = $1 AND id = $2 AND marked_to = $3 AND marked_at_us IS NULL",
        v.workspace_id as _,
        v.id as _,
        from as _,
        v.marked_to as _,
        v.found,
        v.marked_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Ends a revocation, and forgets the company's id of the customer, which is no longer needed.
/// False if somebody else has.
pub async fn end(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ConnectionRevocationId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_revocation SET ended_at_us = $3, customer = NULL
         WHERE workspace_id = $1 AND id = $2 AND ended_at_us IS NULL",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Puts a connection under a revocation, to be taken up at `due`. One that an earlier revocation
/// has not finished with, or has failed to revoke, goes over to this one; if a node is at it, it
/// stays with that node.
pub async fn add(
    c: &mut DbConn,
    v: &ConnectionRevocation,
    connection: ConnectionId,
    app: &str,
    due: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connection_revocation_item (connection_id, workspace_id, project_id,
           environment_id, revocation_id, app, outcome, reason, due_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', NULL, $7)
         ON CONFLICT (connection_id) DO UPDATE SET revocation_id = excluded.revocation_id,
           outcome = excluded.outcome, reason = NULL,
           due_at_us = COALESCE(connection_revocation_item.due_at_us, excluded.due_at_us)",
        connection as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.id as _,
        app,
        due as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Takes connections up whose time has come; nobody else does until `until`. A node's own work.
pub async fn claim(
    c: &mut DbConn,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<DueRevocation>> {
    sqlx::query_as!(
        DueRevocation,
        r#"UPDATE connection_revocation_item SET due_at_us = $2
           WHERE due_at_us <= $1 AND connection_id IN (
             SELECT i.connection_id FROM connection_revocation_item i WHERE i.due_at_us <= $1
             ORDER BY i.due_at_us, i.connection_id LIMIT $3)
           RETURNING connection_id AS "connection_id: _", workspace_id AS "workspace_id: _",
             project_id AS "project_id: _", environment_id AS "environment_id: _""#,
        now as _,
        until as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Writes down what came of revoking a connection. False if no revocation waits for it.
pub async fn settle(
    c: &mut DbConn,
    tenant: Tenant,
    connection: ConnectionId,
    outcome: RevocationOutcome,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_revocation_item SET outcome = $4, reason = $5, due_at_us = NULL
         WHERE workspace_id = $1 AND environment_id = $2 AND connection_id = $3
           AND outcome = 'pending'",
        tenant.workspace as _,
        tenant.environment as _,
        connection as _,
        outcome as _,
        reason
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// How many connections have come to which outcome.
pub async fn tally(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ConnectionRevocationId,
) -> sqlx::Result<Vec<RevocationTally>> {
    sqlx::query_as!(
        RevocationTally,
        r#"SELECT outcome AS "outcome: _", COUNT(*) AS "connections!: i64"
           FROM connection_revocation_item WHERE workspace_id = $1 AND revocation_id = $2
           GROUP BY outcome"#,
        workspace as _,
        id as _
    )
    .fetch_all(c)
    .await
}

/// A page of the connections that their apps did not confirm to be revoked, by id.
pub async fn failures(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionRevocationId,
    after: ConnectionId,
    limit: i64,
) -> sqlx::Result<Vec<RevocationFailure>> {
    sqlx::query_as!(
        RevocationFailure,
        r#"SELECT i.connection_id AS "connection_id: _", i.app, k.name AS "name?",
             COALESCE(i.reason, '') AS "reason!"
           FROM connection_revocation_item i LEFT JOIN connection k ON k.id = i.connection_id
           WHERE i.workspace_id = $1 AND i.environment_id = $2 AND i.revocation_id = $3
             AND i.outcome = 'failed' AND i.connection_id > $4
           ORDER BY i.connection_id LIMIT $5"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Deletes the records of revocations that ended before then.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM connection_revocation WHERE ended_at_us < $1", before as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}
