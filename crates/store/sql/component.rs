//! Components, the packages that they use, and the props that they had with certain values.

use crate::DbConn;
use causeway_types::entity::{Component, ComponentSeals, DynamicProps};
use causeway_types::{ComponentId, DynamicPropsId, Tenant};

/// Selects components of an environment, without what is sealed.
macro_rules! components {
    ($tenant:expr, $rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Component,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", project_id AS \"project_id: _\", environment_id AS \"environment_id: _\", key, version, kind AS \"kind: _\", name, description, apps, digest, created_at_us AS \"created_at: _\" FROM component WHERE workspace_id = $1 AND environment_id = $2 "
                + $rest,
            $tenant.workspace as _,
            $tenant.environment as _
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &Component, seals: &ComponentSeals) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO component (id, workspace_id, project_id, environment_id, key, version, kind, name,
           description, apps, digest, definition, bundle, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.key,
        v.version,
        v.kind as _,
        v.name,
        v.description,
        v.apps,
        v.digest,
        &seals.definition as _,
        &seals.bundle as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: ComponentId,
) -> sqlx::Result<Option<Component>> {
    components!(tenant, "AND id = $3", id as _).fetch_optional(c).await
}

/// Every version of a component.
pub async fn versions(c: &mut DbConn, tenant: Tenant, key: &str) -> sqlx::Result<Vec<Component>> {
    components!(tenant, "AND key = $3 ORDER BY id", key).fetch_all(c).await
}

/// Every version of every component, oldest first: of an environment there are no more than may be
/// published.
pub async fn all(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Vec<Component>> {
    components!(tenant, "ORDER BY id").fetch_all(c).await
}

pub async fn count(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM component
           WHERE workspace_id = $1 AND environment_id = $2"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_one(c)
    .await
}

pub async fn seals(
    c: &mut DbConn,
    tenant: Tenant,
    id: ComponentId,
) -> sqlx::Result<Option<ComponentSeals>> {
    sqlx::query_as!(
        ComponentSeals,
        r#"SELECT definition AS "definition: _", bundle AS "bundle: _" FROM component
           WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: ComponentId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM component WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Writes down that a component uses an archive, in a layer.
pub async fn insert_package(
    c: &mut DbConn,
    component: &Component,
    layer: &str,
    integrity: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO component_package (component_id, layer, integrity, workspace_id)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        component.id as _,
        layer,
        integrity,
        component.workspace_id as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Keeps props, unless the component has had the same before.
pub async fn insert_props(c: &mut DbConn, v: &DynamicProps) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO dynamic_props (id, workspace_id, environment_id, component_id, digest, definitions,
           created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (component_id, digest) DO NOTHING",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.component_id as _,
        v.digest,
        &v.definitions as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The id of props that a component has had.
pub async fn props_by_digest(
    c: &mut DbConn,
    tenant: Tenant,
    component: ComponentId,
    digest: &str,
) -> sqlx::Result<Option<DynamicPropsId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: _" FROM dynamic_props
           WHERE workspace_id = $1 AND environment_id = $2 AND component_id = $3 AND digest = $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        component as _,
        digest
    )
    .fetch_optional(c)
    .await
}

pub async fn props(
    c: &mut DbConn,
    tenant: Tenant,
    component: ComponentId,
    id: DynamicPropsId,
) -> sqlx::Result<Option<DynamicProps>> {
    sqlx::query_as!(
        DynamicProps,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             component_id AS "component_id: _", digest, definitions AS "definitions: _",
             created_at_us AS "created_at: _"
           FROM dynamic_props
           WHERE workspace_id = $1 AND environment_id = $2 AND component_id = $3 AND id = $4"#,
        tenant.workspace as _,
        tenant.environment as _,
        component as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// Deletes a component's oldest props, so that `keep` are left.
pub async fn trim_props(
    c: &mut DbConn,
    tenant: Tenant,
    component: ComponentId,
    keep: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM dynamic_props
         WHERE workspace_id = $1 AND environment_id = $2 AND component_id = $3 AND id <= (
           SELECT id FROM dynamic_props WHERE component_id = $3 ORDER BY id DESC LIMIT 1 OFFSET $4)",
        tenant.workspace as _,
        tenant.environment as _,
        component as _,
        keep
    )
    .execute(c)
    .await
    .map(|_| ())
}
