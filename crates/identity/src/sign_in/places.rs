//! The places that somebody has or gets in workspaces when they sign in.

use super::events::Events;
use super::{Inner, Refusal, SignInError};
use crate::email::Email;
use crate::sso::{Proof, SsoRefused, SsoRules, admits, judge};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{
    Invitation, Member, MemberOrigin, MemberState, Role, RoleGrant, User,
};
use causeway_types::{
    InvitationId, MemberId, ProjectId, Randomness, RoleGrantId, Timestamp, WorkspaceId,
};
use std::time::Duration;

/// Where somebody may stay, and for how long.
pub(super) struct Stay {
    /// The workspaces of which they are an active member.
    pub(super) places: Vec<WorkspaceId>,
    /// The longest that any of them lets the session last.
    pub(super) length: Duration,
}

/// A place to be given.
pub(crate) struct Seat<'a> {
    pub(crate) workspace: WorkspaceId,
    pub(crate) user: &'a User,
    pub(crate) origin: MemberOrigin,
    pub(crate) invitation: Option<InvitationId>,
    pub(crate) role: Role,
    pub(crate) project: Option<ProjectId>,
}

/// The workspaces of which somebody is an active member.
pub(super) async fn active(tx: &mut WriteTx, user: &User) -> Result<Vec<WorkspaceId>, SignInError> {
    let members = db!(tx, member::of_user(user.id))?;
    let active = members.into_iter().filter(|member| member.state == MemberState::Active);
    Ok(active.map(|member| member.workspace_id).collect())
}

