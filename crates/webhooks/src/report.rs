//! Reports of how connect sessions came out. Their words are the caller's; each names the session's
//! token in `connect_token`, by which its receiver knows it. That is a secret: nobody sees it who
//! looks at what was sent.

use causeway_types::entity::WebhookEvent;
use causeway_types::{ConnectSessionId, SecretBytes, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// What stands in place of a token.
const MASK: &str = "[redacted]";
/// Where a report names it.
const TOKEN: &str = "connect_token";

/// How a connect session came out, on its way to whoever waits for it.
pub struct Report {
    /// The session.
    pub session: ConnectSessionId,
    /// [`WebhookEvent::ConnectionSuccess`] or [`WebhookEvent::ConnectionError`].
    pub kind: WebhookEvent,
    /// The session's own receiver, beside the project webhook.
    pub url: Option<Url>,
    /// The body, JSON, with the session's token in `connect_token`.
    pub body: SecretBytes,
}

#[derive(Deserialize)]
struct Named {
    connect_token: SecretString,
}

/// The token that the body of a report names.
pub(crate) fn token_of(kind: WebhookEvent, body: &[u8]) -> Option<SecretString> {
    if !kind.is_report() {
        return None;
    }
    serde_json::from_slice::<Named>(body).ok().map(|named| named.connect_token)
}

/// Masks the token in the body of a report.
pub(crate) fn mask(kind: WebhookEvent, body: &mut Value) {
    if kind.is_report()
        && let Some(token) = body.get_mut(TOKEN)
    {
        *token = Value::from(MASK);
    }
}
