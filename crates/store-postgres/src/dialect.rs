//! What PostgreSQL says differently: claims lock their rows and skip those that others lock; many
//! rows arrive in one statement as one array a column.

use crate::DbConn;
use causeway_types::entity::{
    Advance, Claimed, ConnectionState, Event, FiredBy, Gate, Invocation, ItemOf, LinkDigests,
    NewItem, Step, TriggerKind,
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
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
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
           SELECT id FROM invocation
           WHERE state = 'waiting' AND wake_at_us <= $1
           ORDER BY wake_at_us LIMIT $2 FOR UPDATE SKIP LOCKED)",
        now as _,
        limit
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// How many invocations of a workflow can go on and are not yet at an end.
pub async fn open_count(c: &mut DbConn, tenant: Tenant, workflow: WorkflowId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM invocation
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
             SELECT 1 FROM invocation
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

/// Deletes the steps of an invocation.
pub async fn delete_steps(
    c: &mut DbConn,
    workspace: WorkspaceId,
    invocation: InvocationId,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "DELETE FROM step WHERE workspace_id = $1 AND invocation_id = $2",
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
        r#"SELECT id AS "id: InvocationId", fence FROM invocation
           WHERE owner = $1 AND state IN ('queued', 'running') ORDER BY id"#,
        owner as _
    )
    .fetch_all(c)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.fence)).collect())
}

/// A column of texts.
fn texts<R, T: ToString>(rows: &[&R], of: impl Fn(&R) -> T) -> Vec<String> {
    rows.iter().map(|row| of(row).to_string()).collect()
}

/// A column of texts that may be missing.
fn maybe<R, T: ToString>(rows: &[&R], of: impl Fn(&R) -> Option<T>) -> Vec<Option<String>> {
    rows.iter().map(|row| of(row).map(|value| value.to_string())).collect()
}

/// A column of numbers.
fn numbers<R>(rows: &[&R], of: impl Fn(&R) -> i64) -> Vec<i64> {
    rows.iter().map(|row| of(row)).collect()
}

/// Stores events; returns those that their workflows did not have.
pub async fn insert_events(c: &mut DbConn, events: &[&Event]) -> sqlx::Result<Vec<EventId>> {
    let bodies: Vec<Vec<u8>> = events.iter().map(|v| v.body.as_bytes().to_vec()).collect();
    sqlx::query_scalar!(
        r#"INSERT INTO event (id, workspace_id, environment_id, workflow_id, trigger_kind,
             trigger_name, dedupe_key, body, received_at_us)
           SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
             $7::text[], $8::bytea[], $9::bigint[])
           ON CONFLICT DO NOTHING RETURNING id AS "id: _""#,
        &texts(events, |v| v.id),
        &texts(events, |v| v.workspace_id),
        &texts(events, |v| v.environment_id),
        &texts(events, |v| v.workflow_id),
        &texts(events, |v| v.trigger_kind),
        &texts(events, |v| v.trigger_name.clone()),
        &maybe(events, |v| v.dedupe_key.clone()) as _,
        &bodies,
        &numbers(events, |v| v.received_at.as_micros())
    )
    .fetch_all(c)
    .await
}

/// Stores fresh invocations.
pub async fn insert_invocations(c: &mut DbConn, invocations: &[&Invocation]) -> sqlx::Result<()> {
    let finished: Vec<Option<i64>> =
        invocations.iter().map(|v| v.finished_at.map(Timestamp::as_micros)).collect();
    sqlx::query!(
        "INSERT INTO invocation (id, workspace_id, environment_id, workflow_id, version_id, event_id,
           replay_of, state, gate, next_step, owner, fence, created_at_us, finished_at_us, error_code)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
           $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[],
           $14::bigint[], $15::text[])",
        &texts(invocations, |v| v.id),
        &texts(invocations, |v| v.workspace_id),
        &texts(invocations, |v| v.environment_id),
        &texts(invocations, |v| v.workflow_id),
        &texts(invocations, |v| v.version_id),
        &texts(invocations, |v| v.event_id),
        &maybe(invocations, |v| v.replay_of) as _,
        &texts(invocations, |v| v.state),
        &texts(invocations, |v| v.gate),
        &numbers(invocations, |v| v.next_step),
        &maybe(invocations, |v| v.owner) as _,
        &numbers(invocations, |v| v.fence),
        &numbers(invocations, |v| v.created_at.as_micros()),
        &finished as _,
        &maybe(invocations, |v| v.error_code.clone()) as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Moves invocations on; returns those whose owner has not changed since the fence was taken.
