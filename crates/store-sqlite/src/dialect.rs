//! What SQLite says differently: claims need no row locks, because there is one writer.

use crate::DbConn;
use causeway_types::{InvocationId, NodeId, Timestamp};

/// Takes open invocations that no living node holds.
pub async fn claim(
    c: &mut DbConn,
    owner: NodeId,
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<InvocationId>> {
    sqlx::query_scalar!(
        r#"UPDATE invocation SET owner = $1, fence = fence + 1
           WHERE id IN (
             SELECT i.id FROM invocation i LEFT JOIN node n ON n.id = i.owner
             WHERE i.state IN ('queued', 'running') AND (n.id IS NULL OR n.lease_until_us < $2)
             ORDER BY i.id LIMIT $3)
           RETURNING id AS "id: _""#,
        owner as _,
        now as _,
        limit
    )
    .fetch_all(c)
    .await
}
