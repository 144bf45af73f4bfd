//! How often somebody may try.
//!
//! Each kind of attempt has a fixed number of *slots*; an address or a provider falls into one of
//! them by a hash that nobody outside can predict, so memory is bounded whatever comes, and nobody
//! can aim at somebody else's slot. A slot is one number, the time at which it will be empty again
//! (the generic cell rate algorithm of ITU-T I.371). Each node counts by itself.

use super::SignInError;
use causeway_types::{ProviderId, Timestamp};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Sign-ins that one address may begin at once.
const BEGINS_OF_ADDRESS: u32 = 30;
/// How soon it may begin one more.
const BEGIN_OF_ADDRESS: Duration = Duration::from_secs(2);
/// Attempts of one address that may fail at once: answers of providers, claim links, invitations.
const FAILURES_OF_ADDRESS: u32 = 10;
/// How soon one more may.
const FAILURE_OF_ADDRESS: Duration = Duration::from_secs(30);
/// Sign-ins that may be begun at once through one provider.
const BEGINS_OF_PROVIDER: u32 = 300;
/// How soon one more may.
const BEGIN_OF_PROVIDER: Duration = Duration::from_millis(100);
/// Answers of one provider that may be refused at once. Answers that belong to no flow count as
/// those of one more provider, which bounds what strangers write into the audit chain.
const FAILURES_OF_PROVIDER: u32 = 120;
/// How soon one more may.
const FAILURE_OF_PROVIDER: Duration = Duration::from_millis(250);
/// Slots for each kind of attempt.
const SLOTS: usize = 16_384;

/// The counts of attempts.
pub(super) struct Throttle {
    begins_of_address: Slots,
    failures_of_address: Slots,
    begins_of_provider: Slots,
    failures_of_provider: Slots,
    hasher: RandomState,
}

struct Slots {
    /// When each is empty again, in microseconds.
    empty_at: Box<[AtomicI64]>,
    /// The time that one attempt takes.
    each: Duration,
    /// How much may be taken in advance.
    ahead: Duration,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            begins_of_address: Slots::new(BEGINS_OF_ADDRESS, BEGIN_OF_ADDRESS),
            failures_of_address: Slots::new(FAILURES_OF_ADDRESS, FAILURE_OF_ADDRESS),
            begins_of_provider: Slots::new(BEGINS_OF_PROVIDER, BEGIN_OF_PROVIDER),
            failures_of_provider: Slots::new(FAILURES_OF_PROVIDER, FAILURE_OF_PROVIDER),
            hasher: RandomState::new(),
        }
    }

    /// Counts a sign-in that an address begins.
    pub(super) fn begin(&self, address: IpAddr, now: Timestamp) -> Result<(), SignInError> {
        self.begins_of_address.take(self.slot(network(address)), now)
    }

    /// Counts a sign-in that is begun through a provider.
    pub(super) fn begin_through(&self, id: ProviderId, now: Timestamp) -> Result<(), SignInError> {
        self.begins_of_provider.take(self.slot(id), now)
    }

    /// Whether an address may try: too many of its attempts have not failed.
    pub(super) fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), SignInError> {
        self.failures_of_address.check(self.slot(network(address)), now)
    }

    /// Whether an answer of a provider, or of nobody known, may come.
    pub(super) fn check_provider(
        &self,
        id: Option<ProviderId>,
        now: Timestamp,
    ) -> Result<(), SignInError> {
        self.failures_of_provider.check(self.slot(id), now)
    }

    /// Counts an attempt of an address that failed.
    pub(super) fn failed(&self, address: IpAddr, now: Timestamp) {
        // Whoever is over the limit is told at the next attempt.
        let _ = self.failures_of_address.take(self.slot(network(address)), now);
    }

    /// Counts an answer of a provider, or of nobody known, that was refused.
    pub(super) fn provider_failed(&self, id: Option<ProviderId>, now: Timestamp) {
        let _ = self.failures_of_provider.take(self.slot(id), now);
    }

    fn slot(&self, key: impl Hash) -> usize {
        usize::try_from(self.hasher.hash_one(key)).unwrap_or_default() % SLOTS
    }
}

impl Slots {
    fn new(burst: u32, each: Duration) -> Self {
        Self {
            empty_at: (0..SLOTS).map(|_| AtomicI64::new(0)).collect(),
            each,
            ahead: each * burst.saturating_sub(1),
        }
    }

    fn check(&self, slot: usize, now: Timestamp) -> Result<(), SignInError> {
        let Some(slot) = self.empty_at.get(slot) else { return Ok(()) };
        self.room(slot.load(Ordering::Relaxed), now)
    }

    fn take(&self, slot: usize, now: Timestamp) -> Result<(), SignInError> {
        let Some(slot) = self.empty_at.get(slot) else { return Ok(()) };
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            self.room(seen, now)?;
            let next = Timestamp::from_micros(seen).max(now).plus(self.each).as_micros();
            match slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(newer) => seen = newer,
            }
        }
    }

    fn room(&self, empty_at: i64, now: Timestamp) -> Result<(), SignInError> {
        let wait = Timestamp::from_micros(empty_at).since(now).saturating_sub(self.ahead);
        if wait.is_zero() { Ok(()) } else { Err(SignInError::Limited { retry_after: wait }) }
    }
}

/// What counts as one address: an IPv6 host has a whole /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{Clock as _, ManualClock, SystemClock};

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let (throttle, clock) = (Throttle::new(), ManualClock::at(SystemClock.now()));
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..BEGINS_OF_ADDRESS {
            assert!(throttle.begin(one, clock.now()).is_ok());
        }
        let refused = throttle.begin(one, clock.now()).unwrap_err();
        assert_eq!(refused.retry_after(), Some(BEGIN_OF_ADDRESS));
        assert!(throttle.begin(other, clock.now()).is_ok());
        clock.advance(BEGIN_OF_ADDRESS);
        assert!(throttle.begin(one, clock.now()).is_ok());
        assert!(throttle.begin(one, clock.now()).is_err());
        clock.advance(Duration::from_hours(1));
        for _ in 0..BEGINS_OF_ADDRESS {
            assert!(throttle.begin(one, clock.now()).is_ok());
        }
        assert!(throttle.begin(one, clock.now()).is_err(), "a long rest saves nothing up");
    }

    #[test]
    fn only_failures_count_as_failures() {
        let (throttle, now) = (Throttle::new(), SystemClock.now());
        let address = "2001:db8::1".parse().unwrap();
        for _ in 0..100 {
            assert!(throttle.check(address, now).is_ok());
        }
        for _ in 0..FAILURES_OF_ADDRESS {
            assert!(throttle.check(address, now).is_ok());
            throttle.failed(address, now);
        }
        assert!(throttle.check(address, now).is_err());
        assert!(throttle.check("2001:db8::2".parse().unwrap(), now).is_err(), "the same /64");
        assert!(throttle.check("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6() {
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
    }
}
