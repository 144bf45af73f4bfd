//! What must not be accepted again: revoked access tokens, and assertions that came before.

use crate::DbConn;
use causeway_types::{MachineClientId, Timestamp, WorkspaceId};

/// Revokes an access token by its `jti` until it expires by itself.
pub async fn revoke_token(
    c: &mut DbConn,
    workspace: WorkspaceId,
    jti: &str,
    expires: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO revoked_token (jti, workspace_id, expires_at_us) VALUES ($1, $2, $3)
         ON CONFLICT (jti) DO NOTHING",
        jti,
        workspace as _,
        expires as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn is_revoked(c: &mut DbConn, workspace: WorkspaceId, jti: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM revoked_token WHERE workspace_id = $1 AND jti = $2"#,
        workspace as _,
        jti
    )
    .fetch_one(c)
    .await
    .map(|n| n > 0)
}

/// Uses an assertion up. False if one with this `jti` came from this client before.
pub async fn use_assertion(
    c: &mut DbConn,
    client: MachineClientId,
    jti: &str,
    expires: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO client_assertion (client_id, jti, expires_at_us) VALUES ($1, $2, $3)
         ON CONFLICT (client_id, jti) DO NOTHING",
        client as _,
        jti,
        expires as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes what would be refused by its expiry anyway.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    let tokens = sqlx::query!("DELETE FROM revoked_token WHERE expires_at_us < $1", before as _)
        .execute(&mut *c)
        .await?;
    let assertions =
        sqlx::query!("DELETE FROM client_assertion WHERE expires_at_us < $1", before as _)
            .execute(c)
            .await?;
    Ok(tokens.rows_affected() + assertions.rows_affected())
}
