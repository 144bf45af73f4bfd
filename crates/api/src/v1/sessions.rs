//! The caller's own sessions: the browsers in which they are signed in.

pub(crate) mod list;
pub(crate) mod revoke;

use causeway_identity::SessionView;
use causeway_types::{ProviderId, SessionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A browser in which somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// Its id.
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    /// The identity provider that said who it is.
    provider_id: ProviderId,
    /// The e-mail address that the provider has verified.
    email: String,
    /// Whether the provider said that it saw more than one factor.
    mfa: bool,
    /// When the provider last authenticated the person.
    authenticated_at: Timestamp,
    /// The address that signed in.
    address: String,
    /// What the browser calls itself.
    user_agent: String,
    /// When it began.
    created_at: Timestamp,
    /// When it was used last, to a minute.
    last_seen_at: Timestamp,
    /// When it ends whatever happens.
    expires_at: Timestamp,
}

impl From<SessionView> for SessionBody {
    fn from(session: SessionView) -> Self {
        Self {
            id: session.id,
            current: session.current,
            provider_id: session.provider,
            email: session.email,
            mfa: session.mfa,
            authenticated_at: session.authenticated_at,
            address: session.address,
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
        }
    }
}
