//! The operator's exceptions: networks of his own that the guard lets through.

use ipnet::IpNet;
use std::net::IpAddr;
use std::str::FromStr;

/// A network, or one port of it, that the guard connects to although it is not public.
///
/// Text form: `10.1.0.0/16`, `127.0.0.1/32:8401`, `fd12:3456::/32`, `fd12:3456::7/128:443`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllowedRange {
    net: IpNet,
    port: Option<u16>,
}

/// The widest range that may be allowed, in prefix bits. A wider one is a slip of the finger
/// (`0.0.0.0/0` would switch the guard off).
const SHORTEST_PREFIX: u8 = 8;

/// Reading an allowed range failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAllowedRangeError {
    /// Not of the form.
    #[error(
        "`{0}` is not an address range; write `10.1.0.0/16`, or `10.1.0.7/32:443` for one port"
    )]
    Form(String),
    /// Wider than /8.
    #[error("`{0}` is wider than /{SHORTEST_PREFIX}; name the networks that are really meant")]
    TooWide(String),
}

impl AllowedRange {
    /// Allows one port of one address; what tests and the demo need.
    pub fn single(address: IpAddr, port: u16) -> Self {
        Self { net: IpNet::from(address), port: Some(port) }
    }

    /// Whether it holds this address and port. The address must be in its canonical form.
    pub(crate) fn covers(&self, address: IpAddr, port: u16) -> bool {
        self.net.contains(&address) && self.port.is_none_or(|only| only == port)
    }

    /// Whether it names a single address.
    pub(crate) fn is_single(&self) -> bool {
        self.net.prefix_len() == self.net.max_prefix_len()
    }
}

impl FromStr for AllowedRange {
    type Err = ParseAllowedRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ParseAllowedRangeError::Form(text.to_owned());
        let (address, rest) = text.split_once('/').ok_or_else(form)?;
        let (prefix, port) = match rest.split_once(':') {
            Some((prefix, port)) => (prefix, Some(port.parse::<u16>().map_err(|_| form())?)),
            None => (rest, None),
        };
        let net = format!("{address}/{prefix}").parse::<IpNet>().map_err(|_| form())?;
        if net.prefix_len() < SHORTEST_PREFIX {
            return Err(ParseAllowedRangeError::TooWide(text.to_owned()));
        }
        if port == Some(0) {
            return Err(form());
        }
        Ok(Self { net: net.trunc(), port })
    }
}

impl std::fmt::Display for AllowedRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.net)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl<'de> serde::Deserialize<'de> for AllowedRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_and_print() {
        for text in [
            "10.1.0.0/16",
            "127.0.0.1/32:8401",
            "fd12:3456::/32",
            "fd12:3456::7/128:443",
            "::1/128",
        ] {
            assert_eq!(text.parse::<AllowedRange>().unwrap().to_string(), text);
        }
        assert_eq!("10.1.2.3/16".parse::<AllowedRange>().unwrap().to_string(), "10.1.0.0/16");
    }

    #[test]
    fn slips_are_refused() {
        for text in
            ["", "10.1.0.0", "10.1.0.0:80", "10.1.0.0/33", "x/8", "10.0.0.0/8:0", "::1/128:"]
        {
            let refused = text.parse::<AllowedRange>().unwrap_err();
            assert!(matches!(refused, ParseAllowedRangeError::Form(_)), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/7"] {
            let refused = text.parse::<AllowedRange>().unwrap_err();
            assert!(matches!(refused, ParseAllowedRangeError::TooWide(_)), "{text}");
        }
    }

    #[test]
    fn a_port_narrows_the_range() {
        let range = "127.0.0.1/32:8401".parse::<AllowedRange>().unwrap();
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(range.covers(loopback, 8401));
        assert!(!range.covers(loopback, 8400));
        assert!(!range.covers("127.0.0.2".parse().unwrap(), 8401));
    }
}
