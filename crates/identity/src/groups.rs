//! Groups of members. Whoever is put into a group gets its roles, so that putting somebody in is
//! giving, and a group that carries `owner` is changed by owners only.

use crate::action::{ManageMembers, ReadMembers};
use crate::members::{
    Authority, ExternalId, Members, MembersError, Owners, Thing, Twice, check_name, held,
};
use crate::permit::{Caller, Permit};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Group, HeldRole, Member, RoleGrant};
use causeway_types::{GroupId, MemberId, Timestamp, WorkspaceId};
use std::collections::BTreeSet;

/// The most members of a group.
pub const MAX_GROUP_MEMBERS: usize = 10_000;

/// A group with its roles.
#[derive(Debug, Clone)]
pub struct GroupDetail {
    /// The group.
    pub group: Group,
    /// The roles granted to it.
    pub roles: Vec<RoleGrant>,
    /// How many members it has.
    pub members: usize,
}

/// Who shall be in a group.
#[derive(Debug, Clone)]
pub enum NewMembers {
    /// Exactly these.
    Exactly(Vec<MemberId>),
    /// Those that are in it and these, without those.
    Changed {
        /// These too.
        add: Vec<MemberId>,
        /// Those no more.
        remove: Vec<MemberId>,
    },
}

/// How a group shall be: what is None stays.
#[derive(Debug, Default)]
pub(crate) struct GroupChange {
    pub(crate) name: Option<String>,
    pub(crate) external_id: ExternalId,
    pub(crate) members: Option<NewMembers>,
}

