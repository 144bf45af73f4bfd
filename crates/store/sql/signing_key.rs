//! Keys of Causeway's own. They belong to the installation.

use crate::DbConn;
use causeway_types::entity::{KeyPurpose, SigningKey};
use causeway_types::{INSTALLATION, SigningKeyId, Timestamp};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            SigningKey,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", purpose AS \"purpose: _\", public_key, secret AS \"secret: _\", created_at_us AS \"created_at: _\", retired_at_us AS \"retired_at: _\" FROM signing_key "
                + $where
            $(, $arg)*
        )
    };
}

/// Adds a key. False if another one of this purpose is active already.
pub async fn insert(c: &mut DbConn, v: &SigningKey) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO signing_key (id, workspace_id, purpose, public_key, secret, created_at_us,
           retired_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING",
        v.id as _,
        v.workspace_id as _,
        v.purpose as _,
        v.public_key,
        v.secret as _,
        v.created_at as _,
        v.retired_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// The keys of a purpose, oldest first, the retired ones too.
pub async fn list(c: &mut DbConn, purpose: KeyPurpose) -> sqlx::Result<Vec<SigningKey>> {
    select!("WHERE workspace_id = $1 AND purpose = $2 ORDER BY id", INSTALLATION as _, purpose as _)
        .fetch_all(c)
        .await
}

/// Lets a key sign nothing any more. False if it is not there or was retired before.
pub async fn retire(c: &mut DbConn, id: SigningKeyId, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE signing_key SET retired_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND retired_at_us IS NULL",
        INSTALLATION as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
