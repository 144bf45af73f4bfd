//! What a request pays for the rate limits: `cargo run --release -p causeway-api --example
//! rate_limit_cost`. One thread, a million requests of a thousand callers from a thousand
//! addresses, then the same while an attacker fills every table with addresses that never return.

#![expect(clippy::print_stdout, reason = "it tells whoever runs it what it measured")]

use causeway_api::{RateLimitConfig, RateLimits};
use causeway_types::{Actor, ApiKeyId, Clock, OsRandom, SystemClock, WorkspaceId};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const REQUESTS: u32 = 1_000_000;

fn main() {
    let limits = RateLimits::new(&RateLimitConfig::default());
    let now = SystemClock.now();
    let workspace = WorkspaceId::generate(now, &OsRandom);
    let keys: Vec<Actor> =
        (0..1000).map(|_| Actor::ApiKey(ApiKeyId::generate(now, &OsRandom))).collect();
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
    let request = |number: u32, key: &Actor| {
        // A request each 10 µs.
        let at = now.plus(Duration::from_micros(u64::from(number) * 10));
        black_box(limits.arrives(address(number % 1000), at));
        black_box(limits.calls(*key, workspace, at));
    };
    let begun = Instant::now();
    for (number, key) in (0..REQUESTS).zip(keys.iter().cycle()) {
        request(number, key);
    }
    println!("{} ns a request", begun.elapsed().as_nanos() / u128::from(REQUESTS));

    let begun = Instant::now();
    for number in 0..REQUESTS {
        let at = now.plus(Duration::from_micros(u64::from(number)));
        black_box(limits.arrives(address(1_000 + number), at));
    }
    println!(
        "{} ns a request from an address that was never seen",
        begun.elapsed().as_nanos() / u128::from(REQUESTS)
    );
}
