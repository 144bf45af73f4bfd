//! Webhooks: messages, their deliveries, and attempts at these.

use crate::DbConn;
use causeway_types::entity::{
    WebhookAttempt, WebhookDelivery, WebhookDeliveryFilter, WebhookDeliveryState, WebhookMessage,
    WebhooksWaiting,
};
use causeway_types::{
    NodeId, Tenant, Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId, WorkspaceId,
};

/// Selects whole deliveries.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            WebhookDelivery,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", environment_id AS \"environment_id: _\", message_id AS \"message_id: _\", endpoint_id AS \"endpoint_id: _\", position, state AS \"state: _\", dead_reason AS \"dead_reason: _\", attempts, tries, due_at_us AS \"due_at: _\", owner AS \"owner: _\", fence, created_at_us AS \"created_at: _\", ended_at_us AS \"ended_at: _\" FROM webhook_delivery "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert_message(c: &mut DbConn, v: &WebhookMessage) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_message (id, workspace_id, environment_id, kind, body, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.kind as _,
        v.body as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn message(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookMessageId,
) -> sqlx::Result<Option<WebhookMessage>> {
    sqlx::query_as!(
        WebhookMessage,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             kind AS "kind: _", body AS "body: _", created_at_us AS "created_at: _"
           FROM webhook_message WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The message of a delivery that this node has taken up.
pub async fn message_of_workspace(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: WebhookMessageId,
) -> sqlx::Result<Option<WebhookMessage>> {
    sqlx::query_as!(
        WebhookMessage,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             kind AS "kind: _", body AS "body: _", created_at_us AS "created_at: _"
           FROM webhook_message WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of an environment's messages, newest first.
pub async fn messages(
    c: &mut DbConn,
    tenant: Tenant,
    before: WebhookMessageId,
    limit: i64,
) -> sqlx::Result<Vec<WebhookMessage>> {
    sqlx::query_as!(
        WebhookMessage,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             kind AS "kind: _", body AS "body: _", created_at_us AS "created_at: _"
           FROM webhook_message WHERE workspace_id = $1 AND environment_id = $2 AND id < $3
           ORDER BY id DESC LIMIT $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Adds a delivery at the end of its endpoint's order: whoever sees another as committed comes
/// after it. The position of the record counts for nothing.
pub async fn insert_delivery(c: &mut DbConn, v: &WebhookDelivery) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_delivery (id, workspace_id, environment_id, message_id, endpoint_id,
           position, state, dead_reason, attempts, tries, due_at_us, owner, fence, created_at_us,
           ended_at_us)
         VALUES ($1, $2, $3, $4, $5,
           1 + COALESCE((SELECT MAX(position) FROM webhook_delivery WHERE endpoint_id = $5), 0),
           $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.message_id as _,
        v.endpoint_id as _,
        v.state as _,
        v.dead_reason as _,
        v.attempts,
        v.tries,
        v.due_at as _,
        v.owner as _,
        v.fence,
        v.created_at as _,
        v.ended_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn delivery(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookDeliveryId,
) -> sqlx::Result<Option<WebhookDelivery>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of an environment's deliveries, newest first.
pub async fn deliveries(
    c: &mut DbConn,
    tenant: Tenant,
    filter: &WebhookDeliveryFilter,
    before: WebhookDeliveryId,
    limit: i64,
) -> sqlx::Result<Vec<WebhookDelivery>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND (CAST($3 AS TEXT) IS NULL OR endpoint_id = $3) AND (CAST($4 AS TEXT) IS NULL OR message_id = $4) AND (CAST($5 AS TEXT) IS NULL OR state = $5) AND id < $6 ORDER BY id DESC LIMIT $7",
        tenant.workspace as _,
        tenant.environment as _,
        filter.endpoint as _,
        filter.message as _,
        filter.state as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// The endpoints for which something is pending, by id. Spans tenants: it is a node's own work.
/// Goes from endpoint to endpoint along the index, however much is pending for each.
pub async fn waiting(c: &mut DbConn) -> sqlx::Result<Vec<WebhooksWaiting>> {
    sqlx::query_as!(
        WebhooksWaiting,
        r#"WITH RECURSIVE waiting (id) AS (
             SELECT MIN(endpoint_id) FROM webhook_delivery WHERE state = 'pending'
             UNION ALL
             SELECT (SELECT MIN(d.endpoint_id) FROM webhook_delivery d
                     WHERE d.state = 'pending' AND d.endpoint_id > waiting.id)
             FROM waiting WHERE waiting.id IS NOT NULL)
           SELECT e.id AS "endpoint_id!: _", e.workspace_id AS "workspace_id!: _", e.state AS "state!: _",
             e.delivery_order AS "delivery_order!: _", e.failing_since_us AS "failing_since?: _",
             COALESCE(CASE e.delivery_order
               WHEN 'strict' THEN (SELECT d.due_at_us FROM webhook_delivery d
                 WHERE d.endpoint_id = e.id AND d.state = 'pending' ORDER BY d.position, d.id LIMIT 1)
               ELSE (SELECT MIN(d.due_at_us) FROM webhook_delivery d
                 WHERE d.endpoint_id = e.id AND d.state = 'pending') END, 0) AS "due_at!: _"
           FROM waiting JOIN webhook_endpoint e ON e.id = waiting.id ORDER BY e.id"#
    )
    .fetch_all(c)
    .await
}

/// Takes the first pending delivery of an endpoint that wants them in order, if its time has come
/// and nobody is at another one. Under a lock of the endpoint, so that two nodes do not each take one.
pub async fn claim_first(
    c: &mut DbConn,
    endpoint: WebhookEndpointId,
    owner: NodeId,
    now: Timestamp,
    until: Timestamp,
) -> sqlx::Result<Option<WebhookDelivery>> {
    sqlx::query_as!(
        WebhookDelivery,
        r#"UPDATE webhook_delivery SET owner = $2, fence = fence + 1, due_at_us = $4
           WHERE id = (SELECT d.id FROM webhook_delivery d
               WHERE d.endpoint_id = $1 AND d.state = 'pending' ORDER BY d.position, d.id LIMIT 1)
             AND due_at_us <= $3
             AND NOT EXISTS (SELECT 1 FROM webhook_delivery o
               WHERE o.endpoint_id = $1 AND o.state = 'pending' AND o.owner IS NOT NULL AND o.due_at_us > $3)
           RETURNING id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             message_id AS "message_id: _", endpoint_id AS "endpoint_id: _", position, state AS "state: _",
             dead_reason AS "dead_reason: _", attempts, tries, due_at_us AS "due_at: _", owner AS "owner: _",
             fence, created_at_us AS "created_at: _", ended_at_us AS "ended_at: _""#,
        endpoint as _,
        owner as _,
        now as _,
        until as _
    )
    .fetch_optional(c)
    .await
}

/// Writes how an attempt ended, unless somebody has taken the delivery up since.
pub async fn finish(c: &mut DbConn, v: &WebhookDelivery) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE webhook_delivery SET state = $4, dead_reason = $5, attempts = $6, tries = $7,
           due_at_us = $8, owner = NULL, ended_at_us = $9
         WHERE workspace_id = $1 AND id = $2 AND fence = $3 AND state = 'pending'",
        v.workspace_id as _,
        v.id as _,
        v.fence,
        v.state as _,
        v.dead_reason as _,
        v.attempts,
        v.tries,
        v.due_at as _,
        v.ended_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Lets everything that was taken up be taken up again: nobody is at it any more. Only where this
/// process alone uses the database.
pub async fn take_back(c: &mut DbConn, now: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE webhook_delivery SET owner = NULL, due_at_us = $1
         WHERE owner IS NOT NULL AND state = 'pending'",
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Gives up what is pending for a disabled endpoint, but for what somebody is at.
pub async fn give_up(
    c: &mut DbConn,
    workspace: WorkspaceId,
    endpoint: WebhookEndpointId,
    now: Timestamp,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE webhook_delivery SET state = 'dead', dead_reason = 'endpoint_disabled',
           due_at_us = NULL, owner = NULL, ended_at_us = $3
         WHERE workspace_id = $1 AND endpoint_id = $2 AND state = 'pending'
           AND (owner IS NULL OR due_at_us <= $3)",
        workspace as _,
        endpoint as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Sends one again, or at once if it waits for its next attempt; false if somebody is at it.
pub async fn replay(
    c: &mut DbConn,
    tenant: Tenant,
    id: WebhookDeliveryId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE webhook_delivery SET state = 'pending', dead_reason = NULL, tries = 0,
           due_at_us = $4, owner = NULL, fence = fence + 1, ended_at_us = NULL
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3
           AND (owner IS NULL OR due_at_us <= $4)",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Sends dead deliveries of an endpoint again, and those in the state `also`: of messages made from
/// `since` on and before `until`, the oldest first.
pub async fn replay_made(
    c: &mut DbConn,
    tenant: Tenant,
    endpoint: WebhookEndpointId,
    also: WebhookDeliveryState,
    (since, until): (Timestamp, Timestamp),
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE webhook_delivery SET state = 'pending', dead_reason = NULL, tries = 0,
           due_at_us = $7, owner = NULL, fence = fence + 1, ended_at_us = NULL
         WHERE id IN (SELECT d.id FROM webhook_delivery d
           WHERE d.workspace_id = $1 AND d.environment_id = $2 AND d.endpoint_id = $3
             AND d.state <> 'pending' AND (d.state = 'dead' OR d.state = $4)
             AND d.created_at_us >= $5 AND d.created_at_us < $6
           ORDER BY d.position, d.id LIMIT $8)",
        tenant.workspace as _,
        tenant.environment as _,
        endpoint as _,
        also as _,
        since as _,
        until as _,
        now as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Sends deliveries of an endpoint again that were given up from `since` on, the oldest first.
pub async fn replay_dead(
    c: &mut DbConn,
    tenant: Tenant,
    endpoint: WebhookEndpointId,
    since: Timestamp,
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE webhook_delivery SET state = 'pending', dead_reason = NULL, tries = 0,
           due_at_us = $5, owner = NULL, fence = fence + 1, ended_at_us = NULL
         WHERE id IN (SELECT d.id FROM webhook_delivery d
           WHERE d.workspace_id = $1 AND d.environment_id = $2 AND d.endpoint_id = $3
             AND d.state = 'dead' AND d.ended_at_us >= $4
           ORDER BY d.position, d.id LIMIT $6)",
        tenant.workspace as _,
        tenant.environment as _,
        endpoint as _,
        since as _,
        now as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

pub async fn insert_attempt(c: &mut DbConn, v: &WebhookAttempt) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_attempt (id, workspace_id, delivery_id, number, status, error_code,
           answer, started_at_us, duration_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        v.id as _,
        v.workspace_id as _,
        v.delivery_id as _,
        v.number,
        v.status,
        v.error_code,
        v.answer as _,
        v.started_at as _,
        v.duration_us
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// A page of a delivery's attempts, newest first.
pub async fn attempts(
    c: &mut DbConn,
    workspace: WorkspaceId,
    delivery: WebhookDeliveryId,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<WebhookAttempt>> {
    sqlx::query_as!(
        WebhookAttempt,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", delivery_id AS "delivery_id: _",
             number, status, error_code, answer AS "answer: _", started_at_us AS "started_at: _",
             duration_us
           FROM webhook_attempt WHERE workspace_id = $1 AND delivery_id = $2 AND number < $3
           ORDER BY number DESC LIMIT $4"#,
        workspace as _,
        delivery as _,
        before,
        limit
    )
    .fetch_all(c)
    .await
}

/// Deletes deliveries that ended before a time; dead ones only if that was before an earlier one.
pub async fn prune_deliveries(
    c: &mut DbConn,
    delivered: Timestamp,
    dead: Timestamp,
    limit: i64,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM webhook_delivery WHERE id IN (SELECT d.id FROM webhook_delivery d
           WHERE d.ended_at_us < $1 AND (d.state = 'delivered' OR d.ended_at_us < $2)
           ORDER BY d.ended_at_us LIMIT $3)",
        delivered as _,
        dead as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes messages made before a time that are not on their way to anybody any more.
pub async fn prune_messages(c: &mut DbConn, before: Timestamp, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM webhook_message WHERE id IN (SELECT m.id FROM webhook_message m
           WHERE m.created_at_us < $1
             AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.message_id = m.id)
           ORDER BY m.created_at_us LIMIT $2)",
        before as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}
