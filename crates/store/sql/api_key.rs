//! API keys.

use crate::DbConn;
use causeway_types::entity::ApiKey;
use causeway_types::{ApiKeyId, Tenant, Timestamp, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            ApiKey,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", project_id AS \"project_id: _\", environment_id AS \"environment_id: _\", name, hint, digest, scopes, created_by, created_at_us AS \"created_at: _\", expires_at_us AS \"expires_at: _\", last_used_at_us AS \"last_used_at: _\", revoked_at_us AS \"revoked_at: _\" FROM api_key "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &ApiKey) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO api_key (id, workspace_id, project_id, environment_id, name, hint, digest,
           scopes, created_by, created_at_us, expires_at_us, last_used_at_us, revoked_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.name,
        v.hint,
        v.digest,
        v.scopes,
        v.created_by,
        v.created_at as _,
        v.expires_at as _,
        v.last_used_at as _,
        v.revoked_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a key by its digest: a look-up that comes before a tenant is known.
pub async fn by_digest(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<ApiKey>> {
    select!("WHERE digest = $1", digest).fetch_optional(c).await
}

pub async fn get(c: &mut DbConn, tenant: Tenant, id: ApiKeyId) -> sqlx::Result<Option<ApiKey>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of an environment's keys, by id.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    after: ApiKeyId,
    limit: i64,
) -> sqlx::Result<Vec<ApiKey>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id > $3 ORDER BY id LIMIT $4",
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Every key of a workspace that is not revoked, by id.
pub async fn of_workspace(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Vec<ApiKey>> {
    select!("WHERE workspace_id = $1 AND revoked_at_us IS NULL ORDER BY id", workspace as _)
        .fetch_all(c)
        .await
}

/// Whether anybody ever made a key: the installation is in somebody's hands.
pub async fn any(c: &mut DbConn) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM (SELECT 1 FROM api_key LIMIT 1) AS found"#
    )
    .fetch_one(c)
    .await
    .map(|n| n > 0)
}

/// Lets a key end at a time, unless it ends before. False if it is not there or revoked.
pub async fn end_at(
    c: &mut DbConn,
    tenant: Tenant,
    id: ApiKeyId,
    at: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE api_key SET expires_at_us =
           CASE WHEN expires_at_us IS NULL OR expires_at_us > $4 THEN $4 ELSE expires_at_us END
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND revoked_at_us IS NULL",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Revokes a key. False if it is not there or was revoked before.
pub async fn revoke(
    c: &mut DbConn,
    tenant: Tenant,
    id: ApiKeyId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE api_key SET revoked_at_us = $4
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND revoked_at_us IS NULL",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Notes when a key was used. Another node may have seen a later use.
pub async fn touch(
    c: &mut DbConn,
    tenant: Tenant,
    id: ApiKeyId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE api_key SET last_used_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND (last_used_at_us IS NULL OR last_used_at_us < $3)",
        tenant.workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
