//! Limits on what callers may send, and the forms of names.

use crate::error::InvalidInput;
use causeway_types::SecretString;
use std::collections::BTreeMap;
use url::Url;

/// Longest `external_id` of a customer, in bytes.
const EXTERNAL_ID: usize = 255;
/// Longest name of a connection, in bytes.
const NAME: usize = 64;
/// Longest `return_url`, in bytes.
const RETURN_URL: usize = 2048;
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

/// An absolute http or https URL without user info, at most 2,048 bytes.
pub(crate) fn return_url(text: &str) -> Result<(), InvalidInput> {
    let fits = text.len() <= RETURN_URL
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
        });
    if fits {
        return Ok(());
    }
    Err(InvalidInput::new(
        "return_url",
        "the return URL must be an absolute http or https URL without user info, at most 2,048 bytes",
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

/// The fields that a scheme asks for, all of them and no others.
pub(crate) fn fields<'a>(
    given: &BTreeMap<String, SecretString>,
    wanted: impl Iterator<Item = &'a str>,
) -> Result<(), InvalidInput> {
    let wanted: Vec<&str> = wanted.collect();
    if let Some(name) = wanted.iter().find(|name| !given.contains_key(**name)) {
        return Err(InvalidInput::new(name, "this field is missing"));
    }
    for (name, value) in given {
        if !wanted.contains(&name.as_str()) {
            let known = wanted.join(", ");
            // The name is the sender's own text and may be anything, so it is not repeated.
            return Err(InvalidInput::new(
                "fields",
                format!("there is an unknown field; send {known}"),
            ));
        }
        secret(name, value)?;
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
        assert!(return_url("https://app.example/done?x=1").is_ok());
        for bad in
            ["/done", "javascript:alert(1)", "https://me:pw@app.example/", "data:text/html,x"]
        {
            assert!(return_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn foreign_text_is_bounded_and_on_one_line() {
        assert_eq!(shown("a\r\nb\u{202e}c\0", 10), "a  bc");
        assert_eq!(shown(&"x".repeat(50), 5), "xxxxx…");
    }

    #[test]
    fn fields_are_exactly_those_that_the_row_names() {
        let given = |names: &[&str]| {
            names.iter().map(|n| ((*n).to_owned(), SecretString::new("v".into()))).collect()
        };
        assert!(fields(&given(&["a", "b"]), ["a", "b"].into_iter()).is_ok());
        assert_eq!(fields(&given(&["a"]), ["a", "b"].into_iter()).unwrap_err().field, "b");
        assert!(fields(&given(&["a", "<b>"]), ["a"].into_iter()).is_err());
    }
}
