//! Groups of members.

use crate::DbConn;
use causeway_types::entity::Group;
use causeway_types::{GroupId, MemberId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Group,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", name, external_id, created_at_us AS \"created_at: _\", updated_at_us AS \"updated_at: _\" FROM member_group "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &Group) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO member_group (id, workspace_id, name, external_id, created_at_us, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6)",
        v.id as _,
        v.workspace_id as _,
        v.name,
        v.external_id,
        v.created_at as _,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Replaces name, external id and the time of change. False if the group is not there.
pub async fn update(c: &mut DbConn, v: &Group) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE member_group SET name = $3, external_id = $4, updated_at_us = $5
         WHERE workspace_id = $1 AND id = $2",
        v.workspace_id as _,
        v.id as _,
        v.name,
        v.external_id,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: GroupId,
) -> sqlx::Result<Option<Group>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

pub async fn by_name(
    c: &mut DbConn,
    workspace: WorkspaceId,
    name: &str,
) -> sqlx::Result<Option<Group>> {
    select!("WHERE workspace_id = $1 AND name = $2", workspace as _, name).fetch_optional(c).await
}

/// A page of groups, by id.
pub async fn page(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: GroupId,
    limit: i64,
) -> sqlx::Result<Vec<Group>> {
    select!(
        "WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        workspace as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// So many groups after so many others, by id: for SCIM, which counts.
pub async fn slice(
    c: &mut DbConn,
    workspace: WorkspaceId,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<Group>> {
    select!("WHERE workspace_id = $1 ORDER BY id LIMIT $3 OFFSET $2", workspace as _, offset, limit)
        .fetch_all(c)
        .await
}

/// How many groups a workspace has.
pub async fn count(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM member_group WHERE workspace_id = $1"#,
        workspace as _
    )
    .fetch_one(c)
    .await
}

/// The groups that a member is in.
pub async fn of_member(
    c: &mut DbConn,
    workspace: WorkspaceId,
    member: MemberId,
) -> sqlx::Result<Vec<Group>> {
    select!(
        "WHERE workspace_id = $1 AND id IN
           (SELECT group_id FROM group_member WHERE workspace_id = $1 AND member_id = $2)
         ORDER BY id",
        workspace as _,
        member as _
    )
    .fetch_all(c)
    .await
}

/// Deletes a group with its roles. False if it is not there.
pub async fn delete(c: &mut DbConn, workspace: WorkspaceId, id: GroupId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM member_group WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// The members of a group, by id.
pub async fn members(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: GroupId,
) -> sqlx::Result<Vec<MemberId>> {
    sqlx::query_scalar!(
        r#"SELECT member_id AS "member_id: _" FROM group_member
           WHERE workspace_id = $1 AND group_id = $2 ORDER BY member_id"#,
        workspace as _,
        id as _
    )
    .fetch_all(c)
    .await
}

/// Puts a member of the same workspace into a group. False if they were in it already, or if
/// either is not of this workspace.
pub async fn add(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: GroupId,
    member: MemberId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "INSERT INTO group_member (group_id, member_id, workspace_id)
         SELECT member_group.id, member.id, member.workspace_id FROM member_group, member
         WHERE member_group.workspace_id = $1 AND member_group.id = $2
           AND member.workspace_id = $1 AND member.id = $3
         ON CONFLICT DO NOTHING",
        workspace as _,
        id as _,
        member as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Takes a member out of a group. False if they were not in it.
pub async fn remove(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: GroupId,
    member: MemberId,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM group_member WHERE workspace_id = $1 AND group_id = $2 AND member_id = $3",
        workspace as _,
        id as _,
        member as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
