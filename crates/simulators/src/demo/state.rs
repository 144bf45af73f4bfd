//! Grants, tokens and contacts. A *family* is one grant: every token that came from one consent.

use super::DemoOptions;
use super::crm::Contact;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use causeway_types::{Clock, Randomness, Timestamp};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// How long a code can be exchanged (RFC 6749, section 4.1.2, says 10 minutes at most).
const CODE_LIFE: Duration = Duration::from_mins(1);
/// The most tokens, codes and contacts of each kind before the useless ones are forgotten.
const MOST: usize = 200_000;

/// Everything that the demo app remembers.
pub(crate) struct State {
    kept: Kept,
    codes: BTreeMap<String, Code>,
    redirect_uris: Vec<Url>,
    access_token_seconds: u32,
    accept_previous_token: bool,
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// What survives a restart, if a file is given.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    client_id: String,
    client_secret: String,
    api_key: String,
    families: Vec<Family>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    contacts: Vec<Contact>,
}

#[derive(Serialize, Deserialize)]
struct Family {
    scope: String,
    /// Counts rotations; the refresh token of this generation is the valid one.
    generation: u64,
    /// Whether the token before the valid one has been accepted once more.
    leniency_used: bool,
    revoked: bool,
}

#[derive(Serialize, Deserialize)]
struct Access {
    family: usize,
    expires_micros: i64,
}

#[derive(Serialize, Deserialize)]
struct Refresh {
    family: usize,
    generation: u64,
}

/// A code on its way from the consent page to the token endpoint.
pub(crate) struct Code {
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) scope: String,
    expires: Timestamp,
    /// The grant that it was exchanged for; a second exchange ends it.
    family: Option<usize>,
}

/// What a token request is answered with.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in: u32,
    pub(crate) scope: String,
}

/// What became of a refresh token.
pub(crate) enum Refreshed {
    Tokens(Tokens),
    /// It was used before: the grant has ended.
    Reused,
    /// It is unknown or its grant had ended.
    Unknown,
}

impl State {
    pub(crate) fn open(options: DemoOptions) -> io::Result<Self> {
        let mut kept = match &options.state_file {
            Some(file) if file.exists() => serde_json::from_slice(&std::fs::read(file)?)?,
            _ => Kept { contacts: super::crm::sample_contacts(), ..Kept::default() },
        };
        let made_up = |prefix: &str| secret(&*options.randomness, prefix);
        for (place, given, prefix) in [
            (&mut kept.client_id, options.client_id, "demo-client-"),
            (&mut kept.client_secret, options.client_secret, "demo-secret-"),
            (&mut kept.api_key, options.api_key, "demo-key-"),
        ] {
            match given {
                Some(given) => *place = given,
                None if place.is_empty() => *place = made_up(prefix),
                None => {}
            }
        }
        let state = Self {
            kept,
            codes: BTreeMap::new(),
            redirect_uris: options.redirect_uris,
            access_token_seconds: options.access_token_seconds,
            accept_previous_token: options.accept_previous_token,
            file: options.state_file,
            clock: options.clock,
            randomness: options.randomness,
        };
        state.save()?;
        Ok(state)
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.kept.client_id
    }

    pub(crate) fn client_secret(&self) -> &str {
        &self.kept.client_secret
    }

    pub(crate) fn api_key(&self) -> &str {
        &self.kept.api_key
    }

    pub(crate) fn is_client(&self, id: &str, secret: &str) -> bool {
        same(id, &self.kept.client_id) & same(secret, &self.kept.client_secret)
    }

    pub(crate) fn is_api_key(&self, key: &str) -> bool {
        same(key, &self.kept.api_key)
    }

