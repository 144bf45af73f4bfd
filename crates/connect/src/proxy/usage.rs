//! How many calls were made, and how many actions run, by environment and hour.

use crate::{Connect, Inner};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{UsageCount, UsageKind};
use causeway_types::{Actor, Tenant, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const HOUR_US: i64 = 3_600_000_000;

/// How much there was of what, where, in the hour that began then.
type Counts = HashMap<(Tenant, UsageKind, i64), i64>;

/// Counts that are not written yet. A crash loses those of the last minute, which are figures for
/// people and no one's money.
#[derive(Default)]
pub(crate) struct Usage {
    counted: Mutex<Counts>,
}

impl Usage {
    pub(crate) fn count(&self, tenant: Tenant, kind: UsageKind, now: Timestamp) {
        let hour = now.as_micros() / HOUR_US * HOUR_US;
        *self.counted().entry((tenant, kind, hour)).or_default() += 1;
    }

    fn counted(&self) -> MutexGuard<'_, Counts> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connect {
    /// Writes how many calls were made.
    ///
    /// # Errors
    /// If the database refuses. What was not written is still counted.
    pub async fn write_counts(&self) -> causeway_store::Result<()> {
        self.inner.write_usage().await
    }
}

impl Inner {
    /// Writes what was counted. What cannot be written counts again.
    pub(crate) async fn write_usage(&self) -> causeway_store::Result<()> {
        let counted = std::mem::take(&mut *self.usage.counted());
        if counted.is_empty() {
            return Ok(());
        }
        let written = self.write_counts(&counted).await;
        if written.is_err() {
            let mut again = self.usage.counted();
            for (key, count) in counted {
                *again.entry(key).or_default() += count;
            }
        }
        written
    }

    async fn write_counts(&self, counted: &Counts) -> causeway_store::Result<()> {
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        // In one order on every node, so that two never wait for each other.
        let mut rows: Vec<_> = counted.iter().collect();
        rows.sort_by_key(|((tenant, kind, hour), _)| (tenant.environment, kind.as_str(), *hour));
        for ((tenant, kind, hour), count) in rows {
            let row = UsageCount {
                workspace_id: tenant.workspace,
                environment_id: tenant.environment,
                kind: *kind,
                hour: Timestamp::from_micros(*hour),
                count: *count,
            };
            db!(tx, usage::add(&row))?;
        }
        tx.commit_bookkeeping(Bookkeeping::Usage).await
    }
}
