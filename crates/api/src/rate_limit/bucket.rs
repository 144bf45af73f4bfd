//! Buckets: how much of a quota somebody has left.
//!
//! The generic cell rate algorithm (ITU-T I.371 annex A) keeps one number for each of them: the
//! time at which all that was taken will have come back. A request moves it by one interval; one
//! that would move it further than the window from now is refused. So a whole quota may be taken
//! at once, and comes back evenly.

use causeway_types::Timestamp;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many a table keeps apart. With 24 bytes each and the map's own overhead, a full table has
/// about 4 MiB.
const MOST: usize = 1 << 16;
/// Parts of a table that are locked by themselves.
const SHARDS: usize = 16;
/// How often a full part is searched for those who have everything back.
const SWEEP_EVERY: u64 = 1_000_000_000;

/// So many requests in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub requests: NonZeroU32,
    /// In which time.
    pub window: Duration,
}

/// Where somebody stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The quota.
    pub quota: Quota,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// Seconds until the whole quota is there again.
    pub reset: u64,
    /// Seconds until the next request is allowed, if this one was not.
    pub wait: Option<u64>,
}

/// The buckets of one kind, by who is counted. Bounded: whoever finds no place shares one bucket
/// with everybody else who does not.
pub(crate) struct Buckets<K> {
    quota: Quota,
    interval: u64,
    window: u64,
    hasher: RandomState,
    shards: [Mutex<Shard<K>>; SHARDS],
}

struct Shard<K> {
    /// When all will have come back, in nanoseconds since the epoch.
    full_at: HashMap<K, u64>,
    /// The same for those who find no place.
    others: u64,
    swept_at: u64,
}

impl<K: Hash + Eq> Buckets<K> {
    pub(crate) fn new(quota: Quota) -> Self {
        let window = u64::try_from(quota.window.as_nanos()).unwrap_or(u64::MAX / 4);
        Self {
            quota,
            interval: (window / u64::from(quota.requests.get())).max(1),
            window,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard { full_at: HashMap::new(), others: 0, swept_at: 0 })
            }),
        }
    }

    /// Takes one request of somebody's quota, if there is one left.
    pub(crate) fn take(&self, who: K, now: Timestamp) -> Standing {
        self.with(who, now, true)
    }

    /// Where somebody stands, without taking anything.
    pub(crate) fn look(&self, who: K, now: Timestamp) -> Standing {
        self.with(who, now, false)
    }

    fn with(&self, who: K, now: Timestamp, take: bool) -> Standing {
        let now = u64::try_from(now.as_micros()).unwrap_or(0).saturating_mul(1_000);
        let index = usize::try_from(self.hasher.hash_one(&who)).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(index) else {
            return self.standing(now, now, None);
        };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = &mut *shard;
        if !take {
            let full_at = shard.full_at.get(&who).copied().unwrap_or(now);
            return self.decide(full_at, now).1;
        }
        let slot = if shard.full_at.contains_key(&who) || shard.has_room(now) {
            shard.full_at.entry(who).or_insert(now)
        } else {
            &mut shard.others
        };
        let (full_at, standing) = self.decide(*slot, now);
        *slot = full_at;
        standing
    }

    /// What becomes of a bucket with one request more, and where that leaves its owner.
    fn decide(&self, full_at: u64, now: u64) -> (u64, Standing) {
        // A clock that was set back must not lock anybody out for longer than a window.
        let full_at = full_at.clamp(now, now.saturating_add(self.window));
        let next = full_at.saturating_add(self.interval);
        let end = now.saturating_add(self.window);
        if next > end {
            return (full_at, self.standing(full_at, now, Some(next - end)));
        }
        (next, self.standing(next, now, None))
    }

    fn standing(&self, full_at: u64, now: u64, wait: Option<u64>) -> Standing {
        let taken = full_at.saturating_sub(now);
        let left = self.window.saturating_sub(taken) / self.interval;
        Standing {
            quota: self.quota,
            remaining: if wait.is_some() { 0 } else { u32::try_from(left).unwrap_or(u32::MAX) },
            reset: taken.div_ceil(1_000_000_000),
            wait: wait.map(|nanos| nanos.div_ceil(1_000_000_000).max(1)),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().full_at.len()).sum()
    }
}

