//! OAuth clients of programs, for Causeway's own API.

use crate::DbConn;
use causeway_types::entity::MachineClient;
use causeway_types::{MachineClientId, Tenant, Timestamp, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            MachineClient,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", project_id AS \"project_id: _\", environment_id AS \"environment_id: _\", name, digest, old_digest, old_until_us AS \"old_until: _\", public_keys, scopes, created_by, created_at_us AS \"created_at: _\", last_used_at_us AS \"last_used_at: _\", revoked_at_us AS \"revoked_at: _\" FROM machine_client "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &MachineClient) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO machine_client (id, workspace_id, project_id, environment_id, name, digest,
           old_digest, old_until_us, public_keys, scopes, created_by, created_at_us,
           last_used_at_us, revoked_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.name,
        v.digest,
        v.old_digest,
        v.old_until as _,
        v.public_keys,
        v.scopes,
        v.created_by,
        v.created_at as _,
        v.last_used_at as _,
        v.revoked_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a client by its id, which it sends before a tenant is known.
pub async fn by_id(c: &mut DbConn, id: MachineClientId) -> sqlx::Result<Option<MachineClient>> {
    select!("WHERE id = $1", id as _).fetch_optional(c).await
}

pub async fn get(
    c: &mut DbConn,
    tenant: Tenant,
    id: MachineClientId,
) -> sqlx::Result<Option<MachineClient>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A page of an environment's clients, by id.
pub async fn page(
    c: &mut DbConn,
    tenant: Tenant,
    after: MachineClientId,
    limit: i64,
) -> sqlx::Result<Vec<MachineClient>> {
    select!(
        "WHERE workspace_id = $1 AND environment_id = $2 AND id > $3 ORDER BY id LIMIT $4",
        tenant.workspace as _,
        tenant.environment as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Every client of a workspace that is not revoked, by id.
pub async fn of_workspace(
    c: &mut DbConn,
    workspace: WorkspaceId,
) -> sqlx::Result<Vec<MachineClient>> {
    select!("WHERE workspace_id = $1 AND revoked_at_us IS NULL ORDER BY id", workspace as _)
        .fetch_all(c)
        .await
}

/// Locks a client until the transaction ends, before it is read to be changed.
pub async fn lock(c: &mut DbConn, tenant: Tenant, id: MachineClientId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE machine_client SET name = name
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3",
        tenant.workspace as _,
        tenant.environment as _,
        id as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Lets a client prove itself in another way: the fields `digest`, `old_digest`, `old_until` and
/// `public_keys` are taken from `v`.
pub async fn set_proofs(c: &mut DbConn, v: &MachineClient) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE machine_client
         SET digest = $3, old_digest = $4, old_until_us = $5, public_keys = $6
         WHERE workspace_id = $1 AND id = $2",
        v.workspace_id as _,
        v.id as _,
        v.digest,
        v.old_digest,
        v.old_until as _,
        v.public_keys
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Revokes a client. False if it is not there or was revoked before.
pub async fn revoke(
    c: &mut DbConn,
    tenant: Tenant,
    id: MachineClientId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE machine_client SET revoked_at_us = $4
         WHERE workspace_id = $1 AND environment_id = $2 AND id = $3 AND revoked_at_us IS NULL",
        tenant.workspace as _,
        tenant.environment as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn touch(
    c: &mut DbConn,
    tenant: Tenant,
    id: MachineClientId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE machine_client SET last_used_at_us = $3 WHERE workspace_id = $1 AND id = $2",
        tenant.workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
