//! Removing, deactivating and reactivating members.

use super::{Authority, Members, MembersError, Owners, Thing};
use crate::action::{ManageMembers, ReadWorkspace};
use crate::permit::{Caller, Permit};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Member, MemberState};
use causeway_types::{Actor, MemberId, Timestamp, WorkspaceId};

/// The events of a change, the most telling last.
pub(crate) struct Events(Vec<Audit>);

impl Events {
    /// No event yet.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub(crate) fn push(&mut self, event: Audit) {
        self.0.push(event);
    }

    /// Writes them and commits. Without any, rolls back.
    pub(crate) async fn commit(
        mut self,
        mut tx: WriteTx,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<(), MembersError> {
        let Some(last) = self.0.pop() else { return Ok(()) };
        for event in self.0 {
            tx.record(workspace, now, event).await?;
        }
        Ok(tx.commit(workspace, now, last).await?)
    }
}

impl Members {
    /// Removes a member with their roles, their places in groups and the open invitations that
    /// are for them or by them, and ends their sessions.
    ///
    /// # Errors
    /// [`MembersError::NotFound`]; [`MembersError::Beyond`] for an owner, unless the caller is
    /// one; [`MembersError::LastOwner`]; [`MembersError::Store`].
    pub async fn remove_member(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: MemberId,
    ) -> Result<(), MembersError> {
        let authority = Authority::of(permit, caller)?;
        self.remove(permit.actor(), permit.workspace(), id, &authority).await
    }

    /// Removes the caller, who is a person, from the workspace.
    ///
    /// # Errors
    /// [`MembersError::NoMember`] for whoever is no member; [`MembersError::LastOwner`];
    /// [`MembersError::Store`].
    pub async fn leave(&self, permit: &Permit<ReadWorkspace>) -> Result<(), MembersError> {
        let workspace = permit.workspace();
        let Actor::User(user) = permit.actor() else { return Err(MembersError::NoMember) };
        let now = self.clock().now();
        let mut tx = self.store().write(permit.actor()).await?;
        // Somebody who is a member elsewhere goes on there, in the same browser.
        let places = db!(tx, member::of_user(user))?;
        let elsewhere = places.iter().any(|place| place.workspace_id != workspace);
        let ended = if elsewhere { 0 } else { db!(tx, session::revoke_all(user, now))? };
        let owners = Owners::lock(&mut tx, workspace).await?;
        let member = db!(tx, member::by_user(workspace, user))?.ok_or(MembersError::NoMember)?;
        let mut events = Events::new();
        withdraw_invitations(&mut tx, &member, &mut events, now).await?;
        db!(tx, member::delete(workspace, member.id))?;
        owners.keep(&mut tx).await?;
        events.push(removed(member, ended));
        events.commit(tx, workspace, now).await
    }

    /// Lets a member come in no more, and ends their sessions. They keep their place and roles.
    ///
    /// # Errors
    /// As [`remove_member`](Self::remove_member).
    pub async fn deactivate_member(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: MemberId,
    ) -> Result<Member, MembersError> {
        self.change_state(permit, caller, id, MemberState::Deactivated).await
    }

    /// Lets a member come in again, with the roles that they had.
    ///
    /// # Errors
    /// As [`remove_member`](Self::remove_member); [`MembersError::Beyond`] also for a program that
    /// may not give all of the member's roles.
    pub async fn reactivate_member(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: MemberId,
    ) -> Result<Member, MembersError> {
        self.change_state(permit, caller, id, MemberState::Active).await
    }

    async fn change_state(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: MemberId,
        state: MemberState,
    ) -> Result<Member, MembersError> {
        let authority = Authority::of(permit, caller)?;
        let workspace = permit.workspace();
        let now = self.clock().now();
        let ends = state == MemberState::Deactivated;
        let mut held = self.hold(permit.actor(), workspace, id, ends, now).await?;
        let mut events = Events::new();
        set_state(&mut held, state, &authority, &mut events, now).await?;
        let Held { mut tx, member, owners, .. } = held;
        owners.keep(&mut tx).await?;
        events.commit(tx, workspace, now).await?;
        Ok(member)
    }

