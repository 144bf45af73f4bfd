//! Schedules of workflows' active versions.

use crate::DbConn;
use causeway_types::entity::{CatchUp, DueSchedule, Gate, Schedule};
use causeway_types::{
    EnvironmentId, ProjectId, Tenant, Timestamp, TriggerId, VersionId, WorkflowId, WorkspaceId,
};

pub async fn insert(c: &mut DbConn, v: &Schedule) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO schedule (id, workspace_id, project_id, environment_id, workflow_id, name, cron,
           every_s, timezone, catch_up, next_at_us, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.workflow_id as _,
        v.name,
        v.cron,
        v.every_s,
        v.timezone,
        v.catch_up as _,
        v.next_at as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The schedules of a workflow, by name.
pub async fn of_workflow(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
) -> sqlx::Result<Vec<Schedule>> {
    sqlx::query_as!(
        Schedule,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", workflow_id AS "workflow_id: _", name, cron, every_s,
             timezone, catch_up AS "catch_up: _", next_at_us AS "next_at: _",
             created_at_us AS "created_at: _"
           FROM schedule
           WHERE workspace_id = $1 AND environment_id = $2 AND workflow_id = $3 ORDER BY name"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _
    )
    .fetch_all(c)
    .await
}

/// Gives a schedule another rhythm, or another way with times that were missed.
pub async fn update(c: &mut DbConn, v: &Schedule) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedule SET cron = $4, every_s = $5, timezone = $6, catch_up = $7, next_at_us = $8
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        v.workspace_id as _,
        v.environment_id as _,
        v.id as _,
        v.cron,
        v.every_s,
        v.timezone,
        v.catch_up as _,
        v.next_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: TriggerId) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM schedule WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// When the next schedule of all fires.
pub async fn next(c: &mut DbConn) -> sqlx::Result<Option<Timestamp>> {
    sqlx::query_scalar!(r#"SELECT MIN(next_at_us) AS "next_at: Timestamp" FROM schedule"#)
        .fetch_one(c)
        .await
}

/// Schedules of all tenants whose time has come, those first that have waited longest, each with what
/// its workflow makes of events.
pub async fn due(c: &mut DbConn, now: Timestamp, limit: i64) -> sqlx::Result<Vec<DueSchedule>> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "id: TriggerId", s.workspace_id AS "workspace_id: WorkspaceId",
             s.project_id AS "project_id: ProjectId", s.environment_id AS "environment_id: EnvironmentId",
             s.workflow_id AS "workflow_id: WorkflowId", s.name, s.cron, s.every_s, s.timezone,
             s.catch_up AS "catch_up: CatchUp", s.next_at_us AS "next_at: Timestamp",
             s.created_at_us AS "created_at: Timestamp",
             w.active_version_id AS "version_id!: VersionId", b.queue_limit AS "queue_limit?",
             CASE WHEN b.concurrency IS NULL AND b.throttle_limit IS NULL THEN 'open' ELSE 'closed' END
               AS "gate!: Gate"
           FROM schedule s JOIN workflow w ON w.id = s.workflow_id
             LEFT JOIN workflow_bound b ON b.workflow_id = s.workflow_id
           WHERE s.next_at_us <= $1 AND w.active_version_id IS NOT NULL
           ORDER BY s.next_at_us, s.id LIMIT $2"#,
        now as _,
        limit
    )
    .fetch_all(c)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DueSchedule {
            schedule: Schedule {
                id: row.id,
                workspace_id: row.workspace_id,
                project_id: row.project_id,
                environment_id: row.environment_id,
                workflow_id: row.workflow_id,
                name: row.name,
                cron: row.cron,
                every_s: row.every_s,
                timezone: row.timezone,
                catch_up: row.catch_up,
                next_at: row.next_at,
                created_at: row.created_at,
            },
            version_id: row.version_id,
            gate: row.gate,
            queue_limit: row.queue_limit,
        })
        .collect())
}