    pub(crate) fn may_return_to(&self, uri: &Url) -> bool {
        if !self.redirect_uris.is_empty() {
            return self.redirect_uris.contains(uri);
        }
        let loopback = match uri.host() {
            Some(Host::Ipv4(v4)) => v4.is_loopback(),
            Some(Host::Ipv6(v6)) => v6.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        uri.scheme() == "http" && loopback && uri.fragment().is_none()
    }

    /// Makes a code for a consent.
    pub(crate) fn grant(&mut self, redirect_uri: &str, challenge: &str, scope: &str) -> String {
        let now = self.clock.now();
        self.codes.retain(|_, code| code.expires > now);
        let code = secret(&*self.randomness, "demo_ac_");
        let granted = Code {
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            scope: scope.to_owned(),
            expires: now.plus(CODE_LIFE),
            family: None,
        };
        if self.codes.len() < MOST {
            self.codes.insert(code.clone(), granted);
        }
        code
    }

    /// Exchanges a code. `None` if it is unknown, expired, used, for another redirect URI, or if
    /// the verifier does not fit its challenge (RFC 7636, section 4.6).
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> io::Result<Option<Tokens>> {
        let now = self.clock.now();
        let Some(granted) = self.codes.get_mut(code) else { return Ok(None) };
        if let Some(family) = granted.family {
            // RFC 6749, section 4.1.2: a second use ends what the first one gave.
            self.end(family)?;
            return Ok(None);
        }
        let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
        if granted.expires <= now
            || granted.redirect_uri != redirect_uri
            || !same(&challenge, &granted.challenge)
        {
            return Ok(None);
        }
        let family = self.kept.families.len();
        granted.family = Some(family);
        let scope = granted.scope.clone();
        self.kept.families.push(Family {
            scope,
            generation: 0,
            leniency_used: false,
            revoked: false,
        });
        self.issue(family).map(Some)
    }

    /// Exchanges a refresh token.
    pub(crate) fn refresh(&mut self, token: &str) -> io::Result<Refreshed> {
        let Some(&Refresh { family, generation }) = self.kept.refresh.get(token) else {
            return Ok(Refreshed::Unknown);
        };
        let Some(found) = self.kept.families.get_mut(family) else {
            return Ok(Refreshed::Unknown);
        };
        if found.revoked {
            return Ok(Refreshed::Unknown);
        }
        let previous = generation + 1 == found.generation;
        if generation == found.generation {
            found.leniency_used = false;
        } else if previous && self.accept_previous_token && !found.leniency_used {
            found.leniency_used = true;
        } else {
            self.end(family)?;
            return Ok(Refreshed::Reused);
        }
        // A lenient repeat stands in for the rotation whose answer was lost: the token that was
        // lost with it stays behind, and the one presented is again the one before the valid one.
        if generation == found.generation {
            found.generation += 1;
        } else {
            let lost = found.generation;
            self.kept.refresh.retain(|_, kept| kept.family != family || kept.generation != lost);
        }
        self.issue(family).map(Refreshed::Tokens)
    }

    /// Whether a refresh token is the valid one of a living grant. One that leniency would take
    /// once more is not: it has been replaced.
    pub(crate) fn is_exchangeable(&self, token: &str) -> bool {
        self.kept.refresh.get(token).is_some_and(|refresh| {
            let family = self.kept.families.get(refresh.family);
            family.is_some_and(|it| !it.revoked && it.generation == refresh.generation)
        })
    }

    /// Ends the grant of a token; says whether there was one.
    pub(crate) fn revoke(&mut self, token: &str) -> io::Result<bool> {
        let access = self.kept.access.get(token).map(|access| access.family);
        let refresh = self.kept.refresh.get(token).map(|refresh| refresh.family);
        match access.or(refresh) {
            Some(family) => self.end(family),
            None => Ok(false),
        }
    }

    /// The scope of a valid access token.
    pub(crate) fn scope_of(&self, token: &str) -> Option<&str> {
        let access = self.kept.access.get(token)?;
        let family = self.kept.families.get(access.family)?;
        let alive = access.expires_micros > self.clock.now().as_micros() && !family.revoked;
        alive.then_some(family.scope.as_str())
    }

    pub(crate) fn contacts(&self) -> &[Contact] {
        &self.kept.contacts
    }

    /// Adds a contact; says whether there was room.
    pub(crate) fn add_contact(&mut self, contact: Contact) -> io::Result<bool> {
        if self.kept.contacts.len() >= MOST {
            return Ok(false);
        }
        self.kept.contacts.push(contact);
        self.save()?;
        Ok(true)
    }

    /// New tokens of a family's present generation.
    fn issue(&mut self, family: usize) -> io::Result<Tokens> {
        let now = self.clock.now();
        if self.kept.access.len() >= MOST {
            self.kept.access.retain(|_, access| access.expires_micros > now.as_micros());
        }
        if self.kept.refresh.len() >= MOST {
            // What is forgotten is refused as unknown instead of as reused.
            let families = &self.kept.families;
            self.kept.refresh.retain(|_, old| {
                families
                    .get(old.family)
                    .is_some_and(|it| !it.revoked && old.generation + 1 >= it.generation)
            });
        }
        let life = Duration::from_secs(self.access_token_seconds.into());
        let tokens = Tokens {
            access: secret(&*self.randomness, "demo_at_"),
            refresh: secret(&*self.randomness, "demo_rt_"),
            expires_in: self.access_token_seconds,
            scope: self.kept.families.get(family).map_or_else(String::new, |it| it.scope.clone()),
        };
        let generation = self.kept.families.get(family).map_or(0, |it| it.generation);
        self.kept.access.insert(
            tokens.access.clone(),
            Access { family, expires_micros: now.plus(life).as_micros() },
        );
        self.kept.refresh.insert(tokens.refresh.clone(), Refresh { family, generation });
        self.save()?;
        Ok(tokens)
    }

    fn end(&mut self, family: usize) -> io::Result<bool> {
        let Some(found) = self.kept.families.get_mut(family) else { return Ok(false) };
        let lived = !std::mem::replace(&mut found.revoked, true);
        self.save()?;
        Ok(lived)
    }

    /// Writes the file, if there is one, so that a crash leaves the old or the new state.
    fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let beside = file.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // It holds secrets, if only the demo's.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut writer = options.open(&beside)?;
        serde_json::to_writer(&mut writer, &self.kept)?;
        writer.sync_all()?;
        std::fs::rename(beside, file)
    }
}

fn same(given: &str, expected: &str) -> bool {
    verify_slices_are_equal(given.as_bytes(), expected.as_bytes()).is_ok()
}

fn secret(randomness: &dyn Randomness, prefix: &str) -> String {
    let mut bytes = [0; 20];
    randomness.fill(&mut bytes);
    format!("{prefix}{}", HEXLOWER.encode(&bytes))
}
