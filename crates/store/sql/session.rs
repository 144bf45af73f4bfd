//! Sessions: browsers in which somebody is signed in.

use crate::DbConn;
use causeway_types::entity::Session;
use causeway_types::{SessionId, Timestamp, UserId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Session,
            "SELECT id AS \"id: _\", user_id AS \"user_id: _\", provider_id AS \"provider_id: _\", digest, email, hosted_domain, authentication, authenticated_at_us AS \"authenticated_at: _\", mfa_at_us AS \"mfa_at: _\", address, user_agent, created_at_us AS \"created_at: _\", last_seen_at_us AS \"last_seen_at: _\", expires_at_us AS \"expires_at: _\", revoked_at_us AS \"revoked_at: _\" FROM session "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &Session) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO session (id, user_id, provider_id, digest, email, hosted_domain,
           authentication, authenticated_at_us, mfa_at_us, address, user_agent, created_at_us,
           last_seen_at_us, expires_at_us, revoked_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        v.id as _,
        v.user_id as _,
        v.provider_id as _,
        v.digest,
        v.email,
        v.hosted_domain,
        v.authentication,
        v.authenticated_at as _,
        v.mfa_at as _,
        v.address,
        v.user_agent,
        v.created_at as _,
        v.last_seen_at as _,
        v.expires_at as _,
        v.revoked_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a session by the digest of its cookie, before anybody is known.
pub async fn by_digest(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<Session>> {
    select!("WHERE digest = $1", digest).fetch_optional(c).await
}

pub async fn get(c: &mut DbConn, user: UserId, id: SessionId) -> sqlx::Result<Option<Session>> {
    select!("WHERE user_id = $1 AND id = $2", user as _, id as _).fetch_optional(c).await
}

/// A person's sessions that are neither over nor revoked, newest first.
pub async fn open(c: &mut DbConn, user: UserId, now: Timestamp) -> sqlx::Result<Vec<Session>> {
    select!(
        "WHERE user_id = $1 AND revoked_at_us IS NULL AND expires_at_us > $2 ORDER BY id DESC",
        user as _,
        now as _
    )
    .fetch_all(c)
    .await
}

pub async fn touch(c: &mut DbConn, id: SessionId, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!("UPDATE session SET last_seen_at_us = $2 WHERE id = $1", id as _, now as _)
        .execute(c)
        .await
        .map(|_| ())
}

/// Notes that the provider authenticated again, and gives the session a new cookie: the fields
/// `digest`, `email`, `hosted_domain`, `authentication`, `authenticated_at`, `mfa_at` and
/// `last_seen_at` are taken from `v`. False if the session is over.
pub async fn step_up(c: &mut DbConn, v: &Session) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE session SET digest = $2, email = $3, hosted_domain = $4, authentication = $5,
           authenticated_at_us = $6, mfa_at_us = $7, last_seen_at_us = $8
         WHERE id = $1 AND revoked_at_us IS NULL AND expires_at_us > $8",
        v.id as _,
        v.digest,
        v.email,
        v.hosted_domain,
        v.authentication,
        v.authenticated_at as _,
        v.mfa_at as _,
        v.last_seen_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Ends a session. False if it was over or is not this person's.
pub async fn revoke(
    c: &mut DbConn,
    user: UserId,
    id: SessionId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE session SET revoked_at_us = $3
         WHERE user_id = $1 AND id = $2 AND revoked_at_us IS NULL",
        user as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Ends all of a person's sessions, and says how many there were.
pub async fn revoke_all(c: &mut DbConn, user: UserId, now: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!(
        "UPDATE session SET revoked_at_us = $2
         WHERE user_id = $1 AND revoked_at_us IS NULL AND expires_at_us > $2",
        user as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes what was over before a time.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM session WHERE expires_at_us < $1", before as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}
