//! Endpoints that webhooks are sent to.

use crate::DbConn;
use causeway_types::entity::{WebhookDisabledReason, WebhookEndpoint, WebhookPurpose};
use causeway_types::{Tenant, Timestamp, WebhookEndpointId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            WebhookEndpoint,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", environment_id AS \"environment_id: _\", purpose AS \"purpose: _\", target AS \"target: _\", description, event_types, delivery_order AS \"delivery_order: _\", signature AS \"signature: _\", state AS \"state: _\", disabled_reason AS \"disabled_reason: _\", disabled_at_us AS \"disabled_at: _\", failing_since_us AS \"failing_since: _\", failed_at_us AS \"failed_at: _\", created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM webhook_endpoint "
                + $where
            $(, $arg)*
        )
    };
}

/// False if there is one of this id.
pub async fn insert(c: &mut DbConn, v: &WebhookEndpoint) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO webhook_endpoint (id, workspace_id, environment_id, target, description,
           event_types, delivery_order, signature, state, disabled_reason, disabled_at_us,
           failing_since_us, failed_at_us, created_at_us, updated_at_us, purpose)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (id) DO NOTHING",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.target as _,
        v.description,
        v.event_types,
        v.delivery_order as _,
        v.signature as _,
        v.state as _,
        v.disabled_reason as _,
        v.disabled_at as _,
        v.failing_since as _,
        v.failed_at as _,
        v.created_at as _,
        v.updated_at as _,
        v.purpose as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookEndpointId,
) -> sqlx::Result<Option<WebhookEndpoint>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The endpoint of a delivery that this node has taken up.
pub async fn of_workspace(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookEndpointId,
) -> sqlx::Result<Option<WebhookEndpoint>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// A page of an environment's endpoints for events, oldest first.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    after: WebhookEndpointId,
    limit: i64,
) -> sqlx::Result<Vec<WebhookEndpoint>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND purpose = 'events' AND id > $3 ORDER BY id LIMIT $4",
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// How many endpoints for events an environment has.
pub async fn count(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM webhook_endpoint
           WHERE workspace_id = $1 AND environment_id = $2 AND purpose = 'events'"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_one(c)
    .await
}

/// Writes what somebody may change. Whoever has read the endpoint holds it.
pub async fn update(c: &mut DbConn, v: &WebhookEndpoint) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE webhook_endpoint SET target = $4, description = $5, event_types = $6,
           delivery_order = $7, signature = $8, updated_at_us = $9
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.target as _,
        v.description,
        v.event_types,
        v.delivery_order as _,
        v.signature as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Disables an endpoint. False if it is disabled already, or gone.
pub async fn disable(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookEndpointId,
    reason: WebhookDisabledReason,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE webhook_endpoint SET state = 'disabled', disabled_reason = $3,
           disabled_at_us = $4, updated_at_us = $4
         WHERE workspace_id = $1 AND id = $2 AND state = 'enabled'",
        workspace as _,
        id as _,
        reason as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Enables an endpoint, and forgets that it failed. False if it is enabled already, or gone.
pub async fn enable(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookEndpointId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE webhook_endpoint SET state = 'enabled', disabled_reason = NULL,
           disabled_at_us = NULL, failing_since_us = NULL, failed_at_us = NULL, updated_at_us = $4
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND state = 'disabled'",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Notes that an attempt failed: it fails since then, unless it has failed since `recently`.
/// Since when; none if the endpoint is disabled or gone.
pub async fn failed(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookEndpointId,
    now: Timestamp,
    recently: Timestamp,
) -> sqlx::Result<Option<Timestamp>> {
    sqlx::query_scalar!(
        r#"UPDATE webhook_endpoint SET failed_at_us = $3,
             failing_since_us = CASE WHEN failed_at_us >= $4 THEN failing_since_us ELSE $3 END
           WHERE workspace_id = $1 AND id = $2 AND state = 'enabled'
           RETURNING failing_since_us AS "since!: _""#,
        workspace as _,
        id as _,
        now as _,
        recently as _
    )
    .fetch_optional(c)
    .await
}

/// Notes that something was delivered.
pub async fn succeeded(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookEndpointId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE webhook_endpoint SET failing_since_us = NULL, failed_at_us = NULL
         WHERE workspace_id = $1 AND id = $2 AND state = 'enabled' AND failing_since_us IS NOT NULL",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Deletes an endpoint with its deliveries, if it has this purpose.
pub async fn delete(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookEndpointId,
    purpose: WebhookPurpose,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM webhook_endpoint
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND purpose = $4",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        purpose as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes receivers of connect sessions that were made before a time and have no delivery left.
pub async fn prune_sessions(c: &mut DbConn, before: Timestamp, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM webhook_endpoint WHERE id IN (SELECT e.id FROM webhook_endpoint e
           WHERE e.purpose = 'session' AND e.created_at_us < $1
             AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.endpoint_id = e.id)
           ORDER BY e.created_at_us LIMIT $2)",
        before as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}
