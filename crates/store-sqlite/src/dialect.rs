//! What SQLite says differently: claims need no row locks, because there is one writer; many rows
//! arrive in one statement as a JSON array, and their sealed values in one blob that is cut up.

use crate::DbConn;
use causeway_types::entity::{
    Advance, Claimed, ConnectionState, Event, FiredBy, Gate, Invocation, ItemOf, NewItem, Step,
    TriggerKind,
};
use causeway_types::place::Sealed;
use causeway_types::{
    ConnectionId, EnvironmentId, EventId, InvocationId, NodeId, ProjectId, Tenant, Timestamp,
    VersionId, WorkflowId, WorkspaceId,
};

/// Takes the oldest open invocations that nobody owns, but those that wait before a gate.
pub async fn claim(c: &mut DbConn, owner: NodeId, limit: i64) -> sqlx::Result<Vec<InvocationId>> {
    sqlx::query_scalar!(
        r#"UPDATE invocation SET owner = $1, fence = fence + 1
           WHERE id IN (
             SELECT id FROM invocation
             WHERE owner IS NULL AND gate <> 'closed' AND state IN ('queued', 'running')
             ORDER BY id LIMIT $2)
           RETURNING id AS "id: _""#,
        owner as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Lets invocations whose time has come go on, those first that have waited longest; returns how
/// many those are. Those of bounded workflows wait before the gate anew.
pub async fn wake(c: &mut DbConn, now: Timestamp, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE invocation SET state = 'queued', wake_at_us = NULL, waits_for = NULL,
           gate = CASE WHEN gate = 'passed' THEN 'closed' ELSE gate END,
           resume_digest = CASE WHEN waits_for = 'resume' THEN resume_digest END,
           cancel_digest = CASE WHEN waits_for = 'resume' THEN cancel_digest END
         WHERE id IN (
           SELECT id FROM invocation INDEXED BY invocation_waiting
           WHERE state = 'waiting' AND wake_at_us <= $1 ORDER BY wake_at_us LIMIT $2)",
        now as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// How many invocations of a workflow can go on and are not yet at an end.
///
/// SQLite is told which index to use: it keeps no statistics, and on its own it reads every
/// invocation that the workspace ever had. The tenant is checked by the workflow's row, so that
/// the index alone, which holds open invocations only, answers the rest.
pub async fn open_count(c: &mut DbConn, tenant: Tenant, workflow: WorkflowId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM invocation INDEXED BY invocation_open
           WHERE workflow_id = (
               SELECT id FROM workflow WHERE workspace_id = $1 AND environment_id = $2 AND id = $3)
             AND state IN ('queued', 'running') AND parent_id IS NULL"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _
    )
    .fetch_one(c)
    .await
}

/// How many open invocations of a workflow came before this one; `limit` at most.
pub async fn open_before(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
    id: InvocationId,
    limit: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM (
             SELECT 1 FROM invocation INDEXED BY invocation_open
             WHERE workflow_id = (
                 SELECT id FROM workflow WHERE workspace_id = $1 AND environment_id = $2 AND id = $3)
               AND state IN ('queued', 'running') AND id < $4 LIMIT $5) AS before"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _,
        id as _,
        limit
    )
    .fetch_one(c)
    .await
}

/// Deletes the steps of an invocation. SQLite is told which index to use here, too: on its own it
/// reads every step of the workspace, and nobody writes meanwhile.
pub async fn delete_steps(
    c: &mut DbConn,
    workspace: WorkspaceId,
    invocation: InvocationId,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM step INDEXED BY sqlite_autoindex_step_2 WHERE workspace_id = $1 AND invocation_id = $2",
        workspace as _,
        invocation as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// The open invocations of a node, each with its fence.
pub async fn open_of(c: &mut DbConn, owner: NodeId) -> sqlx::Result<Vec<(InvocationId, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: InvocationId", fence FROM invocation INDEXED BY invocation_open
           WHERE owner = $1 AND state IN ('queued', 'running') ORDER BY id"#,
        owner as _
    )
    .fetch_all(c)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.fence)).collect())
}