/// Whether the sign-in opens anything at all: one that opens nothing is refused, with what the
/// first workspace demands, or else with what a prepared place does, or because there is none.
pub(super) async fn stay(
    tx: &mut WriteTx,
    user: &User,
    proof: &Proof,
    prepared: Option<SsoRefused>,
    now: Timestamp,
) -> Result<Stay, SignInError> {
    let places = active(tx, user).await?;
    let (mut length, mut refused) = (None, None);
    for workspace in &places {
        let rules = SsoRules::load_in(tx, *workspace).await?;
        match judge(&rules, *workspace, proof, now) {
            Ok(()) => length = length.max(Some(rules.session_length())),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match (length, refused.or(prepared)) {
        (Some(length), _) => Ok(Stay { places, length }),
        (None, Some(refused)) => Err(refused.into()),
        (None, None) => Err(SignInError::NoPlace),
    }
}

/// Takes the places that directories prepared for the address, where the workspace believes who
/// vouches for it. What the first demands that does not is given back.
pub(super) async fn take_up(
    tx: &mut WriteTx,
    user: &User,
    proof: &Proof,
    prepared: Vec<Member>,
    now: Timestamp,
    events: &mut Events,
) -> Result<Option<SsoRefused>, SignInError> {
    let mut refused = None;
    for place in prepared {
        let workspace = place.workspace_id;
        // Read again behind the lock: it may have been taken or withdrawn.
        let found = db!(tx, member::get(workspace, place.id))?;
        let Some(mut member) =
            found.filter(|one| one.user_id.is_none() && one.state == MemberState::Active)
        else {
            continue;
        };
        if db!(tx, member::by_user(workspace, user.id))?.is_some() {
            continue;
        }
        let rules = SsoRules::load_in(tx, workspace).await?;
        if let Err(refusal) = admits(&rules, workspace, proof) {
            refused = refused.or(Some(refusal));
            continue;
        }
        member.user_id = Some(user.id);
        member.updated_at = now;
        db!(tx, member::update(&member))?;
        events.push(workspace, joined(&member, None));
    }
    Ok(refused)
}

/// Accepts the invitation with this digest.
pub(super) async fn join(
    tx: &mut WriteTx,
    inner: &Inner,
    user: &User,
    proof: &Proof,
    digest: &[u8],
    now: Timestamp,
    events: &mut Events,
) -> Result<WorkspaceId, SignInError> {
    let found = db!(tx, invitation::by_digest(digest))?.ok_or(SignInError::LinkSpent)?;
    let workspace = found.workspace_id;
    if !is_open(&found, now) {
        return Err(SignInError::LinkSpent);
    }
    // The account has the address that the provider vouched for just now.
    let same = found.email.parse::<Email>().is_ok_and(|email| email.as_str() == user.email);
    if !same {
        return Err(SignInError::OtherAddress);
    }
    let rules = SsoRules::load_in(tx, workspace).await?;
    judge(&rules, workspace, proof, now)?;
    if !db!(tx, invitation::accept(workspace, found.id, now))? {
        return Err(SignInError::LinkSpent);
    }
    let seat = Seat {
        workspace,
        user,
        origin: MemberOrigin::Invitation,
        invitation: Some(found.id),
        role: found.role,
        project: found.project_id,
    };
    seat.give(tx, &*inner.random, now, events).await?;
    Ok(workspace)
}

/// Whether an invitation can still be accepted.
pub(super) fn is_open(invitation: &Invitation, now: Timestamp) -> bool {
    invitation.accepted_at.is_none()
        && invitation.revoked_at.is_none()
        && invitation.expires_at > now
}

impl Seat<'_> {
    /// Makes the person a member, if they are none, and gives them the role.
    pub(crate) async fn give(
        &self,
        tx: &mut WriteTx,
        random: &dyn Randomness,
        now: Timestamp,
        events: &mut Events,
    ) -> Result<(), SignInError> {
        let member = self.member(tx, random, now, events).await?;
        let held = db!(tx, role_grant::of_member(self.workspace, member))?;
        if held.iter().any(|one| one.role == self.role && one.project_id == self.project) {
            return Ok(());
        }
        let grant = RoleGrant {
            id: RoleGrantId::generate(now, random),
            workspace_id: self.workspace,
            member_id: Some(member),
            group_id: None,
            role: self.role,
            project_id: self.project,
            created_at: now,
        };
        db!(tx, role_grant::insert(&grant))?;
        let event = Audit::RoleGranted {
            grant: grant.id,
            member: grant.member_id,
            group: None,
            role: grant.role,
            project: grant.project_id,
        };
        events.push(self.workspace, event);
        Ok(())
    }

    async fn member(
        &self,
        tx: &mut WriteTx,
        random: &dyn Randomness,
        now: Timestamp,
        events: &mut Events,
    ) -> Result<MemberId, SignInError> {
        let by_user = db!(tx, member::by_user(self.workspace, self.user.id))?;
        let found = match by_user {
            Some(own) => Some(own),
            None => db!(tx, member::by_email(self.workspace, &self.user.email))?,
        };
        let Some(mut member) = found else {
            let member = Member {
                id: MemberId::generate(now, random),
                workspace_id: self.workspace,
                user_id: Some(self.user.id),
                email: self.user.email.clone(),
                name: self.user.name.clone(),
                external_id: None,
                origin: self.origin,
                state: MemberState::Active,
                created_at: now,
                updated_at: now,
                last_active_at: None,
            };
            db!(tx, member::insert(&member))?;
            events.push(self.workspace, joined(&member, self.invitation));
            return Ok(member.id);
        };
        // Whom an administrator or the directory shut out, no link lets in again.
        if member.state == MemberState::Deactivated {
            return Err(Refusal::Deactivated.into());
        }
        match member.user_id {
            Some(user) if user == self.user.id => {}
            // The same address, vouched for by the provider of another realm: another account.
            Some(_) => return Err(Refusal::MemberTaken.into()),
            None => {
                member.user_id = Some(self.user.id);
                member.updated_at = now;
                db!(tx, member::update(&member))?;
                events.push(self.workspace, joined(&member, self.invitation));
            }
        }
        Ok(member.id)
    }
}

fn joined(member: &Member, invitation: Option<InvitationId>) -> Audit {
    Audit::MemberJoined {
        member: member.id,
        user: member.user_id,
        email: member.email.clone(),
        invitation,
    }
}
