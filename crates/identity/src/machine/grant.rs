//! The token endpoint and the revocation endpoint (RFC 6749 section 4.4, RFC 7009), without HTTP.

use super::access_token::{self, Claims};
use super::assertion::{Assertion, AssertionError, Used};
use super::jwk::PublicKeys;
use super::{Inner, MachineAccess, TOKEN_LIFETIME};
use crate::action::ActionName;
use crate::own_keys::OwnKeysError;
use crate::scope::Scopes;
use crate::token::{self, Plain};
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::MachineClient;
use causeway_types::{Actor, Code, Coded, MachineClientId, SecretString, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use std::borrow::Cow;
use std::time::Duration;

/// The path of the token endpoint.
const TOKEN_PATH: &str = "/v1/oauth/token";
/// The path of the revocation endpoint.
const REVOCATION_PATH: &str = "/v1/oauth/revoke";
/// Random bytes of a token's `jti`.
const JTI: usize = 16;

/// How a client proves who it is.
pub enum ClientProof {
    /// With its secret.
    Secret {
        /// The id that it gives.
        client_id: String,
        /// The secret that it gives.
        secret: SecretString,
        /// `client_secret_basic` or `client_secret_post`.
        method: &'static str,
    },
    /// With a signed assertion.
    Assertion {
        /// The id that it gives beside, if it does.
        client_id: Option<String>,
        /// The assertion.
        assertion: SecretString,
    },
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// The kind of grant: `client_credentials`.
    pub grant_type: String,
    /// The actions that the token shall be for, separated by spaces; all that the client may do
    /// if `None`.
    pub scope: Option<String>,
}

/// A token that was issued.
pub struct Granted {
    /// The token.
    pub access_token: SecretString,
    /// How long it works.
    pub expires_in: Duration,
    /// The actions that it is for, separated by spaces.
    pub scope: String,
}

/// No token is issued, or revoked.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The client is unknown or revoked, or its proof does not hold.
    #[error("authenticating a machine client")]
    Client(#[source] Option<AssertionError>),
    /// Only client credentials are granted.
    #[error("granting `{0}`, which is not `client_credentials`")]
    GrantType(String),
    /// The scope names something that is no action, or not the client's.
    #[error("granting the scope `{0}`")]
    Scope(String),
    /// The scope leaves nothing.
    #[error("granting a scope that names nothing that the client may do")]
    NoScope,
    /// The client's record is damaged.
    #[error("reading the record of {0}")]
    Damaged(MachineClientId),
    /// The token could not be written.
    #[error("writing an access token")]
    Write(#[source] serde_json::Error),
    /// The keys that tokens are checked with could not be read again.
    #[error("looking for the key of an access token")]
    Keys(#[from] OwnKeysError),
    /// The store failed.
    #[error("reading or writing machine clients and tokens")]
    Store(#[from] causeway_store::Error),
}

impl Coded for GrantError {
    fn code(&self) -> Code {
        match self {
            Self::Client(_) => Code::Unauthenticated,
            Self::GrantType(_) | Self::Scope(_) | Self::NoScope => Code::InvalidRequest,
            Self::Damaged(_) | Self::Write(_) => Code::Internal,
            Self::Keys(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Client(Some(why)) => format!("The assertion is refused: {why}.").into(),
            Self::Client(None) => {
                "The client is unknown or revoked, or its proof does not hold.".into()
            }
            Self::GrantType(_) => "The one grant is `client_credentials`.".into(),
            Self::Scope(word) => {
                format!("`{word}` is no action, or none that this client may do.").into()
            }
            Self::NoScope => "The scope names nothing that this client may do.".into(),
            Self::Damaged(_) => "The record of this client is damaged. Make a new client.".into(),
            Self::Write(_) => "The token could not be written.".into(),
            Self::Keys(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// A client that has proved itself. An assertion that it did so with is used up with what comes of
/// it, a token or the end of one.
pub struct ProvenClient {
    client: MachineClient,
    method: &'static str,
    assertion: Option<Used>,
}

impl ProvenClient {
    /// Its id.
    pub fn id(&self) -> MachineClientId {
        self.client.id
    }
}

/// Why a client that exists was refused.
enum Refusal {
    Revoked,
    NoSecret,
    WrongSecret,
    NoKeys,
    Assertion(AssertionError),
}

impl Refusal {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::NoSecret => "no_secret",
            Self::WrongSecret => "wrong_secret",
            Self::NoKeys => "no_keys",
            Self::Assertion(error) => error.as_str(),
        }
    }

    /// What the sender may know: nothing, unless he has shown that he holds the key.
    fn told(self) -> GrantError {
        match self {
            Self::Assertion(error) if error.follows_signature() => GrantError::Client(Some(error)),
            _ => GrantError::Client(None),
        }
    }
}

impl MachineAccess {
    /// Checks a client's proof.
    ///
    /// # Errors
    /// [`GrantError::Client`] if it does not hold; [`GrantError::Damaged`],
    /// [`GrantError::Store`].
    pub async fn prove(&self, proof: ClientProof) -> Result<ProvenClient, GrantError> {
        self.inner.prove(proof, self.inner.clock.now()).await
    }

    /// Issues an access token to a client that has proved itself.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub async fn grant(
        &self,
        client: ProvenClient,
        asked: TokenRequest,
    ) -> Result<Granted, GrantError> {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        if asked.grant_type != "client_credentials" {
            return Err(GrantError::GrantType(asked.grant_type.chars().take(64).collect()));
        }
        let ProvenClient { client, method, assertion } = client;
        let own = Scopes::from_text(&client.scopes);
        let own = own.map_err(|_| GrantError::Damaged(client.id))?;
        let scope = narrowed(&own, asked.scope.as_deref())?;

        let mut tx = inner.begin(&client, assertion.as_ref(), now).await?;
        let mut jti = [0; JTI];
        inner.random.fill(&mut jti);
        let claims = Claims {
            iss: inner.issuer.clone(),
            aud: inner.issuer.clone(),
            sub: client.id,
            client_id: client.id,
            iat: now.as_secs(),
            exp: now.plus(TOKEN_LIFETIME).as_secs(),
            jti: BASE64URL_NOPAD.encode(&jti),
            scope,
            workspace_id: client.workspace_id,
            project_id: client.project_id,
            environment_id: client.environment_id,
        };
        let access_token = claims.sign(&inner.keys.access()).map_err(GrantError::Write)?;
        db!(tx, machine_client::touch(client.tenant(), client.id, now))?;
        let event = Audit::AccessTokenIssued {
            client: client.id,
            token: claims.jti,
            method: method.to_owned(),
        };
        tx.commit(client.workspace_id, now, event).await?;
        Ok(Granted { access_token, expires_in: TOKEN_LIFETIME, scope: claims.scope })
    }

    /// Revokes an access token of the client that has proved itself: it stops working at once, on
    /// every node. A text that is no token, or another client's, changes nothing (RFC 7009
    /// section 2.2).
    ///
    /// # Errors
    /// See [`GrantError`].
    pub async fn revoke_token(
        &self,
        client: ProvenClient,
        token: &SecretString,
    ) -> Result<(), GrantError> {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        let ProvenClient { client, assertion, .. } = client;
        // Before the transaction begins, since it may have to ask the database itself.
        let claims = access_token::check(&inner.keys, &inner.issuer, now, token.expose()).await?;
        let mut tx = inner.begin(&client, assertion.as_ref(), now).await?;
        let (workspace, own) = (client.workspace_id, |claims: &Claims| claims.sub == client.id);
        if let Some(claims) = claims.filter(own)
            && !db!(tx, revocation::is_revoked(workspace, &claims.jti))?
        {
            let end = claims.expires_at();
            db!(tx, revocation::revoke_token(workspace, &claims.jti, end))?;
            tx.access_changed(workspace).await?;
            let event = Audit::AccessTokenRevoked { client: client.id, token: claims.jti };
            tx.commit(workspace, now, event).await?;
        } else if assertion.is_some() {
            tx.commit_bookkeeping(Bookkeeping::SignInProgress).await?;
        }
        Ok(())
    }
}

impl Inner {
    /// Finds the client and checks its proof. One that is unknown takes the same way as one whose
    /// secret is wrong.
    async fn prove(&self, proof: ClientProof, now: Timestamp) -> Result<ProvenClient, GrantError> {
        match proof {
            ClientProof::Secret { client_id, secret, method } => {
                let plain = Plain::<token::ClientSecret>::parse(secret.expose()).ok();
                let digest = plain.map(|plain| plain.keyed_digest(self.keys.token()));
                let Some(client) = self.client(&client_id).await? else {
                    return Err(GrantError::Client(None));
                };
                let old = client.old_until.is_some_and(|end| now < end);
                let old = client.old_digest.as_deref().filter(|_| old);
                let refusal = match (client.digest.as_deref(), digest) {
                    (None, _) => Some(Refusal::NoSecret),
                    (Some(stored), Some(digest)) if digest.matches(stored) => None,
                    (_, Some(digest)) if old.is_some_and(|old| digest.matches(old)) => None,
                    _ => Some(Refusal::WrongSecret),
                };
                self.judge(client, method, refusal.map_or(Ok(None), Err), now).await
            }
            ClientProof::Assertion { client_id, assertion } => {
                let assertion = Assertion::read(assertion.expose());
                let assertion = assertion.map_err(|_| GrantError::Client(None))?;
                let named = assertion.client().map_err(|_| GrantError::Client(None))?;
                if client_id.is_some_and(|id| id != named.to_string()) {
                    return Err(GrantError::Client(None));
                }
                let Some(client) = self.client(&named.to_string()).await? else {
                    return Err(GrantError::Client(None));
                };
                let used = match client.public_keys.as_deref().map(PublicKeys::read) {
                    None => Err(Refusal::NoKeys),
                    Some(Err(_)) => return Err(GrantError::Damaged(client.id)),
                    Some(Ok(keys)) => assertion
                        .check(client.id, &keys, &self.audiences(), now)
                        .map(Some)
                        .map_err(Refusal::Assertion),
                };
                self.judge(client, "private_key_jwt", used, now).await
            }
        }
    }

    async fn client(&self, id: &str) -> Result<Option<MachineClient>, GrantError> {
        let Ok(id) = id.parse::<MachineClientId>() else { return Ok(None) };
        let mut conn = self.store.read().await?;
        Ok(db!(conn, machine_client::by_id(id))?)
    }

    async fn judge(
        &self,
        client: MachineClient,
        method: &'static str,
        proof: Result<Option<Used>, Refusal>,
        now: Timestamp,
    ) -> Result<ProvenClient, GrantError> {
        let proof = proof.and_then(|used| match client.revoked_at {
            Some(_) => Err(Refusal::Revoked),
            None => Ok(used),
        });
        match proof {
            Ok(assertion) => Ok(ProvenClient { client, method, assertion }),
            Err(refusal) => {
                self.refuse(&client, refusal.as_str(), now).await?;
                Err(refusal.told())
            }
        }
    }

    /// Opens the transaction in which a client acts, and uses its assertion up in it.
    async fn begin(
        &self,
        client: &MachineClient,
        assertion: Option<&Used>,
        now: Timestamp,
    ) -> Result<WriteTx, GrantError> {
        let mut tx = self.store.write(Actor::MachineClient(client.id)).await?;
        if let Some(Used { jti, until }) = assertion
            && !db!(tx, revocation::use_assertion(client.id, jti, *until))?
        {
            drop(tx);
            let refusal = Refusal::Assertion(AssertionError::Replayed);
            self.refuse(client, refusal.as_str(), now).await?;
            return Err(refusal.told());
        }
        Ok(tx)
    }

    /// What this server may be called in an assertion: its issuer, its origin, and its endpoints.
    fn audiences(&self) -> [String; 5] {
        let issuer = &self.issuer;
        let path = issuer
            .find("://")
            .and_then(|scheme| issuer.get(scheme + 3..)?.find('/').map(|slash| scheme + 3 + slash));
        let origin = path.and_then(|end| issuer.get(..end)).unwrap_or(issuer);
        [
            issuer.clone(),
            format!("{issuer}/"),
            origin.to_owned(),
            format!("{issuer}{TOKEN_PATH}"),
            format!("{issuer}{REVOCATION_PATH}"),
        ]
    }
}

/// The actions that a token is for, as text: those asked for, which must be the client's. `*` and
/// Pipedream's `connect:*` stand for all of them; other words that begin with `connect:` name
/// scopes of Pipedream's that nothing here answers to, and are passed over (RFC 6749 section 3.3).
fn narrowed(own: &Scopes, asked: Option<&str>) -> Result<String, GrantError> {
    let mut actions: Vec<ActionName> = Vec::new();
    let own: Vec<ActionName> =
        own.actions().iter().copied().filter(|action| own.allows(*action)).collect();
    match asked.map(str::trim).filter(|asked| !asked.is_empty()) {
        None => actions.clone_from(&own),
        Some(asked) => {
            for word in asked.split_ascii_whitespace() {
                match word {
                    "*" | "connect:*" => actions.extend(&own),
                    _ if word.starts_with("connect:") => {}
                    _ => match word.parse() {
                        Ok(action) if own.contains(&action) => actions.push(action),
                        _ => return Err(GrantError::Scope(word.chars().take(64).collect())),
                    },
                }
            }
        }
    }
    actions.sort_unstable();
    actions.dedup();
    if actions.is_empty() {
        return Err(GrantError::NoScope);
    }
    Ok(actions.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_narrows_and_never_widens() {
        let own = Scopes {
            actions: Some(vec![ActionName::Deploy, ActionName::ReadWorkflows]),
            ..Scopes::default()
        };
        let all = "workflows.read workflows.deploy";
        let ok = |asked| narrowed(&own, asked).unwrap();
        assert_eq!(ok(None), all);
        for asked in ["", " ", "*", "connect:*", "connect:accounts:read *"] {
            assert_eq!(ok(Some(asked)), all, "{asked}");
        }
        assert_eq!(ok(Some("workflows.deploy")), "workflows.deploy");
        assert_eq!(ok(Some(" workflows.deploy  workflows.deploy ")), "workflows.deploy");
        for asked in ["members.manage", "connections.use", "nothing", "workflows.deploy x"] {
            assert!(matches!(narrowed(&own, Some(asked)), Err(GrantError::Scope(_))), "{asked}");
        }
        assert!(matches!(narrowed(&own, Some("connect:users:write")), Err(GrantError::NoScope)));
        let none = Scopes { actions: Some(Vec::new()), ..Scopes::default() };
        assert!(matches!(narrowed(&none, None), Err(GrantError::NoScope)));
    }
}
