//! What is done for machine access without being asked: uses are written, and what has expired is
//! forgotten.

use super::MachineAccess;
use causeway_store::{Bookkeeping, db};
use causeway_types::{Actor, chain};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often uses are written.
const WRITE_EVERY: Duration = Duration::from_secs(20);
/// After how many turns what has expired is forgotten: about an hour.
const FORGET_EVERY: u32 = 180;
/// How long what has expired is kept, for nodes whose clocks are behind.
const KEPT: Duration = Duration::from_hours(1);

impl MachineAccess {
    /// Works until `shutdown`, and writes the last uses then: cancel it once no request is under
    /// way. An error is logged, and the work goes on at the next turn. Signing keys that another
    /// process rotates are taken up meanwhile.
    pub async fn run_background(&self, shutdown: CancellationToken) {
        let following = self.inner.keys.follow(shutdown.clone());
        tokio::join!(following, self.note_and_forget(shutdown));
    }

    async fn note_and_forget(&self, shutdown: CancellationToken) {
        let mut turns = 0_u32;
        while !shutdown.is_cancelled() {
            if turns.is_multiple_of(FORGET_EVERY)
                && let Err(error) = self.forget_expired().await
            {
                tracing::warn!(error = chain(&error), "forgetting expired tokens and assertions");
            }
            turns = turns.wrapping_add(1);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(WRITE_EVERY) => self.write_uses().await,
            }
        }
        self.write_uses().await;
    }

    async fn write_uses(&self) {
        if let Err(error) = self.write_last_used().await {
            tracing::warn!(error = chain(&error), "writing when API keys were used last");
        }
    }

    /// Writes when keys were used last.
    ///
    /// # Errors
    /// If the store fails; what was to be written is kept.
    pub async fn write_last_used(&self) -> causeway_store::Result<()> {
        self.inner.used.write(&self.inner.store, self.inner.node).await
    }

    /// Forgets the revocations of tokens that have expired, and assertions that have.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_expired(&self) -> causeway_store::Result<u64> {
        let before = self.inner.clock.now().minus(KEPT);
        let mut tx = self.inner.store.write(Actor::Node(self.inner.node)).await?;
        let gone = db!(tx, revocation::prune(before))?;
        tx.commit_bookkeeping(Bookkeeping::Expired).await?;
        Ok(gone)
    }
}
