//! From where a request comes: the other end of its connection, unless that is a proxy of the
//! operator's, which says for whom it asks.
//!
//! Anybody can write `X-Forwarded-For` and `Forwarded` (RFC 7239). So they are read only when the
//! connection comes from a proxy that the operator has named, only the one header that this proxy
//! is known to write, and only from its end: each proxy appends whom it got the request from, so
//! the last entry that is no proxy of ours is the last one that somebody of ours has written.

use crate::{Api, request_id};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use causeway_store::{Origin, with_origin};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The header in which the proxies say for whom they ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`: addresses, separated by commas.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the addresses stand under `for`.
    Forwarded,
}

/// A text that is no such header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading the proxies' header `{0}`: write x-forwarded-for or forwarded")]
pub struct UnknownHeader(String);

impl FromStr for ForwardedBy {
    type Err = UnknownHeader;

    fn from_str(text: &str) -> Result<Self, UnknownHeader> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(UnknownHeader(text.to_owned())),
        }
    }
}

/// The operator's proxies.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Where they are.
    pub networks: Vec<IpNet>,
    /// Where they say for whom they ask.
    pub header: ForwardedBy,
}

impl TrustedProxies {
    /// The client's address, for a connection from `peer` with these headers.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ForwardedBy::XForwardedFor => "x-forwarded-for",
            ForwardedBy::Forwarded => "forwarded",
        };
        // Several fields of one name are one list (RFC 9110 section 5.3).
        for field in headers.get_all(name).iter().rev() {
            for entry in field.to_str().unwrap_or_default().rsplit(',') {
                let hop = match self.header {
                    ForwardedBy::XForwardedFor => address(entry),
                    ForwardedBy::Forwarded => forwarded_for(entry),
                };
                // What a proxy does not tell, or has hidden, cannot be passed over: whatever
                // stands before it could be the client's own invention.
                let Some(hop) = hop else { return client };
                client = hop;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// An address with or without a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`,
/// `[2001:db8::7]`, `[2001:db8::7]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The address under `for` in one element of `Forwarded`. Names (`_hidden`, `unknown`) are none.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut values = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let value = values.next()?;
    // Twice in one element is not allowed (RFC 7239 section 4), and one of them is a lie.
    if values.next().is_some() {
        return None;
    }
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    address(quoted.unwrap_or(value))
}

/// From where a request comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// Of a request that came through [`around`].
    pub(crate) fn of(extensions: &axum::http::Extensions) -> IpAddr {
        extensions.get::<Self>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |found| found.0)
    }
}

/// Finds the address out once for each request, and lets the audit's events name it.
pub(crate) async fn around(
    api: &Api,
    peer: SocketAddr,
    mut request: Request,
    next: Next,
) -> Response {
    let address = api.trusted_proxies().client(peer.ip(), request.headers());
    request.extensions_mut().insert(ClientAddress(address));
    let origin = Origin { request: request_id::current(), address: Some(address.to_string()) };
    with_origin(origin, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn proxies(header: ForwardedBy) -> TrustedProxies {
        let networks = ["10.0.0.0/8", "2001:db8:1::/48"];
        TrustedProxies { networks: networks.map(|text| text.parse().unwrap()).to_vec(), header }
    }

    fn client(header: ForwardedBy, peer: &str, fields: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        proxies(header).client(peer.parse().unwrap(), &headers).to_string()
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn a_header_counts_only_from_a_proxy_of_ours() {
        let of = |peer, fields: &[_]| client(ForwardedBy::XForwardedFor, peer, fields);
        assert_eq!(of("192.0.2.7", &[(XFF, "198.51.100.1")]), "192.0.2.7");
        assert_eq!(of("10.0.0.1", &[(XFF, "198.51.100.1")]), "198.51.100.1");
        assert_eq!(of("::ffff:10.0.0.1", &[(XFF, "198.51.100.1")]), "198.51.100.1");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        let nobody = TrustedProxies::default();
        let headers = HeaderMap::from_iter([(
            "x-forwarded-for".parse().unwrap(),
            HeaderValue::from_static("198.51.100.1"),
        )]);
        assert_eq!(nobody.client("127.0.0.1".parse().unwrap(), &headers).to_string(), "127.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_itself_is_passed_over() {
        let of = |fields: &[_]| client(ForwardedBy::XForwardedFor, "10.0.0.1", fields);
        // The client claims to be somebody; our proxy appends who it really is.
        assert_eq!(of(&[(XFF, "203.0.113.9, 198.51.100.1")]), "198.51.100.1");
        assert_eq!(of(&[(XFF, "10.9.9.9, 198.51.100.1, 10.0.0.2")]), "198.51.100.1");
        // Two fields are one list, in their order.
        assert_eq!(of(&[(XFF, "203.0.113.9"), (XFF, "198.51.100.1")]), "198.51.100.1");
        // The header that our proxies do not write is the client's.
        assert_eq!(of(&[("forwarded", "for=203.0.113.9"), (XFF, "198.51.100.1")]), "198.51.100.1");
        assert_eq!(of(&[("x-real-ip", "203.0.113.9")]), "10.0.0.1");
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_walk() {
        let of = |value| client(ForwardedBy::XForwardedFor, "10.0.0.1", &[(XFF, value)]);
        for value in ["203.0.113.9, garbage", "203.0.113.9,", "203.0.113.9, unknown", ""] {
            assert_eq!(of(value), "10.0.0.1", "{value}");
        }
        assert_eq!(of("203.0.113.9, garbage, 10.0.0.2"), "10.0.0.2");
        assert_eq!(of("10.0.0.3, 10.0.0.2"), "10.0.0.3", "all of them are proxies");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let of = |value| client(ForwardedBy::Forwarded, "10.0.0.1", &[("forwarded", value)]);
        for (value, found) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=203.0.113.9, for=192.0.2.43:47011", "192.0.2.43"),
            ("for=192.0.2.43, for=\"[2001:db8:1::1]\"", "192.0.2.43"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.9, for=unknown", "10.0.0.1"),
            ("for=203.0.113.9, proto=https", "10.0.0.1"),
            ("for=203.0.113.9;for=192.0.2.1", "10.0.0.1"),
        ] {
            assert_eq!(of(value), found, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_stranger_never_chooses_his_address(value in "[ -~]{0,80}", by in any::<bool>()) {
            let header = if by { ForwardedBy::Forwarded } else { ForwardedBy::XForwardedFor };
            let fields = [(XFF, value.as_str()), ("forwarded", value.as_str())];
            prop_assert_eq!(client(header, "192.0.2.7", &fields), "192.0.2.7");
        }

        #[test]
        fn what_a_proxy_appends_wins(value in "[ -~]{0,80}") {
            let appended = format!("{value}, 198.51.100.1");
            let found = client(ForwardedBy::XForwardedFor, "10.0.0.1", &[(XFF, &appended)]);
            prop_assert_eq!(found, "198.51.100.1");
        }
    }
}
