//! The guard against hostile hosts: every form of an address, every kind of DNS answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here fails the test")]

use causeway_net::{AllowedRange, Guard, GuardConfig, GuardError, Resolve, Resolving, Special};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// A name server that gives its answers one after the other and counts the questions.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl Script {
    fn of(answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect())
            .collect();
        Self { answers: Arc::new(Mutex::new(answers)), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn guard(allow: &[&str], resolver: impl Resolve + 'static) -> Guard {
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    // Addresses of the public Internet lead nowhere here; a test that is let through must not
    // wait for them.
    Guard::new(GuardConfig { allow, connect_timeout: Duration::from_secs(2) }, resolver)
}

async fn code(guard: &Guard, host: &str, port: u16) -> &'static str {
    guard.connect(host, port).await.map_or_else(|refused| refused.code(), |_| "connected")
}

/// A listener that a bypass of the guard would reach.
async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// One part of an IPv4 address in one of the bases that `inet_aton` reads.
fn part(value: u32, base: u8) -> String {
    match base {
        0 => value.to_string(),
        1 => format!("0{value:o}"),
        2 => format!("0x{value:x}"),
        _ => format!("0X{value:X}"),
    }
}

/// The text of an IPv4 address with 1 to 4 parts, each in its own base.
fn odd_form(address: Ipv4Addr, parts: usize, bases: [u8; 4]) -> String {
    let bits = address.to_bits();
    let mut texts = Vec::new();
    for (index, base) in bases.into_iter().enumerate().take(parts) {
        let shift = 24 - 8 * u32::try_from(index).unwrap();
        let value = if index + 1 == parts {
            bits & (u32::MAX >> (24 - shift))
        } else {
            bits >> shift & 0xff
        };
        texts.push(part(value, base));
    }
    texts.join(".")
}

fn dressed(text: &str, dress: u8) -> String {
    match dress {
        0 => text.to_owned(),
        1 => format!("{text}."),
        2 => text.chars().map(full_width).collect(),
        3 => text.bytes().fold(String::new(), |done, byte| format!("{done}%{byte:02x}")),
        _ => text.replace('.', "\u{3002}"),
    }
}

fn full_width(letter: char) -> char {
    match letter {
        '!'..='~' => char::from_u32(u32::from(letter) + 0xfee0).unwrap(),
        other => other,
    }
}

fn special_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        (0u32..1 << 24).prop_map(|low| 0x7f00_0000 | low), // loopback
        (0u32..1 << 24).prop_map(|low| 0x0a00_0000 | low), // RFC 1918
        (0u32..1 << 20).prop_map(|low| 0xac10_0000 | low),
        (0u32..1 << 16).prop_map(|low| 0xc0a8_0000 | low),
        (0u32..1 << 16).prop_map(|low| 0xa9fe_0000 | low), // link-local and metadata
        (0u32..1 << 22).prop_map(|low| 0x6440_0000 | low), // CGNAT
        (0u32..1 << 24),                                   // this network
        (0u32..1 << 29).prop_map(|low| 0xe000_0000 | low), // multicast, reserved, broadcast
        Just(0xa83f_8110),                                 // 168.63.129.16
    ]
    .prop_map(Ipv4Addr::from_bits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 16, ..ProptestConfig::default() })]

    /// However a special IPv4 address is written, it is refused as that address: nothing is
    /// asked of the name server, so no second reading of the text can differ from ours.
    #[test]
    fn special_v4_is_refused_in_every_form(
        address in special_v4(), parts in 1usize..=4, bases: [u8; 4], dress in 0u8..5,
    ) {
        let text = dressed(&odd_form(address, parts, bases.map(|base| base % 4)), dress);
        let script = Script::of(&[&["93.184.216.34"]]);
        let outcome = block_on(code(&guard(&[], script.clone()), &text, 80));
        prop_assert_eq!(outcome, "egress_denied_address", "{}", text);
        prop_assert_eq!(script.asked(), 0);
    }

    /// The same for IPv6 that carries a special IPv4 address, with and without brackets.
    #[test]
    fn carried_v4_is_refused(address in special_v4(), form in 0u8..5, brackets: bool) {
        let [a, b, c, d] = address.octets();
        let v6 = match form {
            0 => address.to_ipv6_mapped(),
            1 => address.to_ipv6_compatible(),
            2 => format!("64:ff9b::{address}").parse().unwrap(),
            3 => {
                let high = u16::from_be_bytes([a, b]);
                Ipv6Addr::new(0x2002, high, u16::from_be_bytes([c, d]), 0, 0, 0, 0, 1)
            }
            // Teredo carries the client's address inverted (RFC 4380, section 4).
            _ => Ipv6Addr::new(
                0x2001, 0, 0x5db8, 0xd822, 0, 0,
                u16::from_be_bytes([!a, !b]), u16::from_be_bytes([!c, !d]),
            ),
        };
        let text = if brackets { format!("[{v6}]") } else { v6.to_string() };
        let outcome = block_on(code(&guard(&[], Script::default()), &text, 80));
        prop_assert_eq!(outcome, "egress_denied_address", "{}", text);
    }

    /// No text at all makes the guard connect to a listener on this machine, or panic.
    #[test]
    fn no_text_reaches_loopback(text in "\\PC{0,40}") {
        let (outcome, accepted) = block_on(async {
            let (listener, port) = listener().await;
            let script = Script::of(&[&["127.0.0.1"]]);
            let outcome = code(&guard(&[], script), &text, port).await;
            let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_ok();
            (outcome, accepted)
        });
        prop_assert!(!accepted);
        prop_assert!(
            matches!(outcome, "egress_denied_address" | "egress_invalid_host"), "{} {}", text, outcome
        );
    }

    /// A special address anywhere in an answer refuses the whole answer.
    #[test]
    fn a_mixed_answer_is_refused(
        public in prop::collection::vec(0x0800_0000u32..0x0900_0000, 0..5),
        special in special_v4(), place: prop::sample::Index, mapped: bool,
    ) {
        let mut answer: Vec<IpAddr> =
            public.into_iter().map(|bits| Ipv4Addr::from_bits(bits).into()).collect();
        let special =
            if mapped { special.to_ipv6_mapped().into() } else { IpAddr::from(special) };
        answer.insert(place.index(answer.len() + 1), special);
        let script = Script::default();
        script.answers.lock().unwrap().push_back(answer);
        let outcome = block_on(code(&guard(&[], script), "api.example.com", 443));
        prop_assert_eq!(outcome, "egress_denied_address");
    }
}

