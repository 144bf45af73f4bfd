//! Connections.

use crate::DbConn;
use causeway_types::entity::{
    Connection, ConnectionFilter, ConnectionOverview, ConnectionState, DueConnection, Scheme,
};
use causeway_types::{ConnectionId, CustomerId, Tenant, Timestamp, WorkspaceId};

/// Whether another customer than this one has a connection to this account of an app by this
/// scheme.
pub async fn is_anothers_account(
    c: &mut DbConn,
    tenant: Tenant,
    app: &str,
    scheme: Scheme,
    account: &str,
    customer: CustomerId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: ConnectionId" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND app = $3 AND scheme = $4
             AND account_id = $5 AND customer_id <> $6 LIMIT 1"#,
        tenant.workspace as _,
        tenant.environment as _,
        app,
        scheme as _,
        account,
        customer as _
    )
    .fetch_optional(c)
    .await
    .map(|found| found.is_some())
}

pub async fn insert(c: &mut DbConn, v: &Connection) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connection (id, workspace_id, environment_id, customer_id, app, name, scheme,
           oauth_client_id, state, state_reason, credential, scopes, expires_at_us, refresh_at_us,
           fence, created_at_us, updated_at_us, hosts, account_id, account_name, policy,
           refreshed_at_us, used_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
           $19, $20, $21, $22, $23)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.customer_id as _,
        v.app,
        v.name,
        v.scheme as _,
        v.oauth_client_id as _,
        v.state as _,
        v.state_reason,
        v.credential as _,
        v.scopes,
        v.expires_at as _,
        v.refresh_at as _,
        v.fence,
        v.created_at as _,
        v.updated_at as _,
        v.hosts,
        v.account_id,
        v.account_name,
        v.policy,
        v.refreshed_at as _,
        v.used_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<Option<Connection>> {
    sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", customer_id AS "customer_id: _", app, name,
             scheme AS "scheme: _", oauth_client_id AS "oauth_client_id: _", state AS "state: _",
             state_reason, credential AS "credential: _", scopes, hosts, account_id, account_name,
             policy, expires_at_us AS "expires_at: _", refresh_at_us AS "refresh_at: _",
             refreshed_at_us AS "refreshed_at: _", used_at_us AS "used_at: _", fence,
             created_at_us AS "created_at: _", updated_at_us AS "updated_at: _"
           FROM connection WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

pub async fn by_name(
    c: &mut DbConn,
    tenant: Tenant,
    name: &str,
) -> sqlx::Result<Option<Connection>> {
    sqlx::query_as!(
        Connection,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", customer_id AS "customer_id: _", app, name,
             scheme AS "scheme: _", oauth_client_id AS "oauth_client_id: _", state AS "state: _",
             state_reason, credential AS "credential: _", scopes, hosts, account_id, account_name,
             policy, expires_at_us AS "expires_at: _", refresh_at_us AS "refresh_at: _",
             refreshed_at_us AS "refreshed_at: _", used_at_us AS "used_at: _", fence,
             created_at_us AS "created_at: _", updated_at_us AS "updated_at: _"
           FROM connection WHERE workspace_id = $1 AND environment_id = $2 AND name = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        name
    )
    .fetch_optional(c)
    .await
}

pub async fn overview(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<Option<ConnectionOverview>> {
    sqlx::query_as!(
        ConnectionOverview,
        r#"SELECT k.id AS "id: _", u.external_id AS customer, k.app, k.name,
             k.scheme AS "scheme: _", k.state AS "state: _", k.state_reason, k.scopes,
             k.account_id, k.account_name, k.policy, k.expires_at_us AS "expires_at: _",
             k.refresh_at_us AS "refresh_at: _", k.refreshed_at_us AS "refreshed_at: _",
             k.used_at_us AS "used_at: _", k.created_at_us AS "created_at: _",
             k.updated_at_us AS "updated_at: _"
           FROM connection k JOIN customer u ON u.id = k.customer_id
           WHERE k.workspace_id = $1 AND k.environment_id = $2 AND k.id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of connections older than `before`, newest first, of those that the filter names.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    filter: &ConnectionFilter,
    before: ConnectionId,
    limit: i64,
) -> sqlx::Result<Vec<ConnectionOverview>> {
    sqlx::query_as!(
        ConnectionOverview,
        r#"SELECT k.id AS "id: _", u.external_id AS customer, k.app, k.name,
             k.scheme AS "scheme: _", k.state AS "state: _", k.state_reason, k.scopes,
             k.account_id, k.account_name, k.policy, k.expires_at_us AS "expires_at: _",
             k.refresh_at_us AS "refresh_at: _", k.refreshed_at_us AS "refreshed_at: _",
             k.used_at_us AS "used_at: _", k.created_at_us AS "created_at: _",
             k.updated_at_us AS "updated_at: _"
           FROM connection k JOIN customer u ON u.id = k.customer_id
           WHERE k.workspace_id = $1 AND k.environment_id = $2 AND k.id < $3
             AND (CAST($4 AS TEXT) IS NULL OR u.external_id = $4)
             AND (CAST($5 AS TEXT) IS NULL OR k.app = $5)
             AND (CAST($6 AS TEXT) IS NULL OR k.name = $6)
             AND (CAST($7 AS BIGINT) IS NULL OR k.created_at_us < $7)
             AND (CAST($8 AS BIGINT) IS NULL OR COALESCE(k.used_at_us, k.created_at_us) < $8)
           ORDER BY k.id DESC LIMIT $9"#,
        tenant.workspace as _,
        tenant.environment as _,
        before as _,
        filter.customer,
        filter.app,
        filter.name,
        filter.created_before as _,
        filter.unused_since as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Remembers when a connection was used, unless it was remembered after `before`.
pub async fn touch(
    c: &mut DbConn,
    workspace: WorkspaceId,
    connection: ConnectionId,
    at: Timestamp,
    before: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE connection SET used_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND (used_at_us IS NULL OR used_at_us < $4)",
        workspace as _,
        connection as _,
        at as _,
        before as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Writes a new credential and what goes with it, and moves the fence. False if the fence is no
/// longer `v.fence`: somebody else has written since it was read. A connection that is being
/// given up stays so, but gets the credential: it is what has to be revoked.
pub async fn update_credential(c: &mut DbConn, v: &Connection) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection SET scheme = $5, oauth_client_id = $6,
           state = CASE WHEN state = 'revoked' THEN state ELSE $7 END, state_reason = $8,
           credential = $9, scopes = $10, expires_at_us = $11,
           refresh_at_us = CASE WHEN state = 'revoked' THEN refresh_at_us ELSE $12 END,
           fence = fence + 1, updated_at_us = $13, hosts = $14, account_id = $15,
           account_name = $16, refreshed_at_us = $17
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND fence = $4",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.fence,
        v.scheme as _,
        v.oauth_client_id as _,
        v.state as _,
        v.state_reason,
        v.credential as _,
        v.scopes,
        v.expires_at as _,
        v.refresh_at as _,
        v.updated_at as _,
        v.hosts,
        v.account_id,
        v.account_name,
        v.refreshed_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Writes how a connection is. False if its credential is no longer the one of `v.fence`.
pub async fn update_state(c: &mut DbConn, v: &Connection) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection SET state = $5, state_reason = $6, refresh_at_us = $7,
           updated_at_us = $8
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND fence = $4
           AND state <> 'revoked'",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.fence,
        v.state as _,
        v.state_reason,
        v.refresh_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Sets what may be done with a connection through the proxy. False if there is none.
pub async fn set_policy(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
    policy: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection SET policy = $4, updated_at_us = $5
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND state <> 'revoked'",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        policy,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Gives a connection up. From here on nobody uses it; `look_at` is when the background goes on
/// with its deletion if whoever began it does not.
pub async fn mark_revoked(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
    look_at: Option<Timestamp>,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connection SET state = $4, state_reason = NULL, refresh_at_us = $5
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        ConnectionState::Revoked as _,
        look_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: ConnectionId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM connection WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// The connections whose time has come: for the node's own work, never for a caller.
pub async fn due(c: &mut DbConn, now: Timestamp, limit: i64) -> sqlx::Result<Vec<DueConnection>> {
    sqlx::query_as!(
        DueConnection,
        r#"SELECT k.id AS "id: _", k.workspace_id AS "workspace_id: _",
             e.project_id AS "project_id: _", k.environment_id AS "environment_id: _",
             k.state AS "state: _"
           FROM connection k JOIN environment e ON e.id = k.environment_id
           WHERE k.refresh_at_us <= $1 ORDER BY k.refresh_at_us LIMIT $2"#,
        now as _,
        limit
    )
    .fetch_all(c)
    .await
}
