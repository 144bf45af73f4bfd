//! From a request's `Authorization` header to a caller: by API key, or by access token.

use crate::machine::{Known, LastUsed, MAX_TOKEN, Memory, Recalled, check_access_token};
use crate::own_keys::{OwnKeys, OwnKeysError};
use crate::permit::Caller;
use crate::scope::Scopes;
use crate::token::{self, Plain};
use aws_lc_rs::digest::{SHA256, digest};
use causeway_store::{Mark, Store, db};
use causeway_types::{Actor, Clock, Code, Coded, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// Knows callers by their API keys and access tokens. Cheap to clone; clones share what they
/// remember.
///
/// What was looked up is remembered for as long as nothing is heard of a change in its workspace
/// ([`causeway_store::Notices`]), and for three seconds at most. Its end counts at once.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keys: OwnKeys,
    clock: Arc<dyn Clock>,
    issuer: String,
    used: LastUsed,
    memory: Memory,
}

/// A request whose sender is not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// There is no `Authorization` header, or it is not `Bearer` and a token.
    #[error("reading the Authorization header: it is missing or not `Bearer`")]
    Missing,
    /// The token is neither an API key nor a JWT: its form or its checksum is wrong. No query was
    /// made.
    #[error("reading the API key or access token")]
    Malformed(#[source] Option<token::MalformedToken>),
    /// The key or token is unknown, expired or revoked. Which of them is not told.
    #[error("looking up the API key or access token: it is unknown, expired or revoked")]
    Refused,
    /// The scopes are damaged.
    #[error("reading the scopes of an API key or a machine client")]
    Scopes(#[source] serde_json::Error),
    /// The keys that tokens are checked with could not be read again.
    #[error("looking for the key of an access token")]
    Keys(#[source] OwnKeysError),
    /// The store failed.
    #[error("looking up the API key or access token")]
    Store(#[source] causeway_store::Error),
}

impl Coded for AuthenticateError {
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Malformed(_) | Self::Refused => Code::Unauthenticated,
            Self::Scopes(_) => Code::Internal,
            Self::Keys(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Missing => {
                "Send an API key or an access token as `Authorization: Bearer …`.".into()
            }
            Self::Malformed(_) => {
                "The token is mistyped or cut off: an API key is `cwk_` and 60 characters with a checksum, an access token a JWT from `/v1/oauth/token`."
                    .into()
            }
            Self::Refused => {
                "The API key or access token is unknown, expired or revoked. Make a new key, or obtain a new token from `/v1/oauth/token`."
                    .into()
            }
            Self::Scopes(_) => {
                "The record of this API key or client is damaged. Make a new one.".into()
            }
            Self::Keys(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Authenticator {
    pub(crate) fn new(
        store: Store,
        keys: OwnKeys,
        clock: Arc<dyn Clock>,
        issuer: String,
        used: LastUsed,
    ) -> Self {
        let memory = Memory::default();
        Self { inner: Arc::new(Inner { store, keys, clock, issuer, used, memory }) }
    }

    /// Finds the caller by the value of the `Authorization` header.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    pub async fn authenticate(&self, header: Option<&str>) -> Result<Caller, AuthenticateError> {
        let (scheme, text) =
            header.and_then(|value| value.split_once(' ')).ok_or(AuthenticateError::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthenticateError::Missing);
        }
        let (inner, text) = (&self.inner, text.trim());
        if text.len() > MAX_TOKEN {
            return Err(AuthenticateError::Malformed(None));
        }
        // No API key has a dot, and every JWT has.
        if text.contains('.') { inner.by_token(text).await } else { inner.by_key(text).await }
    }
}

impl Inner {
    async fn by_key(&self, text: &str) -> Result<Caller, AuthenticateError> {
        let plain = Plain::<token::ApiKey>::parse(text)
            .map_err(|error| AuthenticateError::Malformed(Some(error)))?;
        let digest = plain.keyed_digest(self.keys.token());
        let now = self.clock.now();
        match self.memory.recall(self.store.notices(), digest.as_bytes(), now) {
            Recalled::Known(known) => self.answer(&known, now),
            Recalled::Unknown => Err(AuthenticateError::Refused),
            Recalled::Nothing => self.look_key_up(&digest, now).await,
        }
    }

    async fn look_key_up(
        &self,
        digest: &token::Digest<token::ApiKey>,
        now: Timestamp,
    ) -> Result<Caller, AuthenticateError> {
        let mark = self.store.notices().mark();
        let mut conn = self.store.read().await.map_err(AuthenticateError::Store)?;
        let found =
            db!(conn, api_key::by_digest(digest.as_bytes())).map_err(AuthenticateError::Store)?;
        drop(conn);
        let Some(key) = found.filter(|key| digest.matches(&key.digest)) else {
            self.memory.keep_unknown(*digest.as_bytes(), now);
            return Err(AuthenticateError::Refused);
        };
        let scopes = Scopes::from_text(&key.scopes).map_err(AuthenticateError::Scopes)?;
        let caller = Caller::of_key(&key, Arc::new(scopes));
        let known = Known::new(key.revoked_at.is_none().then_some(caller), key.expires_at);
        self.remember(*digest.as_bytes(), known, key.workspace_id, mark, now)
    }

    async fn by_token(&self, text: &str) -> Result<Caller, AuthenticateError> {
        let mut seen = [0; 32];
        seen.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        let now = self.clock.now();
        match self.memory.recall(self.store.notices(), &seen, now) {
            Recalled::Known(known) => self.answer(&known, now),
            Recalled::Unknown => Err(AuthenticateError::Refused),
            Recalled::Nothing => self.look_token_up(text, seen, now).await,
        }
    }

    async fn look_token_up(
        &self,
        text: &str,
        seen: [u8; 32],
        now: Timestamp,
    ) -> Result<Caller, AuthenticateError> {
        let claims = check_access_token(&self.keys, &self.issuer, now, text)
            .await
            .map_err(AuthenticateError::Keys)?
            .ok_or(AuthenticateError::Refused)?;
        let mark = self.store.notices().mark();
        let mut conn = self.store.read().await.map_err(AuthenticateError::Store)?;
        let client = db!(conn, machine_client::by_id(claims.client_id));
        let client = client.map_err(AuthenticateError::Store)?.ok_or(AuthenticateError::Refused)?;
        let tenant = client.tenant();
        let said = (claims.workspace_id, claims.project_id, claims.environment_id);
        if said != (tenant.workspace, tenant.project, tenant.environment) {
            return Err(AuthenticateError::Refused);
        }
        let revoked = client.revoked_at.is_some()
            || db!(conn, revocation::is_revoked(tenant.workspace, &claims.jti))
                .map_err(AuthenticateError::Store)?;
        drop(conn);
        let own = Scopes::from_text(&client.scopes).map_err(AuthenticateError::Scopes)?;
        let mut actions = claims.actions();
        actions.retain(|action| own.allows(*action));
        let scopes = Arc::new(Scopes { actions: Some(actions), ..own });
        let caller = Caller::program(Actor::MachineClient(client.id), tenant, scopes);
        let known = Known::new((!revoked).then_some(caller), Some(claims.expires_at()));
        self.remember(seen, known, tenant.workspace, mark, now)
    }

    /// Remembers what was read under `mark`, if the database can tell of changes, and answers.
    fn remember(
        &self,
        digest: [u8; 32],
        known: Known,
        workspace: causeway_types::WorkspaceId,
        mark: Option<Mark>,
        now: Timestamp,
    ) -> Result<Caller, AuthenticateError> {
        let known = Arc::new(known);
        if let Some(mark) = mark {
            self.memory.keep(digest, Arc::clone(&known), workspace, mark, now);
        }
        self.answer(&known, now)
    }

    fn answer(&self, known: &Known, now: Timestamp) -> Result<Caller, AuthenticateError> {
        let ended = known.ends_at.is_some_and(|end| end <= now);
        let caller = known.caller.as_ref().filter(|_| !ended).ok_or(AuthenticateError::Refused)?;
        if let Actor::ApiKey(id) = caller.actor()
            && let Some(tenant) = caller.place().environment()
            && known.first_use(now)
        {
            self.used.note(id, tenant, now);
        }
        Ok(caller.clone())
    }
}
