//! OAuth clients: whole, and as overviews with the name that people gave them.

use crate::DbConn;
use causeway_types::entity::{OAuthClient, OAuthClientOverview};
use causeway_types::{ConnectionId, OAuthClientId, Tenant};

/// Selects whole clients of an environment.
macro_rules! whole {
    ($tenant:expr, $rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            OAuthClient,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", environment_id AS \"environment_id: _\", app, name, description, client_id, secret AS \"secret: _\", scopes, created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM oauth_client WHERE workspace_id = $1 AND environment_id = $2 "
                + $rest,
            $tenant.workspace as _,
            $tenant.environment as _
            $(, $arg)*
        )
    };
}

/// Selects overviews of an environment's clients.
macro_rules! overviews {
    ($tenant:expr, $rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            OAuthClientOverview,
            "SELECT id AS \"id: _\", app, name, label, description, client_id, scopes, created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM oauth_client WHERE workspace_id = $1 AND environment_id = $2 "
                + $rest,
            $tenant.workspace as _,
            $tenant.environment as _
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &OAuthClient) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO oauth_client (id, workspace_id, environment_id, app, name, description,
           client_id, secret, scopes, created_at_us, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.app,
        v.name,
        v.description,
        v.client_id,
        v.secret as _,
        v.scopes,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Gives a client a new secret, scopes and `client_id`.
pub async fn update(c: &mut DbConn, v: &OAuthClient) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE oauth_client SET client_id = $4, secret = $5, scopes = $6, name = $7,
           description = $8, updated_at_us = $9
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.client_id,
        v.secret as _,
        v.scopes,
        v.name,
        v.description,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// The client of an app that is used if none is named.
pub async fn usual(c: &mut DbConn, tenant: Tenant, app: &str) -> sqlx::Result<Option<OAuthClient>> {
    whole!(tenant, "AND app = $3 AND name = ''", app).fetch_optional(c).await
}

/// The client of an app that has this name.
pub async fn named(
    c: &mut DbConn,
    tenant: Tenant,
    app: &str,
    name: &str,
) -> sqlx::Result<Option<OAuthClient>> {
    whole!(tenant, "AND app = $3 AND name = $4", app, name).fetch_optional(c).await
}

/// The apps that have a client for when none is named.
pub async fn apps_with_usual(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT app FROM oauth_client
         WHERE workspace_id = $1 AND environment_id = $2 AND name = ''",
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_all(c)
    .await
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: OAuthClientId,
) -> sqlx::Result<Option<OAuthClient>> {
    whole!(tenant, "AND id = $3", id as _).fetch_optional(c).await
}

pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    after: OAuthClientId,
    limit: i64,
) -> sqlx::Result<Vec<OAuthClient>> {
    whole!(tenant, "AND id > $3 ORDER BY id LIMIT $4", after as _, limit).fetch_all(c).await
}

/// Whether connections were made with this client.
pub async fn in_use(c: &mut DbConn, tenant: Tenant, id: OAuthClientId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND oauth_client_id = $3 LIMIT 1"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
    .map(|found| found.is_some())
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: OAuthClientId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM oauth_client WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn overview(
    c: &mut DbConn,
    tenant: Tenant,
    id: OAuthClientId,
) -> sqlx::Result<Option<OAuthClientOverview>> {
    overviews!(tenant, "AND id = $3", id as _).fetch_optional(c).await
}

/// A page of those younger than `after`, oldest first, of these apps only if named.
pub async fn page_after(
    c: &mut DbConn,
    tenant: Tenant,
    apps: Option<&str>,
    after: OAuthClientId,
    limit: i64,
) -> sqlx::Result<Vec<OAuthClientOverview>> {
    overviews!(
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
    before: OAuthClientId,
    limit: i64,
) -> sqlx::Result<Vec<OAuthClientOverview>> {
    overviews!(
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
        r#"SELECT COUNT(*) AS "n!: i64" FROM oauth_client
           WHERE workspace_id = $1 AND environment_id = $2
             AND (CAST($3 AS TEXT) IS NULL OR CAST($3 AS TEXT) LIKE '% ' || app || ' %')"#,
        tenant.workspace as _,
        tenant.environment as _,
        apps
    )
    .fetch_one(c)
    .await
}

/// Names a client for people.
pub async fn set_label(
    c: &mut DbConn,
    tenant: Tenant,
    id: OAuthClientId,
    label: Option<&str>,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE oauth_client SET label = $4
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        label
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
