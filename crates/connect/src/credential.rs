//! Credentials in clear: as the vault seals them, as an app returns them, as code gets them.

use crate::form;
use causeway_catalog::App;
use causeway_types::entity::Scheme;
use causeway_types::{SecretBytes, SecretString, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// Tokens that expire sooner than this are renewed before they are used.
const MARGIN: Duration = Duration::from_secs(30);

/// A credential as it is sealed.
#[derive(Default)]
pub(crate) struct Stored {
    /// What the customer typed, and what is kept of answers: the fields of app and scheme.
    pub(crate) fields: BTreeMap<String, SecretString>,
    /// What the app gave, if the scheme has tokens.
    pub(crate) tokens: Option<Tokens>,
}

/// What an authorization server gave.
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    /// The access token's secret, in OAuth 1.0a.
    pub(crate) secret: Option<SecretString>,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The access token's name among a connection's values.
pub(crate) const ACCESS_TOKEN: &str = "oauth_access_token";
/// The name of its secret, in OAuth 1.0a.
pub(crate) const ACCESS_TOKEN_SECRET: &str = "oauth_access_token_secret";

#[derive(Deserialize)]
struct Read {
    oauth2: Option<ReadTokens>,
    fields: Option<BTreeMap<String, SecretString>>,
}

#[derive(Deserialize)]
struct ReadTokens {
    access_token: SecretString,
    token_secret: Option<SecretString>,
    refresh_token: Option<SecretString>,
    obtained_at_us: i64,
    expires_at_us: Option<i64>,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth2: Option<WrittenTokens<'a>>,
    /// Always: a connection by nothing has neither fields nor tokens, and is a connection.
    fields: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct WrittenTokens<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    obtained_at_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_us: Option<i64>,
}

impl Stored {
    /// What the customer typed.
    pub(crate) fn of_fields(fields: BTreeMap<String, SecretString>) -> Self {
        Self { fields, tokens: None }
    }

    /// Reads what the vault opened.
    pub(crate) fn read(opened: &SecretBytes) -> Option<Self> {
        let read: Read = serde_json::from_slice(opened.expose()).ok()?;
        if read.oauth2.is_none() && read.fields.is_none() {
            return None;
        }
        let tokens = read.oauth2.map(|tokens| Tokens {
            access: tokens.access_token,
            secret: tokens.token_secret,
            refresh: tokens.refresh_token,
            obtained_at: Timestamp::from_micros(tokens.obtained_at_us),
            expires_at: tokens.expires_at_us.map(Timestamp::from_micros),
        });
        Some(Self { fields: read.fields.unwrap_or_default(), tokens })
    }

    /// The bytes to seal.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let text = |token: &Option<SecretString>| token.as_ref().map_or(0, |t| t.expose().len());
        let of_tokens = self.tokens.as_ref().map_or(0, |tokens| {
            tokens.access.expose().len() + text(&tokens.secret) + text(&tokens.refresh)
        });
        let written = Written {
            oauth2: self.tokens.as_ref().map(|tokens| WrittenTokens {
                access_token: tokens.access.expose(),
                token_secret: tokens.secret.as_ref().map(|token| token.expose().as_str()),
                refresh_token: tokens.refresh.as_ref().map(|token| token.expose().as_str()),
                obtained_at_us: tokens.obtained_at.as_micros(),
                expires_at_us: tokens.expires_at.map(Timestamp::as_micros),
            }),
            fields: shown(&self.fields),
        };
        json(&written, of_tokens + size(&self.fields))
    }

    /// The value of this name in the templates of a row.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let tokens = self.tokens.as_ref();
        match name {
            ACCESS_TOKEN => tokens.map(|tokens| tokens.access.expose().as_str()),
            ACCESS_TOKEN_SECRET => {
                tokens.and_then(|tokens| tokens.secret.as_ref()).map(|s| s.expose().as_str())
            }
            _ => self.fields.get(name).map(|value| value.expose().as_str()),
        }
    }

    /// What of it has a name: the fields and the tokens that requests carry.
    pub(crate) fn shown(&self) -> BTreeMap<&str, &str> {
        let mut all = shown(&self.fields);
        if let Some(tokens) = &self.tokens {
            all.insert(ACCESS_TOKEN, tokens.access.expose());
            if let Some(secret) = &tokens.secret {
                all.insert(ACCESS_TOKEN_SECRET, secret.expose());
            }
        }
        all
    }

    /// The values that must be masked wherever they could show.
    pub(crate) fn secrets(&self, scheme: Scheme, app: Option<&App>) -> Vec<SecretBytes> {
        let mut secrets = masked(scheme, &self.fields, app);
        if let Some(tokens) = &self.tokens {
            let all = [Some(&tokens.access), tokens.secret.as_ref(), tokens.refresh.as_ref()];
            secrets.extend(all.into_iter().flatten().map(|token| bytes(token.expose())));
        }
        secrets
    }
}

/// The JSON object that code sees as `connections.<name>.$auth`.
pub(crate) fn auth_json(values: &BTreeMap<&str, &str>) -> SecretBytes {
    let size = values.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    SecretBytes::new(json(values, size).to_vec())
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
    let mut secrets: Vec<SecretBytes> = fields
        .iter()
        .filter(|(name, _)| app.is_none_or(|app| form::is_secret(app, scheme, name)))
        .map(|(_, value)| bytes(value.expose()))
        .collect();
    if scheme == Scheme::Basic {
        let value = |name| fields.get(name).map_or("", |value| value.expose().as_str());
        // The pair too: HTTP Basic encodes them together, and the encoded pair holds the password.
        let pair = Zeroizing::new(format!("{}:{}", value("username"), value("password")));
        secrets.push(bytes(&pair));
    }
    secrets
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
            secret: None,
            refresh: Some(SecretString::new("rt".into())),
            obtained_at: now,
            expires_at: lifetime.map(|seconds| now.plus(Duration::from_secs(seconds))),
        }
    }

    #[test]
    fn what_was_sealed_reads_back() {
        let fields = BTreeMap::from([("key".to_owned(), SecretString::new("k".into()))]);
        let stored = Stored { fields, tokens: Some(tokens(Some(60))) };
        let sealed = SecretBytes::new(stored.to_bytes().to_vec());
        let read = Stored::read(&sealed).unwrap();
        assert_eq!(read.value(ACCESS_TOKEN), Some("at\"1"));
        assert_eq!(read.value("key"), Some("k"));
        let tokens = read.tokens.unwrap();
        assert_eq!(tokens.refresh.unwrap().expose(), "rt");
        assert_eq!(tokens.expires_at, Some(Timestamp::from_micros(60_000_000)));
        // As the first version sealed them.
        let old = SecretBytes::new(br#"{"fields":{"key":"k"}}"#.to_vec());
        assert_eq!(Stored::read(&old).unwrap().value("key"), Some("k"));
        assert!(Stored::read(&SecretBytes::new(b"{}".to_vec())).is_none());
        // Apps that need nothing.
        let nothing = SecretBytes::new(Stored::default().to_bytes().to_vec());
        assert!(Stored::read(&nothing).unwrap().tokens.is_none());
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
