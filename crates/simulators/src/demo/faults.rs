//! Failures on demand: each applies to one coming request at the token endpoint, or to some at the
//! revocation endpoint.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How a token request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Status 500; nothing has happened.
    ServerError,
    /// Status 400 `invalid_grant`; nothing has happened.
    InvalidGrant,
    /// The connection is cut; nothing has happened.
    LoseRequest,
    /// The request is carried out, tokens rotate, then the connection is cut.
    LoseAnswer,
    /// The request waits, untouched, until it is released.
    HoldRequest,
    /// The request is carried out, tokens rotate; the answer waits until it is released.
    HoldAnswer,
}

/// The coming failures. Cloning gives another handle.
#[derive(Clone, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: Mutex<VecDeque<(Fault, Arc<Gate>)>>,
    holding: Mutex<Vec<Arc<Gate>>>,
    /// Grants that are not ended, and how many revocations are still let pass before the rest waits.
    revocations: Mutex<Revocations>,
    passing: Notify,
}

#[derive(Default)]
struct Revocations {
    failing: usize,
    passing: Option<usize>,
}

/// Where a held request waits.
struct Gate {
    arrived: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: watch::Sender::new(false), released: watch::Sender::new(false) }
    }
}

/// A handle on one failure: when it has happened, and its end if it holds something.
pub struct Held(Arc<Gate>);

impl Held {
    /// Waits until the failure has met its request: for [`Fault::HoldAnswer`] and
    /// [`Fault::LoseAnswer`], until the tokens have rotated.
    pub async fn arrived(&self) {
        // The sender lives in the gate that this handle holds, so waiting cannot fail.
        let _ = self.0.arrived.subscribe().wait_for(|&arrived| arrived).await;
    }

    /// Lets a held request or answer go on.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }
}

impl Faults {
    /// The next token request that has no failure yet fails like this.
    pub fn next_token_request(&self, fault: Fault) -> Held {
        let gate = Arc::new(Gate::default());
        lock(&self.0.queue).push_back((fault, gate.clone()));
        Held(gate)
    }

    /// So many of the next revocations fail with status 503; the grants live on.
    pub fn fail_revocations(&self, count: usize) {
        lock(&self.0.revocations).failing = count;
    }

    /// After so many revocations more, the next ones wait until this is called with `None`.
    pub fn hold_revocations_after(&self, count: Option<usize>) {
        lock(&self.0.revocations).passing = count;
        self.0.passing.notify_waiters();
    }

    /// Waits as long as revocations are held; says whether this one fails.
    pub(crate) async fn meet_revocation(&self) -> bool {
        loop {
            let woken = self.0.passing.notified();
            {
                let mut revocations = lock(&self.0.revocations);
                match &mut revocations.passing {
                    Some(0) => {}
                    passing => {
                        if let Some(left) = passing {
                            *left -= 1;
                        }
                        let fails = revocations.failing > 0;
                        revocations.failing = revocations.failing.saturating_sub(1);
                        return fails;
                    }
                }
            }
            woken.await;
        }
    }

    /// How many failures have not met their request yet.
    pub fn pending(&self) -> usize {
        lock(&self.0.queue).len()
    }

    /// How many requests are being held.
    pub fn holding(&self) -> usize {
        lock(&self.0.holding).len()
    }

    /// Releases everything that is held and forgets the failures that have met no request.
    pub fn clear(&self) {
        lock(&self.0.queue).clear();
        for gate in lock(&self.0.holding).drain(..) {
            gate.released.send_replace(true);
        }
    }

    /// The failure for the request that just came in.
    pub(crate) fn take(&self) -> Option<Met> {
        let (fault, gate) = lock(&self.0.queue).pop_front()?;
        Some(Met { fault, gate, faults: self.clone() })
    }
}

/// A failure that has its request.
pub(crate) struct Met {
    pub(crate) fault: Fault,
    gate: Arc<Gate>,
    faults: Faults,
}

impl Met {
    /// Says that the point of the failure is reached.
    pub(crate) fn arrive(&self) {
        self.gate.arrived.send_replace(true);
    }

    /// Says so and waits for the release.
    pub(crate) async fn hold(&self) {
        lock(&self.faults.0.holding).push(self.gate.clone());
        self.arrive();
        let _ = self.gate.released.subscribe().wait_for(|&released| released).await;
    }
}

impl Drop for Met {
    /// Also when the caller hung up while it was held.
    fn drop(&mut self) {
        lock(&self.faults.0.holding).retain(|gate| !Arc::ptr_eq(gate, &self.gate));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
