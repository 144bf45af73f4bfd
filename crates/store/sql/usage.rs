//! How much was used, by environment and hour.

use crate::DbConn;
use causeway_types::entity::UsageCount;
use causeway_types::{Tenant, Timestamp};

/// Adds to a count.
pub async fn add(c: &mut DbConn, v: &UsageCount) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO usage_count (environment_id, kind, hour_us, workspace_id, count)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (environment_id, kind, hour_us)
           DO UPDATE SET count = usage_count.count + excluded.count",
        v.environment_id as _,
        v.kind as _,
        v.hour as _,
        v.workspace_id as _,
        v.count
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// The counts of an environment from `from` on, before `to`, by hour.
pub async fn between(
    c: &mut DbConn,
    tenant: Tenant,
    from: Timestamp,
    to: Timestamp,
) -> sqlx::Result<Vec<UsageCount>> {
    sqlx::query_as!(
        UsageCount,
        r#"SELECT workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             kind AS "kind: _", hour_us AS "hour: _", count
           FROM usage_count
           WHERE workspace_id = $1 AND environment_id = $2 AND hour_us >= $3 AND hour_us < $4
           ORDER BY hour_us, kind LIMIT 20000"#,
        tenant.workspace as _,
        tenant.environment as _,
        from as _,
        to as _
    )
    .fetch_all(c)
    .await
}
