//! Invitations into a workspace: made, listed, revoked. Accepting one is signing in.

use crate::action::{ManageMembers, ReadMembers};
use crate::email::Email;
use crate::members::{Authority, Events, Members, MembersError, Thing, Twice};
use crate::permit::{Caller, Permit};
use crate::role_grants::check_project;
use crate::token::{self, Plain, TokenKey};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Invitation, MemberState, Role};
use causeway_types::{InvitationId, ProjectId, Randomness, SecretString, Timestamp, WorkspaceId};
use std::time::Duration;

/// How long an invitation is open, unless it says otherwise.
pub const INVITATION_LIFETIME: Duration = Duration::from_hours(168);
/// The longest that it can be.
pub const MAX_INVITATION_LIFETIME: Duration = Duration::from_hours(720);
/// The shortest.
pub const MIN_INVITATION_LIFETIME: Duration = Duration::from_hours(1);

/// Whom to invite, and as what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The e-mail address; whoever proves to have it may accept.
    pub email: String,
    /// The role that the new member gets.
    pub role: Role,
    /// Where it counts: None is all of the workspace.
    pub project: Option<ProjectId>,
    /// For how long it is open. None: [`INVITATION_LIFETIME`].
    pub lifetime: Option<Duration>,
}

/// An invitation with its link's token, which is nowhere else.
pub struct MadeInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// What its link ends with.
    pub token: SecretString,
}

impl Members {
    /// Invites somebody. Earlier open invitations for the same address are revoked, so that one
    /// link works at a time.
    ///
    /// # Errors
    /// [`MembersError::Email`]; [`MembersError::Lifetime`]; [`MembersError::Beyond`] if the caller
    /// has less than the role; [`MembersError::NotFound`] for the project;
    /// [`MembersError::Taken`] if there is such a member; [`MembersError::Store`].
    pub async fn invite(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        new: &NewInvitation,
    ) -> Result<MadeInvitation, MembersError> {
        let authority = Authority::of(permit, caller)?;
        let email: Email = new.email.parse().map_err(MembersError::Email)?;
        authority.may_give(new.role)?;
        let lifetime = new.lifetime.unwrap_or(INVITATION_LIFETIME);
        if !(MIN_INVITATION_LIFETIME..=MAX_INVITATION_LIFETIME).contains(&lifetime) {
            return Err(MembersError::Lifetime);
        }
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        db!(tx, audit::lock_head(workspace))?;
        check_project(&mut tx, workspace, new.project).await?;
        if let Some(member) = db!(tx, member::by_email(workspace, email.as_str()))? {
            return Err(MembersError::Taken(match member.state {
                MemberState::Active => Twice::ActiveMember,
                MemberState::Deactivated => Twice::DeactivatedMember,
            }));
        }
        let mut events = Events::new();
        for open in db!(tx, invitation::open_of(workspace, now, email.as_str(), ""))? {
            if db!(tx, invitation::revoke(workspace, open.id, now))? {
                events.push(Audit::InvitationRevoked { invitation: open.id });
            }
        }
        let given = Given { workspace, email: &email, role: new.role, project: new.project };
        let made = given.insert(&mut tx, self.token_key(), self.random(), now, lifetime).await?;
        events.push(invited(&made.invitation));
        events.commit(tx, workspace, now).await?;
        Ok(made)
    }

    /// A page of the invitations that are open, by id.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn invitations(
        &self,
        permit: &Permit<ReadMembers>,
        after: InvitationId,
        limit: i64,
    ) -> Result<Vec<Invitation>, MembersError> {
        let mut conn = self.store().read().await?;
        let now = self.clock().now();
        Ok(db!(conn, invitation::open(permit.workspace(), now, after, limit))?)
    }

    /// Revokes an open invitation: its link works no more.
    ///
    /// # Errors
    /// [`MembersError::NotFound`] if there is none, or it was accepted or revoked;
    /// [`MembersError::Beyond`] for an owner's, unless the caller is one; [`MembersError::Store`].
    pub async fn revoke_invitation(
        &self,
        permit: &Permit<ManageMembers>,
        caller: &Caller,
        id: InvitationId,
    ) -> Result<(), MembersError> {
        let authority = Authority::of(permit, caller)?;
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        db!(tx, audit::lock_head(workspace))?;
        let not_found = MembersError::NotFound { thing: Thing::Invitation };
        let Some(invitation) = db!(tx, invitation::get(workspace, id))? else {
            return Err(not_found);
        };
        authority.may_take(invitation.role)?;
        if !db!(tx, invitation::revoke(workspace, id, now))? {
            return Err(not_found);
        }
        Ok(tx.commit(workspace, now, Audit::InvitationRevoked { invitation: id }).await?)
    }
}

/// What an invitation gives.
pub(crate) struct Given<'a> {
    pub(crate) workspace: WorkspaceId,
    pub(crate) email: &'a Email,
    pub(crate) role: Role,
    pub(crate) project: Option<ProjectId>,
}

impl Given<'_> {
    /// Writes the invitation down. The transaction's actor is who invites.
    pub(crate) async fn insert(
        &self,
        tx: &mut WriteTx,
        token_key: &TokenKey,
        random: &dyn Randomness,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<MadeInvitation, MembersError> {
        let plain = Plain::<token::Invitation>::generate(random);
        let invitation = Invitation {
            id: InvitationId::generate(now, random),
            workspace_id: self.workspace,
            email: self.email.to_string(),
            role: self.role,
            project_id: self.project,
            token_digest: plain.keyed_digest(token_key).to_vec(),
            invited_by: tx.actor().to_string(),
            created_at: now,
            expires_at: now.plus(lifetime),
            accepted_at: None,
            revoked_at: None,
        };
        db!(tx, invitation::insert(&invitation))?;
        Ok(MadeInvitation { invitation, token: plain.reveal() })
    }
}

/// The event of an invitation.
pub(crate) fn invited(invitation: &Invitation) -> Audit {
    Audit::MemberInvited {
        invitation: invitation.id,
        email: invitation.email.clone(),
        role: invitation.role,
        project: invitation.project_id,
    }
}
