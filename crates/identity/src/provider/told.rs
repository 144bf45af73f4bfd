//! What a provider says of somebody.

use super::AskError;
use crate::email::Email;
use crate::sign_in::Refusal;
use crate::sso::Authentication;
use causeway_types::Timestamp;

/// The longest name that is kept, in characters.
const MAX_NAME: usize = 200;
/// The longest subject (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// Somebody, as a provider knows them. The address is one that it has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) subject: String,
    pub(crate) email: Email,
    pub(crate) name: String,
    /// Google's `hd`.
    pub(crate) hosted_domain: Option<String>,
    pub(crate) authentication: Authentication,
    /// When the provider says that it authenticated the person, if it does.
    pub(crate) authenticated_at: Option<Timestamp>,
}

/// A provider's answer that does not lead to anybody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    /// It is not believed.
    #[error("believing the provider's answer: {0}")]
    Refused(Refusal),
    /// There is none.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<Refusal> for TellError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A subject, if it can be one: 1 to 255 printable ASCII characters.
pub(super) fn checked_subject(text: String) -> Result<String, Refusal> {
    let fits = (1..=MAX_SUBJECT).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Ok(text)
    } else {
        Err(Refusal::Subject)
    }
}

/// What to call somebody: the name without control characters and cut, or else the address.
pub(super) fn clean_name(name: Option<&str>, email: &Email) -> String {
    let name: String =
        name.unwrap_or_default().chars().filter(|one| !one.is_control()).take(MAX_NAME).collect();
    let name = name.trim();
    if name.is_empty() { email.local().to_owned() } else { name.to_owned() }
}
