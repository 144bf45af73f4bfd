//! Deleting what ended long ago, for good.

use crate::Webhooks;
use causeway_store::{Bookkeeping, db};
use causeway_types::{Actor, chain};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often old webhooks are deleted.
const EVERY: Duration = Duration::from_hours(1);
/// How long a delivery is kept after the endpoint took it.
const DELIVERED_KEPT: Duration = Duration::from_hours(720);
/// How long a dead one is kept.
const DEAD_KEPT: Duration = Duration::from_hours(2160);
/// Records deleted in one transaction.
const BATCH: i64 = 500;

impl Webhooks {
    pub(crate) async fn prune_until(&self, stop: &CancellationToken) {
        let mut turns = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            if let Err(error) = self.prune().await {
                tracing::warn!(error = chain(&error), "old webhooks are not deleted");
            }
        }
    }

    /// Deletes deliveries that ended long ago with their attempts, messages that are on their way to
    /// nobody any more, and receivers of connect sessions that have no more to get. How many records.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn prune(&self) -> Result<u64, causeway_store::Error> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let (delivered, dead) = (now.minus(DELIVERED_KEPT), now.minus(DEAD_KEPT));
        let mut all = 0;
        loop {
            let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
            let deliveries = db!(tx, webhook::prune_deliveries(delivered, dead, BATCH))?;
            let messages = db!(tx, webhook::prune_messages(delivered, BATCH))?;
            let receivers = db!(tx, webhook_endpoint::prune_sessions(delivered, BATCH))?;
            tx.commit_bookkeeping(Bookkeeping::Expired).await?;
            let records = deliveries + messages + receivers;
            if records == 0 {
                break;
            }
            all += records;
        }
        if all > 0 {
            inner.store.forget_deleted().await?;
        }
        Ok(all)
    }
}
