//! Identity providers.

use crate::DbConn;
use causeway_types::entity::IdentityProvider;
use causeway_types::{ProviderId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            IdentityProvider,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", kind AS \"kind: _\", name, issuer, client_id, secret AS \"secret: _\", created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM identity_provider "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &IdentityProvider) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO identity_provider (id, workspace_id, kind, name, issuer, client_id, secret,
           created_at_us, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        v.id as _,
        v.workspace_id as _,
        v.kind as _,
        v.name,
        v.issuer,
        v.client_id,
        v.secret as _,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Replaces everything but the id, the workspace and the time of its making. False if it is not
/// there.
pub async fn update(c: &mut DbConn, v: &IdentityProvider) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE identity_provider
         SET kind = $3, name = $4, issuer = $5, client_id = $6, secret = $7, updated_at_us = $8
         WHERE workspace_id = $1 AND id = $2",
        v.workspace_id as _,
        v.id as _,
        v.kind as _,
        v.name,
        v.issuer,
        v.client_id,
        v.secret as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ProviderId,
) -> sqlx::Result<Option<IdentityProvider>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// Finds a provider without its workspace: somebody who signs in has none yet.
pub async fn by_id(c: &mut DbConn, id: ProviderId) -> sqlx::Result<Option<IdentityProvider>> {
    select!("WHERE id = $1", id as _).fetch_optional(c).await
}

/// A workspace's own providers, oldest first.
pub async fn list(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Vec<IdentityProvider>> {
    select!("WHERE workspace_id = $1 ORDER BY id", workspace as _).fetch_all(c).await
}

/// Deletes a provider with its identities and its sessions. False if it is not there.
pub async fn delete(c: &mut DbConn, workspace: WorkspaceId, id: ProviderId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM identity_provider WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
