//! Workspaces' data keys, wrapped, and the rotations of them.

use crate::DbConn;
use causeway_types::entity::{DataKey, KeyRotation};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, RotationId, Timestamp, WorkspaceId};

pub async fn insert(c: &mut DbConn, v: &DataKey) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO data_key (id, workspace_id, state, root_key, wrapped, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6)",
        v.id as _,
        v.workspace_id as _,
        v.state as _,
        v.root_key,
        &v.wrapped as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The workspace's keys, oldest first.
pub async fn of_workspace(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Vec<DataKey>> {
    sqlx::query_as!(
        DataKey,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", state AS "state: _", root_key,
             wrapped AS "wrapped: _", created_at_us AS "created_at: _"
           FROM data_key WHERE workspace_id = $1 ORDER BY id"#,
        workspace as _
    )
    .fetch_all(c)
    .await
}

/// Every workspace's keys: for the node's own check of its root key, never for a caller.
pub async fn all(c: &mut DbConn) -> sqlx::Result<Vec<DataKey>> {
    sqlx::query_as!(
        DataKey,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", state AS "state: _", root_key,
             wrapped AS "wrapped: _", created_at_us AS "created_at: _"
           FROM data_key ORDER BY workspace_id, id"#
    )
    .fetch_all(c)
    .await
}

/// Retires the workspace's active key, so that another may take its place.
pub async fn retire(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE data_key SET state = 'retired' WHERE workspace_id = $1 AND state = 'active'",
        workspace as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Puts a key wrapped anew in the place of the old wrapping, unless that has changed meanwhile.
pub async fn rewrap(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: DataKeyId,
    old: &Sealed,
    root_key: &str,
    wrapped: &Sealed,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE data_key SET root_key = $4, wrapped = $5
         WHERE workspace_id = $1 AND id = $2 AND wrapped = $3",
        workspace as _,
        id as _,
        old as _,
        root_key,
        wrapped as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

pub async fn insert_rotation(c: &mut DbConn, v: &KeyRotation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO key_rotation (id, workspace_id, data_key_id, state, at_kind, at_record, done, total,
           started_at_us, updated_at_us, finished_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        v.id as _,
        v.workspace_id as _,
        v.data_key_id as _,
        v.state as _,
        v.at_kind,
        v.at_record,
        v.done,
        v.total,
        v.started_at as _,
        v.updated_at as _,
        v.finished_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn rotation(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: RotationId,
) -> sqlx::Result<Option<KeyRotation>> {
    sqlx::query_as!(
        KeyRotation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", data_key_id AS "data_key_id: _",
             state AS "state: _", at_kind, at_record, done, total, started_at_us AS "started_at: _",
             updated_at_us AS "updated_at: _", finished_at_us AS "finished_at: _"
           FROM key_rotation WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The workspace's newest rotation.
pub async fn newest_rotation(
    c: &mut DbConn,
    workspace: WorkspaceId,
) -> sqlx::Result<Option<KeyRotation>> {
    sqlx::query_as!(
        KeyRotation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", data_key_id AS "data_key_id: _",
             state AS "state: _", at_kind, at_record, done, total, started_at_us AS "started_at: _",
             updated_at_us AS "updated_at: _", finished_at_us AS "finished_at: _"
           FROM key_rotation WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1"#,
        workspace as _
    )
    .fetch_optional(c)
    .await
}

/// Every workspace's unfinished rotation: for the node that takes them up, never for a caller.
pub async fn running_rotations(c: &mut DbConn) -> sqlx::Result<Vec<KeyRotation>> {
    sqlx::query_as!(
        KeyRotation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", data_key_id AS "data_key_id: _",
             state AS "state: _", at_kind, at_record, done, total, started_at_us AS "started_at: _",
             updated_at_us AS "updated_at: _", finished_at_us AS "finished_at: _"
           FROM key_rotation WHERE state = 'running' ORDER BY id"#
    )
    .fetch_all(c)
    .await
}

/// Notes how far a rotation is, and that `more` records were sealed again.
pub async fn advance_rotation(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: RotationId,
    at_kind: &str,
    at_record: &str,
    more: i64,
    now: Timestamp,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE key_rotation
         SET at_kind = $3, at_record = $4, done = done + $5, updated_at_us = $6
         WHERE workspace_id = $1 AND id = $2 AND state = 'running'",
        workspace as _,
        id as _,
        at_kind,
        at_record,
        more,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Ends a rotation; the number of records that it came to becomes its total.
pub async fn finish_rotation(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: RotationId,
    now: Timestamp,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE key_rotation
         SET state = 'done', at_kind = '', at_record = '', total = done, updated_at_us = $3, finished_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND state = 'running'",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}
