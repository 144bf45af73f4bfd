//! Why somebody was not signed in.

use crate::bootstrap::BootstrapError;
use crate::session::SessionError;
use crate::sso::{SsoError, SsoRefused};
use causeway_types::{Code, Coded, ProviderId};
use causeway_vault::VaultError;
use std::borrow::Cow;
use std::time::Duration;

/// A sign-in did not begin, or did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no such provider.
    #[error("finding the provider {0}")]
    UnknownProvider(ProviderId),
    /// The return path leads elsewhere, or nowhere.
    #[error("reading the return path: it must be a path of this server")]
    ReturnPath,
    /// What came back is not believed. The reason stands in the audit chain; whoever sent it is
    /// told none.
    #[error("completing a sign-in: {0}")]
    Refused(Refusal),
    /// The sign-in does not meet a workspace's rules.
    #[error(transparent)]
    Sso(#[from] SsoRefused),
    /// The person is known to the provider and has no place here.
    #[error("signing somebody in who has no place in any workspace")]
    NoPlace,
    /// The claim link or the invitation has been used, replaced, revoked or has expired.
    #[error("using a claim link or an invitation that works no more")]
    LinkSpent,
    /// The invitation is for another e-mail address.
    #[error("accepting an invitation with another e-mail address")]
    OtherAddress,
    /// Too many attempts.
    #[error("signing in: too many attempts")]
    Limited {
        /// When the next one is taken.
        retry_after: Duration,
    },
    /// The provider did not answer as it should.
    #[error("asking the identity provider")]
    Provider(#[source] crate::provider::AskError),
    /// A step-up without a session.
    #[error("stepping up a session")]
    Session(#[source] SessionError),
    /// A workspace's rules could not be read.
    #[error("reading a workspace's sign-in rules")]
    Rules(#[from] SsoError),
    /// The first workspace could not be made.
    #[error("making the first workspace")]
    Workspace(#[source] BootstrapError),
    /// The vault failed.
    #[error("opening the secrets of a sign-in")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing a sign-in")]
    Store(#[from] causeway_store::Error),
}

/// Why what came back is not believed: a word for the audit chain and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The state is missing, not one of ours, or not signed by this flow.
    State,
    /// The flow was finished, or its time is over.
    Spent,
    /// Another browser began the flow.
    Browser,
    /// The answer came to the callback of another realm.
    Realm,
    /// The answer names another issuer, or none where one is due (RFC 9207).
    Issuer,
    /// The provider, or the person there, said no.
    Denied,
    /// There is neither a code nor an error.
    NoCode,
    /// The provider does not take the code.
    Code,
    /// The ID token is missing or has not the form of one.
    Token,
    /// Its algorithm is not one that is taken.
    Algorithm,
    /// No key of the issuer fits it.
    Key,
    /// Its signature is wrong.
    Signature,
    /// It is from another issuer.
    TokenIssuer,
    /// It is for another client.
    Audience,
    /// It has expired, or is not valid yet.
    Time,
    /// It is not for this sign-in.
    Nonce,
    /// It does not belong to the access token.
    TokenHash,
    /// The subject is missing or malformed, or two answers name different ones.
    Subject,
    /// There is no e-mail address that the provider has verified.
    Unverified,
    /// The e-mail address is not one that Causeway takes.
    Email,
    /// The provider does not say that it authenticated the person again.
    Stale,
    /// Another person than the one whose session steps up.
    AnotherPerson,
    /// The provider knows the owner of the address by another subject.
    AnotherSubject,
    /// Another account of the realm has the address.
    AddressTaken,
    /// Another account is the member with this address.
    MemberTaken,
    /// The person is a member and was deactivated.
    Deactivated,
}

impl Refusal {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state_unknown",
            Self::Spent => "state_spent",
            Self::Browser => "another_browser",
            Self::Realm => "another_realm",
            Self::Issuer => "another_issuer",
            Self::Denied => "provider_refused",
            Self::NoCode => "code_missing",
            Self::Code => "code_refused",
            Self::Token => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Key => "token_key",
            Self::Signature => "token_signature",
            Self::TokenIssuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Time => "token_time",
            Self::Nonce => "token_nonce",
            Self::TokenHash => "token_hash",
            Self::Subject => "subject",
            Self::Unverified => "email_unverified",
            Self::Email => "email_invalid",
            Self::Stale => "not_authenticated_again",
            Self::AnotherPerson => "another_person",
            Self::AnotherSubject => "another_subject",
            Self::AddressTaken => "email_of_another_account",
            Self::MemberTaken => "member_of_another_account",
            Self::Deactivated => "member_deactivated",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SignInError {
    /// When the next attempt is taken, if there were too many.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// One word for the audit chain, if this is a refusal that belongs there.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.as_str()),
            Self::Sso(refused) => Some(refused.reason()),
            Self::NoPlace => Some("no_place"),
            Self::LinkSpent => Some("link_spent"),
            Self::OtherAddress => Some("invitation_of_another_address"),
            Self::Provider(_) => Some("provider_failed"),
            Self::Session(_) => Some("session_over"),
            _ => None,
        }
    }
}

impl From<Refusal> for SignInError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Coded for SignInError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownProvider(_) => Code::NotFound,
            Self::ReturnPath => Code::InvalidRequest,
            Self::Refused(_) => Code::SignInFailed,
            Self::Sso(source) => source.code(),
            Self::NoPlace | Self::OtherAddress => Code::Denied,
            Self::LinkSpent => Code::LinkSpent,
            Self::Limited { .. } => Code::RateLimited,
            Self::Provider(_) => Code::UpstreamFailed,
            Self::Session(source) => source.code(),
            Self::Rules(source) => source.code(),
            Self::Workspace(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownProvider(_) => "There is no such identity provider.".into(),
            Self::ReturnPath => {
                "The return path must be a path of this server, such as `/workflows`.".into()
            }
            Self::Refused(_) => {
                "The sign-in could not be completed. Start it again from the sign-in page; if it fails again, ask whoever runs this installation.".into()
            }
            Self::Sso(source) => source.public(),
            Self::NoPlace => {
                "Your identity provider knows you, but nobody has invited this account here. Ask for an invitation.".into()
            }
            Self::LinkSpent => "The link has been used, replaced or revoked, or has expired. Ask for a new one.".into(),
            Self::OtherAddress => {
                "The invitation is for another e-mail address. Sign in with the account that was invited.".into()
            }
            Self::Limited { retry_after } => format!(
                "There were too many attempts to sign in. Try again in {} seconds.",
                retry_after.as_secs().max(1)
            )
            .into(),
            Self::Provider(_) => {
                "The identity provider did not answer as it should. Try again; the server's log says what went wrong.".into()
            }
            Self::Session(source) => source.public(),
            Self::Rules(source) => source.public(),
            Self::Workspace(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}
