//! The courier: takes deliveries up whose time has come, as many at a time as may be, and none of
//! an endpoint at the cost of the others.
//!
//! A turn looks for which endpoints something is due, deals the free places out among them, one by
//! one in rounds, takes that many deliveries up in one transaction, and sends each in a task of its
//! own. So an endpoint that hangs holds no more than its own places.
//!
//! To take a delivery up is to move its due time to the end of a lease, to write one's name on it,
//! and to raise its fence. If its node dies, the delivery simply becomes due again.

use crate::{Inner, Webhooks};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{
    WebhookDelivery, WebhookEndpointState, WebhookOrder, WebhooksWaiting,
};
use causeway_types::{Actor, Timestamp, WebhookEndpointId, WorkspaceId, chain};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long whoever takes a delivery up has it: an attempt, the reading of an answer, and more.
const LEASE: Duration = Duration::from_mins(1);
/// How often the database is asked without a hint to do so.
const LOOK: Duration = Duration::from_secs(30);
/// When to look again for what seemed to be due and could not be taken up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long attempts that are under way at a stop may take; those that take longer are made again.
const GRACE: Duration = Duration::from_secs(5);

/// What sends for one node.
struct Courier {
    inner: Arc<Inner>,
    slots: Arc<Semaphore>,
    busy: Arc<Busy>,
    tasks: TaskTracker,
    /// Attempts are cut off.
    abandon: CancellationToken,
}

/// How many attempts are under way, by endpoint.
#[derive(Default)]
struct Busy {
    endpoints: Mutex<HashMap<WebhookEndpointId, usize>>,
    freed: Notify,
}

/// A place of an endpoint, until it is dropped.
struct Place {
    endpoint: WebhookEndpointId,
    busy: Arc<Busy>,
    slot: Option<OwnedSemaphorePermit>,
}

/// What came of a turn.
struct Turn {
    taken: usize,
    /// When the next is due, unless something happens before.
    next: Duration,
}

/// How many to take up of an endpoint.
struct Share {
    workspace: WorkspaceId,
    endpoint: WebhookEndpointId,
    ordered: bool,
    room: usize,
    count: usize,
}

impl Webhooks {
    /// Delivers until `stop`, and deletes what is old. An error is logged, and the work goes on at
    /// the next turn.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.deliver(&stop), self.prune_until(&stop));
    }

    async fn deliver(&self, stop: &CancellationToken) {
        let inner = &self.inner;
        let mut news = inner.store.notices().webhooks();
        let courier = Courier::new(Arc::clone(inner));
        if let Err(error) = inner.take_back().await {
            tracing::warn!(error = chain(&error), "webhooks of before the start wait for a minute");
        }
        while !stop.is_cancelled() {
            let next = match courier.turn().await {
                Ok(turn) => turn.next,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "could not look for webhooks to deliver");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                // The sender lives as long as the store.
                _ = news.changed() => {}
                () = courier.busy.freed.notified() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
        courier.end().await;
    }

    /// Delivers whatever is due now, and what becomes due meanwhile; how many attempts that took.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn deliver_due(&self) -> Result<usize, causeway_store::Error> {
        let courier = Courier::new(Arc::clone(&self.inner));
        let mut attempts = 0;
        loop {
            let turn = courier.turn().await?;
            attempts += turn.taken;
            let under_way = courier.slots.available_permits() < self.inner.config.at_once;
            if !under_way {
                return Ok(attempts);
            }
            courier.busy.freed.notified().await;
        }
    }
}

impl Inner {
    /// What a process took up that died is due at once, where no other process can be at it.
    async fn take_back(&self) -> Result<(), causeway_store::Error> {
        // The data folder's lock lets one process in.
        if self.store.kind() != "sqlite" {
            return Ok(());
        }
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        db!(tx, webhook::take_back(self.clock.now()))?;
        tx.commit_bookkeeping(Bookkeeping::Webhooks).await
    }
}

