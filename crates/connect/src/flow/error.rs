//! Why a flow cannot begin or end.

use super::Callback;
use super::mcp::DiscoveryError;
use crate::create::CreateError;
use crate::error::InvalidInput;
use crate::limits::shown;
use crate::link::LinkError;
use crate::token_endpoint::EndpointError;
use causeway_catalog::App;
use causeway_types::entity::Scheme;
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
    /// The app is not connected in this way.
    #[error("beginning a flow at {app} by {scheme}")]
    UnsupportedScheme {
        /// The app's name.
        app: String,
        /// What was asked for.
        scheme: Scheme,
    },
    /// What the customer typed has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The company has set no client for the app.
    #[error("beginning a flow at {app} without an OAuth client")]
    MissingOAuthClient {
        /// The app's slug.
        app: String,
    },
    /// The company's client lacks something that the row names.
    #[error("beginning a flow at {app}: its client has no {what}")]
    Unconfigured {
        /// The app's name.
        app: String,
        /// What is missing.
        what: &'static str,
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
    /// The app was not reached.
    #[error("asking {app} for access")]
    TokenRequest {
        /// The app's name.
        app: String,
        /// Why.
        #[source]
        source: EndpointError,
    },
    /// The app did not give tokens.
    #[error("asking {app} for access: {sentence}")]
    TokenRefused {
        /// The app's name.
        app: String,
        /// What it said.
        sentence: String,
    },
    /// The MCP server does not say how one connects to it, or not as it should.
    #[error("finding out how to connect to {app}")]
    Discovery {
        /// The app's name.
        app: String,
        /// What is wrong.
        #[source]
        source: DiscoveryError,
    },
    /// The installation is not one of the company's app, as far as the app says.
    #[error("checking an installation at {app}")]
    NotOurInstallation {
        /// The app's name.
        app: String,
    },
    /// Another customer has a connection with this installation.
    #[error("connecting an installation at {app} that is another customer's")]
    AnothersInstallation {
        /// The app's name.
        app: String,
    },
    /// Somebody has to agree to the installation first.
    #[error("ending a flow at {app} before the installation was approved")]
    InstallationPending {
        /// The app's name.
        app: String,
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

impl FlowError {
    /// Whether it is the app, or what it was shown, that stood in the way: an attempt to connect
    /// that came to nothing, and not one that was never made.
    pub(crate) fn is_of_app(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::TokenRequest { .. }
                | Self::TokenRefused { .. }
                | Self::Discovery { .. }
                | Self::NotOurInstallation { .. }
                | Self::AnothersInstallation { .. }
                | Self::InstallationPending { .. }
                | Self::Create(CreateError::Mint(_) | CreateError::Verify(_))
        )
    }

    /// What an app sent a customer back with instead of what it was asked for, in its own words as
    /// far as it has any.
    pub(super) fn denied(app: &App, callback: &Callback) -> Self {
        Self::Denied {
            app: app.name.clone(),
            error: callback.error.as_deref().map_or_else(|| "denied".into(), |it| shown(it, 64)),
            description: callback.error_description.as_deref().map(|text| shown(text, 300)),
        }
    }
}

impl Coded for FlowError {
    fn code(&self) -> Code {
        match self {
            Self::Link(source) => source.code(),
            Self::UnsupportedScheme { .. } => Code::UnsupportedScheme,
            Self::Invalid(_) => Code::InvalidRequest,
            Self::MissingOAuthClient { .. } | Self::Unconfigured { .. } => Code::MissingOAuthClient,
            Self::State { .. } | Self::Issuer { .. } => Code::StateMismatch,
            Self::Expired => Code::ConnectLinkSpent,
            Self::Denied { .. }
            | Self::TokenRefused { .. }
            | Self::NotOurInstallation { .. }
            | Self::AnothersInstallation { .. }
            | Self::InstallationPending { .. } => Code::AuthorizationRefused,
            Self::TokenRequest { .. } | Self::Discovery { .. } => Code::UpstreamFailed,
            Self::Create(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Link(source) => source.public(),
            Self::UnsupportedScheme { app, scheme } => {
                format!("{app} cannot be connected by `{scheme}` here. Go back and choose another way.").into()
            }
            Self::Invalid(source) => source.public(),
            Self::MissingOAuthClient { app } => format!(
                "`{app}` cannot be connected yet: its OAuth client is missing. Tell whoever sent you the link."
            )
            .into(),
            Self::Unconfigured { app, what } => format!(
                "{app} cannot be connected yet: the {what} is missing in its OAuth client. Tell whoever sent you the link."
            )
            .into(),
            Self::State { .. } => {
                "This answer does not belong to a connection that was begun in this browser, or it was used before. Open your link again and start over."
                    .into()
            }
            Self::Expired => "Agreeing at the app took too long. Open your link again and start over.".into(),
            Self::Issuer { app } => format!(
                "The answer does not come from {app}. Nothing was connected. Open your link again and start over."
            )
            .into(),
            // The two words by which apps say that somebody said no (RFC 6749 section 4.1.2.1).
            Self::Denied { app, error, description: None }
                if matches!(error.as_str(), "access_denied" | "denied") =>
            {
                format!("{app} did not grant access: it was declined there, or your account may not give it. Nothing was connected. Open your link again to retry.").into()
            }
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
            Self::Discovery { app, source } => {
                format!("{app} does not say how to connect to it: {source}. Check its address, or ask whoever runs it.").into()
            }
            Self::NotOurInstallation { app } => format!(
                "{app} does not know this installation. Nothing was connected. Open your link again and install the app from there."
            )
            .into(),
            Self::AnothersInstallation { app } => format!(
                "This installation at {app} is connected for somebody else already. Ask whoever sent you the link to end that connection first."
            )
            .into(),
            Self::InstallationPending { app } => format!(
                "An administrator of your account at {app} has to approve the installation. Open your link again after that."
            )
            .into(),
            Self::Create(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}
