//! When keys were used last: noted in memory on the way of a request, written in the background.

use causeway_store::{Bookkeeping, Store, db};
use causeway_types::{Actor, ApiKeyId, NodeId, Tenant, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a use is noted to, in microseconds.
const MINUTE: i64 = 60_000_000;

/// The uses that have not been written yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastUsed {
    waiting: Arc<Mutex<HashMap<ApiKeyId, (Tenant, Timestamp)>>>,
}

/// The minute of a moment.
pub(crate) const fn minute(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MINUTE)
}

impl LastUsed {
    /// A key was used. Callers note it once a minute and key.
    pub(crate) fn note(&self, key: ApiKeyId, tenant: Tenant, at: Timestamp) {
        let at = Timestamp::from_micros(minute(at) * MINUTE);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = waiting.entry(key).or_insert((tenant, at));
        entry.1 = entry.1.max(at);
    }

    /// Writes what was noted, in one transaction. What cannot be written is kept for the next
    /// time.
    pub(super) async fn write(&self, store: &Store, node: NodeId) -> causeway_store::Result<()> {
        let noted = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        if noted.is_empty() {
            return Ok(());
        }
        let done = Self::write_all(store, node, &noted).await;
        if done.is_err() {
            for (key, (tenant, at)) in noted {
                self.note(key, tenant, at);
            }
        }
        done
    }

    async fn write_all(
        store: &Store,
        node: NodeId,
        noted: &HashMap<ApiKeyId, (Tenant, Timestamp)>,
    ) -> causeway_store::Result<()> {
        let mut tx = store.write(Actor::Node(node)).await?;
        // In one order on every node, so that none waits for another crosswise.
        let mut noted: Vec<_> = noted.iter().collect();
        noted.sort_unstable_by_key(|(key, _)| **key);
        for (key, (tenant, at)) in noted {
            db!(tx, api_key::touch(*tenant, *key, *at))?;
        }
        tx.commit_bookkeeping(Bookkeeping::LastUsed).await
    }
}