impl<K: Hash + Eq> Shard<K> {
    /// Whether somebody new finds a place, if need be after those have left who have everything
    /// back and are as good as new.
    fn has_room(&mut self, now: u64) -> bool {
        const MOST_HERE: usize = MOST / SHARDS;
        if self.full_at.len() >= MOST_HERE && now.abs_diff(self.swept_at) >= SWEEP_EVERY {
            self.swept_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < MOST_HERE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buckets(requests: u32, seconds: u64) -> Buckets<u32> {
        let requests = NonZeroU32::new(requests).unwrap();
        Buckets::new(Quota { requests, window: Duration::from_secs(seconds) })
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + millis * 1_000)
    }

    #[test]
    fn a_quota_may_be_taken_at_once_and_comes_back_evenly() {
        let buckets = buckets(3, 60);
        let left: Vec<u32> = (0..3).map(|_| buckets.take(1, at(0)).remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = buckets.take(1, at(0));
        assert_eq!((refused.remaining, refused.wait, refused.reset), (0, Some(20), 60));
        assert_eq!(buckets.take(1, at(19_999)).wait, Some(1));
        assert_eq!(buckets.take(1, at(20_000)).wait, None);
        assert!(buckets.take(1, at(20_000)).wait.is_some());
        assert_eq!(buckets.take(2, at(20_000)).remaining, 2, "another is not concerned");
        assert_eq!(buckets.take(1, at(200_000)).remaining, 2);
    }

    #[test]
    fn looking_takes_nothing() {
        let buckets = buckets(1, 60);
        for _ in 0..5 {
            assert_eq!(buckets.look(1, at(0)).wait, None);
        }
        assert_eq!(buckets.take(1, at(0)).wait, None);
        assert_eq!(buckets.look(1, at(0)).wait, Some(60));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let buckets = buckets(2, 60);
        let _ = buckets.take(1, at(3_600_000));
        let _ = buckets.take(1, at(3_600_000));
        assert_eq!(buckets.take(1, at(0)).wait, Some(30));
        assert_eq!(buckets.take(1, at(30_000)).wait, None);
    }

    #[test]
    fn a_flood_of_newcomers_takes_no_more_memory_and_no_more_quota() {
        let buckets = buckets(2, 60);
        let most = u32::try_from(MOST).unwrap();
        let allowed = (0..4 * most).filter(|who| buckets.take(*who, at(0)).wait.is_none()).count();
        assert!(buckets.len() <= MOST, "{}", buckets.len());
        // Those who found no place share two requests in each part.
        assert!(allowed <= MOST + 2 * SHARDS, "{allowed}");
        // Who was there before is not concerned, and is still bound.
        assert_eq!(buckets.take(0, at(0)).wait, None);
        assert!(buckets.take(0, at(0)).wait.is_some());
        // Once the flood is over, there is room again.
        assert_eq!(buckets.take(9 * most, at(120_000)).remaining, 1);
        assert!(buckets.len() < MOST);
    }

    proptest! {
        /// In any time, no more pass than the quota and what comes back in that time.
        #[test]
        fn nobody_gets_more_than_his_quota(
            requests in 1_u32..50,
            seconds in 1_u64..120,
            steps in proptest::collection::vec(0_i64..5_000, 1..300),
        ) {
            let buckets = buckets(requests, seconds);
            let mut now = 0;
            let mut passed: Vec<i64> = Vec::new();
            for step in steps {
                now += step;
                let standing = buckets.take(1, at(now));
                if standing.wait.is_none() {
                    passed.push(now);
                }
                prop_assert!(standing.remaining <= requests);
                prop_assert!(standing.reset <= seconds + 1);
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let back = (to - from) * i64::from(requests) / (i64::try_from(seconds).unwrap() * 1_000);
                    let count = i64::try_from(last - first + 1).unwrap();
                    prop_assert!(count <= i64::from(requests) + back + 1);
                }
            }
        }
    }
}
