//! E-mail addresses in one form, so that they can be compared.
//!
//! An address is kept with its local part in lower-case ASCII and its domain as DNS has it: IDNA's
//! ASCII form (UTS 46) in lower case. Whatever could make two addresses look alike that are not
//! the same is refused instead of guessed at: local parts that are quoted or not ASCII, control
//! characters, addresses in place of domains.

use causeway_types::{Code, Coded};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use url::Host;

/// The longest address, in characters (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;
/// The longest local part (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// The longest label of a domain (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// An e-mail address, normalized. Two are of the same mailbox exactly if they are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// A text that is not an address that Causeway takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than [`MAX_EMAIL`], or a part longer than it may be.
    #[error(
        "the e-mail address is longer than {MAX_EMAIL} characters, or a part of it is too long"
    )]
    TooLong,
    /// Not one `@` with something on both sides.
    #[error("an e-mail address is a name, an `@` and a domain")]
    Shape,
    /// The local part is not a dot-atom in ASCII (RFC 5322 section 3.2.3).
    #[error(
        "before the `@` only ASCII letters, digits, dots between them and !#$%&'*+-/=?^_`{{|}}~ are taken"
    )]
    Local,
    /// The domain is not one.
    #[error("after the `@` a domain is expected, such as example.com")]
    Domain,
}

impl Coded for EmailError {
    fn code(&self) -> Code {
        Code::InvalidEmail
    }

    fn public(&self) -> Cow<'static, str> {
        let mut text = self.to_string();
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text.push('.');
        text.into()
    }
}

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// What comes before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        // Before any other work, so that a long text costs nothing.
        if text.len() > 4 * MAX_EMAIL {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Shape)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(EmailError::Shape);
        }
        if local.len() > MAX_LOCAL {
            return Err(EmailError::TooLong);
        }
        if !local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
            return Err(EmailError::Local);
        }
        let domain = normalize_domain(domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > MAX_EMAIL {
            return Err(EmailError::TooLong);
        }
        Ok(Self(address))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A domain in ASCII and lower case.
///
/// # Errors
/// [`EmailError::Domain`] for what is none: an IP address, a trailing dot, characters that no
/// host name has (RFC 1123 section 2.1).
pub fn normalize_domain(text: &str) -> Result<String, EmailError> {
    // `Host::parse` would decode percent signs and read numbers as IPv4 addresses.
    if text.len() > 4 * MAX_EMAIL || text.contains('%') || text.chars().any(char::is_whitespace) {
        return Err(EmailError::Domain);
    }
    let Ok(Host::Domain(domain)) = Host::parse(text) else { return Err(EmailError::Domain) };
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.split('.').all(label) { Ok(domain) } else { Err(EmailError::Domain) }
}

/// RFC 5322 section 3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, EmailError> {
        text.parse::<Email>().map(|email| email.to_string())
    }

    #[test]
    fn case_and_the_domains_unicode_make_no_difference() {
        for (text, form) in [
            ("Ada@Example.COM", "ada@example.com"),
            ("ada.lovelace+x@example.com", "ada.lovelace+x@example.com"),
            ("ada@B\u{dc}CHER.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@\u{ff45}\u{ff58}\u{ff41}\u{ff4d}\u{ff50}\u{ff4c}\u{ff45}.com", "ada@example.com"),
            ("ada@localhost", "ada@localhost"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(form), "{text}");
        }
    }

    #[test]
    fn look_alikes_are_refused_or_differ() {
        // A Cyrillic a, a full-width one, a dotless i, a Kelvin sign, a long s.
        for local in ["\u{430}da", "\u{ff41}da", "ada\u{131}", "ada\u{212a}", "ada\u{17f}"] {
            assert_eq!(read(&format!("{local}@example.com")), Err(EmailError::Local), "{local}");
        }
        // A domain with a Cyrillic a is another domain, and looks like one.
        assert_eq!(read("ada@ex\u{430}mple.com").as_deref(), Ok("ada@xn--exmple-4nf.com"));
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for (text, error) in [
            ("", EmailError::Shape),
            ("ada", EmailError::Shape),
            ("@example.com", EmailError::Shape),
            ("ada@", EmailError::Shape),
            ("a@b@example.com", EmailError::Shape),
            ("\"ada\"@example.com", EmailError::Local),
            ("a da@example.com", EmailError::Local),
            (".ada@example.com", EmailError::Local),
            ("ada.@example.com", EmailError::Local),
            ("a..da@example.com", EmailError::Local),
            ("ada\u{0}@example.com", EmailError::Local),
            ("ada\r\nbcc:eve@example.com", EmailError::Local),
            ("Ada <ada@example.com>", EmailError::Local),
            ("ada@example.com>", EmailError::Domain),
            ("ada@example.com\n", EmailError::Domain),
            ("ada@ example.com", EmailError::Domain),
            ("ada@example.com.", EmailError::Domain),
            ("ada@example..com", EmailError::Domain),
            ("ada@-example.com", EmailError::Domain),
            ("ada@exa_mple.com", EmailError::Domain),
            ("ada@exa%6dple.com", EmailError::Domain),
            ("ada@127.0.0.1", EmailError::Domain),
            ("ada@[::1]", EmailError::Domain),
            ("ada@0x7f.1", EmailError::Domain),
            ("ada@example.com/x", EmailError::Domain),
            ("ada@example.com:25", EmailError::Domain),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        assert_eq!(read(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::TooLong));
        let long = format!("ada@{}example.com", "a.".repeat(130));
        assert_eq!(read(&long), Err(EmailError::TooLong));
        assert_eq!(read(&"a".repeat(100_000)), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}(@.{0,80})?") {
            let _ = read(&text);
        }

        #[test]
        fn what_was_read_reads_as_itself(text in "[!-~]{1,20}@[a-zA-Zéöア0-9.-]{1,30}") {
            if let Ok(form) = read(&text) {
                prop_assert!(form.is_ascii() && !form.bytes().any(|b| b.is_ascii_uppercase()));
                prop_assert_eq!(read(&form), Ok(form.clone()));
            }
        }

        #[test]
        fn case_never_matters(local in "[a-zA-Z0-9]{1,20}", domain in "[a-zA-Z]{2,10}\\.[a-zA-Z]{2,5}") {
            let text = format!("{local}@{domain}");
            prop_assert_eq!(read(&text), read(&text.to_uppercase()));
        }
    }
}