impl Courier {
    fn new(inner: Arc<Inner>) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(inner.config.at_once)),
            inner,
            busy: Arc::default(),
            tasks: TaskTracker::new(),
            abandon: CancellationToken::new(),
        }
    }

    /// Takes up what is due, as far as there are places.
    async fn turn(&self) -> Result<Turn, causeway_store::Error> {
        let now = self.inner.clock.now();
        let mut conn = self.inner.store.read().await?;
        let waiting = db!(conn, webhook::waiting())?;
        drop(conn);
        let mut next = LOOK;
        let mut ready = Vec::new();
        for one in waiting {
            if one.state == WebhookEndpointState::Disabled {
                self.give_up(&one, now).await?;
            } else if one.due_at > now {
                next = next.min(one.due_at.since(now));
            } else {
                ready.push(one);
            }
        }
        let shares = self.deal(ready);
        let wanted: usize = shares.iter().filter(|one| one.count > 0).count();
        if wanted == 0 {
            return Ok(Turn { taken: 0, next });
        }
        let taken = self.take_up(&shares, now).await?;
        let count = taken.len();
        for delivery in taken {
            self.send(delivery);
        }
        // What another node is at looks due where messages go in order.
        if count < wanted {
            next = next.min(LOOK_AGAIN);
        }
        Ok(Turn { taken: count, next })
    }

    /// Gives up what became pending for an endpoint at the moment when it was disabled.
    async fn give_up(
        &self,
        one: &WebhooksWaiting,
        now: Timestamp,
    ) -> Result<(), causeway_store::Error> {
        let mut tx = self.inner.store.write(Actor::Node(self.inner.node)).await?;
        db!(tx, webhook_claims::hold(one.workspace_id, one.endpoint_id))?;
        // Enabled since: then it is for the next turn.
        let endpoint = db!(tx, webhook_endpoint::of_workspace(one.workspace_id, one.endpoint_id))?;
        if endpoint.is_some_and(|endpoint| endpoint.state == WebhookEndpointState::Disabled) {
            db!(tx, webhook::give_up(one.workspace_id, one.endpoint_id, now))?;
        }
        tx.commit_bookkeeping(Bookkeeping::Webhooks).await
    }

    /// Deals the free places out: a round gives every endpoint one, as long as it has room; those
    /// with the fewest under way come first, then those that have waited longest.
    fn deal(&self, ready: Vec<WebhooksWaiting>) -> Vec<Share> {
        let most = self.inner.config.at_once_per_endpoint;
        let busy = self.busy.endpoints();
        let mut shares: Vec<_> = ready
            .into_iter()
            .map(|one| {
                let ordered = one.delivery_order == WebhookOrder::Strict;
                let most = if ordered || one.failing_since.is_some() { 1 } else { most };
                let under_way = busy.get(&one.endpoint_id).copied().unwrap_or(0);
                let room = most.saturating_sub(under_way);
                let (workspace, endpoint) = (one.workspace_id, one.endpoint_id);
                let share = Share { workspace, endpoint, ordered, room, count: 0 };
                (under_way, one.due_at, share)
            })
            .collect();
        drop(busy);
        shares.sort_by_key(|(under_way, due_at, _)| (*under_way, *due_at));
        let mut shares: Vec<_> = shares.into_iter().map(|(_, _, share)| share).collect();
        let mut free = self.slots.available_permits();
        while free > 0 {
            let before = free;
            for share in shares.iter_mut().filter(|one| one.count < one.room) {
                if free > 0 {
                    share.count += 1;
                    free -= 1;
                }
            }
            if free == before {
                break;
            }
        }
        // Every node takes the endpoints' locks in the same order.
        shares.sort_by_key(|one| one.endpoint);
        shares
    }

    async fn take_up(
        &self,
        shares: &[Share],
        now: Timestamp,
    ) -> Result<Vec<WebhookDelivery>, causeway_store::Error> {
        let (inner, until) = (&self.inner, now.plus(LEASE));
        let mut taken = Vec::new();
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        for share in shares.iter().filter(|one| one.count > 0) {
            let (endpoint, node) = (share.endpoint, inner.node);
            if share.ordered {
                db!(tx, webhook_claims::hold(share.workspace, endpoint))?;
                taken.extend(db!(tx, webhook::claim_first(endpoint, node, now, until))?);
            } else {
                let count = i64::try_from(share.count).unwrap_or(i64::MAX);
                taken.extend(db!(tx, webhook_claims::claim(endpoint, node, now, until, count))?);
            }
        }
        tx.commit_bookkeeping(Bookkeeping::Webhooks).await?;
        Ok(taken)
    }

    fn send(&self, delivery: WebhookDelivery) {
        // There is a slot for each: only the courier takes any.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return };
        let place = self.busy.take(delivery.endpoint_id, slot);
        let (inner, abandon) = (Arc::clone(&self.inner), self.abandon.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = abandon.cancelled() => {}
                () = inner.attempt(delivery) => {}
            }
            drop(place);
        });
    }

    /// Lets attempts under way end, for a while.
    async fn end(self) {
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::info!("webhooks that are under way are sent again after the next start");
            self.abandon.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Busy {
    fn endpoints(&self) -> MutexGuard<'_, HashMap<WebhookEndpointId, usize>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, endpoint: WebhookEndpointId, slot: OwnedSemaphorePermit) -> Place {
        *self.endpoints().entry(endpoint).or_default() += 1;
        Place { endpoint, busy: Arc::clone(self), slot: Some(slot) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut endpoints = self.busy.endpoints();
        if let Some(count) = endpoints.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                endpoints.remove(&self.endpoint);
            }
        }
        drop(endpoints);
        // Free before anybody hears of it.
        self.slot.take();
        self.busy.freed.notify_one();
    }
}
