//! Errors that several operations share.

use crate::news::NewsError;
use crate::token_endpoint::EndpointError;
use causeway_types::{Code, Coded, ConnectionId, Timestamp};
use causeway_vault::VaultError;
use std::borrow::Cow;

/// A field of a request that has the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading `{field}`: {message}")]
pub struct InvalidInput {
    /// The field.
    pub field: String,
    /// What is wrong and what to send. It does not repeat what was sent.
    pub message: Cow<'static, str>,
}

impl InvalidInput {
    pub(crate) fn new(field: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }

    /// The sentence for whoever sent it.
    pub fn public(&self) -> Cow<'static, str> {
        format!("`{}`: {}.", self.field, self.message).into()
    }
}

/// A credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no such connection in this environment.
    #[error("finding the connection")]
    Unknown,
    /// The customer has to connect again.
    #[error("using {connection}: it needs its customer ({reason})")]
    NeedsReauth {
        /// The connection.
        connection: ConnectionId,
        /// Why: a code and a sentence.
        reason: String,
    },
    /// The access token has expired and cannot be renewed just now.
    #[error("using {connection}: renewing it failed and is tried again at {retry_at}")]
    Failing {
        /// The connection.
        connection: ConnectionId,
        /// Why: a code and a sentence.
        reason: String,
        /// When the next attempt is made.
        retry_at: Timestamp,
    },
    /// Another node holds the lease on the refresh and did not end in time.
    #[error("waiting for the refresh of {connection} on another node")]
    Busy {
        /// The connection.
        connection: ConnectionId,
    },
    /// The app's row, or its OAuth client, is gone.
    #[error("refreshing {connection}: {what}")]
    Unconfigured {
        /// The connection.
        connection: ConnectionId,
        /// What is missing and how to bring it back.
        what: Cow<'static, str>,
    },
    /// The refresh was stopped: the process is ending.
    #[error("refreshing {connection} while the process ends")]
    Stopped {
        /// The connection.
        connection: ConnectionId,
    },
    /// The request to the token endpoint could not be built.
    #[error("asking the token endpoint")]
    Endpoint(#[source] EndpointError),
    /// Nobody could be told how the connection is now.
    #[error(transparent)]
    News(#[from] NewsError),
    /// The credential could not be opened or sealed.
    #[error("opening the credential")]
    Vault(#[from] VaultError),
    /// The stored credential does not read: a defect.
    #[error("reading the stored credential of {connection}")]
    Corrupt {
        /// The connection.
        connection: ConnectionId,
    },
    /// The store failed.
    #[error("reading the connection")]
    Store(#[from] causeway_store::Error),
}

impl Coded for CredentialError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::NeedsReauth { .. } => Code::NeedsReauth,
            Self::Failing { .. } => Code::UpstreamFailed,
            Self::Busy { .. } => Code::StoreUnavailable,
            Self::Unconfigured { .. } => Code::MissingOAuthClient,
            Self::Stopped { .. } => Code::ShuttingDown,
            Self::Endpoint(_) | Self::Corrupt { .. } => Code::Internal,
            Self::News(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no connection of this name or id in this environment.".into(),
            Self::NeedsReauth { connection, reason } => format!(
                "The connection {connection} has to be connected again: {reason} Make a connect link with `reconnect_id` for it."
            )
            .into(),
            Self::Failing { connection, reason, retry_at } => format!(
                "The access token of {connection} has expired and could not be renewed: {reason} The next attempt is at {retry_at}."
            )
            .into(),
            Self::Busy { connection } => format!(
                "Another node is still renewing the access token of {connection}. Try again in a few seconds."
            )
            .into(),
            Self::Unconfigured { what, .. } => what.clone(),
            Self::Stopped { .. } => "The server is stopping. Try again in a few seconds.".into(),
            Self::Endpoint(_) | Self::Corrupt { .. } => {
                "The connection cannot be used. The server's log has the details under this request's id."
                    .into()
            }
            Self::News(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}
