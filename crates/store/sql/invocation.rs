//! The inbox and the journal: events, invocations and their finished steps.

use crate::DbConn;
use causeway_types::entity::{Event, Invocation, InvocationState, Step};
use causeway_types::{EventId, InvocationId, NodeId, Tenant, Timestamp, WorkflowId, WorkspaceId};

pub async fn event(c: &mut DbConn, tenant: Tenant, id: EventId) -> sqlx::Result<Option<Event>> {
    sqlx::query_as!(
        Event,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", trigger_kind AS "trigger_kind: _", trigger_name, dedupe_key, body AS "body: _",
             received_at_us AS "received_at: _"
           FROM event WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// The first invocation of the event that has this dedupe key.
pub async fn by_dedupe_key(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: WorkflowId,
    dedupe_key: &str,
) -> sqlx::Result<Option<InvocationId>> {
    sqlx::query_scalar!(
        r#"SELECT i.id AS "id: _" FROM invocation i JOIN event e ON e.id = i.event_id
           WHERE e.workspace_id = $1 AND e.environment_id = $2 AND e.workflow_id = $3 AND e.dedupe_key = $4
           ORDER BY i.id LIMIT 1"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _,
        dedupe_key
    )
    .fetch_optional(c)
    .await
}

pub async fn insert(c: &mut DbConn, v: &Invocation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invocation (id, workspace_id, environment_id, workflow_id, version_id, event_id,
           replay_of, state, gate, next_step, owner, fence, created_at_us, started_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        v.id as _,
        v.workspace_id as _,
        v.environment_id as _,
        v.workflow_id as _,
        v.version_id as _,
        v.event_id as _,
        v.replay_of as _,
        v.state as _,
        v.gate as _,
        v.next_step,
        v.owner as _,
        v.fence,
        v.created_at as _,
        v.started_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: InvocationId,
) -> sqlx::Result<Option<Invocation>> {
    sqlx::query_as!(
        Invocation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", version_id AS "version_id: _", event_id AS "event_id: _",
             replay_of AS "replay_of: _", parent_id AS "parent_id: _", item_index,
             state AS "state: _", waits_for AS "waits_for: _", gate AS "gate: _", next_step, attempts,
             wake_at_us AS "wake_at: _", error_code, tier,
             owner AS "owner: _", fence, response AS "response: _", created_at_us AS "created_at: _",
             started_at_us AS "started_at: _", finished_at_us AS "finished_at: _"
           FROM invocation WHERE workspace_id = $1 AND environment_id = $2 AND id = $3"#,
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of an environment's invocations, newest first: those older than `before`. Items of loops are
/// left out.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: Option<WorkflowId>,
    state: Option<InvocationState>,
    before: InvocationId,
    limit: i64,
) -> sqlx::Result<Vec<Invocation>> {
    sqlx::query_as!(
        Invocation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", version_id AS "version_id: _", event_id AS "event_id: _",
             replay_of AS "replay_of: _", parent_id AS "parent_id: _", item_index,
             state AS "state: _", waits_for AS "waits_for: _", gate AS "gate: _", next_step, attempts,
             wake_at_us AS "wake_at: _", error_code, tier,
             owner AS "owner: _", fence, response AS "response: _", created_at_us AS "created_at: _",
             started_at_us AS "started_at: _", finished_at_us AS "finished_at: _"
           FROM invocation
           WHERE workspace_id = $1 AND environment_id = $2 AND parent_id IS NULL
             AND (CAST($3 AS TEXT) IS NULL OR workflow_id = $3)
             AND (CAST($4 AS TEXT) IS NULL OR state = $4) AND id < $5
           ORDER BY id DESC LIMIT $6"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _,
        state as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Invocations of an environment that came after `after`, oldest first: for following along.
pub async fn newer(
    c: &mut DbConn,
    tenant: Tenant,
    workflow: Option<WorkflowId>,
    after: InvocationId,
    limit: i64,
) -> sqlx::Result<Vec<Invocation>> {
    sqlx::query_as!(
        Invocation,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", environment_id AS "environment_id: _",
             workflow_id AS "workflow_id: _", version_id AS "version_id: _", event_id AS "event_id: _",
             replay_of AS "replay_of: _", parent_id AS "parent_id: _", item_index,
             state AS "state: _", waits_for AS "waits_for: _", gate AS "gate: _", next_step, attempts,
             wake_at_us AS "wake_at: _", error_code, tier,
             owner AS "owner: _", fence, response AS "response: _", created_at_us AS "created_at: _",
             started_at_us AS "started_at: _", finished_at_us AS "finished_at: _"
           FROM invocation
           WHERE workspace_id = $1 AND environment_id = $2 AND parent_id IS NULL
             AND (CAST($3 AS TEXT) IS NULL OR workflow_id = $3) AND id > $4
           ORDER BY id LIMIT $5"#,
        tenant.workspace as _,
        tenant.environment as _,
        workflow as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Gives an invocation back to whichever node takes it next.
pub async fn release(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvocationId,
    fence: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE invocation SET owner = NULL
         WHERE workspace_id = $1 AND id = $2 AND fence = $3 AND state IN ('queued', 'running')",
        workspace as _,
        id as _,
        fence
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Whether an open invocation that waits for nothing has no owner.
pub async fn any_unowned(c: &mut DbConn) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM invocation
             WHERE owner IS NULL AND gate <> 'closed' AND state IN ('queued', 'running')) AS "any!: bool""#
    )
    .fetch_one(c)
    .await
}

/// Stops an invocation that has not ended, and voids its lease. False if it has.
pub async fn cancel(
    c: &mut DbConn,
    tenant: Tenant,
    id: InvocationId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE invocation SET state = 'canceled', finished_at_us = $4, fence = fence + 1, owner = NULL,
           wake_at_us = NULL, waits_for = NULL, items = NULL, resume_digest = NULL, cancel_digest = NULL
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3
           AND state IN ('queued', 'running', 'waiting')",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// When the next invocation that waits for a time goes on.
pub async fn next_wake(c: &mut DbConn) -> sqlx::Result<Option<Timestamp>> {
    sqlx::query_scalar!(
        r#"SELECT MIN(wake_at_us) AS "wake_at: Timestamp" FROM invocation
           WHERE state = 'waiting' AND wake_at_us IS NOT NULL"#
    )
    .fetch_one(c)
    .await
}

/// Gives everything that a node held back; returns how many invocations that were. With
/// `crashed`, those that had begun count one crash more.
pub async fn release_all_of(c: &mut DbConn, owner: NodeId, crashed: bool) -> sqlx::Result<u64> {
    let crashed = i64::from(crashed);
    sqlx::query!(
        "UPDATE invocation SET owner = NULL,
           crashes = crashes + CASE WHEN state = 'running' THEN CAST($2 AS BIGINT) ELSE 0 END
         WHERE owner = $1 AND state IN ('queued', 'running')",
        owner as _,
        crashed
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

pub async fn steps(
    c: &mut DbConn,
    workspace: WorkspaceId,
    invocation: InvocationId,
) -> sqlx::Result<Vec<Step>> {
    sqlx::query_as!(
        Step,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", invocation_id AS "invocation_id: _",
             position, name, attempt, state AS "state: _", error_code,
             record AS "record: _",
             started_at_us AS "started_at: _", finished_at_us AS "finished_at: _"
           FROM step WHERE workspace_id = $1 AND invocation_id = $2 ORDER BY position, attempt"#,
        workspace as _,
        invocation as _
    )
    .fetch_all(c)
    .await
}

pub async fn delete(c: &mut DbConn, tenant: Tenant, id: InvocationId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM invocation WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes an event that no invocation runs on any more.
pub async fn delete_orphan_event(
    c: &mut DbConn,
    tenant: Tenant,
    id: EventId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM event WHERE workspace_id = $1 AND environment_id = $2 AND id = $3
           AND NOT EXISTS (SELECT 1 FROM invocation WHERE event_id = $3)",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
