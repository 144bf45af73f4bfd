//! Limits on what callers may send, and the forms of names.

use crate::error::InvalidInput;
use causeway_types::{OAuthClientId, SecretString};
use url::{Host, Url};

/// Longest `external_id` of a customer, in bytes.
const EXTERNAL_ID: usize = 255;
/// Longest name of a connection, in bytes.
const NAME: usize = 64;
/// Longest `return_url`, `error_url` and `webhook_url`, in bytes.
const WEB_URL: usize = 2048;
/// Most origins of a list.
const ORIGINS: usize = 20;
/// Longest `client_id` of an OAuth client, in bytes.
const CLIENT_ID: usize = 512;
/// Longest value of a credential's field and longest client secret, in bytes.
const SECRET: usize = 16 * 1024;
/// Most scopes.
const SCOPES: usize = 100;
/// Longest scope, in bytes.
const SCOPE: usize = 256;

/// 1 to 255 bytes without control characters.
pub(crate) fn external_id(text: &str) -> Result<(), InvalidInput> {
    if text.is_empty() || text.len() > EXTERNAL_ID || text.chars().any(char::is_control) {
        return Err(InvalidInput::new(
            "customer",
            "the customer's id must be 1 to 255 bytes without control characters",
        ));
    }
    Ok(())
}

/// 1 to 64 of a-z, 0-9, `-` and `_`, a letter first. Ids of connections cannot be names.
pub(crate) fn connection_name(text: &str) -> Result<(), InvalidInput> {
    let form =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let fits = text.len() <= NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(form)
        && !text.starts_with("conn_");
    if fits {
        return Ok(());
    }
    Err(InvalidInput::new(
        "name",
        "a connection's name is 1 to 64 of a-z, 0-9, - and _, starts with a letter and not with `conn_`",
    ))
}

/// Whether a URL is one of the web that keeps what it is sent: https, or http on this machine.
pub(crate) fn is_web(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // RFC 6761, section 6.3.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// An absolute https URL, or an http one at `localhost` or a loopback address, without user info,
/// at most 2,048 bytes.
pub(crate) fn web_url(field: &str, text: &str) -> Result<(), InvalidInput> {
    let fits = text.len() <= WEB_URL
        && !text.contains(|letter: char| letter.is_control() || letter.is_whitespace())
        && Url::parse(text)
            .is_ok_and(|url| is_web(&url) && url.username().is_empty() && url.password().is_none());
    if fits {
        return Ok(());
    }
    Err(InvalidInput::new(
        field,
        "it must be an absolute https URL, or an http one at localhost, without user info, at most 2,048 bytes",
    ))
}

/// At most 20 origins, each as browsers print it (RFC 6454, section 6.2).
pub(crate) fn origins(field: &str, origins: &[String]) -> Result<(), InvalidInput> {
    // A browser's policy would read `*` as any host, and the rest of ASCII as its own syntax.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:/-_[]".contains(&byte);
    let fits = |text: &String| {
        text.bytes().all(plain)
            && Url::parse(text)
                .is_ok_and(|url| is_web(&url) && url.origin().ascii_serialization() == *text)
    };
    if origins.len() <= ORIGINS && origins.iter().all(fits) {
        return Ok(());
    }
    Err(InvalidInput::new(
        field,
        "at most 20 origins like https://app.example.com, without a path and without a slash at the end; http at localhost only",
    ))
}

/// The name of a set of scopes, as rows have it.
pub(crate) fn profile(text: &str) -> Result<(), InvalidInput> {
    let form = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=40).contains(&text.len()) && text.bytes().all(form) {
        return Ok(());
    }
    Err(InvalidInput::new("scope_profile", "a set of scopes is named by 1 to 40 of a-z, 0-9 and _"))
}

/// The name of an OAuth client: empty for the usual one, or 1 to 64 of a-z, 0-9, `-` and `_`, a
/// letter first. Ids of clients cannot be names.
pub(crate) fn client_name(text: &str) -> Result<(), InvalidInput> {
    let form =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let named = text.len() <= NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(form)
        && text.parse::<OAuthClientId>().is_err();
    if text.is_empty() || named {
        return Ok(());
    }
    Err(InvalidInput::new(
        "name",
        "a client's name is 1 to 64 of a-z, 0-9, - and _, and starts with a letter; leave it out for the usual client",
    ))
}

