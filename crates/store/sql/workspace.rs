//! Workspaces, projects and environments.

use crate::DbConn;
use causeway_types::entity::{Environment, Project, Workspace};
use causeway_types::{EnvironmentId, ProjectId, WorkspaceId};

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

/// Makes the workspace unless it is there. True if it was not.
pub async fn ensure(c: &mut DbConn, v: &Workspace) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO workspace (id, name, created_at_us) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO NOTHING",
        v.id as _,
        v.name,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(c: &mut DbConn, id: WorkspaceId) -> sqlx::Result<Option<Workspace>> {
    sqlx::query_as!(
        Workspace,
        r#"SELECT id AS "id: _", name, created_at_us AS "created_at: _" FROM workspace WHERE id = $1"#,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The projects of a workspace, oldest first.
pub async fn projects(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Vec<Project>> {
    sqlx::query_as!(
        Project,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", name,
             created_at_us AS "created_at: _"
           FROM project WHERE workspace_id = $1 ORDER BY id"#,
        workspace as _
    )
    .fetch_all(c)
    .await
}

pub async fn project(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ProjectId,
) -> sqlx::Result<Option<Project>> {
    sqlx::query_as!(
        Project,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", name,
             created_at_us AS "created_at: _"
           FROM project WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// Finds an environment by its id alone, which a signed-in person names: whether they may know it
/// is decided next.
pub async fn environment(c: &mut DbConn, id: EnvironmentId) -> sqlx::Result<Option<Environment>> {
    sqlx::query_as!(
        Environment,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             kind AS "kind: _", created_at_us AS "created_at: _"
           FROM environment WHERE id = $1"#,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// Every workspace, the installation's own too: for the node's own work (key checks, rotations),
/// never for a caller.
pub async fn all(c: &mut DbConn) -> sqlx::Result<Vec<Workspace>> {
    sqlx::query_as!(
        Workspace,
        r#"SELECT id AS "id: _", name, created_at_us AS "created_at: _" FROM workspace ORDER BY id"#
    )
    .fetch_all(c)
    .await
}

/// A page of workspaces, by id: for the operators of the installation, who may know their names.
pub async fn page(c: &mut DbConn, after: WorkspaceId, limit: i64) -> sqlx::Result<Vec<Workspace>> {
    sqlx::query_as!(
        Workspace,
        r#"SELECT id AS "id: _", name, created_at_us AS "created_at: _"
           FROM workspace WHERE id > $1 ORDER BY id LIMIT $2"#,
        after as _,
        limit
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
