//! Users, for the directory.

use super::filter::{Filter, Pinned};
use super::schema::Kind;
use super::user::{self, Wanted};
use super::{BATCH, ListQuery, Listing, Resource, Scim, ScimError, Window, count, patch, start};
use crate::action::ProvisionMembers;
use crate::email::Email;
use crate::members::{Authority, Events, Held, MembersError, Thing, set_state};
use crate::permit::Permit;
use causeway_store::{Audit, ReadConn, WriteTx, db};
use causeway_types::entity::{Member, MemberOrigin, MemberState, Role};
use causeway_types::{MemberId, Timestamp, WorkspaceId};

const NO_USER: ScimError = ScimError::Members(MembersError::NotFound { thing: Thing::Member });

impl Scim {
    /// A page of users, oldest first (RFC 7644 section 3.4.2).
    ///
    /// # Errors
    /// [`ScimError::Members`] if the store fails.
    pub async fn users(
        &self,
        permit: &Permit<ProvisionMembers>,
        query: &ListQuery,
    ) -> Result<Listing, ScimError> {
        let workspace = permit.workspace();
        let mut conn = self.members.store().read().await?;
        let (total, shown) = match &query.filter {
            None => {
                let total = db!(conn, member::count(workspace))?;
                let (skip, most) = (start(query) - 1, count(query));
                (total, db!(conn, member::slice(workspace, skip, most))?)
            }
            Some(filter) => {
                let mut window = Window::new(query);
                passing(&mut conn, workspace, filter, &mut window).await?;
                (window.total, window.shown)
            }
        };
        let mut resources = Vec::with_capacity(shown.len());
        for member in &shown {
            resources.push(complete(&mut conn, member, query.relations).await?);
        }
        Ok(Listing { total, start: start(query), resources })
    }

    /// A user.
    ///
    /// # Errors
    /// [`ScimError::Members`] if there is none of this id, or the store fails.
    pub async fn user(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
    ) -> Result<Resource, ScimError> {
        let mut conn = self.members.store().read().await?;
        let id = parse(id)?;
        let member = db!(conn, member::get(permit.workspace(), id))?.ok_or(NO_USER)?;
        complete(&mut conn, &member, true).await
    }

    /// Makes a user: a member without a role, for whoever proves to have the address.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn create_user(
        &self,
        permit: &Permit<ProvisionMembers>,
        body: &Resource,
    ) -> Result<Resource, ScimError> {
        let wanted = user::wanted(&Resource::new(), &user::known(Kind::User, body)?)?;
        let email = wanted.email.ok_or(ScimError::Missing("userName"))?;
        let now = self.members.clock().now();
        let mut external_id = None;
        wanted.external_id.set(&mut external_id);
        let member = Member {
            id: MemberId::generate(now, self.members.random()),
            workspace_id: permit.workspace(),
            user_id: None,
            name: wanted.name.unwrap_or_else(|| email.to_string()),
            email: email.to_string(),
            external_id,
            origin: MemberOrigin::Scim,
            state: wanted.state.unwrap_or(MemberState::Active),
            created_at: now,
            updated_at: now,
            last_active_at: None,
        };
        let mut tx = self.members.store().write(permit.actor()).await?;
        db!(tx, audit::lock_head(permit.workspace()))?;
        taken(db!(tx, member::insert(&member)))?;
        let event = Audit::MemberProvisioned { member: member.id, email: member.email.clone() };
        tx.commit(permit.workspace(), now, event).await?;
        let mut resource = user::resource(&member);
        resource.insert("groups".to_owned(), user::groups(&[]));
        Ok(resource)
    }

    /// Sets what a whole resource names (`PUT`). What it does not name stays.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn replace_user(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        body: &Resource,
    ) -> Result<Resource, ScimError> {
        let body = user::known(Kind::User, body)?;
        self.change_user(permit, id, |resource| patch::replace(Kind::User, resource, &body)).await
    }

    /// Changes a user (`PATCH`).
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn patch_user(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        request: &Resource,
    ) -> Result<Resource, ScimError> {
        self.change_user(permit, id, |resource| patch::apply(Kind::User, resource, request)).await
    }

    /// Removes a user with their roles and places in groups, and ends their sessions.
    ///
    /// # Errors
    /// See [`ScimError`].
    pub async fn delete_user(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
    ) -> Result<(), ScimError> {
        let (actor, workspace) = (permit.actor(), permit.workspace());
        Ok(self.members.remove(actor, workspace, parse(id)?, &Authority::Directory).await?)
    }

    async fn change_user(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        change: impl Fn(&mut Resource) -> Result<(), ScimError> + Send + Sync,
    ) -> Result<Resource, ScimError> {
        let (workspace, id) = (permit.workspace(), parse(id)?);
        let now = self.members.clock().now();
        let wanted = |member: &Member| {
            let old = user::resource(member);
            let mut new = old.clone();
            change(&mut new)?;
            user::wanted(&old, &new)
        };
        let puts_out = |wanted: &Wanted| wanted.state == Some(MemberState::Deactivated);
        let seen = {
            let mut conn = self.members.store().read().await?;
            db!(conn, member::get(workspace, id))?.ok_or(NO_USER)?
        };
        let mut ends = puts_out(&wanted(&seen)?);
        let (held, wanted) = loop {
            let held = self.members.hold(permit.actor(), workspace, id, ends, now).await?;
            let wanted = wanted(&held.member)?;
            // Somebody let them in again meanwhile.
            if ends || !puts_out(&wanted) {
                break (held, wanted);
            }
            ends = true;
        };
        apply(held, wanted, now).await?;
        self.user(permit, &id.to_string()).await
    }
}

