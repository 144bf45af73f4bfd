//! Changing and deleting projects, and their logos.

use crate::DbConn;
use causeway_types::entity::ProjectLogo;
use causeway_types::{ProjectId, WorkspaceId};

pub async fn rename(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ProjectId,
    name: &str,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE project SET name = $3 WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _,
        name
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// How many connections, workflows and webhook endpoints for events a project has.
pub async fn contents(c: &mut DbConn, workspace: WorkspaceId, id: ProjectId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT
             (SELECT COUNT(*) FROM connection WHERE workspace_id = $1 AND environment_id IN
               (SELECT id FROM environment WHERE workspace_id = $1 AND project_id = $2))
           + (SELECT COUNT(*) FROM workflow WHERE workspace_id = $1 AND environment_id IN
               (SELECT id FROM environment WHERE workspace_id = $1 AND project_id = $2))
           + (SELECT COUNT(*) FROM webhook_endpoint
             WHERE workspace_id = $1 AND purpose = 'events' AND environment_id IN
               (SELECT id FROM environment WHERE workspace_id = $1 AND project_id = $2))
           AS "n!: i64""#,
        workspace as _,
        id as _
    )
    .fetch_one(c)
    .await
}

/// Deletes a project without connections, workflows and webhook endpoints, with all that is left of
/// it: keys to it, roles in it, customers, OAuth clients, settings, figures.
pub async fn delete(c: &mut DbConn, workspace: WorkspaceId, id: ProjectId) -> sqlx::Result<bool> {
    /// Deletes from a table by its column `environment_id`.
    macro_rules! of_environments {
        ($($table:literal)*) => {$(
            sqlx::query!(
                "DELETE FROM "
                    + $table
                    + " WHERE workspace_id = $1 AND environment_id IN (SELECT id FROM environment WHERE workspace_id = $1 AND project_id = $2)",
                workspace as _,
                id as _
            )
            .execute(&mut *c)
            .await?;
        )*};
    }
    /// Deletes from a table by its column `project_id`.
    macro_rules! of_project {
        ($($table:literal)*) => {$(
            sqlx::query!(
                "DELETE FROM " + $table + " WHERE workspace_id = $1 AND project_id = $2",
                workspace as _,
                id as _
            )
            .execute(&mut *c)
            .await?;
        )*};
    }
    of_environments!("connect_session" "customer" "app_override" "oauth_client" "connect_settings" "webhook_message" "webhook_endpoint" "usage_count"
        "component");
    of_project!("api_key" "machine_client" "role_grant" "invitation" "project_logo" "environment");
    sqlx::query!("DELETE FROM project WHERE workspace_id = $1 AND id = $2", workspace as _, id as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected() == 1)
}

pub async fn set_logo(c: &mut DbConn, v: &ProjectLogo) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO project_logo (project_id, workspace_id, media_type, picture, updated_at_us)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id) DO UPDATE SET media_type = excluded.media_type,
           picture = excluded.picture, updated_at_us = excluded.updated_at_us",
        v.project_id as _,
        v.workspace_id as _,
        v.media_type,
        v.picture,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The logo of a project. The look-up is public: connect pages show it to everybody.
pub async fn logo(c: &mut DbConn, id: ProjectId) -> sqlx::Result<Option<ProjectLogo>> {
    sqlx::query_as!(
        ProjectLogo,
        r#"SELECT project_id AS "project_id: _", workspace_id AS "workspace_id: _", media_type,
             picture, updated_at_us AS "updated_at: _"
           FROM project_logo WHERE project_id = $1"#,
        id as _
    )
    .fetch_optional(c)
    .await
}
