//! How somebody who finds a vulnerability tells whoever operates this installation.
//!
//! - The *operator's key* is an OpenPGP public key ([`Recipient`]). What a reporter writes is
//!   encrypted to it before it is stored or mailed; Causeway itself cannot read it again.
//! - A *report* is that ciphertext with the time at which it came ([`Disclosure::submit`]). Staff
//!   reads and deletes reports with a permit.
//! - *`security.txt`* tells finders where to turn (RFC 9116), signed if the operator gave a key to
//!   sign with ([`TextSigner`]).
//! - The *mailer* sends each report on, as the ciphertext that it is ([`Disclosure::run_mailer`]).

mod certificate;
mod mail;
mod mailer;
mod recipient;
mod reports;
mod rng;
mod security_txt;
mod signer;

pub use certificate::KeyError;
pub use mail::{MailConfig, MailConfigError, MailError, Mailer};
pub use mailer::SendError;
pub use recipient::{EncryptError, Recipient};
pub use reports::{Draft, ReportError, SubmitError};
pub use security_txt::{Contact, ContactError};
pub use signer::{SignError, TextSigner};

use causeway_store::Store;
use causeway_types::{Clock, Randomness, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use url::Url;

/// The longest report, in bytes of UTF-8, with what says how to reach the reporter.
pub const MAX_REPORT: usize = 64 << 10;
/// Reports kept at most: whoever fills the table cannot fill the disk.
pub const MAX_REPORTS: i64 = 1_000;

/// What the operator has set up for finders of vulnerabilities.
#[derive(Default)]
pub struct DisclosureConfig {
    /// How to reach the operator, the preferred way first.
    pub contacts: Vec<Contact>,
    /// To whom reports are encrypted. None: no reports are taken here.
    pub recipient: Option<Recipient>,
    /// What signs `security.txt`.
    pub signer: Option<TextSigner>,
    /// Where the operator's policy stands.
    pub policy: Option<Url>,
    /// Languages that the operator reads (RFC 5646), such as `en`.
    pub languages: Vec<String>,
    /// Sends reports on.
    pub mailer: Option<Mailer>,
}

/// What the crate stands on.
pub struct DisclosureParts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and keys of messages.
    pub random: Arc<dyn Randomness>,
    /// The address under which the world reaches this server.
    pub public_url: Url,
    /// What the operator has set up.
    pub config: DisclosureConfig,
}

/// The intake of reports. Cheap to clone.
#[derive(Clone)]
pub struct Disclosure {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    public_url: Url,
    config: DisclosureConfig,
    /// The last `security.txt`, and until when it is given out.
    text: Mutex<Option<(Timestamp, Arc<str>)>>,
    /// A report has come.
    arrived: Notify,
}

impl Disclosure {
    /// Puts the parts together.
    pub fn new(parts: DisclosureParts) -> Self {
        let DisclosureParts { store, clock, random, public_url, config } = parts;
        let (text, arrived) = (Mutex::default(), Notify::new());
        Self { inner: Arc::new(Inner { store, clock, random, public_url, config, text, arrived }) }
    }

    /// Whether reports are taken here: the operator gave a key to encrypt them to.
    pub fn takes_reports(&self) -> bool {
        self.inner.config.recipient.is_some()
    }

    /// How else to reach the operator, the preferred way first.
    pub fn contacts(&self) -> &[Contact] {
        &self.inner.config.contacts
    }

    /// Where the operator's policy stands.
    pub fn policy(&self) -> Option<&Url> {
        self.inner.config.policy.as_ref()
    }

    /// The operator's public key, and the one that `security.txt` is signed with if that is
    /// another: ASCII-armored.
    pub fn public_keys(&self) -> Option<String> {
        let config = &self.inner.config;
        let mut text = config.recipient.as_ref().map(|key| key.armored().to_owned());
        if let Some(signer) = &config.signer
            && config.recipient.as_ref().is_none_or(|key| key.fingerprint() != signer.fingerprint())
        {
            text.get_or_insert_default().push_str(signer.armored());
        }
        text
    }

    /// `security.txt` as it stands now. None if the operator has set up nothing that it could say.
    ///
    /// # Errors
    /// [`SignError`] if it is to be signed and that does not work.
    pub fn security_txt(&self) -> Result<Option<Arc<str>>, SignError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let mut kept = inner.text.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, text)) = &*kept
            && now < *until
        {
            return Ok(Some(Arc::clone(text)));
        }
        let Some(plain) = security_txt::compose(&inner.config, &inner.public_url, now) else {
            return Ok(None);
        };
        let text: Arc<str> = match &inner.config.signer {
            Some(signer) => signer.sign(&plain, now, &*inner.random)?.into(),
            None => plain.into(),
        };
        *kept = Some((now.plus(security_txt::GIVEN_OUT), Arc::clone(&text)));
        Ok(Some(text))
    }
}
