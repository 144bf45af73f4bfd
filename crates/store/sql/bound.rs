//! What bounds workflows' invocations. The gates before which these wait: `gate`.

use crate::DbConn;
use causeway_types::entity::WorkflowBound;
use causeway_types::{Tenant, Timestamp, WorkflowId};

/// Sets what bounds a workflow; how far its throttle is stays.
pub async fn set(c: &mut DbConn, v: &WorkflowBound) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workflow_bound (workflow_id, workspace_id, environment_id, concurrency,
           throttle_limit, throttle_per_us, throttled_until_us, queue_limit)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (workflow_id) DO UPDATE SET concurrency = excluded.concurrency,
           throttle_limit = excluded.throttle_limit, throttle_per_us = excluded.throttle_per_us,
           queue_limit = excluded.queue_limit",
        v.workflow_id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.concurrency,
        v.throttle_limit,
        v.throttle_per_us,
        v.throttled_until as _,
        v.queue_limit
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// What bounds a workflow, for whoever opens the gates of all tenants.
pub async fn of(c: &mut DbConn, workflow: WorkflowId) -> sqlx::Result<Option<WorkflowBound>> {
    sqlx::query_as!(
        WorkflowBound,
        r#"SELECT workflow_id AS "workflow_id: _", workspace_id AS "workspace_id: _",
             environment_id AS "environment_id: _", concurrency, throttle_limit, throttle_per_us,
             throttled_until_us AS "throttled_until: _", queue_limit
           FROM workflow_bound WHERE workflow_id = $1"#,
        workflow as _
    )
    .fetch_optional(c)
    .await
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, workflow: WorkflowId) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM workflow_bound
         WHERE workspace_id = $1 AND environment_id = $2 AND workflow_id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Says how far a workflow's throttle is, under the hold of its bounds.
pub async fn throttle(c: &mut DbConn, workflow: WorkflowId, until: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE workflow_bound SET throttled_until_us = $2 WHERE workflow_id = $1",
        workflow as _,
        until as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
