//! What is counted of a pool, for metrics.

use crate::program::Runtime;
use crate::tier::Tier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures of a pool, or of one runtime's or tier's part in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Sandboxes alive.
    pub live: usize,
    /// Of these, with a version and without work: the warm ones.
    pub idle: usize,
    /// Of these, started and unassigned.
    pub spare: usize,
    /// Checkouts that wait.
    pub waiting: usize,
    /// Sandboxes started so far.
    pub started: u64,
    /// Checkouts served by a warm sandbox so far.
    pub warm_hits: u64,
    /// Attempts to start a sandbox that failed so far.
    pub failed: u64,
    /// Checkouts refused so far because too many waited.
    pub refused: u64,
    /// Sandboxes that were in order and were ended so far.
    pub evicted: Evictions,
}

impl PoolStats {
    /// Sandboxes that work, or are being started for work.
    pub fn busy(&self) -> usize {
        self.live - self.idle - self.spare
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            live: self.live + other.live,
            idle: self.idle + other.idle,
            spare: self.spare + other.spare,
            waiting: self.waiting + other.waiting,
            started: self.started + other.started,
            warm_hits: self.warm_hits + other.warm_hits,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            evicted: Evictions {
                idle: self.evicted.idle + other.evicted.idle,
                memory: self.evicted.memory + other.evicted.memory,
                age: self.evicted.age + other.evicted.age,
                room: self.evicted.room + other.evicted.room,
                replaced: self.evicted.replaced + other.evicted.replaced,
            },
        }
    }
}

/// Why a sandbox that was in order was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Nobody had used it for its time.
    Idle,
    /// Sandboxes together took more memory than they may.
    Memory,
    /// It had been used for as long as a sandbox may be.
    Age,
    /// Another program needed its place.
    Room,
    /// Its version is no longer the active one.
    Replaced,
}

impl Eviction {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Memory, Self::Age, Self::Room, Self::Replaced];

    /// The word that stands for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Memory => "memory",
            Self::Age => "age",
            Self::Room => "room",
            Self::Replaced => "replaced",
        }
    }
}

/// How many were ended for each reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evictions {
    idle: u64,
    memory: u64,
    age: u64,
    room: u64,
    replaced: u64,
}

impl Evictions {
    /// How many were ended for one reason.
    pub const fn of(&self, reason: Eviction) -> u64 {
        match reason {
            Eviction::Idle => self.idle,
            Eviction::Memory => self.memory,
            Eviction::Age => self.age,
            Eviction::Room => self.room,
            Eviction::Replaced => self.replaced,
        }
    }
}

/// What is counted for each kind of sandbox.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) started: AtomicU64,
    pub(super) warm_hits: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    idle: AtomicU64,
    memory: AtomicU64,
    age: AtomicU64,
    room: AtomicU64,
    replaced: AtomicU64,
}

impl Figures {
    pub(super) fn evicted(&self, reason: Eviction) -> &AtomicU64 {
        match reason {
            Eviction::Idle => &self.idle,
            Eviction::Memory => &self.memory,
            Eviction::Age => &self.age,
            Eviction::Room => &self.room,
            Eviction::Replaced => &self.replaced,
        }
    }

    pub(super) fn read(&self) -> PoolStats {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        PoolStats {
            started: read(&self.started),
            warm_hits: read(&self.warm_hits),
            failed: read(&self.failed),
            refused: read(&self.refused),
            evicted: Evictions {
                idle: read(&self.idle),
                memory: read(&self.memory),
                age: read(&self.age),
                room: read(&self.room),
                replaced: read(&self.replaced),
            },
            ..PoolStats::default()
        }
    }
}

/// Notes how long a checkout waited for a place.
pub(super) fn record_wait(runtime: Runtime, tier: Tier, waited: Duration) {
    let (runtime, tier) = (runtime.as_str(), tier.as_str());
    metrics::histogram!("causeway_sandbox_wait_seconds", "runtime" => runtime, "tier" => tier)
        .record(waited.as_secs_f64());
}
