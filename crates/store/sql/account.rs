//! Connections as the Pipedream contract lists them: oldest first, from either end of a page, with
//! how many there are. Those that are being deleted are not among them.

use crate::DbConn;
use causeway_types::entity::{AccountFilter, ConnectionOverview};
use causeway_types::{ConnectionId, Tenant};

/// Selects overviews that a filter lets through.
macro_rules! overviews {
    ($tenant:expr, $filter:expr, $rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            ConnectionOverview,
            "SELECT k.id AS \"id: _\", u.external_id AS customer, k.app, k.name, k.scheme AS \"scheme: _\", k.state AS \"state: _\", k.state_reason, k.scopes, k.account_id, k.account_name, k.policy, k.expires_at_us AS \"expires_at: _\", k.refresh_at_us AS \"refresh_at: _\", k.refreshed_at_us AS \"refreshed_at: _\", k.used_at_us AS \"used_at: _\", k.created_at_us AS \"created_at: _\", k.updated_at_us AS \"updated_at: _\" FROM connection k JOIN customer u ON u.id = k.customer_id WHERE k.workspace_id = $1 AND k.environment_id = $2 AND k.state <> 'revoked' AND (CAST($3 AS TEXT) IS NULL OR u.external_id = $3) AND (CAST($4 AS TEXT) IS NULL OR k.app = $4) AND (CAST($5 AS TEXT) IS NULL OR k.oauth_client_id = $5) AND (CAST($6 AS TEXT) IS NULL OR CAST($6 AS TEXT) LIKE '% ' || k.app || ' %') "
                + $rest,
            $tenant.workspace as _,
            $tenant.environment as _,
            $filter.customer,
            $filter.app,
            $filter.oauth_client as _,
            $filter.apps
            $(, $arg)*
        )
    };
}

/// A page of those younger than `after`, oldest first.
pub async fn page_after(
    c: &mut DbConn,
    tenant: Tenant,
    filter: AccountFilter<'_>,
    after: ConnectionId,
    limit: i64,
) -> sqlx::Result<Vec<ConnectionOverview>> {
    overviews!(tenant, filter, "AND k.id > $7 ORDER BY k.id LIMIT $8", after as _, limit)
        .fetch_all(c)
        .await
}

/// A page of those older than `before`, youngest first.
pub async fn page_before(
    c: &mut DbConn,
    tenant: Tenant,
    filter: AccountFilter<'_>,
    before: ConnectionId,
    limit: i64,
) -> sqlx::Result<Vec<ConnectionOverview>> {
    overviews!(tenant, filter, "AND k.id < $7 ORDER BY k.id DESC LIMIT $8", before as _, limit)
        .fetch_all(c)
        .await
}

/// One of them.
pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    filter: AccountFilter<'_>,
    id: ConnectionId,
) -> sqlx::Result<Option<ConnectionOverview>> {
    overviews!(tenant, filter, "AND k.id = $7", id as _).fetch_optional(c).await
}

/// How many there are.
pub async fn count(c: &mut DbConn, tenant: Tenant, filter: AccountFilter<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM connection k JOIN customer u ON u.id = k.customer_id
           WHERE k.workspace_id = $1 AND k.environment_id = $2 AND k.state <> 'revoked'
             AND (CAST($3 AS TEXT) IS NULL OR u.external_id = $3)
             AND (CAST($4 AS TEXT) IS NULL OR k.app = $4)
             AND (CAST($5 AS TEXT) IS NULL OR k.oauth_client_id = $5)
             AND (CAST($6 AS TEXT) IS NULL OR CAST($6 AS TEXT) LIKE '% ' || k.app || ' %')"#,
        tenant.workspace as _,
        tenant.environment as _,
        filter.customer,
        filter.app,
        filter.oauth_client as _,
        filter.apps
    )
    .fetch_one(c)
    .await
}

/// The apps that customers of the environment have connected, or that the company has a client for.
pub async fn apps(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT app AS "app!" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND state <> 'revoked'
           UNION
           SELECT app AS "app!" FROM oauth_client
           WHERE workspace_id = $1 AND environment_id = $2"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_all(c)
    .await
}

/// Some connections to an app that are not being deleted yet, by id.
pub async fn ids_of_app(
    c: &mut DbConn,
    tenant: Tenant,
    app: &str,
    limit: i64,
) -> sqlx::Result<Vec<ConnectionId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND app = $3 AND state <> 'revoked'
           ORDER BY id LIMIT $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        app,
        limit
    )
    .fetch_all(c)
    .await
}
