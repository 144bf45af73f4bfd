//! People: who they are, and what they are in a workspace.

use crate::column::words;
use crate::place::Sealed;
use crate::{
    AccessRequestId, GroupId, InvitationId, MemberId, ProjectId, ProviderId, RoleGrantId,
    Timestamp, UserId, WorkspaceId,
};

words! {
    /// How a provider is spoken to.
    ProviderKind {
        /// Google: OpenID Connect with the `hd` claim.
        Google = "google",
        /// GitHub: OAuth 2.0 and its REST API.
        Github = "github",
        /// Any other OpenID Connect issuer.
        Oidc = "oidc",
    }
}

/// A service that tells who somebody is. One of the installation's may be used by every workspace;
/// one of a workspace's is believed in that workspace only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// Its id.
    pub id: ProviderId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// What the button says.
    pub name: String,
    /// Its issuer: the base address of its discovery document, or of GitHub.
    pub issuer: String,
    /// Causeway's client id there.
    pub client_id: String,
    /// Causeway's client secret there, sealed.
    pub secret: Sealed,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A person, as the providers of one realm know them. The realm is the workspace that owns the
/// providers: the installation, or the one workspace that they are believed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The realm.
    pub workspace_id: WorkspaceId,
    /// The verified e-mail address, normalized.
    pub email: String,
    /// What the provider calls them.
    pub name: String,
    /// When they came for the first time.
    pub created_at: Timestamp,
    /// When they signed in last.
    pub signed_in_at: Timestamp,
}

words! {
    /// What a member may do, in all of a workspace or in one project.
    Role {
        /// Everything, other owners included.
        Owner = "owner",
        /// Everything but what only owners decide.
        Admin = "admin",
        /// Builds: workflows, connections, machine access.
        Developer = "developer",
        /// Keeps things running: looks, runs, replays, reconnects.
        Operator = "operator",
        /// Looks at what runs.
        Viewer = "viewer",
        /// Looks at who may do what and who did what.
        Auditor = "auditor",
    }
}

words! {
    /// How somebody became a member.
    MemberOrigin {
        /// By the claim link of the installation.
        Claim = "claim",
        /// By an invitation.
        Invitation = "invitation",
        /// By the company's directory, over SCIM.
        Scim = "scim",
    }
}

words! {
    /// Whether a member may come in.
    MemberState {
        /// May.
        Active = "active",
        /// May not, and keeps their place.
        Deactivated = "deactivated",
    }
}

/// A person's place in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The person, once they have signed in.
    pub user_id: Option<UserId>,
    /// Their e-mail address, normalized.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What the company's directory calls them (SCIM's `externalId`).
    pub external_id: Option<String>,
    /// How they became a member.
    pub origin: MemberOrigin,
    /// Whether they may come in.
    pub state: MemberState,
    /// When they became a member.
    pub created_at: Timestamp,
    /// When this was changed last.
    pub updated_at: Timestamp,
    /// When they last did something here, to a minute.
    pub last_active_at: Option<Timestamp>,
}

/// A group of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// What the company's directory calls it (SCIM's `externalId`).
    pub external_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A role given to a member or a group: exactly one of the two is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrant {
    /// Its id.
    pub id: RoleGrantId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The member.
    pub member_id: Option<MemberId>,
    /// The group.
    pub group_id: Option<GroupId>,
    /// The role.
    pub role: Role,
    /// Where it counts: None is all of the workspace.
    pub project_id: Option<ProjectId>,
    /// When it was given.
    pub created_at: Timestamp,
}

/// A role that somebody holds, with where it counts: what an authorization needs of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeldRole {
    /// The role.
    pub role: Role,
    /// Where it counts: None is all of the workspace.
    pub project_id: Option<ProjectId>,
}

/// An invitation into a workspace, for one e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Whom it is for: the e-mail address, normalized.
    pub email: String,
    /// The role that it gives.
    pub role: Role,
    /// Where the role counts: None is all of the workspace.
    pub project_id: Option<ProjectId>,
    /// The digest of the link's token.
    pub token_digest: Vec<u8>,
    /// Who invited, as the audit chain names him.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted, if it was.
    pub accepted_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

words! {
    /// How far a request for access is.
    AccessState {
        /// Waits for a decision.
        Pending = "pending",
        /// Approved; it counts until its time is over.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
        /// Ended before its time, by whoever asked or whoever may decide.
        Ended = "ended",
    }
}

/// A staff member's request for access to a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Its id.
    pub id: AccessRequestId,
    /// The workspace whose contents are asked for.
    pub workspace_id: WorkspaceId,
    /// Who asks.
    pub user_id: UserId,
    /// The role that is asked for.
    pub role: Role,
    /// Why.
    pub reason: String,
    /// For how many minutes, from the approval on.
    pub minutes: i64,
    /// How far it is.
    pub state: AccessState,
    /// When it was made.
    pub requested_at: Timestamp,
    /// Who decided, as the audit chain names him.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Until when an approval counts.
    pub expires_at: Option<Timestamp>,
    /// When it was ended early.
    pub ended_at: Option<Timestamp>,
}
