//! Webhooks, as PostgreSQL says it: claims lock their rows and skip those that others lock, and an
//! endpoint is held while something relies on it.

use crate::DbConn;
use causeway_types::entity::{WebhookDelivery, WebhookTaker};
use causeway_types::{NodeId, Tenant, Timestamp, WebhookEndpointId, WorkspaceId};

/// The endpoints of an environment that events go to, for giving them a message. Until the
/// transaction ends, none of them can be deleted.
pub async fn takers(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Vec<WebhookTaker>> {
    sqlx::query_as!(
        WebhookTaker,
        r#"SELECT id AS "id: _", event_types, state AS "state: _" FROM webhook_endpoint
           WHERE workspace_id = $1 AND environment_id = $2 AND purpose = 'events'
           ORDER BY id FOR KEY SHARE"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_all(c)
    .await
}

/// Where the outcome of a connect session is reported to: the environment's project webhook, and the
/// session's own receiver, if it has one. Until the transaction ends, neither can be deleted.
pub async fn reported_to(
    c: &mut DbConn,
    tenant: Tenant,
    own: Option<WebhookEndpointId>,
) -> sqlx::Result<Vec<WebhookTaker>> {
    sqlx::query_as!(
        WebhookTaker,
        r#"SELECT id AS "id: _", event_types, state AS "state: _" FROM webhook_endpoint
           WHERE workspace_id = $1 AND environment_id = $2 AND (purpose = 'project' OR id = $3)
           ORDER BY id FOR KEY SHARE"#,
        tenant.workspace as _,
        tenant.environment as _,
        own as _
    )
    .fetch_all(c)
    .await
}

/// Holds an endpoint until the transaction ends: others that hold it wait. Messages can be made for
/// it meanwhile.
pub async fn hold(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookEndpointId,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"SELECT id AS "id: WebhookEndpointId" FROM webhook_endpoint
           WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
    .map(|_| ())
}

/// Takes pending deliveries of an endpoint whose time has come, those first that have waited longest.
pub async fn claim(
    c: &mut DbConn,
    endpoint: WebhookEndpointId,
    owner: NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<WebhookDelivery>> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"UPDATE webhook_delivery SET owner = $2, fence = fence + 1, due_at_us = $4
           WHERE id IN (
             SELECT d.id FROM webhook_delivery d
             WHERE d.endpoint_id = $1 AND d.state = 'pending' AND d.due_at_us <= $3
             ORDER BY d.due_at_us LIMIT $5 FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             message_id AS "message_id: _", endpoint_id AS "endpoint_id: _", position, state AS "state: _",
             dead_reason AS "dead_reason: _", attempts, tries, due_at_us AS "due_at: _", owner AS "owner: _",
             fence, created_at_us AS "created_at: _", ended_at_us AS "ended_at: _""#,
        endpoint as _,
        owner as _,
        now as _,
        until as _,
        limit
    )
    .fetch_all(c)
    .await
}
