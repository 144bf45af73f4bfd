//! Machine access: what programs come in with.
//!
//! - An *API key* is sent with every request. It opens one environment and carries [`Scopes`].
//! - A *machine client* is a program's OAuth client (RFC 6749 section 4.4). It proves itself with a
//!   secret or with a signed *assertion* (`private_key_jwt`, RFC 7523) and obtains an *access
//!   token*, a JWT that works for an hour ([`grant`](MachineAccess::grant)).
//! - Nobody gives a program more than they have ([`bounds`]), and what is taken away stops working
//!   at once on every node ([`causeway_store::Notices`]).

mod access_token;
mod api_keys;
mod assertion;
mod background;
mod bounds;
mod clients;
mod error;
mod grant;
mod jwk;
mod jws;
mod last_used;
mod memory;
mod refusals;

pub use api_keys::{ApiKeyView, NewApiKey, RotatedApiKey, Rotation};
pub use assertion::{AssertionError, MAX_ASSERTION_LIFETIME};
pub use clients::{MachineClientView, NewMachineClient};
pub use error::MachineError;
pub use grant::{ClientProof, GrantError, Granted, ProvenClient, TokenRequest};
pub use jwk::{JwksError, MAX_KEYS};
pub use jws::MAX_TOKEN;

pub(crate) use access_token::check as check_access_token;
pub(crate) use last_used::LastUsed;
pub(crate) use memory::{Known, Memory, Recalled};

use crate::own_keys::OwnKeys;
use causeway_store::Store;
use causeway_types::{Clock, NodeId, Randomness};
use refusals::Refusals;
use std::sync::Arc;
use std::time::Duration;

/// How long an access token works.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(1);
/// How long a rotated key goes on working if nothing else is said.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// The longest that it may.
pub const MAX_OVERLAP: Duration = Duration::from_hours(720);
/// The shortest life of a key that expires.
pub const MIN_LIFETIME: Duration = Duration::from_mins(1);
/// The longest: five years.
pub const MAX_LIFETIME: Duration = Duration::from_hours(43_800);
/// The longest name of a key or a client, in characters.
pub(crate) const MAX_NAME: usize = 64;

/// What machine access stands on.
pub struct MachineParts {
    /// The database.
    pub store: Store,
    /// The keys that sign tokens and digest secrets.
    pub keys: OwnKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For keys, secrets and ids.
    pub random: Arc<dyn Randomness>,
    /// The address under which the world reaches this server, without a slash at its end: the
    /// issuer and the audience of access tokens.
    pub issuer: String,
}

/// API keys, machine clients and access tokens. Cheap to clone.
#[derive(Clone)]
pub struct MachineAccess {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keys: OwnKeys,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    issuer: String,
    node: NodeId,
    used: LastUsed,
    refusals: Refusals,
}

impl MachineAccess {
    /// Puts the parts together.
    pub fn new(parts: MachineParts) -> Self {
        let MachineParts { store, keys, clock, random, issuer } = parts;
        let node = NodeId::generate(clock.now(), &*random);
        let (used, refusals) = (LastUsed::default(), Refusals::default());
        let inner = Inner { store, keys, clock, random, issuer, node, used, refusals };
        Self { inner: Arc::new(inner) }
    }

    /// What knows callers by their keys and tokens.
    pub fn authenticator(&self) -> crate::Authenticator {
        let inner = &self.inner;
        crate::Authenticator::new(
            inner.store.clone(),
            inner.keys.clone(),
            Arc::clone(&inner.clock),
            inner.issuer.clone(),
            inner.used.clone(),
        )
    }

    /// The public halves of the keys that access tokens are signed with, as a JWK Set (RFC 7517
    /// section 5): a key that was retired stays until the last of its tokens has ended.
    pub fn jwks(&self) -> serde_json::Value {
        jwk::own(&self.inner.keys, self.inner.clock.now())
    }

    /// The issuer of access tokens.
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }
}