/// A text for people: at most `most` characters on one line.
pub(crate) fn line(field: &str, text: &str, most: usize) -> Result<(), InvalidInput> {
    if text.chars().count() <= most && shown(text, most) == text {
        return Ok(());
    }
    Err(InvalidInput::new(
        field,
        format!(
            "it must be one line of at most {most} characters, without spaces around it and without control characters"
        ),
    ))
}

/// 1 to 512 visible ASCII characters (RFC 6749 appendix A.1).
pub(crate) fn client_id(text: &str) -> Result<(), InvalidInput> {
    let visible = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if text.is_empty() || text.len() > CLIENT_ID || !visible {
        return Err(InvalidInput::new(
            "client_id",
            "the client id must be 1 to 512 printable ASCII characters",
        ));
    }
    Ok(())
}

/// At most 16 KiB without control characters, which no HTTP header could carry.
pub(crate) fn secret(field: &str, value: &SecretString) -> Result<(), InvalidInput> {
    let text = value.expose();
    if text.is_empty() || text.len() > SECRET || text.chars().any(char::is_control) {
        return Err(InvalidInput::new(
            field,
            "the value must be 1 to 16,384 bytes without control characters",
        ));
    }
    Ok(())
}

/// At most 100 scopes of 256 visible characters each (RFC 6749 section 3.3).
pub(crate) fn scopes(scopes: &[String]) -> Result<(), InvalidInput> {
    let token =
        |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    let fits = scopes.len() <= SCOPES
        && scopes.iter().all(|one| !one.is_empty() && one.len() <= SCOPE && one.bytes().all(token));
    if fits {
        return Ok(());
    }
    Err(InvalidInput::new(
        "scopes",
        "at most 100 scopes of 1 to 256 characters, without spaces, quotes and backslashes",
    ))
}

/// At most 16 KiB; without control characters, which no HTTP header could carry, except the line
/// ends of a value of several lines.
pub(crate) fn value(field: &str, text: &str, lines: bool) -> Result<(), InvalidInput> {
    let banned = |letter: char| letter.is_control() && !(lines && matches!(letter, '\n' | '\r'));
    if text.len() > SECRET || text.chars().any(banned) {
        return Err(InvalidInput::new(
            field,
            "the value must be at most 16,384 bytes without control characters",
        ));
    }
    Ok(())
}

/// Text of a third party, made safe to show: one line, no control characters, at most `most`
/// characters. It is still plain text: whoever puts it into HTML escapes it.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text
        .chars()
        .map(|letter| if letter.is_control() || letter.is_whitespace() { ' ' } else { letter })
        // Marks that change the direction of text could make one text look like another.
        .filter(|letter| !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
        .take(most + 1)
        .collect();
    if shown.chars().count() > most {
        shown.pop();
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        for good in ["a", "acme-crm", "crm_2", &"a".repeat(64)] {
            assert!(connection_name(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "A", "a b", "a.b", "ä", "conn_x", &"a".repeat(65)] {
            assert!(connection_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn return_urls_lead_to_web_pages() {
        for good in ["https://app.example/done?x=1", "http://localhost:3000/", "http://[::1]/x"] {
            assert!(web_url("return_url", good).is_ok(), "{good}");
        }
        for bad in [
            "/done",
            "//evil.example/",
            "javascript:alert(1)",
            "https://me:pw@app.example/",
            "data:text/html,x",
            "http://app.example/",
            "http://localhost.evil.example/",
            "https:",
        ] {
            assert!(web_url("return_url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_print_them() {
        let check = |text: &str| origins("allowed_origins", &[text.to_owned()]);
        for good in ["https://app.example", "https://app.example:8443", "http://localhost:3000"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "https://app.example/",
            "https://APP.example",
            "https://app.example:443",
            "https://*.example",
            "http://app.example",
            "null",
            "*",
            "https://app.example https://evil.example",
            "https://app.example;",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let many = vec!["https://a.example".to_owned(); 21];
        assert!(origins("allowed_origins", &many).is_err());
    }

    #[test]
    fn foreign_text_is_bounded_and_on_one_line() {
        assert_eq!(shown("a\r\nb\u{202e}c\0", 10), "a  bc");
        assert_eq!(shown(&"x".repeat(50), 5), "xxxxx…");
    }
}
