//! The gates before which invocations wait for what bounds their workflow. SQLite is told which index
//! to use: it keeps no statistics, and each of these looks is at few rows of very many.

use crate::DbConn;
use causeway_types::entity::WorkflowBound;
use causeway_types::{InvocationId, WorkflowId};

/// Holds a workflow's bounds until the transaction ends, if it has any: whoever writes is alone.
pub async fn hold(c: &mut DbConn, workflow: WorkflowId) -> sqlx::Result<Option<WorkflowBound>> {
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

/// The workflows of all tenants before whose gate invocations wait: one look into the index for each,
/// however many wait.
pub async fn crowded(c: &mut DbConn) -> sqlx::Result<Vec<WorkflowId>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE crowd (workflow_id) AS (
             SELECT MIN(workflow_id) FROM invocation INDEXED BY invocation_closed
               WHERE gate = 'closed' AND state = 'queued'
             UNION ALL
             SELECT (SELECT MIN(i.workflow_id) FROM invocation i INDEXED BY invocation_closed
                 WHERE i.gate = 'closed' AND i.state = 'queued' AND i.workflow_id > crowd.workflow_id)
               FROM crowd WHERE crowd.workflow_id IS NOT NULL)
           SELECT workflow_id AS "workflow_id!: WorkflowId" FROM crowd WHERE workflow_id IS NOT NULL"#
    )
    .fetch_all(c)
    .await
}

/// How many of a workflow's invocations were let through and have not ended nor begun to wait for more
/// than their own items.
pub async fn running(c: &mut DbConn, workflow: WorkflowId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM invocation INDEXED BY invocation_passed
           WHERE workflow_id = $1 AND gate = 'passed' AND (state IN ('queued', 'running') OR waits_for = 'items')"#,
        workflow as _
    )
    .fetch_one(c)
    .await
}

/// The oldest of those that wait before a workflow's gate, each with whether it had begun before it
/// waited for a time.
pub async fn in_line(
    c: &mut DbConn,
    workflow: WorkflowId,
    limit: i64,
) -> sqlx::Result<Vec<(InvocationId, bool)>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: InvocationId", started_at_us IS NOT NULL AS "begun!: bool"
           FROM invocation INDEXED BY invocation_closed
           WHERE workflow_id = $1 AND gate = 'closed' AND state = 'queued' ORDER BY id LIMIT $2"#,
        workflow as _,
        limit
    )
    .fetch_all(c)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.begun)).collect())
}

/// How many of a workflow's invocations wait before its gate and came before this one; `limit` at most.
pub async fn ahead(
    c: &mut DbConn,
    workflow: WorkflowId,
    id: InvocationId,
    limit: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM (
             SELECT 1 FROM invocation INDEXED BY invocation_closed
             WHERE workflow_id = $1 AND gate = 'closed' AND state = 'queued' AND id < $2 LIMIT $3) AS before"#,
        workflow as _,
        id as _,
        limit
    )
    .fetch_one(c)
    .await
}

/// Lets invocations through.
pub async fn let_through(c: &mut DbConn, ids: &[InvocationId]) -> sqlx::Result<()> {
    let ids = serde_json::to_string(ids).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query!(
        "UPDATE invocation SET gate = 'passed'
         WHERE gate = 'closed' AND state = 'queued' AND id IN (SELECT value FROM json_each($1))",
        ids
    )
    .execute(c)
    .await
    .map(|_| ())
}
