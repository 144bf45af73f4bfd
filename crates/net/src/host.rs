//! What a host text means.
//!
//! `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`, `[::ffff:7f00:1]`, `127.0.0.1.` and full-width
//! digits all mean 127.0.0.1 to one program or another. The WHATWG URL standard's host parser
//! reads all of them as the address that they mean, so the guard judges that address; a text
//! that it does not read as a host is refused.

use std::net::{IpAddr, Ipv6Addr};
use url::Host;

/// The longest host name in DNS, in bytes of its text form (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Address(IpAddr),
    /// Lower case, punycode, without the trailing dot.
    Name(String),
}

/// Reads a host: a name, an IPv4 address in any form, an IPv6 address with or without brackets.
/// `None` if it is none of these.
pub(crate) fn parse(text: &str) -> Option<Target> {
    if let Ok(v6) = text.parse::<Ipv6Addr>() {
        return Some(Target::Address(v6.into()));
    }
    match Host::parse(text).ok()? {
        Host::Ipv4(v4) => Some(Target::Address(v4.into())),
        Host::Ipv6(v6) => Some(Target::Address(v6.into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let fits = !name.is_empty() && name.len() <= LONGEST_NAME;
            let labels = name.split('.').all(|label| !label.is_empty() && label.len() <= 63);
            (fits && labels).then(|| Target::Name(name.to_owned()))
        }
    }
}

/// The text for an error message: without user info, which may hold a password, and bounded.
pub(crate) fn printable(text: &str) -> String {
    let host = text.rsplit('@').next().unwrap_or_default();
    host.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_forms_mean_their_address() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "017700000001",
            "１２７.０.０.１",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
        ] {
            let meant = Some(Target::Address("127.0.0.1".parse().unwrap()));
            assert_eq!(parse(text), meant, "{text}");
        }
        for text in ["[::1]", "::1", "[0:0:0:0:0:0:0:1]"] {
            assert_eq!(parse(text), Some(Target::Address("::1".parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn names_are_normalized() {
        for text in
            ["API.example.com", "api.example.com.", "ａｐｉ.example.com", "api。example.com"]
        {
            assert_eq!(parse(text), Some(Target::Name("api.example.com".into())), "{text}");
        }
        assert_eq!(parse("bücher.example"), Some(Target::Name("xn--bcher-kva.example".into())));
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        for text in [
            "",
            ".",
            "..",
            "a..example",
            "me@127.0.0.1",
            "me:pw@api.example",
            "api.example:80",
            "api.example/path",
            "api.example\\x",
            "api.example#x",
            "api.example?x",
            "api example",
            "api\n.example",
            "api\0.example",
            "1.2.3.4.5",
            "256.256.256.256",
            "4294967296",
            "0x1ffffffff",
            "[::1",
            "::1]",
            "[fe80::1%25eth0]",
            "fe80::1%eth0",
            "%40",
            "%00.example",
            &long,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn error_texts_hold_no_password() {
        assert_eq!(printable("me:pw@api.example"), "api.example");
        assert_eq!(printable("api\n.example"), "api\\n.example");
    }
}
