//! The items of an invocation's loop, and lists that run beside each other in it. Each is an invocation,
//! whose parent waits for it.
//!
//! The tenant is checked by the parent's row: SQLite, which keeps no statistics, else reads every
//! invocation that the workspace ever had.

use crate::DbConn;
use causeway_types::entity::{EndedItem, Invocation, InvocationState, ItemCounts, ItemOf};
use causeway_types::place::Sealed;
use causeway_types::{InvocationId, Tenant, Timestamp, WorkspaceId};

/// Keeps an invocation and the count of its items as they are until the transaction ends, and says how
/// far it is with them. None if the fence is an older one.
pub async fn hold(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    fence: i64,
) -> sqlx::Result<Option<ItemCounts>> {
    let row = sqlx::query!(
        "UPDATE invocation SET fence = fence
         WHERE workspace_id = $1 AND id = $2 AND fence = $3 AND state IN ('queued', 'running')
         RETURNING open_items, made_items, item_count",
        workspace as _,
        parent as _,
        fence
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let waiting = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM invocation
           WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
             AND waits_for = 'turn'"#,
        workspace as _,
        parent as _
    )
    .fetch_one(c)
    .await?;
    Ok(Some(ItemCounts {
        open: row.open_items,
        waiting,
        made: row.made_items.unwrap_or_default(),
        count: row.item_count.unwrap_or_default(),
    }))
}

/// Lets an invocation wait for its items, `made` of which are new. The list is stored with the first.
pub async fn wait_for(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    made: i64,
    list: Option<(Option<&Sealed>, i64)>,
    started_at: Timestamp,
) -> sqlx::Result<()> {
    let (items, count) = list.unzip();
    let items = items.flatten();
    sqlx::query!(
        "UPDATE invocation SET state = 'waiting', waits_for = 'items', owner = NULL,
           open_items = open_items + $3, made_items = COALESCE(made_items, 0) + $3,
           items = COALESCE($4, items), item_count = COALESCE($5, item_count),
           started_at_us = COALESCE(started_at_us, $6)
         WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        parent as _,
        made,
        items as _,
        count,
        started_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Counts items that have ended. Their parent goes on when none is open, and also if it has to make
/// more of them: `used_up` says that no item waits for its turn.
pub async fn ended(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    ended: i64,
    used_up: bool,
) -> sqlx::Result<()> {
    let used_up = i64::from(used_up);
    sqlx::query!(
        "UPDATE invocation SET open_items = open_items - $3,
           state = CASE WHEN waits_for = 'items' AND (open_items <= $3
               OR (CAST($4 AS BIGINT) = 1 AND made_items < item_count))
             THEN 'queued' ELSE state END,
           waits_for = CASE WHEN waits_for = 'items' AND (open_items <= $3
               OR (CAST($4 AS BIGINT) = 1 AND made_items < item_count))
             THEN NULL ELSE waits_for END
         WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        parent as _,
        ended,
        used_up
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Ends those of an invocation's items that wait for their turn, and keeps more from being made; returns
/// how many have ended.
pub async fn end_loop(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    now: Timestamp,
) -> sqlx::Result<i64> {
    let done = sqlx::query!(
        "UPDATE invocation SET state = 'canceled', waits_for = NULL, finished_at_us = $3
         WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
           AND waits_for = 'turn'",
        workspace as _,
        parent as _,
        now as _
    )
    .execute(&mut *c)
    .await?;
    sqlx::query!(
        "UPDATE invocation SET item_count = made_items WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        parent as _
    )
    .execute(c)
    .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// The list of an invocation's loop.
pub async fn list(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
) -> sqlx::Result<Option<Sealed>> {
    let found = sqlx::query_scalar!(
        r#"SELECT items AS "items: Sealed" FROM invocation WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        parent as _
    )
    .fetch_optional(c)
    .await?;
    Ok(found.flatten())
}

/// Whose item an invocation is; none if it is nobody's.
pub async fn item_of(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvocationId,
) -> sqlx::Result<Option<ItemOf>> {
    let found = sqlx::query!(
        r#"SELECT parent_id AS "parent_id: InvocationId", parent_position, item_index
           FROM invocation WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await?;
    Ok(found.and_then(|row| ItemOf::of(row.parent_id, row.parent_position, row.item_index)))
}

/// A page of the items of one step, in order, from a number on, with their last steps.
pub async fn results(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    position: i64,
    from: i64,
    limit: i64,
) -> sqlx::Result<Vec<EndedItem>> {
    sqlx::query_as!(
        EndedItem,
        r#"SELECT i.item_index AS "index!", i.id AS "id: _", i.state AS "state: _", i.error_code,
             s.id AS "step_id: _", s.position AS "position?", s.record AS "record: _"
           FROM invocation i LEFT JOIN step s ON s.invocation_id = i.id AND s.state = 'succeeded'
             AND s.position = (SELECT MAX(l.position) FROM step l
               WHERE l.invocation_id = i.id AND l.state = 'succeeded')
           WHERE i.parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
             AND i.parent_position = $3 AND i.item_index >= $4
           ORDER BY i.item_index LIMIT $5"#,
        workspace as _,
        parent as _,
        position,
        from,
        limit
    )
    .fetch_all(c)
    .await
}

/// A page of an invocation's items, newest first: those older than `before`.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    parent: InvocationId,
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
           WHERE environment_id = $2
             AND parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $3)
             AND (CAST($4 AS TEXT) IS NULL OR state = $4) AND id < $5
           ORDER BY id DESC LIMIT $6"#,
        tenant.workspace as _,
        tenant.environment as _,
        parent as _,
        state as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Stops the items of an invocation that have not ended, and theirs; returns them.
pub async fn cancel(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
    now: Timestamp,
) -> sqlx::Result<Vec<InvocationId>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE below (id) AS (
             SELECT id FROM invocation WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
             UNION ALL
             SELECT i.id FROM invocation i JOIN below b ON i.parent_id = b.id)
           UPDATE invocation SET state = 'canceled', finished_at_us = $3, fence = fence + 1, owner = NULL,
             wake_at_us = NULL, waits_for = NULL, items = NULL, resume_digest = NULL, cancel_digest = NULL
           WHERE id IN (SELECT id FROM below) AND state IN ('queued', 'running', 'waiting')
           RETURNING id AS "id: _""#,
        workspace as _,
        parent as _,
        now as _
    )
    .fetch_all(c)
    .await
}

/// Deletes the items of an invocation, and theirs, with their steps.
pub async fn delete(
    c: &mut DbConn,
    workspace: WorkspaceId,
    parent: InvocationId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH RECURSIVE below (id) AS (
           SELECT id FROM invocation WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
           UNION ALL
           SELECT i.id FROM invocation i JOIN below b ON i.parent_id = b.id)
         DELETE FROM step WHERE invocation_id IN (SELECT id FROM below)",
        workspace as _,
        parent as _
    )
    .execute(&mut *c)
    .await?;
    sqlx::query!(
        "WITH RECURSIVE below (id) AS (
           SELECT id FROM invocation WHERE parent_id = (SELECT id FROM invocation WHERE workspace_id = $1 AND id = $2)
           UNION ALL
           SELECT i.id FROM invocation i JOIN below b ON i.parent_id = b.id)
         DELETE FROM invocation WHERE id IN (SELECT id FROM below)",
        workspace as _,
        parent as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
