//! Taking up what waits in the database: what nobody owns, and what this node owns without knowing.
//!
//! The second comes about when the answer to a commit is lost: the database has stored an
//! invocation, or a claim, as this node's, and the node has heard of a failure.

use crate::FlowError;
use causeway_store::{Bookkeeping, Store, db};
use causeway_types::entity::Claimed;
use causeway_types::place::Sealed;
use causeway_types::{Actor, InvocationId, NodeId, Place, chain};
use causeway_vault::Vault;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The most invocations that one claim takes.
const CLAIM: usize = 64;

/// An invocation that this node holds.
pub(crate) struct Job {
    pub(crate) claimed: Claimed,
    /// The event.
    pub(crate) event: Arc<RawValue>,
    /// Whether this node stored it just now, so that no other can have run it.
    pub(crate) fresh: bool,
    /// Keeps it from being taken up twice, until it has ended or was given back.
    pub(crate) holding: Holding,
}

/// The invocations that are in this node's memory, each with the fence under which it is held:
/// what was given back and claimed again is another.
#[derive(Default)]
pub(crate) struct Held(Mutex<BTreeMap<(InvocationId, i64), CancellationToken>>);

/// One of them. Dropping it says that it is no longer there.
pub(crate) struct Holding {
    key: (InvocationId, i64),
    held: Arc<Held>,
    canceled: CancellationToken,
}

impl Holding {
    /// Is canceled with the invocation.
    pub(crate) fn canceled(&self) -> CancellationToken {
        self.canceled.clone()
    }
}

impl Held {
    /// Says that an invocation is in memory; none if it already is.
    pub(crate) fn hold(self: &Arc<Self>, id: InvocationId, fence: i64) -> Option<Holding> {
        let key = (id, fence);
        let mut keys = self.keys();
        let Entry::Vacant(free) = keys.entry(key) else { return None };
        let canceled = free.insert(CancellationToken::new()).clone();
        Some(Holding { key, held: Arc::clone(self), canceled })
    }

    /// Stops an invocation, if it is in memory.
    pub(crate) fn cancel(&self, id: InvocationId) {
        for (_, canceled) in self.keys().range((id, i64::MIN)..=(id, i64::MAX)) {
            canceled.cancel();
        }
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<(InvocationId, i64), CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.keys().remove(&self.key);
    }
}

/// Takes invocations up for one node, one call at a time.
pub(crate) struct Claimer {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) node: NodeId,
    /// The node's memory.
    pub(crate) work: mpsc::Sender<Job>,
    pub(crate) held: Arc<Held>,
    pub(crate) stop: CancellationToken,
}

impl Claimer {
    /// Claims a batch of what nobody owns, as soon as there is room for it; returns whether there
    /// may be more.
    ///
    /// Whoever waits for room is served before the events that arrive meanwhile. These are stored
    /// without an owner and claimed in their turn; while a claim is on its way to the database they
    /// find room again. So neither kind waits for the other's end.
    pub(crate) async fn claim(&self) -> Result<bool, FlowError> {
        // A look that takes no lock: most of the time there is nothing.
        let mut conn = self.store.read().await?;
        if !db!(conn, invocation::any_unowned())? {
            return Ok(false);
        }
        drop(conn);
        let Some(room) = self.room(self.batch()).await else { return Ok(false) };
        let limit = i64::try_from(room.len()).unwrap_or(i64::MAX);
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let ids = db!(tx, dialect::claim(self.node, limit))?;
        let claims = db!(tx, dialect::claimed(self.node, &ids))?;
        tx.commit_bookkeeping(Bookkeeping::Lease).await?;
        let any = !claims.is_empty();
        self.take(claims, room).await;
        Ok(any)
    }

    /// Takes up what the database says is this node's and its memory does not know; returns how
    /// many that were.
    pub(crate) async fn sweep(&self) -> Result<usize, FlowError> {
        let mut conn = self.store.read().await?;
        let mut lost = db!(conn, dialect::open_of(self.node))?;
        drop(conn);
        {
            let held = self.held.keys();
            lost.retain(|key| !held.contains_key(key));
        }
        let lost: Vec<InvocationId> = lost.into_iter().map(|(id, _)| id).collect();
        let mut found = 0;
        for batch in lost.chunks(self.batch()) {
            let Some(room) = self.room(batch.len()).await else { break };
            let mut conn = self.store.read().await?;
            let claims = db!(conn, dialect::claimed(self.node, batch))?;
            drop(conn);
            found += self.take(claims, room).await;
        }
        Ok(found)
    }

    /// How many to take up at a time: enough to be worth a transaction, and never so many that the
    /// workers would have to have run everything before.
    fn batch(&self) -> usize {
        (self.work.max_capacity() / 2).clamp(1, CLAIM)
    }

    /// Waits until there is room in memory; none if this node stops meanwhile.
    async fn room(&self, places: usize) -> Option<mpsc::PermitIterator<'_, Job>> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            room = self.work.reserve_many(places) => room.ok(),
        }
    }

    /// Puts invocations into memory; returns how many.
    async fn take(
        &self,
        claims: Vec<(Claimed, Sealed)>,
        mut room: mpsc::PermitIterator<'_, Job>,
    ) -> usize {
        let mut taken = 0;
        for (claimed, sealed) in claims {
            let id = claimed.id;
            let Some(holding) = self.held.hold(id, claimed.fence) else { continue };
            match self.open_event(&claimed, &sealed).await {
                Ok(event) => {
                    let Some(place) = room.next() else { break };
                    place.send(Job { claimed, event, fresh: false, holding });
                    taken += 1;
                }
                Err(error) => tracing::error!(
                    invocation.id = %id,
                    error = chain(&error),
                    "an event cannot be read; its invocation will be tried again"
                ),
            }
        }
        taken
    }

    /// Opens the event of an invocation.
    async fn open_event(
        &self,
        claimed: &Claimed,
        sealed: &Sealed,
    ) -> Result<Arc<RawValue>, FlowError> {
        let place = Place::EventBody(claimed.event_id);
        let body = self.vault.open(claimed.workspace_id, &place, sealed).await?;
        let body: Box<RawValue> = serde_json::from_slice(body.expose())
            .map_err(|source| FlowError::Stored { what: "event", source })?;
        Ok(Arc::from(body))
    }
}

#[cfg(test)]
mod tests;
