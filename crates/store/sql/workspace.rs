//! Workspaces, projects and environments.

use crate::DbConn;
use causeway_types::WorkspaceId;
use causeway_types::entity::{Environment, MachineClient, Project, Workspace};

pub async fn insert(c: &mut DbConn, v: &Workspace) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workspace (id, name, created_at_us) VALUES ($1, $2, $3)",
        v.id as _,
        v.name,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn insert_project(c: &mut DbConn, v: &Project) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO project (id, workspace_id, name, created_at_us) VALUES ($1, $2, $3, $4)",
        v.id as _,
        v.workspace_id as _,
        v.name,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn insert_environment(c: &mut DbConn, v: &Environment) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO environment (id, workspace_id, project_id, kind, created_at_us)
         VALUES ($1, $2, $3, $4, $5)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.kind as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn insert_machine_client(c: &mut DbConn, v: &MachineClient) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO machine_client (id, workspace_id, project_id, environment_id, digest, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.digest,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Every workspace: for the node's own work (key checks, rotations), never for a caller.
pub async fn all(c: &mut DbConn) -> sqlx::Result<Vec<Workspace>> {
    sqlx::query_as!(
        Workspace,
        r#"SELECT id AS "id: _", name, created_at_us AS "created_at: _" FROM workspace ORDER BY id"#
    )
    .fetch_all(c)
    .await
}

/// The environments of a workspace, oldest first.
pub async fn environments(
    c: &mut DbConn,
    workspace: WorkspaceId,
) -> sqlx::Result<Vec<Environment>> {
    sqlx::query_as!(
        Environment,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             kind AS "kind: _", created_at_us AS "created_at: _"
           FROM environment WHERE workspace_id = $1 ORDER BY id"#,
        workspace as _
    )
    .fetch_all(c)
    .await
}
