//! The pool's housekeeping: spare sandboxes, and the end of idle ones.

use super::{Eviction, Inner, Kind, Station};
use crate::sandbox::{Sandbox, StartError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// After a failure to start a spare sandbox, the next attempt waits.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Idle sandboxes are looked at that often within their time.
const LOOKS: u32 = 4;
/// The longest between two looks at the memory that sandboxes take.
const LOOK: Duration = Duration::from_secs(1);
/// Spare sandboxes are started as long as sandboxes take less of the memory than this share, in
/// eighths: one that had to end again at once would be started in vain.
const SPARE_UP_TO: u64 = 7;

/// Runs until the pool is closed or gone.
pub(super) async fn run(pool: Weak<Inner>) {
    // Groups that a killed server has left and that could not be removed yet.
    let mut may_be_stale = true;
    loop {
        let Some(inner) = pool.upgrade() else { return };
        if inner.closed.load(Ordering::Relaxed) {
            return;
        }
        if may_be_stale {
            may_be_stale = inner.factory.cgroups.as_ref().is_some_and(|all| !all.remove_stale());
        }
        inner.end_idle();
        inner.relieve();
        let pause = match inner.keep_spares().await {
            Ok(()) => (inner.config.idle / LOOKS).clamp(Duration::from_millis(20), LOOK),
            Err(error) => {
                tracing::warn!(error = causeway_types::chain(&error), "starting a spare sandbox");
                AFTER_FAILURE
            }
        };
        let woken = inner.keeper.notified();
        // A timeout is the other way to wake up.
        drop(tokio::time::timeout(pause, woken).await);
    }
}

impl Inner {
    fn end_idle(self: &Arc<Self>) {
        let now = Instant::now();
        let (idle, max_age) = (self.config.idle, self.config.max_age);
        let effects = self.lanes().end_idle(|_, sandbox, since| {
            if now.duration_since(sandbox.since) >= max_age {
                return Some(Eviction::Age);
            }
            (now.duration_since(since) >= idle).then_some(Eviction::Idle)
        });
        self.apply(effects);
    }

    /// Ends what does not work, the longest idle first, until sandboxes take no more memory than
    /// they may.
    fn relieve(self: &Arc<Self>) {
        let Some(most) = self.config.memory else { return };
        while self.memory() > most {
            let effects = self.lanes().end_longest_unused(Eviction::Memory);
            // All that is left works.
            let Some(effects) = effects else { return };
            self.apply(effects);
        }
    }

    fn has_memory_for_spare(&self) -> bool {
        self.config.memory.is_none_or(|most| self.memory() / SPARE_UP_TO < most / 8)
    }

    async fn keep_spares(self: &Arc<Self>) -> Result<(), StartError> {
        for (kind, station) in &self.stations {
            match self.keep_spares_of(*kind, station).await {
                // Whoever needs one is told; there is nothing to try again before that.
                Err(error) if self.is_lasting(kind.tier, &error) => {
                    station.active.store(false, Ordering::Relaxed);
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn keep_spares_of(
        self: &Arc<Self>,
        kind: Kind,
        station: &Station,
    ) -> Result<(), StartError> {
        while station.active.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed) {
            let wanted = {
                let lanes = self.lanes();
                lanes.count(kind).spare < self.config.spare && lanes.room_for_spare()
            };
            if !wanted || !self.has_memory_for_spare() {
                return self.keep_parked(kind, station).await;
            }
            let started = self.start_spare(kind).await;
            if started.is_err() {
                self.count(kind, |figures| &figures.failed);
            }
            self.keep_spare(kind, Box::new(started?));
        }
        Ok(())
    }

    /// Keeps a spare sandbox if it is wanted and there is room for it, and ends it otherwise.
    pub(super) fn keep_spare(&self, kind: Kind, spare: Box<Sandbox>) {
        let surplus = {
            // Looked at under the lock under which a shutdown takes everything out: what is put in
            // afterwards would never be ended.
            let mut lanes = self.lanes();
            let is_wanted = lanes.count(kind).spare < self.config.spare;
            if is_wanted && !self.closed.load(Ordering::Relaxed) {
                lanes.add_spare(kind, spare)
            } else {
                Some(spare)
            }
        };
        drop(surplus);
    }

    pub(super) async fn start_spare(self: &Arc<Self>, kind: Kind) -> Result<Sandbox, StartError> {
        let limits = &self.config.spare_limits;
        let parked = match self.take_parked(kind) {
            Some(parked) => parked,
            None => self.factory.park(kind.tier, kind.runtime, limits, &[]).await?,
        };
        let mut sandbox = parked.go(None, Arc::clone(&self.egress)).await?;
        self.note_started(kind, &sandbox);
        sandbox.ready().await?;
        Ok(sandbox)
    }

    /// A launcher that has prepared everything makes the next start shorter by the time that
    /// cgroups and mounts take.
    async fn keep_parked(
        self: &Arc<Self>,
        kind: Kind,
        station: &Station,
    ) -> Result<(), StartError> {
        let absent = || station.parked.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if !absent() {
            return Ok(());
        }
        let parked =
            self.factory.park(kind.tier, kind.runtime, &self.config.spare_limits, &[]).await?;
        let mut place = station.parked.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.closed.load(Ordering::Relaxed) {
            *place = Some(parked);
        }
        Ok(())
    }
}
