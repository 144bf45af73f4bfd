//! Groups, for the directory.

use super::filter::{Filter, Pinned};
use super::schema::Kind;
use super::{
    BATCH, ListQuery, Listing, Resource, Scim, ScimError, Window, count, group, patch, start, user,
};
use crate::action::ProvisionMembers;
use crate::groups::{self, NewMembers};
use crate::members::{Authority, Events, MembersError, Thing};
use crate::permit::Permit;
use causeway_store::{Audit, ReadConn, db};
use causeway_types::entity::{Group, Member};
use causeway_types::{GroupId, MemberId, WorkspaceId};

const NO_GROUP: ScimError = ScimError::Members(MembersError::NotFound { thing: Thing::Group });

impl Scim {
    /// A page of groups, oldest first.
    ///
    /// # Errors
    /// [`ScimError::Members`] if the store fails.
    pub async fn groups(
        &self,
        permit: &Permit<ProvisionMembers>,
        query: &ListQuery,
    ) -> Result<Listing, ScimError> {
        let workspace = permit.workspace();
        let mut conn = self.members.store().read().await?;
        let (total, shown) = match &query.filter {
            None => {
                let total = db!(conn, group::count(workspace))?;
                let (skip, most) = (start(query) - 1, count(query));
                (total, db!(conn, group::slice(workspace, skip, most))?)
            }
            Some(filter) => {
                let mut window = Window::new(query);
                passing(&mut conn, workspace, filter, &mut window).await?;
                (window.total, window.shown)
            }
        };
        let mut resources = Vec::with_capacity(shown.len());
        for group in &shown {
            resources.push(complete(&mut conn, group, query.relations).await?);
        }
        Ok(Listing { total, start: start(query), resources })
    }

    /// A group, with its members if `relations` says so.
    ///
    /// # Errors
    /// [`ScimError::Members`] if there is none of this id, or the store fails.
    pub async fn group(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        relations: bool,
    ) -> Result<Resource, ScimError> {
        let mut conn = self.members.store().read().await?;
        let id = parse(id)?;
        let group = db!(conn, group::get(permit.workspace(), id))?.ok_or(NO_GROUP)?;
        complete(&mut conn, &group, relations).await
    }

    /// Makes a group. It carries no role until somebody gives it one.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn create_group(
        &self,
        permit: &Permit<ProvisionMembers>,
        body: &Resource,
    ) -> Result<Resource, ScimError> {
        let known = user::known(Kind::Group, body)?;
        let add: Vec<MemberId> = group::ids(&known)?.into_iter().collect();
        let (workspace, now) = (permit.workspace(), self.members.clock().now());
        let mut external_id = None;
        user::external_id(&Resource::new(), &known)?.set(&mut external_id);
        let new = Group {
            id: GroupId::generate(now, self.members.random()),
            workspace_id: workspace,
            name: group::name(&known)?,
            external_id,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.members.store().write(permit.actor()).await?;
        db!(tx, audit::lock_head(workspace))?;
        groups::insert(&mut tx, &new).await?;
        let mut events = Events::new();
        events.push(Audit::GroupCreated { group: new.id, name: new.name.clone() });
        if !add.is_empty() {
            let wanted = NewMembers::Changed { add, remove: Vec::new() };
            let authority = Authority::Directory;
            let done =
                groups::change_members(&mut tx, workspace, new.id, &wanted, &[], &authority).await;
            let (added, removed) = done.map_err(no_such_user)?;
            events.push(Audit::GroupUpdated { group: new.id, changed: Vec::new(), added, removed });
        }
        events.commit(tx, workspace, now).await?;
        self.group(permit, &new.id.to_string(), true).await
    }

    /// Sets what a whole resource names (`PUT`). What it does not name stays.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn replace_group(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        body: &Resource,
    ) -> Result<(), ScimError> {
        let body = user::known(Kind::Group, body)?;
        self.change_group(permit, id, |resource| patch::replace(Kind::Group, resource, &body)).await
    }

    /// Changes a group (`PATCH`).
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn patch_group(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        request: &Resource,
    ) -> Result<(), ScimError> {
        self.change_group(permit, id, |resource| patch::apply(Kind::Group, resource, request)).await
    }

    /// Deletes a group: its members lose its roles.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn delete_group(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
    ) -> Result<(), ScimError> {
        let id = parse(id)?;
        let now = self.members.clock().now();
        let tx = self.members.store().write(permit.actor()).await?;
        Ok(groups::delete(tx, permit.workspace(), id, &Authority::Directory, now).await?)
    }

    async fn change_group(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        change: impl FnOnce(&mut Resource) -> Result<(), ScimError> + Send,
    ) -> Result<(), ScimError> {
        let (workspace, id) = (permit.workspace(), parse(id)?);
        let now = self.members.clock().now();
        let mut tx = self.members.store().write(permit.actor()).await?;
        let held = groups::hold(&mut tx, workspace, id).await?;
        let mut old = group::resource(&held.group);
        let ids = db!(tx, group::members(workspace, id))?;
        old.insert("members".to_owned(), group::member_ids(&ids));
        let mut new = old.clone();
        change(&mut new)?;
        let change = group::wanted(&old, &new)?;
        let done = groups::change_and_commit(tx, held, change, &Authority::Directory, now).await;
        done.map(drop).map_err(no_such_user)
    }
}

fn parse(id: &str) -> Result<GroupId, ScimError> {
    id.parse().map_err(|_| NO_GROUP)
}

/// A member in the body that is not there is a wrong value, not a missing resource.
fn no_such_user(error: MembersError) -> ScimError {
    match error {
        MembersError::NotFound { thing: Thing::Member } => ScimError::NoSuchUser,
        error => error.into(),
    }
}

async fn complete(
    conn: &mut ReadConn,
    there: &Group,
    relations: bool,
) -> Result<Resource, ScimError> {
    let mut resource = group::resource(there);
    if relations {
        let members = members_of(conn, there).await?;
        resource.insert("members".to_owned(), group::members(&members));
    }
    Ok(resource)
}

async fn members_of(conn: &mut ReadConn, group: &Group) -> Result<Vec<Member>, ScimError> {
    let (workspace, id) = (group.workspace_id, group.id);
    let (mut members, mut after) = (Vec::new(), MemberId::lowest());
    loop {
        let found = db!(conn, member::of_group(workspace, id, after, BATCH))?;
        let Some(last) = found.last() else { return Ok(members) };
        after = last.id;
        members.extend(found);
    }
}

/// Finds the groups that pass a filter: the one that it pins down, or else among all.
async fn passing(
    conn: &mut ReadConn,
    workspace: WorkspaceId,
    filter: &Filter,
    window: &mut Window<Group>,
) -> Result<(), ScimError> {
    if let Some(pinned) = filter.pinned() {
        if let Pinned::Id(id) = pinned
            && let Ok(id) = id.parse::<GroupId>()
            && let Some(there) = db!(conn, group::get(workspace, id))?
            && passes(conn, filter, &there).await?
        {
            window.add(there);
        }
        return Ok(());
    }
    let mut after = GroupId::lowest();
    loop {
        let found = db!(conn, group::page(workspace, after, BATCH))?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.id;
        for there in found {
            if passes(conn, filter, &there).await? {
                window.add(there);
            }
        }
    }
}

async fn passes(conn: &mut ReadConn, filter: &Filter, there: &Group) -> Result<bool, ScimError> {
    let mut resource = group::resource(there);
    if filter.names("members") {
        let ids = db!(conn, group::members(there.workspace_id, there.id))?;
        resource.insert("members".to_owned(), group::member_ids(&ids));
    }
    Ok(filter.passes(&resource))
}
