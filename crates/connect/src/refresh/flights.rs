//! The refreshes under way in this process, one a connection.

use causeway_types::ConnectionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Entries that may be dead before they are looked through.
const ROOM: usize = 1024;

#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<ConnectionId, Weak<AsyncMutex<()>>>>);

impl Flights {
    /// Waits until nobody here refreshes the connection.
    pub(crate) async fn enter(&self, id: ConnectionId) -> OwnedMutexGuard<()> {
        self.of(id).lock_owned().await
    }

    /// As [`Self::enter`], or `None` if somebody does.
    pub(crate) fn try_enter(&self, id: ConnectionId) -> Option<OwnedMutexGuard<()>> {
        self.of(id).try_lock_owned().ok()
    }

    fn of(&self, id: ConnectionId) -> Arc<AsyncMutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&id).and_then(Weak::upgrade) {
            return flight;
        }
        if flights.len() >= ROOM {
            flights.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight = Arc::new(AsyncMutex::new(()));
        flights.insert(id, Arc::downgrade(&flight));
        flight
    }
}