/// DNS rebinding: the first answer passes the check, the second would be private. There is no
/// second question, and the connection goes to the address that was checked.
#[tokio::test]
async fn a_changing_answer_is_asked_for_once() {
    let (checked, port) = listener().await;
    // The attacker's second answer: another address of this machine with a listener of its own.
    let other = TcpListener::bind(("127.0.9.2", port)).await.unwrap();
    let script = Script::of(&[&["127.0.0.1"], &["127.0.9.2"], &["127.0.9.2"]]);
    let guard = guard(&["127.0.0.1/32"], script.clone());
    let stream = guard.connect("rebind.example", port).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), checked.local_addr().unwrap());
    assert_eq!(script.asked(), 1);
    let strayed = tokio::time::timeout(Duration::ZERO, other.accept()).await;
    assert!(strayed.is_err(), "nothing arrived at the second answer's address");
    // Asked again for a new connection, the guard judges the new answer.
    assert_eq!(code(&guard, "rebind.example", port).await, "egress_denied_address");
}

#[tokio::test]
async fn names_of_this_machine_are_refused() {
    let (listener, port) = listener().await;
    let guard = guard(&[], causeway_net::SystemResolver);
    for host in ["localhost", "LOCALHOST", "localhost."] {
        assert_eq!(code(&guard, host, port).await, "egress_denied_address", "{host}");
    }
    assert!(tokio::time::timeout(Duration::ZERO, listener.accept()).await.is_err());
}

#[tokio::test]
async fn an_allowed_range_is_reached_in_every_form() {
    let (_listener, port) = listener().await;
    let guard = guard(&[&format!("127.0.0.1/32:{port}")], Script::of(&[&["::ffff:127.0.0.1"]]));
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "mapped.example"] {
        assert_eq!(code(&guard, host, port).await, "connected", "{host}");
    }
    assert_eq!(code(&guard, "127.0.0.1", port - 1).await, "egress_denied_address");
    assert_eq!(code(&guard, "127.0.0.2", port).await, "egress_denied_address");
}

#[tokio::test]
async fn metadata_needs_its_own_exception() {
    let wide = guard(&["169.254.0.0/16", "fd00::/8"], Script::default());
    for host in ["169.254.169.254", "[fd00:ec2::254]"] {
        let refused = wide.connect(host, 80).await.unwrap_err();
        let reason = Special::CloudMetadata;
        assert!(matches!(refused, GuardError::DeniedAddress { special, .. } if special == reason));
    }
}

#[tokio::test]
async fn refusals_say_what_and_what_to_do_and_not_where() {
    let guard = guard(&[], Script::of(&[&["10.1.2.3"], &[]]));
    let denied = guard.connect("db.internal.example", 5432).await.unwrap_err().to_string();
    shows(&denied, &["db.internal.example", "private address", "net.allow"], &["10.1.2.3"]);
    let empty = guard.connect("empty.example", 443).await.unwrap_err();
    assert_eq!(empty.code(), "egress_unresolvable");
    let unknown = guard.connect("unknown.example", 443).await.unwrap_err();
    assert_eq!(unknown.code(), "egress_unresolvable");
    shows(&unknown.to_string(), &["unknown.example", "DNS"], &["no such name"]);
    let invalid = guard.connect("me:canary@127.0.0.1", 443).await.unwrap_err();
    assert_eq!(invalid.code(), "egress_invalid_host");
    shows(&invalid.to_string(), &["127.0.0.1"], &["canary"]);
    assert_eq!(guard.connect("127.0.0.1", 0).await.unwrap_err().code(), "egress_invalid_host");
}

fn shows(text: &str, has: &[&str], lacks: &[&str]) {
    for part in has {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    for part in lacks {
        assert!(!text.contains(part), "{text:?} shows {part:?}");
    }
}

/// A resolver that never answers ends in the guard's own time limit; the clock is the test's.
#[tokio::test(start_paused = true)]
async fn a_silent_name_server_times_out() {
    struct Silent;
    impl Resolve for Silent {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            Box::pin(std::future::pending())
        }
    }
    assert_eq!(code(&guard(&[], Silent), "slow.example", 443).await, "egress_timeout");
}

/// A dead first address leaves time for the second.
#[tokio::test]
async fn the_next_address_is_tried() {
    let (_listener, port) = listener().await;
    // Bound, so that nobody else gets the port there, but not listening.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind(SocketAddr::from(([127, 0, 9, 1], port))).unwrap();
    let guard = guard(&["127.0.0.0/8"], Script::of(&[&["127.0.9.1", "127.0.0.1"]]));
    let stream = guard.connect("two.example", port).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 1]));
    assert_eq!(code(&guard, "127.0.9.1", port).await, "egress_unreachable");
}

#[test]
fn ranges_come_from_configuration() {
    let range: AllowedRange = "10.1.0.0/16:443".parse().unwrap();
    assert_eq!(range.to_string(), "10.1.0.0/16:443");
}
