//! How people come in: claim links, sign-ins under way, sessions.

use crate::column::words;
use crate::place::Sealed;
use crate::{ProviderId, SessionId, SignInFlowId, Timestamp, UserId, WorkspaceId};

words! {
    /// What a sign-in is for.
    SignInPurpose {
        /// To come in.
        SignIn = "sign_in",
        /// To prove again who one is, for something that demands it.
        StepUp = "step_up",
        /// To become the owner of a new installation.
        Claim = "claim",
        /// To accept an invitation.
        Invitation = "invitation",
    }
}

/// A round trip to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFlow {
    /// Its id.
    pub id: SignInFlowId,
    /// The workspace that owns the provider.
    pub workspace_id: WorkspaceId,
    /// The provider.
    pub provider_id: ProviderId,
    /// What it is for.
    pub purpose: SignInPurpose,
    /// The digest of the claim link or the invitation.
    pub purpose_digest: Option<Vec<u8>>,
    /// The session that steps up.
    pub session_id: Option<SessionId>,
    /// The digest of the cookie of the browser that began it.
    pub browser_digest: Vec<u8>,
    /// PKCE verifier and nonce, sealed.
    pub secrets: Sealed,
    /// Where the browser goes afterwards: a path of this server.
    pub return_path: String,
    /// When it began.
    pub created_at: Timestamp,
    /// Until when the provider's answer is accepted.
    pub expires_at: Timestamp,
    /// When the answer came.
    pub used_at: Option<Timestamp>,
}

/// A browser in which somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who.
    pub user_id: UserId,
    /// The provider that said so.
    pub provider_id: ProviderId,
    /// HMAC-SHA256 of the cookie.
    pub digest: Vec<u8>,
    /// The verified e-mail address that the provider gave, normalized.
    pub email: String,
    /// Google's `hd` claim.
    pub hosted_domain: Option<String>,
    /// How the provider authenticated: a JSON object with `amr` and `acr`.
    pub authentication: String,
    /// When the provider last did.
    pub authenticated_at: Timestamp,
    /// When it last did with more than one factor, by its own claims.
    pub mfa_at: Option<Timestamp>,
    /// The address that signed in.
    pub address: String,
    /// What the browser calls itself, cut to 200 characters.
    pub user_agent: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to a minute.
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// The link by which a new installation gets its first owner. One at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimLink {
    /// The digest of its token.
    pub token_digest: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub used_at: Option<Timestamp>,
}

/// A report of a vulnerability, readable only with the operator's PGP key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VulnerabilityReport {
    /// Its id.
    pub id: crate::ReportId,
    /// The encrypted message, ASCII-armored (RFC 9580 section 6.2).
    pub message: String,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was mailed, if it was.
    pub mailed_at: Option<Timestamp>,
}
