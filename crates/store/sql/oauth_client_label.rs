//! OAuth clients by id, with the name that people gave them.

use crate::DbConn;
use causeway_types::entity::OAuthClientOverview;
use causeway_types::{OAuthClientId, Tenant};

/// Selects overviews of an environment's clients.
macro_rules! clients {
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

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: OAuthClientId,
) -> sqlx::Result<Option<OAuthClientOverview>> {
    clients!(tenant, "AND id = $3", id as _).fetch_optional(c).await
}

/// A page of those younger than `after`, oldest first, of these apps only if named.
pub async fn page_after(
    c: &mut DbConn,
    tenant: Tenant,
    apps: Option<&str>,
    after: OAuthClientId,
    limit: i64,
) -> sqlx::Result<Vec<OAuthClientOverview>> {
    clients!(
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
    clients!(
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
pub async fn set(
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
