//! API keys, by digest.

use crate::DbConn;
use causeway_types::entity::ApiKey;

pub async fn insert(c: &mut DbConn, v: &ApiKey) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO api_key (id, workspace_id, project_id, environment_id, name, digest,
           created_at_us, expires_at_us, revoked_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.name,
        v.digest,
        v.created_at as _,
        v.expires_at as _,
        v.revoked_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a key by its digest: the one look-up that comes before a tenant is known.
pub async fn by_digest(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", name, digest, created_at_us AS "created_at: _",
             expires_at_us AS "expires_at: _", revoked_at_us AS "revoked_at: _"
           FROM api_key WHERE digest = $1"#,
        digest
    )
    .fetch_optional(c)
    .await
}
