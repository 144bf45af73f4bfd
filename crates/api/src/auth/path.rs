//! Where a browser goes after a sign-in: a path of this server, never somebody else's address.

use super::ACCOUNT;
use serde::Deserialize;

/// The longest such path, in bytes.
pub(crate) const MAX_RETURN_PATH: usize = 2_048;

/// A path of this server, with its query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) struct ReturnPath(String);

impl ReturnPath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnPath {
    fn default() -> Self {
        Self(ACCOUNT.to_owned())
    }
}

/// What is no path of this server becomes the account page: a link that somebody else wrote must
/// not lead away, and need not be explained.
impl From<String> for ReturnPath {
    fn from(text: String) -> Self {
        // Browsers read `\` as `/` and leave tabs and line ends out, so `/\evil.example` and
        // `/<tab>/evil.example` would be other hosts (WHATWG URL section 4.4).
        let local = text.len() <= MAX_RETURN_PATH
            && text.starts_with('/')
            && !text.starts_with("//")
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if local { Self(text) } else { Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for path in ["/", "/account", "/a?b=c#d", "/%2F%2Fevil.example", "/a//b"] {
            assert_eq!(ReturnPath::from(path.to_owned()).as_str(), path);
        }
        let long = format!("/{}", "a".repeat(MAX_RETURN_PATH));
        for path in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            " /a",
            "/a b",
            "/a\r\nset-cookie: a=b",
            "/ä",
            "/a\0",
            long.as_str(),
        ] {
            assert_eq!(ReturnPath::from(path.to_owned()), ReturnPath::default(), "{path:?}");
        }
    }
}
