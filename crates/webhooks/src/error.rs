//! Why something cannot be done with webhooks.

use crate::limits;
use crate::target::TargetError;
use causeway_identity::Denied;
use causeway_types::entity::WebhookEvent;
use causeway_types::{Code, Coded, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId};
use causeway_vault::VaultError;
use std::borrow::Cow;

/// An endpoint cannot be as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// The URL is not one that can be called.
    #[error("setting up a webhook endpoint: the URL cannot be called")]
    Url,
    /// The URL leads out of this machine without TLS.
    #[error("setting up a webhook endpoint: the URL has no TLS")]
    PlainHttp,
    /// The URL is too long.
    #[error("setting up a webhook endpoint: the URL is too long")]
    LongUrl,
    /// The description is too long, or holds control characters.
    #[error("setting up a webhook endpoint: the description cannot be kept")]
    Description,
    /// There is no such type of events.
    #[error("setting up a webhook endpoint: unknown type of events")]
    EventType,
    /// The environment has as many endpoints as it may have.
    #[error("setting up a webhook endpoint: there are too many")]
    TooMany,
}

impl InvalidEndpoint {
    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Url => {
                "`url` must be an absolute https URL without user, password and fragment.".into()
            }
            Self::PlainHttp => {
                "`url` must be https. Plain http is for a server on Causeway's own machine only: 127.0.0.1, [::1] or localhost.".into()
            }
            Self::LongUrl => format!("`url` has more than {} bytes.", limits::URL).into(),
            Self::Description => format!(
                "`description` has at most {} characters and no control characters.",
                limits::DESCRIPTION
            )
            .into(),
            Self::EventType => {
                let all = WebhookEvent::ALL.iter().filter(|one| !one.is_report());
                let names: Vec<_> = all.map(|one| one.as_str()).collect();
                format!("`event_types` may name each of these once: {}.", names.join(", ")).into()
            }
            Self::TooMany => format!(
                "An environment has at most {} webhook endpoints. Delete one that is not needed.",
                limits::ENDPOINTS
            )
            .into(),
        }
    }
}

/// Something cannot be done with webhooks.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no such endpoint.
    #[error("finding webhook endpoint {0}")]
    NoEndpoint(WebhookEndpointId),
    /// The environment has no project webhook.
    #[error("finding the project webhook")]
    NoProjectWebhook,
    /// There is no such message.
    #[error("finding webhook message {0}")]
    NoMessage(WebhookMessageId),
    /// There is no such delivery.
    #[error("finding webhook delivery {0}")]
    NoDelivery(WebhookDeliveryId),
    /// A disabled endpoint gets nothing.
    #[error("sending webhooks again to the disabled endpoint {0}")]
    Disabled(WebhookEndpointId),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidEndpoint),
    /// The caller is confined to some apps, and webhooks tell of all.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What an endpoint, a message or an attempt holds could not be read.
    #[error("reading what is sealed of webhooks: the record is corrupt")]
    Corrupt,
    /// The target could not be written.
    #[error("writing an endpoint's URL and secrets")]
    Target(#[source] serde_json::Error),
    /// Something could not be sealed or opened.
    #[error("sealing or opening what is kept of webhooks")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing webhooks")]
    Store(#[from] causeway_store::Error),
}

impl From<TargetError> for WebhookError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Vault(source) => Self::Vault(source),
            TargetError::Corrupt => Self::Corrupt,
        }
    }
}

impl Coded for WebhookError {
    fn code(&self) -> Code {
        match self {
            Self::NoEndpoint(_)
            | Self::NoProjectWebhook
            | Self::NoMessage(_)
            | Self::NoDelivery(_) => Code::NotFound,
            Self::Disabled(_) => Code::WebhookEndpointDisabled,
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Denied(source) => source.code(),
            Self::Corrupt | Self::Target(_) => Code::Internal,
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::NoEndpoint(id) => {
                format!("There is no webhook endpoint {id} in this environment.").into()
            }
            Self::NoProjectWebhook => {
                "This environment has no project webhook. Set one first.".into()
            }
            Self::NoMessage(id) => {
                format!("There is no webhook message {id} in this environment. What ended is deleted after a while.").into()
            }
            Self::NoDelivery(id) => {
                format!("There is no webhook delivery {id} in this environment. What ended is deleted after a while.").into()
            }
            Self::Disabled(id) => format!(
                "The endpoint {id} is disabled. Enable it first; that can also send again what it missed."
            )
            .into(),
            Self::Invalid(source) => source.public(),
            Self::Denied(source) => source.public(),
            Self::Corrupt | Self::Target(_) => {
                "What is kept of this webhook cannot be used. The server's log has the details under this request's id.".into()
            }
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}