/// Bytes of many rows, one after the other. A row holds where its own begins, counted
/// from 1 as `substr` does, and how long it is.
#[derive(Default)]
struct Blobs(Vec<u8>);

impl Blobs {
    fn push(&mut self, bytes: &[u8]) -> (usize, usize) {
        let start = self.0.len() + 1;
        self.0.extend_from_slice(bytes);
        (start, bytes.len())
    }
}

/// Stores events; returns those that their workflows did not have.
pub async fn insert_events(c: &mut DbConn, events: &[&Event]) -> sqlx::Result<Vec<EventId>> {
    let mut bodies = Blobs::default();
    let rows: Vec<_> = events
        .iter()
        .map(|v| {
            let (start, length) = bodies.push(v.body.as_bytes());
            let received_at = v.received_at.as_micros();
            (
                v.id,
                v.workspace_id,
                v.environment_id,
                v.workflow_id,
                (v.trigger_kind, &v.trigger_name),
                &v.dedupe_key,
                start,
                length,
                received_at,
            )
        })
        .collect();
    let rows = json(&rows)?;
    sqlx::query_scalar!(
        r#"INSERT INTO event (id, workspace_id, environment_id, workflow_id, trigger_kind,
             trigger_name, dedupe_key, body, received_at_us)
           SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> '$[4][0]',
             value ->> '$[4][1]', value ->> 5, substr($2, value ->> 6, value ->> 7), value ->> 8
           FROM json_each($1) WHERE true
           ON CONFLICT DO NOTHING RETURNING id AS "id: _""#,
        rows,
        bodies.0
    )
    .fetch_all(c)
    .await
}

/// Stores fresh invocations.
pub async fn insert_invocations(c: &mut DbConn, invocations: &[&Invocation]) -> sqlx::Result<()> {
    let rows: Vec<_> = invocations
        .iter()
        .map(|v| {
            (
                (v.id, v.workspace_id, v.environment_id, v.workflow_id, v.version_id, v.event_id),
                (v.replay_of, v.state, v.gate, v.next_step, v.owner, v.fence),
                (v.created_at.as_micros(), v.finished_at.map(Timestamp::as_micros), &v.error_code),
            )
        })
        .collect();
    let rows = json(&rows)?;
    sqlx::query!(
        "INSERT INTO invocation (id, workspace_id, environment_id, workflow_id, version_id, event_id,
           replay_of, state, gate, next_step, owner, fence, created_at_us, finished_at_us, error_code)
         SELECT value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]',
           value ->> '$[0][4]', value ->> '$[0][5]', value ->> '$[1][0]', value ->> '$[1][1]',
           value ->> '$[1][2]', value ->> '$[1][3]', value ->> '$[1][4]', value ->> '$[1][5]',
           value ->> '$[2][0]', value ->> '$[2][1]', value ->> '$[2][2]'
         FROM json_each($1)",
        rows
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Moves invocations on; returns those whose owner has not changed since the fence was taken.
pub async fn advance_all(c: &mut DbConn, advances: &[&Advance]) -> sqlx::Result<Vec<InvocationId>> {
    let mut bytes = Blobs::default();
    let rows: Vec<_> = advances
        .iter()
        .map(|v| {
            let response = v.response.as_ref().map(|sealed| bytes.push(sealed.as_bytes()));
            let links =
                v.links.as_ref().map(|one| (bytes.push(&one.resume), bytes.push(&one.cancel)));
            let finished_at = v.finished_at.map(Timestamp::as_micros);
            (
                (v.id, v.workspace, v.fence, v.next_step, v.state, &v.error_code),
                (&v.tier, response, v.started_at.as_micros(), finished_at),
                (v.attempts, v.wake_at.map(Timestamp::as_micros), v.waits_for, links),
            )
        })
        .collect();
    let rows = json(&rows)?;
    sqlx::query_scalar!(
        r#"UPDATE invocation SET next_step = v.next_step, state = v.state, error_code = v.error_code,
             tier = COALESCE(v.tier, invocation.tier),
             response = COALESCE(v.response, invocation.response),
             started_at_us = COALESCE(invocation.started_at_us, v.started_at_us),
             finished_at_us = v.finished_at_us, attempts = v.attempts, wake_at_us = v.wake_at_us,
             waits_for = v.waits_for, resume_digest = v.resume_digest, cancel_digest = v.cancel_digest,
             owner = CASE WHEN v.state = 'waiting' THEN NULL ELSE invocation.owner END,
             made_items = CASE WHEN v.next_step = invocation.next_step AND v.finished_at_us IS NULL
               THEN invocation.made_items END,
             items = CASE WHEN v.next_step = invocation.next_step AND v.finished_at_us IS NULL
               THEN invocation.items END
           FROM (SELECT value ->> '$[0][0]' AS id, value ->> '$[0][1]' AS workspace_id,
               value ->> '$[0][2]' AS fence, value ->> '$[0][3]' AS next_step,
               value ->> '$[0][4]' AS state, value ->> '$[0][5]' AS error_code,
               value ->> '$[1][0]' AS tier,
               substr($2, value ->> '$[1][1][0]', value ->> '$[1][1][1]') AS response,
               value ->> '$[1][2]' AS started_at_us, value ->> '$[1][3]' AS finished_at_us,
               value ->> '$[2][0]' AS attempts, value ->> '$[2][1]' AS wake_at_us,
               value ->> '$[2][2]' AS waits_for,
               substr($2, value ->> '$[2][3][0][0]', value ->> '$[2][3][0][1]') AS resume_digest,
               substr($2, value ->> '$[2][3][1][0]', value ->> '$[2][3][1][1]') AS cancel_digest
             FROM json_each($1)) AS v
           WHERE invocation.id = v.id AND invocation.workspace_id = v.workspace_id
             AND invocation.fence = v.fence AND invocation.state IN ('queued', 'running')
           RETURNING id AS "id: _""#,
        rows,
        bytes.0
    )
    .fetch_all(c)
    .await
}

