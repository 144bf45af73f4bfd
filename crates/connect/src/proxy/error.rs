//! Why a call was not made, or had no answer.

use super::target::TargetError;
use crate::apply::ApplyError;
use crate::error::CredentialError;
use causeway_identity::Denied;
use causeway_net::HttpError;
use causeway_types::{Code, Coded, ConnectionId};
use http::Method;
use std::borrow::Cow;
use std::time::Duration;

/// A call was not made, or the app gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The credential cannot be had.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The caller may not make it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The target is not called.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The app's row is gone.
    #[error("finding the row of `{app}`")]
    UnknownApp {
        /// The app's slug.
        app: String,
    },
    /// The connection's policy forbids it.
    #[error("making a {method} request that the connection's policy does not name")]
    Policy {
        /// The method.
        method: Method,
    },
    /// The connection's policy does not read.
    #[error("reading the policy of {connection}")]
    CorruptPolicy {
        /// The connection.
        connection: ConnectionId,
    },
    /// As many calls as allowed were made.
    #[error("calling {app} beyond its limit; again in {} s", wait.as_secs())]
    Limited {
        /// The app's name.
        app: String,
        /// When the next one can be made.
        wait: Duration,
        /// Whether the limit is the connection's own.
        own: bool,
    },
    /// The body is larger than one that is signed may be.
    #[error("keeping a body of more than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The caller's body broke off.
    #[error("reading the call's body")]
    BodyBroken,
    /// The credential cannot be put on the call.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The row's own headers cannot be put on the call, or it has been sent already.
    #[error("making a call to {app}")]
    Unsendable {
        /// The app's name.
        app: String,
    },
    /// The app was not reached, or gave no whole answer.
    #[error("calling {app}")]
    Http {
        /// The app's name.
        app: String,
        /// Why not.
        #[source]
        source: HttpError,
    },
    /// The store failed.
    #[error("reading the limits")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ProxyError {
    fn code(&self) -> Code {
        match self {
            Self::Credential(source) => source.code(),
            Self::Denied(source) => source.code(),
            Self::Target(TargetError::Host { .. }) => Code::HostNotAllowed,
            Self::Target(_) | Self::BodyBroken => Code::InvalidRequest,
            Self::UnknownApp { .. } => Code::UnknownApp,
            Self::Policy { .. } | Self::CorruptPolicy { .. } => Code::CallNotAllowed,
            Self::Limited { .. } => Code::RateLimited,
            Self::BodyTooLarge { .. } => Code::BodyTooLarge,
            Self::Apply(source) => source.code(),
            Self::Unsendable { .. } => Code::CredentialRefused,
            Self::Http { source: HttpError::Timeout { .. }, .. } => Code::UpstreamTimeout,
            Self::Http { .. } => Code::UpstreamFailed,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Credential(source) => source.public(),
            Self::Denied(source) => source.public(),
            Self::Target(TargetError::Form { why }) => {
                format!("The target cannot be called: {why}.").into()
            }
            Self::Target(TargetError::Host { host }) => format!(
                "`{host}` is not one of the app's hosts, so the credential is not sent there. `GET /api/v1/apps` lists them."
            )
            .into(),
            Self::Target(TargetError::Base) => {
                "The connection lacks a value of which the app's address is made. Connect it again.".into()
            }
            Self::UnknownApp { app } => {
                format!("The catalogue no longer has `{app}`. Bring its row back.").into()
            }
            Self::Policy { method } => format!(
                "The connection's policy does not name this {method} request. Change the policy or the request."
            )
            .into(),
            Self::CorruptPolicy { connection } => {
                format!("The policy of {connection} cannot be read, so nothing is allowed. Set it again.").into()
            }
            Self::Limited { app, wait, own } => {
                let whose = if *own { "The connection's policy" } else { app.as_str() };
                format!("{whose} allows no further call now. Try again in {} s.", wait.as_secs().max(1)).into()
            }
            Self::BodyTooLarge { limit } => format!(
                "The app wants requests signed with their body, so it has to fit into memory: at most {limit} bytes."
            )
            .into(),
            Self::BodyBroken => "The body ended before it was whole. Send it again.".into(),
            Self::Apply(source) => source.public(),
            Self::Unsendable { app } => format!(
                "A call to {app} cannot be made: the connection lacks a value that the app's headers need. Connect it again."
            )
            .into(),
            Self::Http { app, source } => format!("{app} gave no answer: {source}.").into(),
            Self::Store(source) => source.public(),
        }
    }
}
