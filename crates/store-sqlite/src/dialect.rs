//! What SQLite says differently: claims need no row locks, because there is one writer.

use crate::DbConn;
use causeway_types::{InvocationId, NodeId};

/// Takes the oldest open invocations that nobody owns.
pub async fn claim(c: &mut DbConn, owner: NodeId, limit: i64) -> sqlx::Result<Vec<InvocationId>> {
    sqlx::query_scalar!(
        r#"UPDATE invocation SET owner = $1, fence = fence + 1
           WHERE id IN (
             SELECT id FROM invocation
             WHERE owner IS NULL AND state IN ('queued', 'running')
             ORDER BY id LIMIT $2)
           RETURNING id AS "id: _""#,
        owner as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Makes a transaction of background work give way to others. SQLite has one writer at a time,
/// which waits for nobody once it has begun.
#[expect(clippy::unused_async, reason = "the other dialect asks its server")]
pub async fn give_way(_c: &mut DbConn) -> sqlx::Result<()> {
    Ok(())
}
