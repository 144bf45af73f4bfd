//! Members of workspaces.

use crate::DbConn;
use causeway_types::entity::{HeldRole, Member};
use causeway_types::{GroupId, MemberId, Timestamp, UserId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Member,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", user_id AS \"user_id: _\", email, name, external_id, origin AS \"origin: _\", state AS \"state: _\", created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\", last_active_at_us AS \"last_active_at: _\" FROM member "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &Member) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO member (id, workspace_id, user_id, email, name, external_id, origin, state,
           created_at_us, updated_at_us, last_active_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        v.id as _,
        v.workspace_id as _,
        v.user_id as _,
        v.email,
        v.name,
        v.external_id,
        v.origin as _,
        v.state as _,
        v.created_at as _,
        v.updated_at as _,
        v.last_active_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Replaces e-mail, name, external id, state, the person and the time of change. False if the
/// member is not there.
pub async fn update(c: &mut DbConn, v: &Member) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE member SET user_id = $3, email = $4, name = $5, external_id = $6, state = $7,
           updated_at_us = $8
         WHERE workspace_id = $1 AND id = $2",
        v.workspace_id as _,
        v.id as _,
        v.user_id as _,
        v.email,
        v.name,
        v.external_id,
        v.state as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: MemberId,
) -> sqlx::Result<Option<Member>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

pub async fn by_email(
    c: &mut DbConn,
    workspace: WorkspaceId,
    email: &str,
) -> sqlx::Result<Option<Member>> {
    select!("WHERE workspace_id = $1 AND email = $2", workspace as _, email).fetch_optional(c).await
}

pub async fn by_external_id(
    c: &mut DbConn,
    workspace: WorkspaceId,
    external_id: &str,
) -> sqlx::Result<Option<Member>> {
    select!("WHERE workspace_id = $1 AND external_id = $2", workspace as _, external_id)
        .fetch_optional(c)
        .await
}

pub async fn by_user(
    c: &mut DbConn,
    workspace: WorkspaceId,
    user: UserId,
) -> sqlx::Result<Option<Member>> {
    select!("WHERE workspace_id = $1 AND user_id = $2", workspace as _, user as _)
        .fetch_optional(c)
        .await
}

/// A person's places in all workspaces: for the person alone.
pub async fn of_user(c: &mut DbConn, user: UserId) -> sqlx::Result<Vec<Member>> {
    select!("WHERE user_id = $1 ORDER BY workspace_id", user as _).fetch_all(c).await
}

/// Places that a directory prepared for an e-mail address and nobody took yet, in all workspaces:
/// for the person who proved to have that address.
pub async fn unclaimed(c: &mut DbConn, email: &str) -> sqlx::Result<Vec<Member>> {
    select!(
        "WHERE email = $1 AND user_id IS NULL AND state = 'active' ORDER BY workspace_id",
        email
    )
    .fetch_all(c)
    .await
}

/// A page of members, by id.
pub async fn page(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: MemberId,
    limit: i64,
) -> sqlx::Result<Vec<Member>> {
    select!(
        "WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        workspace as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// So many members after so many others, by id: for SCIM, which counts.
pub async fn slice(
    c: &mut DbConn,
    workspace: WorkspaceId,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<Member>> {
    select!("WHERE workspace_id = $1 ORDER BY id LIMIT $3 OFFSET $2", workspace as _, offset, limit)
        .fetch_all(c)
        .await
}

/// How many members a workspace has.
pub async fn count(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM member WHERE workspace_id = $1"#,
        workspace as _
    )
    .fetch_one(c)
    .await
}

/// A page of the members of a group, by id.
pub async fn of_group(
    c: &mut DbConn,
    workspace: WorkspaceId,
    group: GroupId,
    after: MemberId,
    limit: i64,
) -> sqlx::Result<Vec<Member>> {
    select!(
        "WHERE workspace_id = $1 AND id > $3 AND id IN
           (SELECT member_id FROM group_member WHERE workspace_id = $1 AND group_id = $2)
         ORDER BY id LIMIT $4",
        workspace as _,
        group as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn touch(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: MemberId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE member SET last_active_at_us = $3 WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Removes a member with their roles and places in groups. False if there is none.
pub async fn delete(c: &mut DbConn, workspace: WorkspaceId, id: MemberId) -> sqlx::Result<bool> {
    sqlx::query!("DELETE FROM member WHERE workspace_id = $1 AND id = $2", workspace as _, id as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// The roles that a member holds, their own and those of their groups.
pub async fn held_roles(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: MemberId,
) -> sqlx::Result<Vec<HeldRole>> {
    sqlx::query_as!(
        HeldRole,
        r#"SELECT role AS "role: _", project_id AS "project_id: _" FROM role_grant
           WHERE workspace_id = $1 AND (member_id = $2 OR group_id IN
             (SELECT group_id FROM group_member WHERE workspace_id = $1 AND member_id = $2))
           ORDER BY id"#,
        workspace as _,
        id as _
    )
    .fetch_all(c)
    .await
}

/// How many active members are owners of the whole workspace, by themselves or through a group.
pub async fn count_owners(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM member
           WHERE workspace_id = $1 AND state = 'active' AND EXISTS (
             SELECT 1 FROM role_grant
             WHERE role_grant.workspace_id = $1 AND role = 'owner' AND project_id IS NULL
               AND (member_id = member.id OR group_id IN
                 (SELECT group_id FROM group_member WHERE group_member.member_id = member.id)))"#,
        workspace as _
    )
    .fetch_one(c)
    .await
}
