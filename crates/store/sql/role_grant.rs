//! Roles given to members and groups.

use crate::DbConn;
use causeway_types::entity::RoleGrant;
use causeway_types::{GroupId, MemberId, RoleGrantId, WorkspaceId};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            RoleGrant,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", member_id AS \"member_id: _\", group_id AS \"group_id: _\", role AS \"role: _\", project_id AS \"project_id: _\", created_at_us AS \"created_at: _\" FROM role_grant "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &RoleGrant) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO role_grant (id, workspace_id, member_id, group_id, role, project_id,
           created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        v.id as _,
        v.workspace_id as _,
        v.member_id as _,
        v.group_id as _,
        v.role as _,
        v.project_id as _,
        v.created_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: RoleGrantId,
) -> sqlx::Result<Option<RoleGrant>> {
    select!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// Every grant of a workspace, by id.
pub async fn all(c: &mut DbConn, workspace: WorkspaceId) -> sqlx::Result<Vec<RoleGrant>> {
    select!("WHERE workspace_id = $1 ORDER BY id", workspace as _).fetch_all(c).await
}

/// A page of the grants of a workspace, by id.
pub async fn page(
    c: &mut DbConn,
    workspace: WorkspaceId,
    after: RoleGrantId,
    limit: i64,
) -> sqlx::Result<Vec<RoleGrant>> {
    select!(
        "WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        workspace as _,
        after as _,
        limit
    )
    .fetch_all(c)
    .await
}

pub async fn of_member(
    c: &mut DbConn,
    workspace: WorkspaceId,
    member: MemberId,
) -> sqlx::Result<Vec<RoleGrant>> {
    select!("WHERE workspace_id = $1 AND member_id = $2 ORDER BY id", workspace as _, member as _)
        .fetch_all(c)
        .await
}

pub async fn of_group(
    c: &mut DbConn,
    workspace: WorkspaceId,
    group: GroupId,
) -> sqlx::Result<Vec<RoleGrant>> {
    select!("WHERE workspace_id = $1 AND group_id = $2 ORDER BY id", workspace as _, group as _)
        .fetch_all(c)
        .await
}

/// Takes a role back. False if the grant is not there.
pub async fn delete(c: &mut DbConn, workspace: WorkspaceId, id: RoleGrantId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM role_grant WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
