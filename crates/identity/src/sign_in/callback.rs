//! What browsers bring: the answer of a provider, and the path to return to.

use super::SignInError;
use causeway_types::SecretString;
use url::{Position, Url, form_urlencoded};

/// The longest value that is read, in bytes. Longer ones are nobody's that we know.
const MAX_VALUE: usize = 8 * 1024;
/// The longest path to return to, in bytes.
const MAX_RETURN_PATH: usize = 2048;

/// What the provider sent the browser back with (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Default)]
pub struct Callback {
    pub(super) state: String,
    pub(super) code: Option<SecretString>,
    pub(super) error: Option<String>,
    pub(super) iss: Option<String>,
}

impl Callback {
    /// Reads the query of the request that the browser came back with. A parameter that stands
    /// twice makes the whole query as good as empty (RFC 6749 section 3.1).
    pub fn from_query(query: &str) -> Self {
        let mut read = Self::default();
        let mut state = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.len() > MAX_VALUE {
                return Self::default();
            }
            let value = value.into_owned();
            let twice = match name.as_ref() {
                "state" => state.replace(value).is_some(),
                "code" => read.code.replace(SecretString::new(value)).is_some(),
                "error" => read.error.replace(value).is_some(),
                "iss" => read.iss.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return Self::default();
            }
        }
        read.state = state.unwrap_or_default();
        read
    }
}

/// The path to return to, if it is one of this server: it begins with one `/`, and no browser
/// reads it as another host's address (WHATWG URL: `\` counts as `/`, tabs and line feeds as
/// nothing).
pub(super) fn checked_return_path(path: &str) -> Result<String, SignInError> {
    let plain = path.len() <= MAX_RETURN_PATH
        && path.starts_with('/')
        && !path.contains('\\')
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain {
        return Err(SignInError::ReturnPath);
    }
    let base = Url::parse("https://here.invalid/").map_err(|_| SignInError::ReturnPath)?;
    let url = base.join(path).map_err(|_| SignInError::ReturnPath)?;
    // Dots were resolved, so what looked like a path may have become `//host`.
    let local = &url[Position::BeforePath..];
    if url.origin() != base.origin() || local.starts_with("//") {
        return Err(SignInError::ReturnPath);
    }
    Ok(local.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_of_this_server_are_returned_to() {
        for (path, taken) in [
            ("/", "/"),
            ("/workflows?x=1#y", "/workflows?x=1#y"),
            ("/a/../b", "/b"),
            ("/%2F%2Fevil.example", "/%2F%2Fevil.example"),
            ("/@evil.example", "/@evil.example"),
            ("/https://evil.example", "/https://evil.example"),
        ] {
            assert_eq!(checked_return_path(path).ok().as_deref(), Some(taken), "{path}");
        }
        for path in [
            "",
            "workflows",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\\b",
            "/.//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/ /evil.example",
            "\u{0}/",
            "https://evil.example/",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "?x",
            "#x",
            "/\u{e9}",
            "/\u{2215}\u{2215}evil.example",
        ] {
            assert!(checked_return_path(path).is_err(), "{path:?}");
        }
        assert!(checked_return_path(&format!("/{}", "a".repeat(MAX_RETURN_PATH))).is_err());
    }

    #[test]
    fn what_stands_twice_is_not_read() {
        let one = Callback::from_query("state=a&code=b&iss=c&scope=d&scope=e");
        assert_eq!((one.state.as_str(), one.iss.as_deref()), ("a", Some("c")));
        assert_eq!(one.code.map(|code| code.expose().clone()).as_deref(), Some("b"));
        for query in ["state=a&state=a", "state=a&code=b&code=c", "state=a&%73tate=b"] {
            let read = Callback::from_query(query);
            assert!(read.state.is_empty() && read.code.is_none(), "{query}");
        }
        let long = format!("state={}", "a".repeat(MAX_VALUE + 1));
        assert!(Callback::from_query(&long).state.is_empty());
    }

    proptest! {
        #[test]
        fn no_query_and_no_path_makes_the_readers_panic(text in ".{0,100}") {
            let _ = Callback::from_query(&text);
            let _ = checked_return_path(&text);
        }

        #[test]
        fn a_path_that_is_taken_leads_nowhere_else(path in "/[/.\\\\a-z%@:?#\t2eEfF5cC]{0,24}") {
            if let Ok(taken) = checked_return_path(&path) {
                let base = Url::parse("https://causeway.example/auth/callback").unwrap();
                let to = base.join(&taken).unwrap();
                prop_assert_eq!(to.origin(), base.origin());
                prop_assert!(!taken.starts_with("//"));
            }
        }
    }
}
