//! `security.txt` (RFC 9116).

use crate::DisclosureConfig;
use causeway_types::Timestamp;
use std::fmt::{Display, Formatter, Write as _};
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// How long a text is valid. RFC 9116 section 2.5.5 advises less than a year.
const VALID: Duration = Duration::from_hours(180 * 24);
/// How long a text is given out before it is made anew, so that it never looks stale.
pub(crate) const GIVEN_OUT: Duration = Duration::from_hours(24);

/// A way to reach the operator: an `https:` page, or a `mailto:` or `tel:` address (RFC 9116
/// section 2.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(Url);

/// A text that is no way to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading the contact `{0}`: write mailto:NAME@HOST, https://…, or tel:+…")]
pub struct ContactError(String);

impl FromStr for Contact {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let url = Url::parse(text).ok();
        url.filter(|url| matches!(url.scheme(), "https" | "mailto" | "tel"))
            .filter(|url| url.scheme() != "mailto" || url.path().contains('@'))
            .map(Self)
            .ok_or_else(|| ContactError(text.to_owned()))
    }
}

impl Contact {
    /// Its URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The mail address, if that is what it is.
    pub fn mail_address(&self) -> Option<&str> {
        (self.0.scheme() == "mailto").then(|| self.0.path())
    }
}

impl Display for Contact {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text, not signed. None if it could name no way to reach the operator, without which it
/// would not be one (RFC 9116 section 2.5.3).
pub(crate) fn compose(
    config: &DisclosureConfig,
    public_url: &Url,
    now: Timestamp,
) -> Option<String> {
    // "Web URIs MUST begin with https://" (RFC 9116 sections 2.5.2 to 2.5.4).
    let here = |path: &str| {
        let base = public_url.as_str().trim_end_matches('/');
        (public_url.scheme() == "https").then(|| format!("{base}{path}"))
    };
    let mut text = String::new();
    let mut field = |name: &str, value: &dyn Display| {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    let form = config.recipient.is_some().then(|| here("/security/report")).flatten();
    if form.is_none() && config.contacts.is_empty() {
        return None;
    }
    for contact in &config.contacts {
        field("Contact", contact);
    }
    if let Some(form) = form {
        field("Contact", &form);
    }
    field("Expires", &now.plus(VALID));
    if let Some(key) = config.recipient.is_some().then(|| here("/security/pgp-key")).flatten() {
        field("Encryption", &key);
    }
    if let Some(policy) = &config.policy {
        field("Policy", policy);
    }
    if let Some(own) = here("/.well-known/security.txt") {
        field("Canonical", &own);
    }
    if !config.languages.is_empty() {
        field("Preferred-Languages", &config.languages.join(", "));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(contacts: &[&str], url: &str) -> Option<String> {
        let config = DisclosureConfig {
            contacts: contacts.iter().map(|text| text.parse().unwrap()).collect(),
            languages: vec!["en".into(), "de".into()],
            policy: Some("https://example.com/policy".parse().unwrap()),
            ..DisclosureConfig::default()
        };
        compose(&config, &url.parse().unwrap(), Timestamp::from_micros(1_709_251_199_999_999))
    }

    #[test]
    fn the_text_says_what_is_configured() {
        let text = composed(&["mailto:security@example.com"], "https://c.example/causeway");
        let expected = "Contact: mailto:security@example.com\n\
             Expires: 2024-08-27T23:59:59.999999Z\n\
             Policy: https://example.com/policy\n\
             Canonical: https://c.example/causeway/.well-known/security.txt\n\
             Preferred-Languages: en, de\n";
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn without_a_contact_there_is_no_text() {
        assert_eq!(composed(&[], "https://c.example"), None);
    }

    #[test]
    fn nothing_in_it_leads_to_a_page_without_tls() {
        let text = composed(&["tel:+49-30-1"], "http://127.0.0.1:8400").unwrap();
        assert!(!text.contains("http:") && !text.contains("Canonical"), "{text}");
    }

    #[test]
    fn a_contact_is_an_address_or_a_safe_page() {
        for text in ["http://x.example", "mailto:", "mailto:x", "x", "javascript:1", ""] {
            assert!(text.parse::<Contact>().is_err(), "{text}");
        }
        let contact: Contact = "mailto:a@b.example".parse().unwrap();
        assert_eq!(contact.mail_address(), Some("a@b.example"));
        let injected = "https://x.example/\nContact: https://evil.example";
        assert!(!injected.parse::<Contact>().is_ok_and(|contact| contact.as_str().contains('\n')));
    }
}
