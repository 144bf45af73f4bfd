//! Invitations into the workspace.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use crate::Api;
use causeway_identity::{MadeInvitation, OpenInvitation};
use causeway_types::entity::Role;
use causeway_types::{InvitationId, ProjectId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// An open invitation, without its link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationBody {
    /// Its id.
    id: InvitationId,
    /// The e-mail address that it is for.
    email: String,
    /// The role that it gives.
    role: Role,
    /// The project in which the role counts; null for all of the workspace.
    project_id: Option<ProjectId>,
    /// Who invited, as the audit chain names them.
    invited_by: String,
    /// What whoever invited is called, if they are a person who is still known.
    inviter: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// Until when it can be accepted.
    expires_at: Timestamp,
}

impl From<OpenInvitation> for InvitationBody {
    fn from(OpenInvitation { invitation, inviter }: OpenInvitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            project_id: invitation.project_id,
            invited_by: invitation.invited_by,
            inviter,
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// An invitation with its link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeInvitation)]
pub(crate) struct MadeInvitationBody {
    /// The invitation.
    invitation: InvitationBody,
    /// The link for whoever is invited. It is shown this once, and works once.
    url: String,
}

impl MadeInvitationBody {
    pub(crate) fn of(api: &Api, made: MadeInvitation) -> Self {
        let url = link_of(api, &made);
        let MadeInvitation { invitation, inviter, .. } = made;
        Self { invitation: OpenInvitation { invitation, inviter }.into(), url }
    }
}

/// The link for whoever is invited.
pub(crate) fn link_of(api: &Api, made: &MadeInvitation) -> String {
    api.public(&format!("/auth/invitations/{}", made.token.expose()))
}