/// Stores items of an invocation's loop, or lists that run beside each other in it.
pub async fn insert_items(
    c: &mut DbConn,
    workspace: WorkspaceId,
    of: (InvocationId, i64),
    items: &[NewItem],
    now: Timestamp,
) -> sqlx::Result<()> {
    let rows: Vec<_> = items.iter().map(|v| (v.id, v.index, v.first_step, v.waits_for)).collect();
    let rows = json(&rows)?;
    sqlx::query!(
        "INSERT INTO invocation (id, workspace_id, environment_id, workflow_id, version_id, event_id,
           parent_id, parent_position, item_index, state, waits_for, next_step, fence, created_at_us)
         SELECT value ->> 0, p.workspace_id, p.environment_id, p.workflow_id, p.version_id, p.event_id,
           p.id, $3, value ->> 1, CASE WHEN value ->> 3 IS NULL THEN 'queued' ELSE 'waiting' END,
           value ->> 3, value ->> 2, 0, $4
         FROM invocation p, json_each($5) WHERE p.workspace_id = $1 AND p.id = $2",
        workspace as _,
        of.0 as _,
        of.1,
        now as _,
        rows
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Lets those of an invocation's items go on that have waited longest for their turn; returns how many
/// those are.
pub async fn give_turns(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    limit: i64,
) -> sqlx::Result<i64> {
    let done = sqlx::query!(
        "UPDATE invocation SET state = 'queued', waits_for = NULL
         WHERE id IN (
           SELECT id FROM invocation INDEXED BY invocation_turn
           WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
             AND waits_for = 'turn'
           ORDER BY item_index LIMIT $3)",
        workspace as _,
        parent as _,
        limit
    )
    .execute(c)
    .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Stores finished steps.
pub async fn insert_steps(c: &mut DbConn, steps: &[&Step]) -> sqlx::Result<()> {
    let mut records = Blobs::default();
    let rows: Vec<_> = steps
        .iter()
        .map(|v| {
            let (start, length) = records.push(v.record.as_bytes());
            (
                (v.id, v.workspace_id, v.invocation_id, v.position, &v.name, v.state, v.attempt),
                (&v.error_code, start, length, v.started_at.as_micros(), v.finished_at.as_micros()),
            )
        })
        .collect();
    let rows = json(&rows)?;
    sqlx::query!(
        "INSERT INTO step (id, workspace_id, invocation_id, position, name, state, attempt, error_code,
           record, started_at_us, finished_at_us)
         SELECT value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]',
           value ->> '$[0][4]', value ->> '$[0][5]', value ->> '$[0][6]', value ->> '$[1][0]',
           substr($2, value ->> '$[1][1]', value ->> '$[1][2]'), value ->> '$[1][3]',
           value ->> '$[1][4]'
         FROM json_each($1)",
        rows,
        records.0
    )
    .execute(c)
    .await
    .map(|_| ())
}

