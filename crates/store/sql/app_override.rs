//! What the company fills in for its customers when they connect an app.

use crate::DbConn;
use causeway_types::entity::AppOverride;
use causeway_types::{AppOverrideId, OAuthClientId, Tenant};

/// Selects whole overrides of an environment.
macro_rules! overrides {
    ($tenant:expr, $rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            AppOverride,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", environment_id AS \"environment_id: _\", app, name, oauth_client_id AS \"oauth_client_id: _\", fields AS \"fields: _\", created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM app_override WHERE workspace_id = $1 AND environment_id = $2 "
                + $rest,
            $tenant.workspace as _,
            $tenant.environment as _
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &AppOverride) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO app_override (id, workspace_id, environment_id, app, name, oauth_client_id,
           fields, created_at_us, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.app,
        v.name,
        v.oauth_client_id as _,
        v.fields as _,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn update(c: &mut DbConn, v: &AppOverride) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE app_override SET app = $4, name = $5, oauth_client_id = $6, fields = $7,
           updated_at_us = $8
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.app,
        v.name,
        v.oauth_client_id as _,
        v.fields as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: AppOverrideId,
) -> sqlx::Result<Option<AppOverride>> {
    overrides!(tenant, "AND id = $3", id as _).fetch_optional(c).await
}

/// A page of those younger than `after`, oldest first, of these apps only if named.
pub async fn page_after(
    c: &mut DbConn,
    tenant: Tenant,
    apps: Option<&str>,
    after: AppOverrideId,
    limit: i64,
) -> sqlx::Result<Vec<AppOverride>> {
    overrides!(
        tenant,
        "AND id > $3 AND (CAST($4 AS TEXT) IS NULL OR CAST($4 AS TEXT) LIKE '% ' || app || ' %') ORDER BY id LIMIT $5",
        after as _,
        apps,
        limit
    )
    .fetch_all(c)
    .await
}

/// A page of those older than `before`, youngest first, of these apps only if named.
pub async fn page_before(
    c: &mut DbConn,
    tenant: Tenant,
    apps: Option<&str>,
    before: AppOverrideId,
    limit: i64,
) -> sqlx::Result<Vec<AppOverride>> {
    overrides!(
        tenant,
        "AND id < $3 AND (CAST($4 AS TEXT) IS NULL OR CAST($4 AS TEXT) LIKE '% ' || app || ' %') ORDER BY id DESC LIMIT $5",
        before as _,
        apps,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn count(c: &mut DbConn, tenant: Tenant, apps: Option<&str>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM app_override
           WHERE workspace_id = $1 AND environment_id = $2
             AND (CAST($3 AS TEXT) IS NULL OR CAST($3 AS TEXT) LIKE '% ' || app || ' %')"#,
        tenant.workspace as _,
        tenant.environment as _,
        apps
    )
    .fetch_one(c)
    .await
}

/// Whether overrides connect with this client.
pub async fn uses_client(
    c: &mut DbConn,
    tenant: Tenant,
    client: OAuthClientId,
) -> sqlx::Result<bool> {
    overrides!(tenant, "AND oauth_client_id = $3 LIMIT 1", client as _)
        .fetch_optional(c)
        .await
        .map(|found| found.is_some())
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: AppOverrideId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM app_override WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
