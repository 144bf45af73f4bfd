//! Which addresses are not the public Internet.
//!
//! Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its
//! updates), and the metadata services of the large clouds, which hand out credentials to
//! whoever asks from inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not a place that Causeway connects to by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// 0.0.0.0/8 and `::`: "this host" (RFC 1122, RFC 4291).
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// RFC 1918, fc00::/7 (RFC 4193), fec0::/10 (RFC 3879).
    Private,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// 100.64.0.0/10 (RFC 6598).
    SharedCarrier,
    /// A cloud's metadata or host service.
    CloudMetadata,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180).
    Benchmarking,
    /// IPv6 that carries an IPv4 address for a tunnel or a translator: IPv4-compatible, 6to4,
    /// Teredo, and NAT64 where the carried address is not public.
    Tunnel,
    /// Everything else that is not assigned to hosts on the Internet.
    Reserved,
}

impl Special {
    /// The noun phrase that error texts use.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::SharedCarrier => "a carrier's shared address (100.64.0.0/10)",
            Self::CloudMetadata => "a cloud metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "a documentation address",
            Self::Benchmarking => "a benchmarking address",
            Self::Tunnel => "an IPv6 address that carries an IPv4 address for a tunnel",
            Self::Reserved => "a reserved address",
        }
    }
}

/// The same address in its plain form: IPv4-mapped IPv6 (`::ffff:a.b.c.d`) becomes IPv4, since
/// that is where a connection to it goes.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Says why an address is special; `None` for the public Internet.
pub(crate) fn special(address: IpAddr) -> Option<Special> {
    match canonical(address) {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    Some(match address.octets() {
        // AWS, GCP, Azure and most others; AWS containers; Scaleway; AWS DNS and time.
        [169, 254, 169, 253 | 254] | [169, 254, 170, 2 | 23] | [169, 254, 42, 42]
        // Azure's host agent; Alibaba; Oracle.
        | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => Special::CloudMetadata,
        [0, ..] => Special::Unspecified,
        [127, ..] => Special::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special::Private,
        [169, 254, ..] => Special::LinkLocal,
        [100, 64..=127, ..] => Special::SharedCarrier,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Special::Documentation,
        [198, 18 | 19, ..] => Special::Benchmarking,
        [224..=239, ..] => Special::Multicast,
        [255, 255, 255, 255] => Special::Broadcast,
        // Protocol assignments (RFC 6890), the relays of 6to4 (RFC 7526), class E.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Special::Reserved,
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    Some(match address.segments() {
        // AWS, GCP, Scaleway.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x253 | 0x23]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => Special::CloudMetadata,
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        // IPv4-compatible (RFC 4291), Teredo (RFC 4380) and 6to4 (RFC 3056), whatever they
        // carry: all three are retired.
        [0, 0, 0, 0, 0, 0, ..] | [0x2001, 0, ..] | [0x2002, ..] => Special::Tunnel,
        // NAT64 (RFC 6052): the translator connects to the carried address. Networks with DNS64
        // answer with these for every IPv4-only host, so a public carried address passes.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => match special_v4(carried_v4(address)) {
            Some(Special::CloudMetadata) => Special::CloudMetadata,
            Some(_) => Special::Tunnel,
            None => return None,
        },
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Special::Private,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Special::Documentation,
        [0x2001, 2, 0, ..] => Special::Benchmarking,
        // IETF protocol assignments, 2001::/23.
        [0x2001, 1..=0x1ff, ..] => Special::Reserved,
        // The only block from which addresses are given to hosts (RFC 4291, 2000::/3).
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

/// The IPv4 address in the last 32 bits.
fn carried_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Special> {
        special(text.parse().unwrap())
    }

    #[test]
    fn every_registry_entry_is_special() {
        use Special::{
            Benchmarking, Broadcast, CloudMetadata, Documentation, LinkLocal, Loopback, Multicast,
            Private, Reserved, SharedCarrier, Tunnel, Unspecified,
        };
        for (text, reason) in [
            ("0.0.0.0", Unspecified),
            ("0.255.255.255", Unspecified),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("100.64.0.0", SharedCarrier),
            ("100.127.255.255", SharedCarrier),
            ("100.100.100.200", CloudMetadata),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("168.63.129.16", CloudMetadata),
            ("169.254.0.1", LinkLocal),
            ("169.254.169.254", CloudMetadata),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("192.0.0.1", Reserved),
            ("192.0.0.192", CloudMetadata),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Reserved),
            ("192.168.0.1", Private),
            ("198.18.0.1", Benchmarking),
            ("198.19.255.255", Benchmarking),
            ("198.51.100.7", Documentation),
            ("203.0.113.9", Documentation),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Broadcast),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::127.0.0.1", Tunnel),
            ("::8.8.8.8", Tunnel),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", CloudMetadata),
            ("::ffff:10.1.2.3", Private),
            ("64:ff9b::127.0.0.1", Tunnel),
            ("64:ff9b::169.254.169.254", CloudMetadata),
            ("64:ff9b:1::8.8.8.8", Reserved),
            ("100::1", Reserved),
            ("2001::1", Tunnel),
            ("2001:2::1", Benchmarking),
            ("2001:10::1", Reserved),
            ("2001:1ff::1", Reserved),
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("2002:7f00:1::", Tunnel),
            ("2002:808:808::", Tunnel),
            ("5f00::1", Reserved),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", CloudMetadata),
            ("fd20:ce::254", CloudMetadata),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
        ] {
            assert_eq!(of(text), Some(reason), "{text}");
        }
    }

    #[test]
    fn the_public_internet_is_not() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "3fff:1000::1",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