fn json(rows: &impl serde::Serialize) -> sqlx::Result<String> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Makes a transaction of background work give way to others. SQLite has one writer at a time,
/// which waits for nobody once it has begun.
#[expect(clippy::unused_async, reason = "the other dialect asks its server")]
pub async fn give_way(_c: &mut DbConn) -> sqlx::Result<()> {
    Ok(())
}

/// What [`Claimed`] holds of these invocations, oldest first, each with its event.
pub async fn claimed(
    c: &mut DbConn,
    owner: NodeId,
    ids: &[InvocationId],
) -> sqlx::Result<Vec<(Claimed, Sealed)>> {
    let ids = json(&ids)?;
    let rows = sqlx::query!(
        r#"SELECT i.id AS "id: InvocationId", i.workspace_id AS "workspace_id: WorkspaceId",
             e.project_id AS "project_id: ProjectId", i.environment_id AS "environment_id: EnvironmentId",
             i.workflow_id AS "workflow_id: WorkflowId", i.version_id AS "version_id: VersionId",
             i.event_id AS "event_id: EventId", v.trigger_kind AS "trigger_kind: TriggerKind",
             v.trigger_name, i.gate AS "gate: Gate", i.next_step, i.attempts, i.fence, i.crashes,
             i.parent_id AS "parent_id: InvocationId", i.parent_position, i.item_index, i.made_items,
             i.resume_digest IS NOT NULL AS "is_suspended!: bool",
             i.created_at_us AS "created_at: Timestamp", v.body AS "body: Sealed"
           FROM invocation i JOIN environment e ON e.id = i.environment_id JOIN event v ON v.id = i.event_id
           WHERE i.owner = $1 AND i.id IN (SELECT value FROM json_each($2)) ORDER BY i.id"#,
        owner as _,
        ids
    )
    .fetch_all(c)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let claimed = Claimed {
                id: row.id,
                workspace_id: row.workspace_id,
                project_id: row.project_id,
                environment_id: row.environment_id,
                workflow_id: row.workflow_id,
                version_id: row.version_id,
                event_id: row.event_id,
                trigger: FiredBy { kind: row.trigger_kind, name: row.trigger_name },
                gate: row.gate,
                next_step: row.next_step,
                attempts: row.attempts,
                fence: row.fence,
                crashes: row.crashes,
                item_of: ItemOf::of(row.parent_id, row.parent_position, row.item_index),
                made_items: row.made_items,
                is_suspended: row.is_suspended,
                created_at: row.created_at,
            };
            (claimed, row.body)
        })
        .collect())
}

/// Keeps a connection from being deleted until the transaction ends: whoever writes is alone. False
/// if there is none.
pub async fn keep_connection(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        "SELECT id FROM connection
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
    .map(|found| found.is_some())
}

/// Holds a connection until the transaction ends, and says how it is: whoever writes is alone.
pub async fn hold_connection(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<Option<ConnectionState>> {
    sqlx::query_scalar!(
        r#"SELECT state AS "state: ConnectionState" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}