fn parse(id: &str) -> Result<MemberId, ScimError> {
    id.parse().map_err(|_| NO_USER)
}

fn taken<T>(done: Result<T, causeway_store::Error>) -> Result<T, ScimError> {
    match done {
        Err(causeway_store::Error::Conflict { .. }) => Err(ScimError::UserTaken),
        done => Ok(done?),
    }
}

/// Makes a member what is wanted, and commits if anything changes.
async fn apply(mut held: Held, wanted: Wanted, now: Timestamp) -> Result<(), ScimError> {
    let Held { tx, member, .. } = &mut held;
    let workspace = member.workspace_id;
    let mut changed = Vec::new();
    if let Some(email) = wanted.email {
        address_may_change(tx, member).await?;
        email.as_str().clone_into(&mut member.email);
        changed.push("email".to_owned());
    }
    if let Some(name) = wanted.name {
        member.name = name;
        changed.push("name".to_owned());
    }
    if wanted.external_id.set(&mut member.external_id) {
        changed.push("external_id".to_owned());
    }
    let mut events = Events::new();
    if !changed.is_empty() {
        member.updated_at = now;
        taken(db!(tx, member::update(member)))?;
        events.push(Audit::MemberUpdated { member: member.id, changed });
    }
    if let Some(state) = wanted.state {
        let authority = Authority::Directory;
        set_state(&mut held, state, &authority, &mut events, now).await?;
    }
    let Held { mut tx, owners, .. } = held;
    owners.keep(&mut tx).await?;
    Ok(events.commit(tx, workspace, now).await?)
}

/// The place of an owner who has not come yet is taken by whoever proves to have its address: the
/// directory must not be able to choose another one.
async fn address_may_change(tx: &mut WriteTx, member: &Member) -> Result<(), ScimError> {
    if member.user_id.is_some() {
        return Ok(());
    }
    let held = db!(tx, member::held_roles(member.workspace_id, member.id))?;
    if held.iter().any(|held| held.role == Role::Owner) {
        return Err(ScimError::OwnersAddress);
    }
    Ok(())
}

async fn complete(
    conn: &mut ReadConn,
    member: &Member,
    relations: bool,
) -> Result<Resource, ScimError> {
    let mut resource = user::resource(member);
    if relations {
        let groups = db!(conn, group::of_member(member.workspace_id, member.id))?;
        resource.insert("groups".to_owned(), user::groups(&groups));
    }
    Ok(resource)
}

/// Finds the members that pass a filter: the one that it pins down, or else among all.
async fn passing(
    conn: &mut ReadConn,
    workspace: WorkspaceId,
    filter: &Filter,
    window: &mut Window<Member>,
) -> Result<(), ScimError> {
    let mut look = |found: Vec<Member>| {
        for member in found {
            if filter.passes(&user::resource(&member)) {
                window.add(member);
            }
        }
    };
    match filter.pinned() {
        Some(Pinned::Nothing) => {}
        Some(Pinned::Id(id)) => {
            if let Ok(id) = id.parse::<MemberId>() {
                look(db!(conn, member::get(workspace, id))?.into_iter().collect());
            }
        }
        Some(Pinned::Email(email)) => look(by_email(conn, workspace, &email).await?),
        None => {
            let mut after = MemberId::lowest();
            loop {
                let found = db!(conn, member::page(workspace, after, BATCH))?;
                let Some(last) = found.last() else { break };
                after = last.id;
                look(found);
            }
        }
    }
    Ok(())
}

async fn by_email(
    conn: &mut ReadConn,
    workspace: WorkspaceId,
    email: &Email,
) -> Result<Vec<Member>, ScimError> {
    Ok(db!(conn, member::by_email(workspace, email.as_str()))?.into_iter().collect())
}
