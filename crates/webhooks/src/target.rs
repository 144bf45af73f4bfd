//! Where an endpoint is and what it is signed for with: the sealed part of its record.

use crate::error::InvalidEndpoint;
use crate::{Inner, limits};
use causeway_types::entity::WebhookEndpoint;
use causeway_types::{Place, Randomness, SecretBytes, SecretString, Timestamp};
use causeway_vault::VaultError;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::{Host, Url};
use zeroize::Zeroizing;

/// What a secret begins with (Standard Webhooks, "Signature scheme").
const PREFIX: &str = "whsec_";
/// Bytes of a new secret; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// How long messages are signed with the old secret too, after a rotation.
pub(crate) const OVERLAP: Duration = Duration::from_hours(24);
/// Room for the sealed form, so that it is not copied around while it is written.
const ROOM: usize = 4096;

/// The sealed part of an endpoint.
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) secret: SecretString,
    /// The secret before this one.
    pub(crate) previous: Option<Previous>,
}

/// A secret that was replaced.
#[derive(Deserialize)]
pub(crate) struct Previous {
    secret: SecretString,
    /// When messages stop being signed with it, in microseconds since 1970.
    until_us: i64,
}

#[derive(Deserialize)]
struct Stored {
    url: Url,
    secret: SecretString,
    previous: Option<Previous>,
}

#[derive(Serialize)]
struct Written<'a> {
    url: &'a str,
    secret: &'a str,
    previous: Option<WrittenPrevious<'a>>,
}

#[derive(Serialize)]
struct WrittenPrevious<'a> {
    secret: &'a str,
    until_us: i64,
}

impl Target {
    /// A place to send to, with a new secret.
    pub(crate) fn new(url: Url, random: &dyn Randomness) -> Self {
        Self::with_secret(url, new_secret(random))
    }

    /// A place to send to, with a secret that is there already or has another form.
    pub(crate) fn with_secret(url: Url, secret: SecretString) -> Self {
        Self { url, secret, previous: None }
    }

    /// Replaces the secret; messages are signed with both until the overlap ends.
    pub(crate) fn rotate(&mut self, random: &dyn Randomness, now: Timestamp) -> Timestamp {
        let old = std::mem::replace(&mut self.secret, new_secret(random));
        let until = now.plus(OVERLAP);
        self.previous = Some(Previous { secret: old, until_us: until.as_micros() });
        until
    }

    /// The secrets to sign with: the present one first.
    pub(crate) fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &SecretString> {
        let previous = self.previous.iter().filter(move |one| now < one.until());
        std::iter::once(&self.secret).chain(previous.map(|one| &one.secret))
    }

    /// Until when messages are signed with the old secret too.
    pub(crate) fn overlaps_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.previous.as_ref().map(Previous::until).filter(|until| now < *until)
    }

    fn read(opened: &SecretBytes) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(opened.expose()).ok()?;
        Some(Self { url: stored.url, secret: stored.secret, previous: stored.previous })
    }

    /// The form in which it is sealed.
    pub(crate) fn write(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let written = Written {
            url: self.url.as_str(),
            secret: self.secret.expose(),
            previous: self
                .previous
                .as_ref()
                .map(|one| WrittenPrevious { secret: one.secret.expose(), until_us: one.until_us }),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *bytes, &written)?;
        Ok(bytes)
    }
}

impl Previous {
    fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until_us)
    }
}

/// An endpoint's target could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// It did not open.
    #[error("opening an endpoint's URL and secrets")]
    Vault(#[from] VaultError),
    /// What opened is not a target.
    #[error("reading an endpoint's URL and secrets: the record is corrupt")]
    Corrupt,
}

impl Inner {
    /// Opens the sealed part of an endpoint.
    pub(crate) async fn target(&self, endpoint: &WebhookEndpoint) -> Result<Target, TargetError> {
        let place = Place::WebhookTarget(endpoint.id);
        let opened = self.vault.open(endpoint.workspace_id, &place, &endpoint.target).await?;
        Target::read(&opened).ok_or(TargetError::Corrupt)
    }
}

/// The key for HMAC that a secret stands for.
pub(crate) fn key(secret: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let encoded = secret.expose().strip_prefix(PREFIX)?;
    BASE64.decode(encoded.as_bytes()).ok().map(Zeroizing::new)
}

fn new_secret(random: &dyn Randomness) -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
    random.fill(&mut *bytes);
    let mut text = String::with_capacity(PREFIX.len() + BASE64.encode_len(SECRET_BYTES));
    text.push_str(PREFIX);
    BASE64.encode_append(&*bytes, &mut text);
    SecretString::new(text)
}

/// Reads the URL of an endpoint: https, or http to this very machine.
pub(crate) fn read_url(text: &str) -> Result<Url, InvalidEndpoint> {
    if text.len() > limits::URL {
        return Err(InvalidEndpoint::LongUrl);
    }
    let url = Url::parse(text).map_err(|_| InvalidEndpoint::Url)?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // RFC 6761 section 6.3: the name never leads off the machine.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => return Err(InvalidEndpoint::Url),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(InvalidEndpoint::PlainHttp),
        _ => return Err(InvalidEndpoint::Url),
    }
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if bare { Ok(url) } else { Err(InvalidEndpoint::Url) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::OsRandom;

    #[test]
    fn urls_are_https_or_stay_on_this_machine() {
        for text in [
            "https://example.com/hooks?token=1",
            "https://10.0.0.1/",
            "http://127.0.0.1:8080/x",
            "http://[::1]:8080/",
            "http://localhost/",
            "http://app.localhost:3000/hooks",
        ] {
            assert!(read_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://",
            "https://me:pw@example.com/",
            "https://example.com/#top",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "mailto:me@example.com",
            "data:text/plain,x",
        ] {
            assert!(read_url(text).is_err(), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(limits::URL));
        assert!(matches!(read_url(&long), Err(InvalidEndpoint::LongUrl)));
    }

    #[test]
    fn a_target_reads_as_it_was_written() {
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let mut target = Target::new("https://example.com/a".parse().unwrap(), &OsRandom);
        let first = target.secret.expose().clone();
        assert!(first.starts_with(PREFIX) && key(&target.secret).unwrap().len() == SECRET_BYTES);
        let until = target.rotate(&OsRandom, now);
        let written = SecretBytes::new(target.write().unwrap().to_vec());
        let read = Target::read(&written).unwrap();
        let at = |now| read.secrets(now).map(|one| one.expose().clone()).collect::<Vec<_>>();
        assert_eq!(at(now), [target.secret.expose().clone(), first]);
        assert_eq!(at(until).len(), 1);
        assert_eq!(read.overlaps_until(now), Some(until));
        assert_eq!(read.overlaps_until(until), None);
    }
}
