//! The packages of versions.

use crate::DbConn;
use causeway_types::entity::{ActiveLayer, PackageFilter, PackageUse, VersionPackage};
use causeway_types::{Tenant, VersionPackageId};

pub async fn insert(c: &mut DbConn, v: &VersionPackage) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO version_package (id, version_id, workspace_id, environment_id, ecosystem, place, name,
           version, integrity, layer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        v.id as _,
        v.version_id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.ecosystem as _,
        v.place,
        v.name,
        v.version,
        v.integrity,
        v.layer
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The packages of active versions.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    filter: &PackageFilter,
    after: VersionPackageId,
    limit: i64,
) -> sqlx::Result<Vec<PackageUse>> {
    sqlx::query_as!(
        PackageUse,
        r#"SELECT p.id AS "id: _", w.id AS "workflow_id: _", w.name AS workflow, v.id AS "version_id: _",
             v.number, p.ecosystem AS "ecosystem: _", p.place, p.name, p.version, p.integrity
           FROM version_package p
           JOIN version v ON v.id = p.version_id
           JOIN workflow w ON w.active_version_id = v.id
           WHERE p.workspace_id = $1 AND p.environment_id = $2 AND p.id > $3
             AND (CAST($4 AS TEXT) IS NULL OR w.id = $4)
             AND (CAST($5 AS TEXT) IS NULL OR p.name = $5)
             AND (CAST($6 AS TEXT) IS NULL OR p.version = $6)
           ORDER BY p.id LIMIT $7"#,
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        filter.workflow as _,
        filter.name,
        filter.version,
        limit
    )
    .fetch_all(c)
    .await
}

/// The layers that some version or component has, of every tenant: a node's own work.
pub async fn layers_in_use(c: &mut DbConn) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT layer AS "layer!" FROM version_package
           UNION SELECT layer FROM component_package"#
    )
    .fetch_all(c)
    .await
}

/// The digests of the archives that some version or component has, of every tenant: a node's own
/// work.
pub async fn archives_in_use(c: &mut DbConn) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT integrity AS "integrity!" FROM version_package
           UNION SELECT integrity FROM component_package"#
    )
    .fetch_all(c)
    .await
}

/// The layers of active versions, of every tenant: a node's own work.
pub async fn active_layers(c: &mut DbConn) -> sqlx::Result<Vec<ActiveLayer>> {
    sqlx::query_as!(
        ActiveLayer,
        r#"SELECT DISTINCT w.workspace_id AS "workspace_id: _", e.project_id AS "project_id: _",
             w.environment_id AS "environment_id: _", p.version_id AS "version_id: _", p.layer
           FROM workflow w
           JOIN environment e ON e.id = w.environment_id
           JOIN version_package p ON p.version_id = w.active_version_id"#
    )
    .fetch_all(c)
    .await
}
