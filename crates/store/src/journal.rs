//! The journal: the hot path's writes, grouped so that one fsync carries many of them.
//!
//! While one group commits, the next gathers. An answer comes only after its group's commit, so
//! whatever was answered survives a crash.

use crate::{Bookkeeping, Error, Store, WriteTx, db};
use causeway_types::entity::{Advance, Event, Invocation, Step};
use causeway_types::{Actor, InvocationId, NodeId, Tenant};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// The most writes that one commit carries.
const GROUP: usize = 256;
/// The most writes that may wait for a group; more wait outside, which slows their senders down.
const WAITING: usize = 2048;

/// A write of the hot path.
#[derive(Debug, Clone)]
pub enum JournalOp {
    /// Store an event and the invocation that runs on it, unless the workflow has the event.
    Accept {
        /// Whose they are.
        tenant: Tenant,
        /// The event.
        event: Event,
        /// Its invocation.
        invocation: Invocation,
    },
    /// Store a finished step and move its invocation on, if the fence still matches.
    Step {
        /// The step.
        step: Step,
        /// The invocation's next state.
        advance: Advance,
    },
    /// Move an invocation on without a step: it ended before one could run.
    End(Advance),
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalResult {
    /// It is durable.
    Done,
    /// The event was there before; this invocation runs, or ran, on it.
    Duplicate(InvocationId),
    /// Another node took the invocation over; nothing was written.
    LeaseLost,
}

/// A write that was not made durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The database refused it or does not answer.
    #[error("writing to the journal")]
    Store(#[source] Arc<Error>),
    /// The journal has stopped.
    #[error("writing to the journal: it has stopped")]
    Stopped,
}

struct Entry {
    op: JournalOp,
    answer: oneshot::Sender<Result<JournalResult, JournalError>>,
}

/// A handle on the journal's writers. They stop when the last handle is dropped.
#[derive(Clone)]
pub struct Journal {
    writers: Arc<[mpsc::Sender<Entry>]>,
    next: Arc<AtomicUsize>,
}

impl Journal {
    /// Starts the writers on the current runtime.
    pub fn start(store: &Store, node: NodeId) -> Self {
        let writers = (0..store.journal_writers())
            .map(|_| {
                let (sender, receiver) = mpsc::channel(WAITING);
                tokio::spawn(write_groups(store.clone(), Actor::Node(node), receiver));
                sender
            })
            .collect();
        Self { writers, next: Arc::new(AtomicUsize::new(0)) }
    }

    /// Makes one write durable; returns after the commit that carries it.
    pub async fn write(&self, op: JournalOp) -> Result<JournalResult, JournalError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.writers.len().max(1);
        let writer = self.writers.get(turn).ok_or(JournalError::Stopped)?;
        let (answer, answered) = oneshot::channel();
        writer.send(Entry { op, answer }).await.map_err(|_| JournalError::Stopped)?;
        answered.await.map_err(|_| JournalError::Stopped)?
    }
}

async fn write_groups(store: Store, actor: Actor, mut entries: mpsc::Receiver<Entry>) {
    let mut group = Vec::with_capacity(GROUP);
    while entries.recv_many(&mut group, GROUP).await > 0 {
        match write_group(&store, actor, group.iter().map(|entry| &entry.op)).await {
            Ok(results) => {
                for (entry, result) in group.drain(..).zip(results) {
                    // A caller that went away does not mind that its write is durable.
                    let _ = entry.answer.send(Ok(result));
                }
            }
            // One bad write fails its whole group, so each is tried alone and answers for itself.
            Err(_) if group.len() > 1 => {
                for entry in group.drain(..) {
                    let result = write_group(&store, actor, std::iter::once(&entry.op)).await;
                    let _ = entry.answer.send(single(result));
                }
            }
            Err(error) => {
                for entry in group.drain(..) {
                    let _ = entry.answer.send(single(Err(clone_error(&error))));
                }
            }
        }
    }
}

fn clone_error(error: &Arc<Error>) -> Arc<Error> {
    Arc::clone(error)
}

fn single(result: Result<Vec<JournalResult>, Arc<Error>>) -> Result<JournalResult, JournalError> {
    match result {
        Ok(results) => results.first().copied().ok_or(JournalError::Stopped),
        Err(error) => Err(JournalError::Store(error)),
    }
}

async fn write_group(
    store: &Store,
    actor: Actor,
    ops: impl Iterator<Item = &JournalOp>,
) -> Result<Vec<JournalResult>, Arc<Error>> {
    let mut tx = store.write(actor).await?;
    let mut results = Vec::with_capacity(GROUP);
    for op in ops {
        results.push(apply(&mut tx, op).await?);
    }
    tx.commit_bookkeeping(Bookkeeping::Journal).await?;
    Ok(results)
}

async fn apply(tx: &mut WriteTx, op: &JournalOp) -> Result<JournalResult, Error> {
    match op {
        JournalOp::Accept { tenant, event, invocation } => {
            if db!(tx, invocation::insert_event(event))? {
                db!(tx, invocation::insert(invocation))?;
                return Ok(JournalResult::Done);
            }
            let key = event.dedupe_key.as_deref().unwrap_or_default();
            let earlier = db!(tx, invocation::by_dedupe_key(*tenant, event.workflow_id, key))?;
            // Its invocation may have been deleted since: the event is known all the same.
            Ok(JournalResult::Duplicate(earlier.unwrap_or(InvocationId::lowest())))
        }
        JournalOp::Step { step, advance } => {
            if !db!(tx, invocation::advance(advance))? {
                return Ok(JournalResult::LeaseLost);
            }
            db!(tx, invocation::insert_step(step))?;
            Ok(JournalResult::Done)
        }
        JournalOp::End(advance) => Ok(if db!(tx, invocation::advance(advance))? {
            JournalResult::Done
        } else {
            JournalResult::LeaseLost
        }),
    }
}
