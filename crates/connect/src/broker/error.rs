//! Why a request of a step's code was not sent, or has no answer.

use crate::error::CredentialError;
use crate::proxy::ProxyError;
use causeway_types::Coded;
use std::time::Duration;

/// A request was not sent, or has no answer. The text is for the author of the code.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The proxy's own reasons.
    #[error("{}", .0.public())]
    Proxy(#[source] ProxyError),
    /// A placeholder stands where no credential of its account belongs.
    #[error(
        "the placeholder of `{account}` stands in {place} of a request to {host}, so the request \
         was refused and recorded. {}",
        belonging(belongs)
    )]
    Misplaced {
        /// The connection's name.
        account: String,
        /// The host of the request.
        host: String,
        /// Where it stands.
        place: String,
        /// Where it belongs; empty if nowhere.
        belongs: String,
    },
    /// A request to an app's host has no credential.
    #[error(
        "the request to {host} has no credential of `{account}` in it, so it was not sent. Send \
         what `$auth` holds in this invocation (not what an earlier one left in memory), or add \
         `egress: [{host}]` to workflow.yaml for requests that need no account"
    )]
    NoCredential {
        /// The host.
        host: String,
        /// The connection's name.
        account: String,
    },
    /// Placeholders of two accounts stand in one request.
    #[error("the request holds the placeholders of two accounts: send a request for each")]
    TwoAccounts,
    /// The app's requests are signed.
    #[error(
        "{app} wants each request signed with the credential, which a placeholder cannot do: link \
         it with `{{ name: …, expose: true }}` in workflow.yaml"
    )]
    Signed {
        /// The app's slug.
        app: String,
    },
    /// The answer is compressed although that was not asked for.
    #[error(
        "{app} answered in the encoding `{encoding}`, although asked for none, so the answer \
         cannot be searched for the credential and is not passed on"
    )]
    Encoded {
        /// The app's slug.
        app: String,
        /// The encoding.
        encoding: String,
    },
    /// The credential is too large to be searched for.
    #[error("the credential is too large to be searched for in the app's answers")]
    TooLarge,
    /// The request's URL cannot be read, or is not at a linked app's host any more.
    #[error("the request's URL is not one of a linked app")]
    Unreadable,
}

impl<E: Into<ProxyError>> From<E> for BrokerError {
    fn from(error: E) -> Self {
        Self::Proxy(error.into())
    }
}

impl BrokerError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Proxy(source) => source.code().as_str(),
            Self::Misplaced { .. } => "placeholder_misplaced",
            Self::NoCredential { .. } => "credential_missing",
            Self::TwoAccounts => "two_accounts",
            Self::Signed { .. } => "credential_must_be_exposed",
            Self::Encoded { .. } => "answer_encoded",
            Self::TooLarge => "credential_too_large",
            Self::Unreadable => "invalid_request",
        }
    }

    /// What the code is answered.
    pub fn status(&self) -> u16 {
        match self {
            // 401 would make libraries believe that the app refuses the credential, and log out.
            Self::Proxy(ProxyError::Credential(CredentialError::NeedsReauth { .. }))
            | Self::Misplaced { .. }
            | Self::NoCredential { .. }
            | Self::Signed { .. } => 403,
            Self::Proxy(source) => source.code().kind().status(),
            Self::TwoAccounts | Self::Unreadable => 400,
            Self::Encoded { .. } => 502,
            Self::TooLarge => 500,
        }
    }

    /// When the same request may be sent again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Proxy(ProxyError::Limited { wait, .. }) => Some(*wait),
            _ => None,
        }
    }
}

fn belonging(places: &str) -> String {
    if places.is_empty() {
        return "No request carries this value.".to_owned();
    }
    format!("It belongs into {places}, at the app's own hosts.")
}
