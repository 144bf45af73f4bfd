//! The pool's housekeeping: spare sandboxes, and the end of idle ones.

use super::{Inner, Kind, Station};
use crate::sandbox::{Sandbox, StartError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// After a failure to start a spare sandbox, the next attempt waits.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Idle sandboxes are looked at that often within their time.
const LOOKS: u32 = 4;

/// Runs until the pool is closed or gone.
pub(super) async fn run(pool: Weak<Inner>) {
    loop {
        let Some(inner) = pool.upgrade() else { return };
        if inner.closed.load(Ordering::Relaxed) {
            return;
        }
        inner.end_idle();
        let pause = match inner.keep_spares().await {
            Ok(()) => (inner.config.idle / LOOKS).max(Duration::from_millis(20)),
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
        let idle = self.config.idle;
        let effects = self.lanes().end_idle(|_, since| now.duration_since(since) >= idle);
        self.apply(effects);
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
            if !wanted {
                return self.keep_parked(kind, station).await;
            }
            let spare = Box::new(self.start_spare(kind).await?);
            let surplus = {
                // Looked at under the lock under which a shutdown takes everything out: what
                // is put in afterwards would never be ended.
                let mut lanes = self.lanes();
                if self.closed.load(Ordering::Relaxed) {
                    Some(spare)
                } else {
                    lanes.add_spare(kind, spare)
                }
            };
            drop(surplus);
        }
        Ok(())
    }

    async fn start_spare(self: &Arc<Self>, kind: Kind) -> Result<Sandbox, StartError> {
        let limits = &self.config.spare_limits;
        let parked = match self.take_parked(kind) {
            Some(parked) => parked,
            None => self.factory.park(kind.tier, kind.runtime, limits, &[]).await?,
        };
        let mut sandbox = parked.go(None, Arc::clone(&self.egress)).await?;
        self.count(kind, |station| &station.started);
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
