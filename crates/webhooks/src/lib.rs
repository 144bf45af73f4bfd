//! Webhooks out: Causeway tells a company's own servers what happened.
//!
//! - An *endpoint* is such a server: a URL, a secret that its messages are signed with, and the
//!   types of events that it wants. Some are not for events: the *project webhook* of an
//!   environment, and the receiver of one connect session.
//! - A *message* is one event as it is sent. An engine makes it in the transaction of its own change
//!   ([`Outbox::enqueue`]), so that neither is there without the other.
//! - A *report* is a message too: how a connect session came out, in the words of its contract. It
//!   goes to the session's receiver and to the project webhook.
//! - A *delivery* is a message on its way to one endpoint: pending, delivered or dead. What is dead
//!   stays for a while and can be *replayed*.
//! - An *attempt* is one request of a delivery. After a failed one comes the next *rung* of a ladder
//!   of pauses, three days long; after the last rung the delivery is dead.
//!
//! A delivery is taken up under a lease with a fence, by whichever node comes first. A node that
//! dies leaves it to the next when the lease ends, so a message may arrive twice, always with the
//! same id, and is never lost.
//!
//! Signatures, headers and bodies follow Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

mod answer;
mod attempt;
mod change;
mod courier;
mod create;
mod error;
mod event;
mod ladder;
mod limits;
mod log;
mod outbox;
mod project;
mod prune;
mod replay;
mod report;
mod signature;
mod state;
mod target;
mod view;

pub use change::{EndpointChange, RotatedSecret};
pub use create::{CreatedEndpoint, NewEndpoint};
pub use error::{InvalidEndpoint, WebhookError};
pub use event::{ConnectionSubject, Event};
pub use log::{AttemptView, MessageView};
pub use outbox::{EnqueueError, Outbox};
pub use project::ProjectWebhookView;
pub use replay::{Replayed, Span};
pub use report::Report;
pub use view::EndpointView;

use causeway_net::HttpClient;
use causeway_store::Store;
use causeway_types::{Clock, NodeId, Randomness, WorkspaceId};
use causeway_vault::{Vault, VaultError};
use std::sync::Arc;
use std::time::Duration;

/// What webhooks are made of.
pub struct WebhooksParts {
    /// Keeps them.
    pub store: Store,
    /// Seals secrets, URLs, bodies and answers.
    pub vault: Vault,
    /// Reaches the endpoints.
    pub http: HttpClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids, secrets and the spread of attempts.
    pub random: Arc<dyn Randomness>,
}

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
pub struct WebhooksConfig {
    /// Time for one attempt: look-up, connection, and the head of the answer.
    pub timeout: Duration,
    /// Attempts under way on this node.
    pub at_once: usize,
    /// Of these, to one endpoint. One that fails, or wants its messages in order, gets one at a time.
    pub at_once_per_endpoint: usize,
}

/// Time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts under way on one node.
const AT_ONCE: usize = 64;
/// Attempts under way from one node to one endpoint.
const AT_ONCE_PER_ENDPOINT: usize = 4;

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self { timeout: TIMEOUT, at_once: AT_ONCE, at_once_per_endpoint: AT_ONCE_PER_ENDPOINT }
    }
}

/// Everything about webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    http: HttpClient,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    config: WebhooksConfig,
    /// Holder of the leases taken here, and actor of what Causeway does by itself.
    node: NodeId,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T, I> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<I>,
}

impl<T, I> Page<T, I> {
    /// The page of these records, of which one more than `limit` was read.
    fn of<R>(
        mut records: Vec<R>,
        limit: u16,
        id: impl FnOnce(&R) -> I,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let full = records.len() > usize::from(limit);
        records.truncate(usize::from(limit));
        let next = records.last().filter(|_| full).map(id);
        Self { items: records.into_iter().map(show).collect(), next }
    }
}

impl Webhooks {
    /// Puts the parts together. Nothing is delivered yet; see [`run`](Self::run).
    pub fn new(parts: WebhooksParts, config: WebhooksConfig) -> Self {
        let WebhooksParts { store, vault, http, clock, random } = parts;
        let node = NodeId::generate(clock.now(), &*random);
        Self { inner: Arc::new(Inner { store, vault, http, clock, random, config, node }) }
    }

    /// What makes messages in one workspace. Take it before a transaction begins, use it in the
    /// transaction, and drop it: it holds the workspace's keys, so that nothing has to be waited for
    /// while the transaction is open.
    ///
    /// # Errors
    /// If the workspace's keys cannot be had.
    pub async fn outbox(&self, workspace: WorkspaceId) -> Result<Outbox, VaultError> {
        let keys = self.inner.vault.keyring(workspace).await?;
        Ok(Outbox::new(keys, Arc::clone(&self.inner.random)))
    }
}
