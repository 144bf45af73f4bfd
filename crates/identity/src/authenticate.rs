//! From a request's `Authorization` header to a caller.

use crate::permit::Caller;
use crate::scope::Scopes;
use crate::token::{self, Digest, Plain, TokenKey};
use causeway_store::{Store, db};
use causeway_types::entity::ApiKey;
use causeway_types::{Clock, Code, Coded, Timestamp};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a key that was found is believed without asking the database: the longest time that
/// a revoked key goes on working.
const BELIEVED: Duration = Duration::from_secs(3);
/// Keys remembered at most.
const REMEMBERED: usize = 10_000;

/// Knows callers by their API keys. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    token_key: TokenKey,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<[u8; 32], Known>>>,
}

#[derive(Clone)]
struct Known {
    key: Arc<ApiKey>,
    scopes: Arc<Scopes>,
    read_at: Timestamp,
}

/// A request whose sender is not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// There is no `Authorization` header, or it is not `Bearer` and a token.
    #[error("reading the Authorization header: it is missing or not `Bearer`")]
    Missing,
    /// The token is not an API key: its form or its checksum is wrong. No query was made.
    #[error("reading the API key")]
    Malformed(#[source] token::MalformedToken),
    /// The key is unknown, expired or revoked. Which of them is not told.
    #[error("looking up the API key: it is unknown, expired or revoked")]
    Refused,
    /// The key's scopes are damaged.
    #[error("reading the API key's scopes")]
    Scopes(#[source] serde_json::Error),
    /// The store failed.
    #[error("looking up the API key")]
    Store(#[source] causeway_store::Error),
}

impl Coded for AuthenticateError {
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Malformed(_) | Self::Refused => Code::Unauthenticated,
            Self::Scopes(_) => Code::Internal,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Missing => "Send the API key as `Authorization: Bearer cwk_…`.".into(),
            Self::Malformed(_) => {
                "The API key is mistyped or cut off: it is `cwk_` and 60 characters with a checksum."
                    .into()
            }
            Self::Refused => {
                "The API key is unknown, expired or revoked. `causeway bootstrap` on the server's machine makes a new one."
                    .into()
            }
            Self::Scopes(_) => "The record of this API key is damaged. Make a new key.".into(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Authenticator {
    /// Looks keys up in `store`.
    pub fn new(store: Store, token_key: TokenKey, clock: Arc<dyn Clock>) -> Self {
        Self { store, token_key, clock, known: Arc::default() }
    }

    /// Finds the caller by the value of the `Authorization` header.
    ///
    /// A key found is believed for 3 s before the database is asked again; its expiry counts at
    /// once all the same.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    pub async fn authenticate(&self, header: Option<&str>) -> Result<Caller, AuthenticateError> {
        let (scheme, text) =
            header.and_then(|value| value.split_once(' ')).ok_or(AuthenticateError::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthenticateError::Missing);
        }
        let plain =
            Plain::<token::ApiKey>::parse(text.trim()).map_err(AuthenticateError::Malformed)?;
        let digest = plain.keyed_digest(&self.token_key);
        let now = self.clock.now();
        let (key, scopes) = match self.remembered(digest.as_bytes(), now) {
            Some(known) => known,
            None => self.look_up(&digest, now).await?,
        };
        if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthenticateError::Refused);
        }
        Ok(Caller::of_key(&key, scopes))
    }

    async fn look_up(
        &self,
        digest: &Digest<token::ApiKey>,
        now: Timestamp,
    ) -> Result<(Arc<ApiKey>, Arc<Scopes>), AuthenticateError> {
        let mut conn = self.store.read().await.map_err(AuthenticateError::Store)?;
        let found =
            db!(conn, api_key::by_digest(digest.as_bytes())).map_err(AuthenticateError::Store)?;
        // Only what exists is remembered: made-up keys must not push real ones out.
        let key =
            found.filter(|key| digest.matches(&key.digest)).ok_or(AuthenticateError::Refused)?;
        let scopes = Scopes::from_text(&key.scopes).map_err(AuthenticateError::Scopes)?;
        let (key, scopes) = (Arc::new(key), Arc::new(scopes));
        let known = Known { key: Arc::clone(&key), scopes: Arc::clone(&scopes), read_at: now };
        self.remember(*digest.as_bytes(), known);
        Ok((key, scopes))
    }

    fn remembered(&self, digest: &[u8; 32], now: Timestamp) -> Option<(Arc<ApiKey>, Arc<Scopes>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(digest).filter(|known| now.since(known.read_at) < BELIEVED)?;
        Some((Arc::clone(&found.key), Arc::clone(&found.scopes)))
    }

    fn remember(&self, digest: [u8; 32], entry: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, old| entry.read_at.since(old.read_at) < BELIEVED);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(digest, entry);
    }
}
