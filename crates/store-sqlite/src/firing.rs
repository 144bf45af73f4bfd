//! Firing schedules: each time of one fires once, whoever is at it.

use crate::DbConn;
use causeway_types::{Timestamp, TriggerId};

/// Moves schedules on from the time that they were due at; returns those that stood there still.
pub async fn move_on(
    c: &mut DbConn,
    moves: &[(TriggerId, Timestamp, Timestamp)],
) -> sqlx::Result<Vec<TriggerId>> {
    let rows: Vec<_> =
        moves.iter().map(|(id, from, to)| (id, from.as_micros(), to.as_micros())).collect();
    let rows =
        serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query_scalar!(
        r#"UPDATE schedule SET next_at_us = v.later
           FROM (SELECT value ->> 0 AS id, value ->> 1 AS due, value ->> 2 AS later
             FROM json_each($1)) AS v
           WHERE schedule.id = v.id AND schedule.next_at_us = v.due
           RETURNING schedule.id AS "id: _""#,
        rows
    )
    .fetch_all(c)
    .await
}
