//! Opened connections, remembered for a moment, so that calls in quick succession read and open
//! one once.
//!
//! What this node changes is forgotten at once. What another node changes counts here after
//! [`MOMENT`] at the latest; the app itself, which has the last word, knows it at once.

use crate::refresh::Open;
use causeway_types::{ConnectionId, Tenant, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a connection is remembered.
const MOMENT: Duration = Duration::from_secs(1);
/// Connections remembered at once.
const MOST: usize = 4096;

#[derive(Default)]
pub(crate) struct Remembered {
    known: Mutex<HashMap<Tenant, HashMap<String, Known>>>,
}

struct Known {
    open: Arc<Open>,
    until: Timestamp,
}

impl Remembered {
    /// The connection of this name or id, if it was opened a moment ago.
    pub(super) fn get(&self, tenant: Tenant, named: &str, now: Timestamp) -> Option<Arc<Open>> {
        let known = self.known();
        let one = known.get(&tenant)?.get(named)?;
        (now < one.until).then(|| Arc::clone(&one.open))
    }

    pub(super) fn keep(&self, tenant: Tenant, named: &str, open: &Arc<Open>, now: Timestamp) {
        let mut known = self.known();
        // Counting is cheap: there are few environments.
        if known.values().map(HashMap::len).sum::<usize>() >= MOST {
            for of_tenant in known.values_mut() {
                of_tenant.retain(|_, one| now < one.until);
            }
            known.retain(|_, of_tenant| !of_tenant.is_empty());
            if known.values().map(HashMap::len).sum::<usize>() >= MOST {
                known.clear();
            }
        }
        let one = Known { open: Arc::clone(open), until: now.plus(MOMENT) };
        known.entry(tenant).or_default().insert(named.to_owned(), one);
    }

    /// Forgets a connection that has changed.
    pub(crate) fn forget(&self, tenant: Tenant, id: ConnectionId) {
        if let Some(of_tenant) = self.known().get_mut(&tenant) {
            of_tenant.retain(|_, one| one.open.connection.id != id);
        }
    }

    /// Forgets what is no longer remembered, so that no credential stays in memory for long.
    pub(crate) fn wipe(&self, now: Timestamp) {
        let mut known = self.known();
        for of_tenant in known.values_mut() {
            of_tenant.retain(|_, one| now < one.until);
        }
        known.retain(|_, of_tenant| !of_tenant.is_empty());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Tenant, HashMap<String, Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
