//! Members as they are.

use super::{Members, MembersError, Thing};
use crate::action::ReadMembers;
use crate::permit::Permit;
use causeway_store::db;
use causeway_types::MemberId;
use causeway_types::entity::{Group, Member, RoleGrant};

/// A member with what they may do, and why.
#[derive(Debug, Clone)]
pub struct MemberDetail {
    /// The member.
    pub member: Member,
    /// The roles granted to them.
    pub roles: Vec<RoleGrant>,
    /// The groups that they are in.
    pub groups: Vec<GroupOf>,
}

/// A group that a member is in.
#[derive(Debug, Clone)]
pub struct GroupOf {
    /// The group.
    pub group: Group,
    /// The roles granted to it.
    pub roles: Vec<RoleGrant>,
}

impl Members {
    /// A page of members, by id: at most `limit` that come after `after`.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn members(
        &self,
        permit: &Permit<ReadMembers>,
        after: MemberId,
        limit: i64,
    ) -> Result<Vec<Member>, MembersError> {
        let mut conn = self.store().read().await?;
        Ok(db!(conn, member::page(permit.workspace(), after, limit))?)
    }

    /// A member with roles and groups.
    ///
    /// # Errors
    /// [`MembersError::NotFound`] if the workspace has no such member; [`MembersError::Store`].
    pub async fn member(
        &self,
        permit: &Permit<ReadMembers>,
        id: MemberId,
    ) -> Result<MemberDetail, MembersError> {
        let workspace = permit.workspace();
        let mut conn = self.store().read().await?;
        let member = db!(conn, member::get(workspace, id))?
            .ok_or(MembersError::NotFound { thing: Thing::Member })?;
        let roles = db!(conn, role_grant::of_member(workspace, id))?;
        let mut groups = Vec::new();
        for group in db!(conn, group::of_member(workspace, id))? {
            let roles = db!(conn, role_grant::of_group(workspace, group.id))?;
            groups.push(GroupOf { group, roles });
        }
        Ok(MemberDetail { member, roles, groups })
    }
}
