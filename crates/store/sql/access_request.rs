//! Requests of the staff for access to workspaces.

use crate::DbConn;
use causeway_types::entity::{AccessRequest, AccessState};
use causeway_types::{AccessRequestId, Timestamp, UserId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            AccessRequest,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", user_id AS \"user_id: _\", role AS \"role: _\", reason, minutes, state AS \"state: _\", requested_at_us AS \"requested_at: _\", decided_by, decided_at_us AS \"decided_at: _\", expires_at_us AS \"expires_at: _\", ended_at_us AS \"ended_at: _\" FROM access_request "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &AccessRequest) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO access_request (id, workspace_id, user_id, role, reason, minutes, state,
           requested_at_us, decided_by, decided_at_us, expires_at_us, ended_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        v.id as _,
        v.workspace_id as _,
        v.user_id as _,
        v.role as _,
        v.reason,
        v.minutes,
        v.state as _,
        v.requested_at as _,
        v.decided_by,
        v.decided_at as _,
        v.expires_at as _,
        v.ended_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: AccessRequestId,
) -> sqlx::Result<Option<AccessRequest>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// Finds a request without its workspace: for the staff, who decide about others' requests.
pub async fn by_id(c: &mut DbConn, id: AccessRequestId) -> sqlx::Result<Option<AccessRequest>> {
    select!("WHERE id = $1", id as _).fetch_optional(c).await
}

/// A page of the requests for a workspace, newest first.
pub async fn page(
    c: &mut DbConn,
    workspace: WorkspaceId,
    before: AccessRequestId,
    limit: i64,
) -> sqlx::Result<Vec<AccessRequest>> {
    select!(
        "WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        workspace as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// A page of the requests for all workspaces, newest first: for the staff.
pub async fn page_of_all(
    c: &mut DbConn,
    before: AccessRequestId,
    limit: i64,
) -> sqlx::Result<Vec<AccessRequest>> {
    select!("WHERE id < $1 ORDER BY id DESC LIMIT $2", before as _, limit).fetch_all(c).await
}

/// The approved requests of a person for a workspace whose time is not over.
pub async fn current(
    c: &mut DbConn,
    workspace: WorkspaceId,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<Vec<AccessRequest>> {
    select!(
        "WHERE workspace_id = $1 AND user_id = $2 AND state = 'approved' AND expires_at_us > $3
         ORDER BY id",
        workspace as _,
        user as _,
        now as _
    )
    .fetch_all(c)
    .await
}

/// The requests of a person for a workspace that wait for a decision.
pub async fn pending(
    c: &mut DbConn,
    workspace: WorkspaceId,
    user: UserId,
) -> sqlx::Result<Vec<AccessRequest>> {
    select!(
        "WHERE workspace_id = $1 AND user_id = $2 AND state = 'pending' ORDER BY id",
        workspace as _,
        user as _
    )
    .fetch_all(c)
    .await
}

/// The approved requests for a workspace whose time is not over.
pub async fn in_force(
    c: &mut DbConn,
    workspace: WorkspaceId,
    now: Timestamp,
) -> sqlx::Result<Vec<AccessRequest>> {
    select!(
        "WHERE workspace_id = $1 AND state = 'approved' AND expires_at_us > $2 ORDER BY id",
        workspace as _,
        now as _
    )
    .fetch_all(c)
    .await
}

/// Decides a request that waits. False if it does not wait any more.
pub async fn decide(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: AccessRequestId,
    state: AccessState,
    by: &str,
    now: Timestamp,
    expires: Option<Timestamp>,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE access_request
         SET state = $3, decided_by = $4, decided_at_us = $5, expires_at_us = $6
         WHERE workspace_id = $1 AND id = $2 AND state = 'pending'",
        workspace as _,
        id as _,
        state as _,
        by,
        now as _,
        expires as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Ends a request that waits or is approved. False if it is over.
pub async fn end(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: AccessRequestId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE access_request SET state = 'ended', ended_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND (state = 'pending'
           OR (state = 'approved' AND expires_at_us > $3))",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
