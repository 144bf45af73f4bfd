//! Where an environment's triggers report to, unless they say otherwise.

use crate::DbConn;
use causeway_types::Tenant;
use causeway_types::entity::ProjectWebhook;

pub async fn get(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Option<ProjectWebhook>> {
    sqlx::query_as!(
        ProjectWebhook,
        r#"SELECT environment_id AS "environment_id: _", workspace_id AS "workspace_id: _",
             target AS "target: _", created_at_us AS "created_at: _",
             updated_at_us AS "updated_at: _"
           FROM project_webhook WHERE workspace_id = $1 AND environment_id = $2"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_optional(c)
    .await
}

/// Sets it; when it was made stays.
pub async fn set(c: &mut DbConn, v: &ProjectWebhook) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO project_webhook (environment_id, workspace_id, target, created_at_us,
           updated_at_us)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (environment_id) DO UPDATE SET target = excluded.target,
           updated_at_us = excluded.updated_at_us",
        v.environment_id as _,
        v.workspace_id as _,
        v.target as _,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn delete(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM project_webhook WHERE workspace_id = $1 AND environment_id = $2",
        tenant.workspace as _,
        tenant.environment as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
