//! The claim link of the installation.

use crate::DbConn;
use causeway_types::entity::ClaimLink;
use causeway_types::{INSTALLATION, Timestamp};

/// Makes a link; the one before it works no more.
pub async fn set(c: &mut DbConn, v: &ClaimLink) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO claim_link (workspace_id, token_digest, created_at_us, expires_at_us, used_at_us)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (workspace_id) DO UPDATE SET token_digest = excluded.token_digest,
           created_at_us = excluded.created_at_us, expires_at_us = excluded.expires_at_us,
           used_at_us = excluded.used_at_us",
        INSTALLATION as _,
        v.token_digest,
        v.created_at as _,
        v.expires_at as _,
        v.used_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(c: &mut DbConn) -> sqlx::Result<Option<ClaimLink>> {
    sqlx::query_as!(
        ClaimLink,
        r#"SELECT token_digest, created_at_us AS "created_at: _", expires_at_us AS "expires_at: _",
             used_at_us AS "used_at: _"
           FROM claim_link WHERE workspace_id = $1"#,
        INSTALLATION as _
    )
    .fetch_optional(c)
    .await
}

/// Uses the link up. False if it is another one by now, or was used.
pub async fn use_up(c: &mut DbConn, digest: &[u8], now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE claim_link SET used_at_us = $3
         WHERE workspace_id = $1 AND token_digest = $2 AND used_at_us IS NULL AND expires_at_us > $3",
        INSTALLATION as _,
        digest,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
