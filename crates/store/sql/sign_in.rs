//! Sign-ins under way.

use crate::DbConn;
use causeway_types::entity::SignInFlow;
use causeway_types::{SignInFlowId, Timestamp};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            SignInFlow,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", provider_id AS \"provider_id: _\", purpose AS \"purpose: _\", purpose_digest, session_id AS \"session_id: _\", browser_digest, secrets AS \"secrets: _\", return_path, created_at_us AS \"created_at: _\", expires_at_us AS \"expires_at: _\", used_at_us AS \"used_at: _\" FROM sign_in_flow "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &SignInFlow) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO sign_in_flow (id, workspace_id, provider_id, purpose, purpose_digest,
           session_id, browser_digest, secrets, return_path, created_at_us, expires_at_us, used_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        v.id as _,
        v.workspace_id as _,
        v.provider_id as _,
        v.purpose as _,
        v.purpose_digest,
        v.session_id as _,
        v.browser_digest,
        v.secrets as _,
        v.return_path,
        v.created_at as _,
        v.expires_at as _,
        v.used_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a flow by the id in its signed state: nobody is signed in yet.
pub async fn by_id(c: &mut DbConn, id: SignInFlowId) -> sqlx::Result<Option<SignInFlow>> {
    select!("WHERE id = $1", id as _).fetch_optional(c).await
}

/// Uses a flow up. False if it was used before.
pub async fn use_up(c: &mut DbConn, id: SignInFlowId, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE sign_in_flow SET used_at_us = $2 WHERE id = $1 AND used_at_us IS NULL",
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Deletes what expired before a time.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM sign_in_flow WHERE expires_at_us < $1", before as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}
