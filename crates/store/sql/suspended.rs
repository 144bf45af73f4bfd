//! Invocations that wait for somebody to call a link.

use crate::DbConn;
use causeway_types::entity::Suspended;
use causeway_types::place::Sealed;
use causeway_types::{InvocationId, StepId, WorkspaceId};

/// Finds the invocation that a resume link lets go on, by the digest of the link's token: the look-up of
/// a public request, which brings no tenant but finds it here.
pub async fn by_resume_link(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<Suspended>> {
    sqlx::query_as!(
        Suspended,
        r#"SELECT i.id AS "id: _", i.workspace_id AS "workspace_id: _", e.project_id AS "project_id: _",
             i.environment_id AS "environment_id: _", i.workflow_id AS "workflow_id: _",
             w.name AS "workflow_name"
           FROM invocation i JOIN environment e ON e.id = i.environment_id
             JOIN workflow w ON w.id = i.workflow_id
           WHERE i.resume_digest = $1 AND i.state = 'waiting'"#,
        digest
    )
    .fetch_optional(c)
    .await
}

/// The same by a cancel link.
pub async fn by_cancel_link(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<Suspended>> {
    sqlx::query_as!(
        Suspended,
        r#"SELECT i.id AS "id: _", i.workspace_id AS "workspace_id: _", e.project_id AS "project_id: _",
             i.environment_id AS "environment_id: _", i.workflow_id AS "workflow_id: _",
             w.name AS "workflow_name"
           FROM invocation i JOIN environment e ON e.id = i.environment_id
             JOIN workflow w ON w.id = i.workflow_id
           WHERE i.cancel_digest = $1 AND i.state = 'waiting'"#,
        digest
    )
    .fetch_optional(c)
    .await
}

/// Lets an invocation go on that waits for a link, and voids its links. False if it waits for none.
pub async fn resume(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvocationId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE invocation SET state = 'queued', waits_for = NULL, wake_at_us = NULL,
           gate = CASE WHEN gate = 'passed' THEN 'closed' ELSE gate END,
           resume_digest = NULL, cancel_digest = NULL
         WHERE workspace_id = $1 AND id = $2 AND state = 'waiting' AND resume_digest IS NOT NULL",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Gives an invocation that waits for a link back to the workers with its links, as if its time had come
/// without a call: whoever takes it up ends it. False if it waits for none.
pub async fn give_up(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvocationId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE invocation SET state = 'queued', waits_for = NULL, wake_at_us = NULL,
           gate = CASE WHEN gate = 'passed' THEN 'closed' ELSE gate END
         WHERE workspace_id = $1 AND id = $2 AND state = 'waiting' AND resume_digest IS NOT NULL",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Replaces the record of a step.
pub async fn set_record(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: StepId,
    record: &Sealed,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE step SET record = $3 WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _,
        record as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
