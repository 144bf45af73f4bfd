//! The leases on the refresh of connections, and how far each attempt came.

use crate::DbConn;
use causeway_types::entity::ConnectionRefresh;
use causeway_types::place::Sealed;
use causeway_types::{ConnectionId, NodeId, Timestamp, WorkspaceId};

/// Takes the lease on a connection's refresh and moves its fence, if nobody holds it. The record
/// of how far the last holder came stays as it is.
pub async fn take_lease(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
    owner: NodeId,
    now: Timestamp,
    until: Timestamp,
) -> sqlx::Result<Option<ConnectionRefresh>> {
    sqlx::query_as!(
        ConnectionRefresh,
        r#"INSERT INTO connection_refresh (connection_id, workspace_id, fence, owner,
             lease_until_us, phase, unanswered, failures, answer, started_at_us)
           VALUES ($1, $2, 1, $3, $4, 'idle', 0, 0, NULL, $5)
           ON CONFLICT (connection_id) DO UPDATE SET fence = connection_refresh.fence + 1,
             owner = excluded.owner, lease_until_us = excluded.lease_until_us,
             started_at_us = excluded.started_at_us
           WHERE connection_refresh.lease_until_us <= excluded.started_at_us
           RETURNING connection_id AS "connection_id: _", workspace_id AS "workspace_id: _", fence,
             owner AS "owner: _", lease_until_us AS "lease_until: _", phase AS "phase: _",
             unanswered, failures, answer AS "answer: _", started_at_us AS "started_at: _""#,
        connection as _,
        workspace as _,
        owner as _,
        until as _,
        now as _
    )
    .fetch_optional(c)
    .await
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> sqlx::Result<Option<ConnectionRefresh>> {
    sqlx::query_as!(
        ConnectionRefresh,
        r#"SELECT connection_id AS "connection_id: _", workspace_id AS "workspace_id: _", fence,
             owner AS "owner: _", lease_until_us AS "lease_until: _", phase AS "phase: _",
             unanswered, failures, answer AS "answer: _", started_at_us AS "started_at: _"
           FROM connection_refresh WHERE workspace_id = $1 AND connection_id = $2"#,
        workspace as _,
        connection as _
    )
    .fetch_optional(c)
    .await
}

/// Records, before the token endpoint is called, that it is about to be. False if the fence has
/// moved.
pub async fn record_intent(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
    fence: i64,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_refresh SET phase = 'intent', answer = NULL, unanswered = unanswered + 1
         WHERE workspace_id = $1 AND connection_id = $2 AND fence = $3",
        workspace as _,
        connection as _,
        fence
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Keeps the token endpoint's answer until it has been applied. False if the fence has moved.
pub async fn record_answer(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
    fence: i64,
    answer: &Sealed,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_refresh SET phase = 'answered', answer = $4, unanswered = unanswered - 1
         WHERE workspace_id = $1 AND connection_id = $2 AND fence = $3 AND phase = 'intent'",
        workspace as _,
        connection as _,
        fence,
        answer as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Ends an attempt and gives the lease back. False if the fence has moved.
pub async fn settle(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
    fence: i64,
    unanswered: i64,
    failures: i64,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection_refresh SET phase = 'idle', answer = NULL, lease_until_us = 0,
           unanswered = $4, failures = $5
         WHERE workspace_id = $1 AND connection_id = $2 AND fence = $3",
        workspace as _,
        connection as _,
        fence,
        unanswered,
        failures
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Makes every attempt under way void, because the connection gets a credential of another
/// origin.
pub async fn supersede(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE connection_refresh SET fence = fence + 1, phase = 'idle', answer = NULL,
           lease_until_us = 0, unanswered = 0, failures = 0
         WHERE workspace_id = $1 AND connection_id = $2",
        workspace as _,
        connection as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
