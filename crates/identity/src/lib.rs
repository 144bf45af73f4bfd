//! Who may do what.
//!
//! - A *token* is an unguessable text that Causeway hands out once and stores as a digest only:
//!   an API key, a machine client's secret, a connect link, a browser's cookie ([`token`]).
//! - A *caller* is whoever a request's API key or access token belongs to ([`Authenticator`]).
//! - *Machine access* is API keys, OAuth clients of programs, and their tokens ([`MachineAccess`]).
//! - A *permit* is the proof that a caller may do one kind of thing in one environment. What
//!   changes or reads a workspace's things demands it by type, and only this crate makes it
//!   ([`authorize`]).
//! - *Scopes* say what a program may do ([`Scopes`]); a *role* says what a member may ([`role`]).
//! - *Own keys* are those that Causeway signs with and digests tokens with ([`OwnKeys`]).
//! - A *provider* tells who somebody is; a *sign-in* is the round trip to it ([`SignIn`]), a
//!   *session* the browser in which it ended ([`Sessions`]). *Rules* say which sign-ins a workspace
//!   takes ([`SsoRules`]).
//! - A *member* is a person's place in a workspace, a *group* holds members, an *invitation* makes
//!   one ([`Members`]); the company's directory keeps them over SCIM ([`scim`]).
//! - *Bootstrap* makes the first workspace and the first key to it, on the machine itself.

pub mod action;
mod authenticate;
mod bootstrap;
mod claim;
mod denials;
mod email;
mod groups;
mod invitations;
mod machine;
mod members;
mod own_keys;
mod permit;
mod provider;
mod review;
pub mod role;
mod role_grants;
pub mod scim;
mod scope;
mod session;
mod sign_in;
mod sso;
mod staff;
pub mod token;
mod workspaces;

pub use authenticate::{AuthenticateError, Authenticator};
pub use bootstrap::{Bootstrap, BootstrapError, Installation, bootstrap};
pub use claim::{CLAIM_LIFETIME, ClaimError, NewClaimLink, is_claimed, make_claim_link};
pub use denials::{Denials, Recorder};
pub use email::{Email, EmailError, MAX_EMAIL, normalize_domain};
pub use groups::{GroupDetail, MAX_GROUP_MEMBERS, NewMembers};
pub use invitations::{
    INVITATION_LIFETIME, MAX_INVITATION_LIFETIME, MIN_INVITATION_LIFETIME, MadeInvitation,
    NewInvitation, OpenInvitation,
};
pub use machine::{
    ApiKeyView, AssertionError, ClientProof, GrantError, Granted, JwksError,
    MAX_ASSERTION_LIFETIME, MAX_KEYS, MAX_LIFETIME, MAX_OVERLAP, MAX_TOKEN, MIN_LIFETIME,
    MachineAccess, MachineClientView, MachineError, MachineParts, NewApiKey, NewMachineClient,
    OVERLAP, ProvenClient, RotatedApiKey, Rotation, TOKEN_LIFETIME, TokenRequest,
};
pub use members::{
    GroupOf, MAX_NAME, MemberDetail, Members, MembersError, MembersParts, Thing, Twice,
};
pub use own_keys::{OwnKeys, OwnKeysError, RotatedSigningKey, Signer, Verifier};
pub use permit::{Caller, Denied, DeniedReason, Permit, authorize};
pub use provider::{
    AskError, NewProvider, Offered, ProviderChange, ProviderError, ProviderView,
    delete_installation_provider, installation_providers, set_installation_provider,
};
pub use review::{
    AccessReview, GroupAccess, MemberAccess, ProgramAccess, RoleOf, StaffInside, UNUSED_AFTER,
    Usage,
};
pub use role_grants::{Grantee, NewRoleGrant};
pub use scope::{MAX_ENTRIES, ProxyRule, ScopeError, Scopes};
pub use session::{
    IDLE, MAX_USER_AGENT, Me, MyWorkspace, SessionError, SessionView, Sessions, WantedPlace,
};
pub use sign_in::{
    Arrived, Callback, InvitationView, Pruned, Purpose, Refusal, SignIn, SignInError, SignInParts,
    SignedIn, Visit,
};
pub use sso::{SsoError, SsoRefused, SsoRules, reset_sso_rules};
pub use staff::{
    AccessDecision, AccessError, AccessStanding, AccessView, DECIDED_WITHIN, MAX_MINUTES,
    MAX_REASON, MIN_REASON, NewAccess, STAFF_ROLES, StaffAccess,
};
pub use workspaces::{
    MAX_PROJECTS, MadeWorkspace, NewWorkspace, ProjectDetail, WorkspaceDetail, WorkspaceError,
};
