//! Invitations into a workspace: made, listed, revoked. Accepting one is signing in.

use crate::action::{ManageMembers, ReadMembers};
use crate::email::Email;
use crate::members::{Authority, Events, Members, MembersError, Thing, Twice};
use crate::permit::{Caller, Permit};
use crate::role_grants::check_project;
use crate::token::{self, Plain, TokenKey};
use causeway_store::{Audit, ReadConn, WriteTx, db};
use causeway_types::entity::{Invitation, MemberState, Role};
use causeway_types::{
    Actor, InvitationId, ProjectId, Randomness, SecretString, Timestamp, UserId, WorkspaceId,
};
use std::collections::HashMap;
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
    /// What whoever invites is called, if they are a person.
    pub inviter: Option<String>,
    /// What its link ends with.
    pub token: SecretString,
}

/// An invitation that is open.
#[derive(Debug, Clone)]
pub struct OpenInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// What whoever invited is called, if they are a person who is still known.
    pub inviter: Option<String>,
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
    ) -> Result<Vec<OpenInvitation>, MembersError> {
        let mut conn = self.store().read().await?;
        let now = self.clock().now();
        let open = db!(conn, invitation::open(permit.workspace(), now, after, limit))?;
        // A workspace has few people who invite.
        let mut names: HashMap<String, Option<String>> = HashMap::new();
        let mut all = Vec::with_capacity(open.len());
        for invitation in open {
            let inviter = match names.get(&invitation.invited_by) {
                Some(known) => known.clone(),
                None => inviter_of(&mut conn, &invitation).await?,
            };
            names.insert(invitation.invited_by.clone(), inviter.clone());
            all.push(OpenInvitation { invitation, inviter });
        }
        Ok(all)
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
        let inviter = match tx.actor() {
            Actor::User(id) => db!(tx, user::by_id(id))?.map(|user| user.name),
            _ => None,
        };
        Ok(MadeInvitation { invitation, inviter, token: plain.reveal() })
    }
}

/// What whoever invited is called. Programs have no name here, and the staff give none away.
pub(crate) async fn inviter_of(
    conn: &mut ReadConn,
    invitation: &Invitation,
) -> Result<Option<String>, causeway_store::Error> {
    let Ok(id) = invitation.invited_by.parse::<UserId>() else { return Ok(None) };
    Ok(db!(conn, user::by_id(id))?.map(|user| user.name).filter(|name| !name.is_empty()))
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
