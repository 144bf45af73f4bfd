//! People who sign in, and the identities that providers know them by.

use crate::DbConn;
use causeway_types::entity::User;
use causeway_types::{ProviderId, Timestamp, UserId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            User,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", email, name, created_at_us AS \"created_at: _\", signed_in_at_us AS \"signed_in_at: _\" FROM user_account "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &User) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO user_account (id, workspace_id, email, name, created_at_us, signed_in_at_us)
         VALUES ($1, $2, $3, $4, $5, $6)",
        v.id as _,
        v.workspace_id as _,
        v.email,
        v.name,
        v.created_at as _,
        v.signed_in_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a person: they belong to no workspace but to the realm of their provider.
pub async fn by_id(c: &mut DbConn, id: UserId) -> sqlx::Result<Option<User>> {
    select!("WHERE id = $1", id as _).fetch_optional(c).await
}

pub async fn by_email(
    c: &mut DbConn,
    realm: WorkspaceId,
    email: &str,
) -> sqlx::Result<Option<User>> {
    select!("WHERE workspace_id = $1 AND email = $2", realm as _, email).fetch_optional(c).await
}

/// The person whom a provider knows by this subject.
pub async fn by_identity(
    c: &mut DbConn,
    provider: ProviderId,
    subject: &str,
) -> sqlx::Result<Option<User>> {
    select!(
        "WHERE id = (SELECT user_id FROM user_identity WHERE provider_id = $1 AND subject = $2)",
        provider as _,
        subject
    )
    .fetch_optional(c)
    .await
}

/// Notes that a provider knows a person by this subject.
pub async fn link(
    c: &mut DbConn,
    provider: ProviderId,
    subject: &str,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO user_identity (provider_id, subject, user_id, created_at_us)
         VALUES ($1, $2, $3, $4)",
        provider as _,
        subject,
        user as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Whether the provider already knows this person by some subject.
pub async fn is_linked(c: &mut DbConn, provider: ProviderId, user: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM user_identity WHERE provider_id = $1 AND user_id = $2"#,
        provider as _,
        user as _
    )
    .fetch_one(c)
    .await
    .map(|n| n > 0)
}

/// Notes a sign-in, with what the provider says now.
pub async fn signed_in(
    c: &mut DbConn,
    id: UserId,
    email: &str,
    name: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE user_account SET email = $2, name = $3, signed_in_at_us = $4 WHERE id = $1",
        id as _,
        email,
        name,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}
