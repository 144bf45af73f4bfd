//! The processes that run invocations, and how long their leases hold.

use crate::DbConn;
use causeway_types::entity::Node;
use causeway_types::{NodeId, Timestamp};

/// Adds a node, or extends its lease.
pub async fn heartbeat(c: &mut DbConn, v: &Node) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO node (id, started_at_us, lease_until_us) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET lease_until_us = excluded.lease_until_us",
        v.id as _,
        v.started_at as _,
        v.lease_until as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Ends a node's lease, so that others take over what it held.
pub async fn remove(c: &mut DbConn, id: NodeId) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM node WHERE id = $1", id as _).execute(c).await.map(|_| ())
}

/// The nodes whose lease ended before `now`.
pub async fn dead(c: &mut DbConn, now: Timestamp) -> sqlx::Result<Vec<NodeId>> {
    sqlx::query_scalar!(r#"SELECT id AS "id: _" FROM node WHERE lease_until_us < $1"#, now as _)
        .fetch_all(c)
        .await
}