    /// Takes hold of a member, and ends their sessions if they are to be put out: that comes
    /// first, as [`Owners::lock`] says. A refusal rolls it back.
    pub(crate) async fn hold(
        &self,
        actor: Actor,
        workspace: WorkspaceId,
        id: MemberId,
        ends_sessions: bool,
        now: Timestamp,
    ) -> Result<Held, MembersError> {
        let not_found = || MembersError::NotFound { thing: Thing::Member };
        loop {
            let mut tx = self.store().write(actor).await?;
            let seen = db!(tx, member::get(workspace, id))?.ok_or_else(not_found)?;
            let ended = if ends_sessions { end_sessions(&mut tx, &seen, now).await? } else { 0 };
            let owners = Owners::lock(&mut tx, workspace).await?;
            let member = db!(tx, member::get(workspace, id))?.ok_or_else(not_found)?;
            // Somebody who signed in meanwhile, or took the place: their sessions are not to be
            // written now that the chain is locked, so it begins anew.
            if !(ends_sessions && is_signed_in(&mut tx, &member, now).await?) {
                return Ok(Held { tx, member, owners, ended });
            }
        }
    }

    /// Removes a member and commits.
    pub(crate) async fn remove(
        &self,
        actor: Actor,
        workspace: WorkspaceId,
        id: MemberId,
        authority: &Authority<'_>,
    ) -> Result<(), MembersError> {
        let now = self.clock().now();
        let Held { mut tx, member, owners, ended } =
            self.hold(actor, workspace, id, true, now).await?;
        authority.may_take_all(&db!(tx, member::held_roles(workspace, id))?)?;
        let mut events = Events::new();
        withdraw_invitations(&mut tx, &member, &mut events, now).await?;
        db!(tx, member::delete(workspace, id))?;
        owners.keep(&mut tx).await?;
        events.push(removed(member, ended));
        events.commit(tx, workspace, now).await
    }
}

/// A member whom nobody else changes until the transaction ends.
pub(crate) struct Held {
    pub(crate) tx: WriteTx,
    pub(crate) member: Member,
    pub(crate) owners: Owners,
    /// How many of their sessions were ended.
    ended: u64,
}

/// Changes a member's state; whoever is put out was taken hold of for that. Whoever calls counts
/// the owners and commits.
pub(crate) async fn set_state(
    held: &mut Held,
    state: MemberState,
    authority: &Authority<'_>,
    events: &mut Events,
    now: Timestamp,
) -> Result<(), MembersError> {
    let Held { tx, member, ended, .. } = held;
    if member.state == state {
        return Ok(());
    }
    let roles = db!(tx, member::held_roles(member.workspace_id, member.id))?;
    match state {
        MemberState::Active => authority.may_give_all(&roles)?,
        MemberState::Deactivated => authority.may_take_all(&roles)?,
    }
    member.state = state;
    member.updated_at = now;
    let event = match state {
        MemberState::Active => Audit::MemberReactivated { member: member.id },
        MemberState::Deactivated => {
            withdraw_invitations(tx, member, events, now).await?;
            Audit::MemberDeactivated { member: member.id, sessions_ended: counted(*ended) }
        }
    };
    db!(tx, member::update(member))?;
    events.push(event);
    Ok(())
}

/// Revokes the open invitations for a member's address, and those that they made: who is out must
/// not have left a door open.
pub(crate) async fn withdraw_invitations(
    tx: &mut WriteTx,
    member: &Member,
    events: &mut Events,
    now: Timestamp,
) -> Result<(), MembersError> {
    let workspace = member.workspace_id;
    let inviter = member.user_id.map(|user| Actor::User(user).to_string()).unwrap_or_default();
    for open in db!(tx, invitation::open_of(workspace, now, &member.email, &inviter))? {
        if db!(tx, invitation::revoke(workspace, open.id, now))? {
            events.push(Audit::InvitationRevoked { invitation: open.id });
        }
    }
    Ok(())
}

/// Ends all sessions of the person, wherever else they are a member: who was put out signs in
/// again, and only where they still may.
async fn end_sessions(
    tx: &mut WriteTx,
    member: &Member,
    now: Timestamp,
) -> Result<u64, MembersError> {
    match member.user_id {
        Some(user) => Ok(db!(tx, session::revoke_all(user, now))?),
        None => Ok(0),
    }
}

/// Whether the person has a session that is open.
async fn is_signed_in(
    tx: &mut WriteTx,
    member: &Member,
    now: Timestamp,
) -> Result<bool, MembersError> {
    let Some(user) = member.user_id else { return Ok(false) };
    Ok(!db!(tx, session::open(user, now))?.is_empty())
}

fn removed(member: Member, ended: u64) -> Audit {
    Audit::MemberRemoved { member: member.id, email: member.email, sessions_ended: counted(ended) }
}

fn counted(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
