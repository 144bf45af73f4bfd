//! Access tokens: JWTs (RFC 9068) that Causeway signs with Ed25519 and knows again.

use super::jws::{self, Jws, is_type};
use crate::action::ActionName;
use crate::own_keys::{OwnKeys, OwnKeysError, Signer};
use causeway_types::{
    EnvironmentId, MachineClientId, ProjectId, SecretString, SigningKeyId, Timestamp, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far the clock of the node that made a token may be ahead of the one that reads it.
const AHEAD: Duration = Duration::from_mins(1);
/// The type of an access token (RFC 9068 section 2.1), which nothing else that is signed has.
const TYPE: &str = "at+jwt";

/// What a token says. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: MachineClientId,
    pub(crate) client_id: MachineClientId,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) jti: String,
    /// The actions, separated by spaces (RFC 6749 section 3.3).
    pub(crate) scope: String,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) project_id: ProjectId,
    pub(crate) environment_id: EnvironmentId,
}

/// A token that is none of ours. Why is told to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotOurs {
    /// It names a key that is not known here: perhaps another node made it a moment ago.
    UnknownKey,
    /// Something else is wrong with it.
    Wrong,
}

impl Claims {
    /// The actions that the token names; those that this version does not know are left out.
    pub(crate) fn actions(&self) -> Vec<ActionName> {
        self.scope.split(' ').filter_map(|name| name.parse().ok()).collect()
    }

    /// When it expires.
    pub(crate) fn expires_at(&self) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_secs(self.exp))
    }

    /// Signs it.
    pub(super) fn sign(&self, key: &Signer) -> Result<SecretString, serde_json::Error> {
        let header = serde_json::json!({ "alg": "EdDSA", "typ": TYPE, "kid": key.id() });
        jws::write(&header, self, |message| key.sign(message)).map(SecretString::new)
    }
}

/// Reads a token: it must be signed with one of our keys for access tokens, be meant for us, and
/// not have expired; None otherwise. Whether it was revoked is not known here.
///
/// # Errors
/// If the keys had to be looked at again, and cannot be.
pub(crate) async fn check(
    keys: &OwnKeys,
    issuer: &str,
    now: Timestamp,
    text: &str,
) -> Result<Option<Claims>, OwnKeysError> {
    let mut read = signed(keys, issuer, now, text);
    if matches!(read, Err(NotOurs::UnknownKey)) && keys.seek(now).await? {
        read = signed(keys, issuer, now, text);
    }
    let Ok(claims) = read else { return Ok(None) };
    let made = Timestamp::from_micros(0).plus(Duration::from_secs(claims.iat));
    Ok((claims.expires_at() > now && made <= now.plus(AHEAD)).then_some(claims))
}

/// The same, but for its times.
fn signed(keys: &OwnKeys, issuer: &str, now: Timestamp, text: &str) -> Result<Claims, NotOurs> {
    let jws = Jws::read(text).map_err(|_| NotOurs::Wrong)?;
    let header = &jws.header;
    if header.alg != "EdDSA" || !header.typ.as_deref().is_some_and(|typ| is_type(typ, TYPE)) {
        return Err(NotOurs::Wrong);
    }
    let kid: SigningKeyId =
        header.kid.as_deref().and_then(|kid| kid.parse().ok()).ok_or(NotOurs::Wrong)?;
    let key = keys.access_verifier(kid, now).ok_or(NotOurs::UnknownKey)?;
    let signature = jws.signature().map_err(|_| NotOurs::Wrong)?;
    if !key.verifies(jws.message, &signature) {
        return Err(NotOurs::Wrong);
    }
    let claims: Claims = jws.claims().map_err(|_| NotOurs::Wrong)?;
    if claims.iss != issuer || claims.aud != issuer || claims.sub != claims.client_id {
        return Err(NotOurs::Wrong);
    }
    Ok(claims)
}
