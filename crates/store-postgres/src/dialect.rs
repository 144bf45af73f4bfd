//! What PostgreSQL says differently: claims lock their rows and skip those that others lock.

use crate::DbConn;
use causeway_types::{InvocationId, NodeId};

/// Takes the oldest open invocations that nobody owns.
pub async fn claim(
    c: &mut DbConn,
    owner: NodeId,
    limit: i64,
) -> sqlx::Result<Vec<InvocationId>> {
    sqlx::query_scalar!(
        r#"UPDATE invocation SET owner = $1, fence = fence + 1
           WHERE id IN (
             SELECT id FROM invocation
             WHERE owner IS NULL AND state IN ('queued', 'running')
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING id AS "id: _""#,
        owner as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Makes a transaction of background work give way to others: it fails with `lock_not_available`
/// (55P03) as soon as it has waited 100 ms for a row. That is before PostgreSQL looks for
/// deadlocks (`deadlock_timeout`, 1 s), so it is never the other side that is cancelled.
pub async fn give_way(c: &mut DbConn) -> sqlx::Result<()> {
    sqlx::query!("SET LOCAL lock_timeout = '100ms'").execute(c).await.map(|_| ())
}
