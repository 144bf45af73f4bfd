//! Workers: they take up invocations under this node's lease and run them.
//!
//! A node's lease covers everything that it holds. When it is not renewed in time, any other node
//! gives the dead one's invocations back, and whoever claims one raises its fence, so that
//! nothing that the dead node still writes is taken.

use crate::claim::{Claimer, Job};
use crate::turns::Turns;
use crate::{BACKLOG, FlowError, Inner};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::Node;
use causeway_types::{Actor, Timestamp, chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

/// How long a node's lease holds without renewal.
const LEASE: Duration = Duration::from_secs(20);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// How often the database is asked for invocations that nobody owns, without a hint to do so.
const LOOK: Duration = Duration::from_secs(1);
/// How often the database is asked for what this node owns and does not know.
const SWEEP: Duration = Duration::from_secs(30);
/// How often the database is asked for what is due, without a hint to do so: what another node had to do
/// and did not live to is that late, and a time that is set back, too.
const LOOK_FOR_DUE: Duration = Duration::from_secs(1);
/// Invocations that are woken in one transaction.
const WAKE: i64 = 1_000;
/// An invocation that so many nodes have died of is not tried again.
pub(crate) const MAX_CRASHES: i64 = 10;

/// Whether other nodes may share the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeLease {
    /// This process alone uses the database: whatever earlier ones held is free.
    Exclusive,
    /// Others may hold leases: only those that ended are void.
    Shared,
}

/// What is done at its time, by whichever node is first.
#[derive(Debug, Clone, Copy)]
enum Duty {
    /// Letting invocations go on that wait for a time.
    Wake,
    /// Firing schedules.
    Fire,
    /// Letting invocations through that wait for what bounds their workflows.
    OpenGates,
}

pub(crate) async fn start(inner: &Arc<Inner>, jobs: mpsc::Receiver<Job>) -> Result<(), FlowError> {
    let lease = match inner.store.kind() {
        // The data folder's lock lets one process in.
        "sqlite" => NodeLease::Exclusive,
        _ => NodeLease::Shared,
    };
    let started_at = inner.clock.now();
    let dead_before = match lease {
        NodeLease::Exclusive => Timestamp::from_micros(i64::MAX),
        NodeLease::Shared => started_at,
    };
    inner.release_dead(dead_before).await?;
    inner.renew(started_at).await?;

    let renewing = Arc::clone(inner);
    inner.tasks.spawn(async move { renewing.keep_lease(started_at).await });
    let claiming = Arc::clone(inner);
    inner.tasks.spawn(async move { claiming.claim_until_stopped().await });
    for duty in [Duty::Wake, Duty::Fire, Duty::OpenGates] {
        let node = Arc::clone(inner);
        inner.tasks.spawn(async move { node.keep(duty).await });
    }
    let keeping = Arc::clone(inner);
    inner.tasks.spawn(async move { keeping.keep_packages().await });
    let running = Arc::clone(inner);
    inner.tasks.spawn(async move { running.run_until_stopped(jobs).await });
    Ok(())
}

pub(crate) async fn stop(inner: &Arc<Inner>, grace: Duration) {
    inner.stop.cancel();
    inner.tasks.close();
    if tokio::time::timeout(grace, inner.tasks.wait()).await.is_err() {
        tracing::warn!("steps still run after the grace period; another start runs them again");
        inner.abandon.cancel();
        inner.tasks.wait().await;
    }
    if let Err(error) = inner.give_up_lease().await {
        tracing::warn!(error = chain(&error), "could not give the node's lease up");
    }
}

