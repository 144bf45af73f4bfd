//! Credentials in clear: as the vault seals them, as an app returns them, as code gets them.

use causeway_catalog::App;
use causeway_types::entity::{Connection, Scheme};
use causeway_types::{ConnectionId, SecretBytes, SecretString, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// Tokens that expire sooner than this are renewed before they are used.
const MARGIN: Duration = Duration::from_secs(30);

/// An opened credential, ready for a step.
pub struct Credential {
    /// The connection.
    pub connection: ConnectionId,
    /// The app's slug.
    pub app: String,
    /// The fields as a JSON object: what code sees as `connections.<name>.$auth`.
    pub auth: SecretBytes,
    /// The values that must be masked wherever the step writes.
    pub secrets: Vec<SecretBytes>,
    /// When it stops working, if it does.
    pub expires_at: Option<Timestamp>,
}

/// A credential as it is sealed.
pub(crate) enum Stored {
    OAuth2(Tokens),
    Fields(BTreeMap<String, SecretString>),
}

/// What an authorization server gave.
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Read {
    oauth2: Option<ReadTokens>,
    fields: Option<BTreeMap<String, SecretString>>,
}

#[derive(Deserialize)]
struct ReadTokens {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    obtained_at_us: i64,
    expires_at_us: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Oauth2 {
        access_token: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        obtained_at_us: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at_us: Option<i64>,
    },
    Fields(BTreeMap<&'a str, &'a str>),
}

impl Stored {
    /// Reads what the vault opened.
    pub(crate) fn read(opened: &SecretBytes) -> Option<Self> {
        let read: Read = serde_json::from_slice(opened.expose()).ok()?;
        match (read.oauth2, read.fields) {
            (Some(tokens), None) => Some(Self::OAuth2(Tokens {
                access: tokens.access_token,
                refresh: tokens.refresh_token,
                obtained_at: Timestamp::from_micros(tokens.obtained_at_us),
                expires_at: tokens.expires_at_us.map(Timestamp::from_micros),
            })),
            (None, Some(fields)) => Some(Self::Fields(fields)),
            _ => None,
        }
    }

    /// The bytes to seal.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (written, size) = match self {
            Self::OAuth2(tokens) => {
                let refresh = tokens.refresh.as_ref().map(|token| token.expose().as_str());
                let size = tokens.access.expose().len() + refresh.map_or(0, str::len);
                let written = Written::Oauth2 {
                    access_token: tokens.access.expose(),
                    refresh_token: refresh,
                    obtained_at_us: tokens.obtained_at.as_micros(),
                    expires_at_us: tokens.expires_at.map(Timestamp::as_micros),
                };
                (written, size)
            }
            Self::Fields(fields) => (Written::Fields(shown(fields)), size(fields)),
        };
        json(&written, size)
    }

    /// What code and the mask get of it.
    pub(crate) fn into_credential(self, connection: &Connection, app: Option<&App>) -> Credential {
        let (auth, secrets, expires_at) = match self {
            Self::OAuth2(tokens) => {
                let auth =
                    BTreeMap::from([("oauth_access_token", tokens.access.expose().as_str())]);
                let auth = json(&auth, tokens.access.expose().len());
                let mut secrets = vec![bytes(tokens.access.expose())];
                secrets.extend(tokens.refresh.iter().map(|token| bytes(token.expose())));
                (auth, secrets, tokens.expires_at)
            }
            Self::Fields(fields) => {
                let auth = json(&shown(&fields), size(&fields));
                (auth, masked(connection.scheme, &fields, app), None)
            }
        };
        let auth = SecretBytes::new(auth.to_vec());
        Credential {
            connection: connection.id,
            app: connection.app.clone(),
            auth,
            secrets,
            expires_at,
        }
    }
}

impl Tokens {
    /// Whether the access token can be used now without being renewed first.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| {
            let margin = MARGIN.min(end.since(self.obtained_at) / 4);
            now.plus(margin) < end
        })
    }

    /// Whether the access token still works, as far as its time goes.
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The values to mask. A field that the row calls public is left readable; without a row, and
/// for Basic's password, everything is masked.
fn masked(
    scheme: Scheme,
    fields: &BTreeMap<String, SecretString>,
    app: Option<&App>,
) -> Vec<SecretBytes> {
    if scheme == Scheme::Basic {
        let value = |name| fields.get(name).map_or("", |value| value.expose().as_str());
        let (user, password) = (value("username"), value("password"));
        // The pair too: HTTP Basic encodes them together, and the encoded pair holds the password.
        let pair = Zeroizing::new(format!("{user}:{password}"));
        return vec![bytes(password), bytes(&pair)];
    }
    let row = app.and_then(|app| app.auth.api_key.as_ref());
    let public = |name: &str| {
        row.is_some_and(|row| {
            row.fields.iter().any(|field| field.name.as_str() == name && !field.secret)
        })
    };
    fields
        .iter()
        .filter(|(name, _)| !public(name))
        .map(|(_, value)| bytes(value.expose()))
        .collect()
}

fn bytes(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn shown(fields: &BTreeMap<String, SecretString>) -> BTreeMap<&str, &str> {
    fields.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect()
}

fn size(fields: &BTreeMap<String, SecretString>) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.expose().len() + 8).sum()
}

/// JSON in a buffer that is wiped, large enough at once that growing leaves no copies behind:
/// an escape makes six bytes of one at most.
fn json<T: Serialize>(value: &T, secret_bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(secret_bytes * 6 + 256));
    // Writing texts and numbers into memory cannot fail.
    let _ = serde_json::to_writer(&mut *buffer, value);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(lifetime: Option<u64>) -> Tokens {
        let now = Timestamp::from_micros(0);
        Tokens {
            access: SecretString::new("at\"1".into()),
            refresh: Some(SecretString::new("rt".into())),
            obtained_at: now,
            expires_at: lifetime.map(|seconds| now.plus(Duration::from_secs(seconds))),
        }
    }

    #[test]
    fn what_was_sealed_reads_back() {
        let sealed = SecretBytes::new(Stored::OAuth2(tokens(Some(60))).to_bytes().to_vec());
        let Some(Stored::OAuth2(read)) = Stored::read(&sealed) else { panic!("another kind") };
        assert_eq!(read.access.expose(), "at\"1");
        assert_eq!(read.refresh.unwrap().expose(), "rt");
        assert_eq!(read.expires_at, Some(Timestamp::from_micros(60_000_000)));
        let fields = BTreeMap::from([("key".to_owned(), SecretString::new("k".into()))]);
        let sealed = SecretBytes::new(Stored::Fields(fields).to_bytes().to_vec());
        let Some(Stored::Fields(read)) = Stored::read(&sealed) else { panic!("another kind") };
        assert_eq!(read.get("key").unwrap().expose(), "k");
    }

    #[test]
    fn short_lives_have_short_margins() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        assert!(tokens(None).is_fresh(at(1_000_000_000)));
        assert!(tokens(Some(3600)).is_fresh(at(3569)));
        assert!(!tokens(Some(3600)).is_fresh(at(3570)));
        assert!(tokens(Some(20)).is_fresh(at(14)));
        assert!(!tokens(Some(20)).is_fresh(at(15)));
        assert!(tokens(Some(20)).is_alive(at(19)));
        assert!(!tokens(Some(20)).is_alive(at(20)));
    }
}