impl Members {
    /// A page of groups, by id.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn groups(
        &self,
        permit: &Permit<ReadMembers>,
        after: GroupId,
        limit: i64,
    ) -> Result<Vec<Group>, MembersError> {
        let mut conn = self.store().read().await?;
        Ok(db!(conn, group::page(permit.workspace(), after, limit))?)
    }

    /// A group with its roles.
    ///
    /// # Errors
    /// [`MembersError::NotFound`]; [`MembersError::Store`].
    pub async fn group(
        &self,
        permit: &Permit<ReadMembers>,
        id: GroupId,
    ) -> Result<GroupDetail, MembersError> {
        let workspace = permit.workspace();
        let mut conn = self.store().read().await?;
        let group = db!(conn, group::get(workspace, id))?.ok_or(NO_GROUP)?;
        let roles = db!(conn, role_grant::of_group(workspace, id))?;
        let members = db!(conn, group::members(workspace, id))?.len();
        Ok(GroupDetail { group, roles, members })
    }

    /// A page of the members of a group, by id.
    ///
    /// # Errors
    /// [`MembersError::NotFound`] for the group; [`MembersError::Store`].
    pub async fn group_members(
        &self,
        permit: &Permit<ReadMembers>,
        id: GroupId,
        after: MemberId,
        limit: i64,
    ) -> Result<Vec<Member>, MembersError> {
        let workspace = permit.workspace();
        let mut conn = self.store().read().await?;
        db!(conn, group::get(workspace, id))?.ok_or(NO_GROUP)?;
        Ok(db!(conn, member::of_group(workspace, id, after, limit))?)
    }

    /// Makes a group without members or roles.
    ///
    /// # Errors
    /// [`MembersError::Name`]; [`MembersError::Taken`]; [`MembersError::Store`].
    pub async fn create_group(
        &self,
        permit: &Permit<ManageMembers>,
        name: &str,
    ) -> Result<Group, MembersError> {
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let group = Group {
            id: GroupId::generate(now, self.random()),
            workspace_id: workspace,
            name: name.to_owned(),
            external_id: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().write(permit.actor()).await?;
        insert(&mut tx, &group).await?;
        let event = Audit::GroupCreated { group: group.id, name: group.name.clone() };
        tx.commit(workspace, now, event).await?;
        Ok(group)
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// [`MembersError::NotFound`]; [`MembersError::Name`]; [`MembersError::Taken`];
    /// [`MembersError::Beyond`] if it carries `owner` and the caller is none;
    /// [`MembersError::Store`].
    pub async fn rename_group(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: GroupId,
        name: String,
    ) -> Result<Group, MembersError> {
        let change = GroupChange { name: Some(name), ..GroupChange::default() };
        self.change_group(permit, caller, id, change).await
    }

    /// Says who is in a group.
    ///
    /// # Errors
    /// [`MembersError::NotFound`] for the group or a member; [`MembersError::Beyond`] if the
    /// caller may not give what the group carries; [`MembersError::LastOwner`];
    /// [`MembersError::TooMany`]; [`MembersError::Store`].
    pub async fn set_group_members(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: GroupId,
        members: NewMembers,
    ) -> Result<Group, MembersError> {
        let change = GroupChange { members: Some(members), ..GroupChange::default() };
        self.change_group(permit, caller, id, change).await
    }

    async fn change_group(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: GroupId,
        change: GroupChange,
    ) -> Result<Group, MembersError> {
        let authority = Authority::of(permit, caller)?;
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        let held = hold(&mut tx, workspace, id).await?;
        change_and_commit(tx, held, change, &authority, now).await
    }

    /// Deletes a group: its members lose its roles.
    ///
    /// # Errors
    /// [`MembersError::NotFound`]; [`MembersError::Beyond`] if it carries `owner` and the caller
    /// is none; [`MembersError::LastOwner`]; [`MembersError::Store`].
    pub async fn delete_group(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: GroupId,
    ) -> Result<(), MembersError> {
        let authority = Authority::of(permit, caller)?;
        let now = self.clock().now();
        let tx = self.store().write(permit.actor()).await?;
        delete(tx, permit.workspace(), id, &authority, now).await
    }
}

const NO_GROUP: MembersError = MembersError::NotFound { thing: Thing::Group };

/// Inserts a group, unless there is one of its name.
pub(crate) async fn insert(tx: &mut WriteTx, group: &Group) -> Result<(), MembersError> {
    check_name(&group.name)?;
    match db!(tx, group::insert(group)) {
        Err(causeway_store::Error::Conflict { .. }) => Err(MembersError::Taken(Twice::GroupName)),
        done => Ok(done?),
    }
}

/// A group that nobody else changes until the transaction ends.
pub(crate) struct HeldGroup {
    pub(crate) group: Group,
    owners: Owners,
}

/// Takes hold of a group.
pub(crate) async fn hold(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    id: GroupId,
) -> Result<HeldGroup, MembersError> {
    let owners = Owners::lock(tx, workspace).await?;
    let group = db!(tx, group::get(workspace, id))?.ok_or(NO_GROUP)?;
    Ok(HeldGroup { group, owners })
}

/// Changes a group and commits, unless there is nothing to change.
pub(crate) async fn change_and_commit(
    mut tx: WriteTx,
    HeldGroup { mut group, owners }: HeldGroup,
    change: GroupChange,
    authority: &Authority<'_>,
    now: Timestamp,
) -> Result<Group, MembersError> {
    let workspace = group.workspace_id;
    let roles = held(&db!(tx, role_grant::of_group(workspace, group.id))?);
    authority.may_take_all(&roles)?;
    let mut changed = Vec::new();
    if let Some(name) = change.name.filter(|name| *name != group.name) {
        check_name(&name)?;
        group.name = name;
        changed.push("name".to_owned());
    }
    if change.external_id.set(&mut group.external_id) {
        changed.push("external_id".to_owned());
    }
    let (added, removed) = match change.members {
        Some(members) => {
            change_members(&mut tx, workspace, group.id, &members, &roles, authority).await?
        }
        None => (Vec::new(), Vec::new()),
    };
    if changed.is_empty() && added.is_empty() && removed.is_empty() {
        return Ok(group);
    }
    group.updated_at = now;
    match db!(tx, group::update(&group)) {
        Err(causeway_store::Error::Conflict { .. }) => {
            return Err(MembersError::Taken(Twice::GroupName));
        }
        done => drop(done?),
    }
    owners.keep(&mut tx).await?;
    let event = Audit::GroupUpdated { group: group.id, changed, added, removed };
    tx.commit(workspace, now, event).await?;
    Ok(group)
}

/// Puts members into a group and takes others out; says which.
pub(crate) async fn change_members(
    tx: &mut WriteTx,
    workspace: WorkspaceId,
    id: GroupId,
    wanted: &NewMembers,
    roles: &[HeldRole],
    authority: &Authority<'_>,
) -> Result<(Vec<MemberId>, Vec<MemberId>), MembersError> {
    let there: BTreeSet<MemberId> = db!(tx, group::members(workspace, id))?.into_iter().collect();
    let wanted: BTreeSet<MemberId> = match wanted {
        NewMembers::Exactly(members) => members.iter().copied().collect(),
        NewMembers::Changed { add, remove } => {
            let mut wanted = there.clone();
            wanted.extend(add);
            for member in remove {
                wanted.remove(member);
            }
            wanted
        }
    };
    if wanted.len() > MAX_GROUP_MEMBERS {
        let what = "members in a group";
        return Err(MembersError::TooMany { what, most: MAX_GROUP_MEMBERS });
    }
    let added: Vec<MemberId> = wanted.difference(&there).copied().collect();
    let removed: Vec<MemberId> = there.difference(&wanted).copied().collect();
    if !added.is_empty() {
        authority.may_give_all(roles)?;
    }
    for member in &added {
        if !db!(tx, group::add(workspace, id, *member))? {
            return Err(MembersError::NotFound { thing: Thing::Member });
        }
    }
    for member in &removed {
        db!(tx, group::remove(workspace, id, *member))?;
    }
    Ok((added, removed))
}

/// Deletes a group and commits.
pub(crate) async fn delete(
    mut tx: WriteTx,
    workspace: WorkspaceId,
    id: GroupId,
    authority: &Authority<'_>,
    now: Timestamp,
) -> Result<(), MembersError> {
    let HeldGroup { group, owners } = hold(&mut tx, workspace, id).await?;
    authority.may_take_all(&held(&db!(tx, role_grant::of_group(workspace, id))?))?;
    db!(tx, group::delete(workspace, id))?;
    owners.keep(&mut tx).await?;
    let event = Audit::GroupDeleted { group: id, name: group.name };
    Ok(tx.commit(workspace, now, event).await?)
}