impl Inner {
    async fn keep_lease(&self, started_at: Timestamp) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RENEW) => {}
            }
            let renewed = self.renew(started_at).await;
            if let Err(error) = renewed.and(self.release_dead(self.clock.now()).await) {
                tracing::warn!(error = chain(&error), "could not renew the node's lease");
            }
        }
    }

    async fn renew(&self, started_at: Timestamp) -> Result<(), FlowError> {
        let node = Node { id: self.node, started_at, lease_until: self.clock.now().plus(LEASE) };
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        db!(tx, node::heartbeat(&node))?;
        Ok(tx.commit_bookkeeping(Bookkeeping::Lease).await?)
    }

    /// Gives back what nodes held whose lease ended before `now`.
    async fn release_dead(&self, now: Timestamp) -> Result<(), FlowError> {
        let mut conn = self.store.read().await?;
        let dead = db!(conn, node::dead(now))?;
        drop(conn);
        for node in dead {
            if node == self.node {
                continue;
            }
            let mut tx = self.store.write(Actor::Node(self.node)).await?;
            let released = db!(tx, invocation::release_all_of(node, true))?;
            db!(tx, node::remove(node))?;
            tx.commit_bookkeeping(Bookkeeping::Lease).await?;
            tracing::info!(node.id = %node, invocations = released, "took over from a node that is gone");
            self.unclaimed.notify_one();
        }
        Ok(())
    }

    async fn give_up_lease(&self) -> Result<(), FlowError> {
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        db!(tx, invocation::release_all_of(self.node, false))?;
        db!(tx, node::remove(self.node))?;
        Ok(tx.commit_bookkeeping(Bookkeeping::Lease).await?)
    }

    async fn claim_until_stopped(&self) {
        let claimer = Claimer {
            store: self.store.clone(),
            vault: self.vault.clone(),
            node: self.node,
            work: self.work.clone(),
            held: Arc::clone(&self.held),
            stop: self.stop.clone(),
        };
        let mut swept = Instant::now();
        loop {
            if swept.elapsed() >= SWEEP {
                match claimer.sweep().await {
                    Ok(0) => {}
                    Ok(found) => tracing::info!(
                        invocations = found,
                        "took up what this node owned and had not heard of"
                    ),
                    Err(error) => {
                        tracing::warn!(
                            error = chain(&error),
                            "could not look for lost invocations"
                        );
                    }
                }
                swept = Instant::now();
            }
            match claimer.claim().await {
                Ok(true) if !self.stop.is_cancelled() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(error = chain(&error), "could not claim invocations"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.unclaimed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Does a duty whenever something is due, until this node stops.
    async fn keep(&self, duty: Duty) {
        let hint = match duty {
            Duty::Wake => &self.sooner,
            Duty::Fire => &self.rescheduled,
            Duty::OpenGates => &self.crowd,
        };
        loop {
            let done = match duty {
                Duty::Wake => self.wake_due().await,
                Duty::Fire => self.fire_due().await,
                Duty::OpenGates => self.open_gates().await,
            };
            let next = done.unwrap_or_else(|error| {
                tracing::warn!(duty = ?duty, error = chain(&error), "could not do what is due");
                None
            });
            let now = self.clock.now();
            let pause = next.map_or(LOOK_FOR_DUE, |at| at.since(now).min(LOOK_FOR_DUE));
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = hint.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Wakes what is due; when the next one is.
    async fn wake_due(&self) -> Result<Option<Timestamp>, FlowError> {
        loop {
            let mut conn = self.store.read().await?;
            let next = db!(conn, invocation::next_wake())?;
            drop(conn);
            let now = self.clock.now();
            if next.is_none_or(|at| at > now) {
                return Ok(next);
            }
            let mut tx = self.store.write(Actor::Node(self.node)).await?;
            let woken = db!(tx, dialect::wake(now, WAKE))?;
            tx.commit_bookkeeping(Bookkeeping::Lease).await?;
            self.wake();
            if woken == 0 {
                // Another node is at it.
                return Ok(None);
            }
        }
    }

    /// An invocation can go on, if what bounds its workflow lets it.
    pub(crate) fn wake(&self) {
        self.unclaimed.notify_one();
        self.crowd.notify_one();
    }

    async fn run_until_stopped(self: Arc<Self>, mut jobs: mpsc::Receiver<Job>) {
        let slots = Arc::new(Semaphore::new(self.config.concurrency));
        // Workspaces take turns at the slots.
        let mut turns = Turns::new();
        loop {
            let slot = tokio::select! {
                () = self.stop.cancelled() => return,
                job = jobs.recv(), if turns.count() < BACKLOG => {
                    let Some(job) = job else { return };
                    turns.push(job.claimed.workspace_id, job);
                    continue;
                }
                slot = Arc::clone(&slots).acquire_owned(), if turns.count() > 0 => slot,
            };
            let (Ok(slot), Some(job)) = (slot, turns.pop()) else { return };
            let inner = Arc::clone(&self);
            let canceled = job.holding.canceled();
            self.tasks.spawn(async move {
                tokio::select! {
                    biased;
                    // Dropping a step ends its sandbox.
                    () = canceled.cancelled() => {}
                    () = inner.abandon.cancelled() => {}
                    () = inner.execute(job, slot) => {}
                }
            });
        }
    }
}