pub async fn advance_all(c: &mut DbConn, advances: &[&Advance]) -> sqlx::Result<Vec<InvocationId>> {
    let responses: Vec<Option<Vec<u8>>> = advances
        .iter()
        .map(|v| v.response.as_ref().map(|sealed| sealed.as_bytes().to_vec()))
        .collect();
    let finished: Vec<Option<i64>> =
        advances.iter().map(|v| v.finished_at.map(Timestamp::as_micros)).collect();
    let links = |of: fn(&LinkDigests) -> [u8; 32]| -> Vec<Option<Vec<u8>>> {
        advances.iter().map(|v| v.links.as_ref().map(|one| of(one).to_vec())).collect()
    };
    let wakes: Vec<Option<i64>> =
        advances.iter().map(|v| v.wake_at.map(Timestamp::as_micros)).collect();
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
           FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
               $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
               $13::text[], $14::bytea[], $15::bytea[])
             AS v (id, workspace_id, fence, next_step, state, error_code, tier, response, started_at_us,
               finished_at_us, attempts, wake_at_us, waits_for, resume_digest, cancel_digest)
           WHERE invocation.id = v.id AND invocation.workspace_id = v.workspace_id
             AND invocation.fence = v.fence AND invocation.state IN ('queued', 'running')
           RETURNING invocation.id AS "id: _""#,
        &texts(advances, |v| v.id),
        &texts(advances, |v| v.workspace),
        &numbers(advances, |v| v.fence),
        &numbers(advances, |v| v.next_step),
        &texts(advances, |v| v.state),
        &maybe(advances, |v| v.error_code.clone()) as _,
        &maybe(advances, |v| v.tier.clone()) as _,
        &responses as _,
        &numbers(advances, |v| v.started_at.as_micros()),
        &finished as _,
        &numbers(advances, |v| v.attempts),
        &wakes as _,
        &maybe(advances, |v| v.waits_for) as _,
        &links(|one| one.resume) as _,
        &links(|one| one.cancel) as _
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
    let items: Vec<&NewItem> = items.iter().collect();
    sqlx::query!(
        "INSERT INTO invocation (id, workspace_id, environment_id, workflow_id, version_id, event_id,
           parent_id, parent_position, item_index, state, waits_for, next_step, fence, created_at_us)
         SELECT v.id, p.workspace_id, p.environment_id, p.workflow_id, p.version_id, p.event_id, p.id, $3,
           v.item_index, CASE WHEN v.waits_for IS NULL THEN 'queued' ELSE 'waiting' END, v.waits_for,
           v.next_step, 0, $4
         FROM invocation p, UNNEST($5::text[], $6::bigint[], $7::bigint[], $8::text[])
           AS v (id, item_index, next_step, waits_for)
         WHERE p.workspace_id = $1 AND p.id = $2",
        workspace as _,
        of.0 as _,
        of.1,
        now as _,
        &texts(&items, |v| v.id),
        &numbers(&items, |v| v.index),
        &numbers(&items, |v| v.first_step),
        &maybe(&items, |v| v.waits_for) as _
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
           SELECT id FROM invocation
           WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
             AND waits_for = 'turn'
           ORDER BY item_index LIMIT $3 FOR UPDATE SKIP LOCKED)",
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
    let records: Vec<Vec<u8>> = steps.iter().map(|v| v.record.as_bytes().to_vec()).collect();
    sqlx::query!(
        "INSERT INTO step (id, workspace_id, invocation_id, position, name, state, error_code, record,
           started_at_us, finished_at_us, attempt)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
           $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[])",
        &texts(steps, |v| v.id),
        &texts(steps, |v| v.workspace_id),
        &texts(steps, |v| v.invocation_id),
        &numbers(steps, |v| v.position),
        &texts(steps, |v| v.name.clone()),
        &texts(steps, |v| v.state),
        &maybe(steps, |v| v.error_code.clone()) as _,
        &records,
        &numbers(steps, |v| v.started_at.as_micros()),
        &numbers(steps, |v| v.finished_at.as_micros()),
        &numbers(steps, |v| v.attempt)
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Makes a transaction of background work give way to others: it fails with `lock_not_available`
/// (55P03) as soon as it has waited 100 ms for a row. That is before PostgreSQL looks for
/// deadlocks (`deadlock_timeout`, 1 s), so it is never the other side that is cancelled.
pub async fn give_way(c: &mut DbConn) -> sqlx::Result<()> {
    sqlx::query!("SET LOCAL lock_timeout = '100ms'").execute(c).await.map(|_| ())
}

/// What [`Claimed`] holds of these invocations, oldest first, each with its event.
pub async fn claimed(
    c: &mut DbConn,
    owner: NodeId,
    ids: &[InvocationId],
) -> sqlx::Result<Vec<(Claimed, Sealed)>> {
    let ids = texts(&ids.iter().collect::<Vec<_>>(), |id| *id);
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
           WHERE i.owner = $1 AND i.id = ANY($2) ORDER BY i.id"#,
        owner as _,
        &ids
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

/// Keeps a connection from being deleted until the transaction ends, so that rows may refer to it.
/// False if there is none. Others may change it meanwhile.
pub async fn keep_connection(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        "SELECT id FROM connection
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 FOR KEY SHARE",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
    .map(|found| found.is_some())
}

/// Holds a connection until the transaction ends, and says how it is: others that hold, change or
/// delete it wait.
pub async fn hold_connection(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectionId,
) -> sqlx::Result<Option<ConnectionState>> {
    sqlx::query_scalar!(
        r#"SELECT state AS "state: ConnectionState" FROM connection
           WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 FOR NO KEY UPDATE"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}
