//! Invitations into workspaces.

use crate::DbConn;
use causeway_types::entity::Invitation;
use causeway_types::{InvitationId, Timestamp, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Invitation,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", email, role AS \"role: _\", project_id AS \"project_id: _\", token_digest, invited_by, created_at_us AS \"created_at: _\", expires_at_us AS \"expires_at: _\", accepted_at_us AS \"accepted_at: _\", revoked_at_us AS \"revoked_at: _\" FROM invitation "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &Invitation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invitation (id, workspace_id, email, role, project_id, token_digest,
           invited_by, created_at_us, expires_at_us, accepted_at_us, revoked_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        v.id as _,
        v.workspace_id as _,
        v.email,
        v.role as _,
        v.project_id as _,
        v.token_digest,
        v.invited_by,
        v.created_at as _,
        v.expires_at as _,
        v.accepted_at as _,
        v.revoked_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvitationId,
) -> sqlx::Result<Option<Invitation>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// Finds an invitation by the digest of its link: whoever holds it is no member yet.
pub async fn by_digest(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<Invitation>> {
    select!("WHERE token_digest = $1", digest).fetch_optional(c).await
}

/// A page of invitations that are still open, by id.
pub async fn open(
    c: &mut DbConn,
    workspace: WorkspaceId,
    now: Timestamp,
    after: InvitationId,
    limit: i64,
) -> sqlx::Result<Vec<Invitation>> {
    select!(
        "WHERE workspace_id = $1 AND accepted_at_us IS NULL AND revoked_at_us IS NULL
           AND expires_at_us > $2 AND id > $3 ORDER BY id LIMIT $4",
        workspace as _,
        now as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// The open invitations that are for an e-mail address, or that somebody made.
pub async fn open_of(
    c: &mut DbConn,
    workspace: WorkspaceId,
    now: Timestamp,
    email: &str,
    invited_by: &str,
) -> sqlx::Result<Vec<Invitation>> {
    select!(
        "WHERE workspace_id = $1 AND accepted_at_us IS NULL AND revoked_at_us IS NULL
           AND expires_at_us > $2 AND (email = $3 OR invited_by = $4) ORDER BY id",
        workspace as _,
        now as _,
        email,
        invited_by
    )
    .fetch_all(c)
    .await
}

/// Uses an invitation up. False if it was accepted or revoked before, or is over.
pub async fn accept(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvitationId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE invitation SET accepted_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND accepted_at_us IS NULL AND revoked_at_us IS NULL
           AND expires_at_us > $3",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Revokes an invitation. False if it was accepted or revoked before.
pub async fn revoke(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: InvitationId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE invitation SET revoked_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND accepted_at_us IS NULL AND revoked_at_us IS NULL",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
