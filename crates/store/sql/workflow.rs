//! Workflows, their versions and their triggers.

use crate::DbConn;
use causeway_types::entity::{Trigger, Version, Workflow};
use causeway_types::{Tenant, Timestamp, VersionId, WorkflowId};

pub async fn insert(c: &mut DbConn, v: &Workflow) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workflow (id, workspace_id, environment_id, name, active_version_id, created_at_us, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.name,
        v.active_version_id as _,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(c: &mut DbConn, tenant: Tenant, id: WorkflowId) -> sqlx::Result<Option<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             name, active_version_id AS "active_version_id: _", created_at_us AS "created_at: _",
             updated_at_us AS "updated_at: _"
           FROM workflow WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

pub async fn by_name(c: &mut DbConn, tenant: Tenant, name: &str) -> sqlx::Result<Option<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             name, active_version_id AS "active_version_id: _", created_at_us AS "created_at: _",
             updated_at_us AS "updated_at: _"
           FROM workflow WHERE workspace_id = $1 AND environment_id = $2 AND name = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        name
    )
    .fetch_optional(c)
    .await
}

pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    after: WorkflowId,
    limit: i64,
) -> sqlx::Result<Vec<Workflow>> {
    sqlx::query_as!(
        Workflow,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             name, active_version_id AS "active_version_id: _", created_at_us AS "created_at: _",
             updated_at_us AS "updated_at: _"
           FROM workflow WHERE workspace_id = $1 AND environment_id = $2 AND id > $3
           ORDER BY id LIMIT $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn activate(
    c: &mut DbConn,
    tenant: Tenant,
    id: WorkflowId,
    version: VersionId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE workflow SET active_version_id = $4, updated_at_us = $5
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        version as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn insert_version(c: &mut DbConn, v: &Version) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO version (id, workspace_id, environment_id, workflow_id, number, digest, bundle, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.workflow_id as _,
        v.number,
        v.digest,
        &v.bundle as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn version(
    c: &mut DbConn,
    tenant: Tenant,
    id: VersionId,
) -> sqlx::Result<Option<Version>> {
    sqlx::query_as!(
        Version,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", number, digest, bundle AS "bundle: _",
             created_at_us AS "created_at: _"
           FROM version WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The version of a workflow with this content, if it was deployed before.
pub async fn version_by_digest(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
    digest: &str,
) -> sqlx::Result<Option<Version>> {
    sqlx::query_as!(
        Version,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", number, digest, bundle AS "bundle: _",
             created_at_us AS "created_at: _"
           FROM version
           WHERE workspace_id = $1 AND environment_id = $2 AND workflow_id = $3 AND digest = $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _,
        digest
    )
    .fetch_optional(c)
    .await
}

/// The number of a workflow's newest version; 0 if it has none.
pub async fn newest_number(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(MAX(number), 0) AS "n!: i64" FROM version
           WHERE workspace_id = $1 AND environment_id = $2 AND workflow_id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _
    )
    .fetch_one(c)
    .await
}

pub async fn insert_trigger(c: &mut DbConn, v: &Trigger) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workflow_trigger (id, workspace_id, project_id, environment_id, workflow_id, kind,
           name, token_digest, token, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.workflow_id as _,
        v.kind as _,
        v.name,
        v.token_digest,
        &v.token as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The triggers of a workflow that have, or had in an earlier version, a URL.
pub async fn triggers(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
) -> sqlx::Result<Vec<Trigger>> {
    sqlx::query_as!(
        Trigger,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", workflow_id AS "workflow_id: _", kind AS "kind: _",
             name, token_digest, token AS "token: _", created_at_us AS "created_at: _"
           FROM workflow_trigger
           WHERE workspace_id = $1 AND environment_id = $2 AND workflow_id = $3 ORDER BY name"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _
    )
    .fetch_all(c)
    .await
}

/// Finds a trigger by the digest of its URL's token: the one look-up of a public request, which
/// brings no tenant but finds it here.
pub async fn trigger_by_token(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<Trigger>> {
    sqlx::query_as!(
        Trigger,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", workflow_id AS "workflow_id: _", kind AS "kind: _",
             name, token_digest, token AS "token: _", created_at_us AS "created_at: _"
           FROM workflow_trigger WHERE token_digest = $1"#,
        digest
    )
    .fetch_optional(c)
    .await
}
