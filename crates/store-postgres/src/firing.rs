//! Firing schedules: each time of one fires once, whichever node is at it.

use crate::DbConn;
use causeway_types::{Timestamp, TriggerId};

/// Moves schedules on from the time that they were due at; returns those that stood there still and
/// that no other node holds.
pub async fn move_on(
    c: &mut DbConn,
    moves: &[(TriggerId, Timestamp, Timestamp)],
) -> sqlx::Result<Vec<TriggerId>> {
    let ids: Vec<String> = moves.iter().map(|(id, ..)| id.to_string()).collect();
    let due: Vec<i64> = moves.iter().map(|(_, from, _)| from.as_micros()).collect();
    let later: Vec<i64> = moves.iter().map(|(.., to)| to.as_micros()).collect();
    sqlx::query_scalar!(
        r#"UPDATE schedule SET next_at_us = v.later
           FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS v (id, due, later)
           WHERE schedule.id = v.id AND schedule.next_at_us = v.due
             AND schedule.id IN (SELECT id FROM schedule WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)
           RETURNING schedule.id AS "id: _""#,
        &ids,
        &due,
        &later
    )
    .fetch_all(c)
    .await
}
