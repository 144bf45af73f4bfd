//! From a request's `Authorization` header to a caller.

use crate::permit::Caller;
use crate::token::{self, Plain};
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
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<[u8; 32], Known>>>,
}

#[derive(Clone)]
struct Known {
    key: Arc<ApiKey>,
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
    /// The store failed.
    #[error("looking up the API key")]
    Store(#[source] causeway_store::Error),
}

impl Coded for AuthenticateError {
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Malformed(_) | Self::Refused => Code::Unauthenticated,
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
            Self::Store(source) => source.public(),
        }
    }
}

impl Authenticator {
    /// Looks keys up in `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: Arc::default() }
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
        let digest = *plain.digest().as_bytes();
        let now = self.clock.now();
        let key = match self.remembered(&digest, now) {
            Some(key) => key,
            None => self.look_up(digest, now).await?,
        };
        if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthenticateError::Refused);
        }
        Ok(Caller::of_key(&key))
    }

    async fn look_up(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Arc<ApiKey>, AuthenticateError> {
        let mut conn = self.store.read().await.map_err(AuthenticateError::Store)?;
        let found = db!(conn, api_key::by_digest(&digest)).map_err(AuthenticateError::Store)?;
        // Only what exists is remembered: made-up keys must not push real ones out.
        let key = Arc::new(found.ok_or(AuthenticateError::Refused)?);
        self.remember(digest, Known { key: Arc::clone(&key), read_at: now });
        Ok(key)
    }

    fn remembered(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<ApiKey>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(digest).filter(|known| now.since(known.read_at) < BELIEVED)?;
        Some(Arc::clone(&found.key))
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
