//! Why a flow cannot begin or end.

use crate::create::CreateError;
use crate::link::LinkError;
use crate::token_endpoint::EndpointError;
use causeway_types::{Code, Coded};
use causeway_vault::VaultError;
use std::borrow::Cow;

/// A flow cannot begin or end. The texts are for the customer; they are plain text and may hold
/// words of the app, bounded and on one line, so a page has to escape them.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The link cannot be used.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The app does not do OAuth.
    #[error("beginning a flow at {app}, which does not do OAuth")]
    NoOAuth {
        /// The app's slug.
        app: String,
    },
    /// The company has set no client for the app.
    #[error("beginning a flow at {app} without an OAuth client")]
    MissingOAuthClient {
        /// The app's slug.
        app: String,
    },
    /// The state is not one that this browser's session was given, or was answered before.
    #[error("matching an answer to a flow: {why}")]
    State {
        /// What does not match; for the log.
        why: &'static str,
    },
    /// The flow took too long.
    #[error("ending a flow after its time")]
    Expired,
    /// Another authorization server answered (RFC 9207).
    #[error("checking the issuer of an answer for {app}")]
    Issuer {
        /// The app's name.
        app: String,
    },
    /// The customer or the app said no.
    #[error("ending a flow at {app}: `{error}`")]
    Denied {
        /// The app's name.
        app: String,
        /// The error's code, in the app's words.
        error: String,
        /// More of the app's words.
        description: Option<String>,
    },
    /// The token endpoint was not reached.
    #[error("exchanging a code at {app}")]
    TokenRequest {
        /// The app's name.
        app: String,
        /// Why.
        #[source]
        source: EndpointError,
    },
    /// The token endpoint did not give tokens.
    #[error("exchanging a code at {app}: {sentence}")]
    TokenRefused {
        /// The app's name.
        app: String,
        /// What it said.
        sentence: String,
    },
    /// The connection cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The client's secret cannot be opened, or the flow's cannot be sealed.
    #[error("using the flow's secrets")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("writing the flow")]
    Store(#[from] causeway_store::Error),
}

impl Coded for FlowError {
    fn code(&self) -> Code {
        match self {
            Self::Link(source) => source.code(),
            Self::NoOAuth { .. } => Code::UnsupportedScheme,
            Self::MissingOAuthClient { .. } => Code::MissingOAuthClient,
            Self::State { .. } | Self::Issuer { .. } => Code::StateMismatch,
            Self::Expired => Code::ConnectLinkSpent,
            Self::Denied { .. } | Self::TokenRefused { .. } => Code::AuthorizationRefused,
            Self::TokenRequest { .. } => Code::UpstreamFailed,
            Self::Create(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Link(source) => source.public(),
            Self::NoOAuth { app } => format!("`{app}` is not connected by signing in there.").into(),
            Self::MissingOAuthClient { app } => format!(
                "`{app}` cannot be connected yet: its OAuth client is missing. Tell whoever sent you the link."
            )
            .into(),
            Self::State { .. } => {
                "This answer does not belong to a connection that was begun in this browser, or it was used before. Open your link again and start over."
                    .into()
            }
            Self::Expired => {
                "Signing in took longer than 15 minutes. Open your link again and start over.".into()
            }
            Self::Issuer { app } => format!(
                "The answer does not come from {app}. Nothing was connected. Open your link again and start over."
            )
            .into(),
            Self::Denied { app, error, description } => {
                let words = description.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
                format!("{app} did not grant access (`{error}`{words}). Open your link again to retry.").into()
            }
            Self::TokenRequest { app, source } => {
                format!("{app} could not be asked for access ({source}). Open your link again to retry.").into()
            }
            Self::TokenRefused { app, sentence } => {
                format!("{app} did not give access: {sentence}. Open your link again to retry.").into()
            }
            Self::Create(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}
