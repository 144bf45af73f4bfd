//! Giving and taking roles.

use crate::action::{ManageMembers, ReadMembers};
use crate::members::{Authority, Members, MembersError, Owners, Thing, Twice};
use crate::permit::{Caller, Permit};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Role, RoleGrant};
use causeway_types::{GroupId, MemberId, ProjectId, RoleGrantId, WorkspaceId};

/// Who gets a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee {
    /// A member.
    Member(MemberId),
    /// A group: each of its members.
    Group(GroupId),
}

/// A role to give.
#[derive(Debug, Clone, Copy)]
pub struct NewRoleGrant {
    /// To whom.
    pub to: Grantee,
    /// The role.
    pub role: Role,
    /// Where it counts: None is all of the workspace.
    pub project: Option<ProjectId>,
}

impl Members {
    /// A page of the roles granted in the workspace, by id.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn role_grants(
        &self,
        permit: &Permit<ReadMembers>,
        after: RoleGrantId,
        limit: i64,
    ) -> Result<Vec<RoleGrant>, MembersError> {
        let mut conn = self.store().read().await?;
        Ok(db!(conn, role_grant::page(permit.workspace(), after, limit))?)
    }

    /// Gives a role.
    ///
    /// # Errors
    /// [`MembersError::Beyond`] if the caller has less than the role, or changes an owner without
    /// being one; [`MembersError::NotFound`] for the member, the group or the project;
    /// [`MembersError::Taken`] if it was granted already; [`MembersError::Store`].
    pub async fn grant_role(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        new: NewRoleGrant,
    ) -> Result<RoleGrant, MembersError> {
        let authority = Authority::of(permit, caller)?;
        authority.may_give(new.role)?;
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        db!(tx, audit::lock_head(workspace))?;
        check_project(&mut tx, workspace, new.project).await?;
        let there = of_grantee(&mut tx, workspace, new.to).await?;
        there.iter().try_for_each(|grant| authority.may_take(grant.role))?;
        if there.iter().any(|one| (one.role, one.project_id) == (new.role, new.project)) {
            return Err(MembersError::Taken(Twice::RoleGrant));
        }
        let (member_id, group_id) = match new.to {
            Grantee::Member(id) => (Some(id), None),
            Grantee::Group(id) => (None, Some(id)),
        };
        let grant = RoleGrant {
            id: RoleGrantId::generate(now, self.random()),
            workspace_id: workspace,
            member_id,
            group_id,
            role: new.role,
            project_id: new.project,
            created_at: now,
        };
        db!(tx, role_grant::insert(&grant))?;
        let event = Audit::RoleGranted {
            grant: grant.id,
            member: member_id,
            group: group_id,
            role: new.role,
            project: new.project,
        };
        tx.commit(workspace, now, event).await?;
        Ok(grant)
    }

    /// Takes a role.
    ///
    /// # Errors
    /// [`MembersError::NotFound`]; [`MembersError::Beyond`] as for giving it;
    /// [`MembersError::LastOwner`]; [`MembersError::Store`].
    pub async fn revoke_role(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: RoleGrantId,
    ) -> Result<(), MembersError> {
        let authority = Authority::of(permit, caller)?;
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        let owners = Owners::lock(&mut tx, workspace).await?;
        let grant = db!(tx, role_grant::get(workspace, id))?
            .ok_or(MembersError::NotFound { thing: Thing::RoleGrant })?;
        authority.may_take(grant.role)?;
        if let Some(to) = grantee(&grant) {
            let there = of_grantee(&mut tx, workspace, to).await?;
            there.iter().try_for_each(|grant| authority.may_take(grant.role))?;
        }
        db!(tx, role_grant::delete(workspace, id))?;
        owners.keep(&mut tx).await?;
        let event = Audit::RoleRevoked {
            grant: id,
            member: grant.member_id,
            group: grant.group_id,
            role: grant.role,
        };
        Ok(tx.commit(workspace, now, event).await?)
    }
}

/// Refuses a project that the workspace does not have.
pub(crate) async fn check_project(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    project: Option<ProjectId>,
) -> Result<(), MembersError> {
    if let Some(id) = project
        && db!(tx, workspace::project(workspace, id))?.is_none()
    {
        return Err(MembersError::NotFound { thing: Thing::Project });
    }
    Ok(())
}

fn grantee(grant: &RoleGrant) -> Option<Grantee> {
    grant.member_id.map(Grantee::Member).or_else(|| grant.group_id.map(Grantee::Group))
}

fn not_found(to: Grantee) -> MembersError {
    MembersError::NotFound {
        thing: match to {
            Grantee::Member(_) => Thing::Member,
            Grantee::Group(_) => Thing::Group,
        },
    }
}

/// What a member or a group was granted; an error if there is none in the workspace.
async fn of_grantee(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    to: Grantee,
) -> Result<Vec<RoleGrant>, MembersError> {
    let grants = match to {
        Grantee::Member(id) => {
            db!(tx, member::get(workspace, id))?.ok_or_else(|| not_found(to))?;
            db!(tx, role_grant::of_member(workspace, id))?
        }
        Grantee::Group(id) => {
            db!(tx, group::get(workspace, id))?.ok_or_else(|| not_found(to))?;
            db!(tx, role_grant::of_group(workspace, id))?
        }
    };
    Ok(grants)
}
