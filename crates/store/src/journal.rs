//! The journal: the hot path's writes, grouped so that one fsync carries many of them.
//!
//! While one group commits, the next gathers. An answer comes only after its group's commit, so
//! whatever was answered survives a crash.

use crate::{Bookkeeping, Error, Store, WriteTx, db};
use causeway_types::entity::{Advance, Event, Invocation, Step};
use causeway_types::{Actor, EventId, InvocationId, NodeId, Tenant, Timestamp, WorkspaceId};
use std::collections::{BTreeMap, HashSet};
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
    /// Move an invocation on without a step: it begins anew, or it ended before a step could run.
    Move(Advance),
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
                    let _ = entry.answer.send(Err(JournalError::Store(Arc::clone(&error))));
                }
            }
        }
    }
}

fn single(result: Result<Vec<JournalResult>, Arc<Error>>) -> Result<JournalResult, JournalError> {
    match result {
        Ok(results) => results.first().copied().ok_or(JournalError::Stopped),
        Err(error) => Err(JournalError::Store(error)),
    }
}

async fn write_group<'a>(
    store: &Store,
    actor: Actor,
    ops: impl Iterator<Item = &'a JournalOp>,
) -> Result<Vec<JournalResult>, Arc<Error>> {
    let ops: Vec<&JournalOp> = ops.collect();
    let mut tx = store.write(actor).await?;
    let stored = accept_all(&mut tx, &ops).await?;
    let moved = advance_all(&mut tx, &ops).await?;
    let mut results = Vec::with_capacity(ops.len());
    for op in ops {
        results.push(match op {
            JournalOp::Accept { event, .. } if stored.contains(&event.id) => JournalResult::Done,
            JournalOp::Accept { tenant, event, .. } => earlier(&mut tx, *tenant, event).await?,
            JournalOp::Step { advance, .. } | JournalOp::Move(advance)
                if moved.contains(&advance.id) =>
            {
                JournalResult::Done
            }
            JournalOp::Step { .. } | JournalOp::Move(_) => JournalResult::LeaseLost,
        });
    }
    tx.commit_bookkeeping(Bookkeeping::Journal).await?;
    Ok(results)
}

/// Stores the group's events, and the invocations of those that are new; returns these events.
async fn accept_all(tx: &mut WriteTx, ops: &[&JournalOp]) -> Result<HashSet<EventId>, Error> {
    let accepts = ops.iter().filter_map(|op| match op {
        JournalOp::Accept { event, invocation, .. } => Some((event, invocation)),
        _ => None,
    });
    let (events, invocations): (Vec<_>, Vec<_>) = accepts.unzip();
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    let stored: HashSet<EventId> = db!(tx, dialect::insert_events(&events))?.into_iter().collect();
    let fresh: Vec<_> =
        invocations.into_iter().filter(|one| stored.contains(&one.event_id)).collect();
    if !fresh.is_empty() {
        db!(tx, dialect::insert_invocations(&fresh))?;
    }
    Ok(stored)
}

/// Moves the group's invocations on and stores the steps of those that moved; returns these.
async fn advance_all(tx: &mut WriteTx, ops: &[&JournalOp]) -> Result<HashSet<InvocationId>, Error> {
    let advances: Vec<&Advance> = ops
        .iter()
        .filter_map(|op| match op {
            JournalOp::Step { advance, .. } | JournalOp::Move(advance) => Some(advance),
            JournalOp::Accept { .. } => None,
        })
        .collect();
    if advances.is_empty() {
        return Ok(HashSet::new());
    }
    let moved: HashSet<InvocationId> =
        db!(tx, dialect::advance_all(&advances))?.into_iter().collect();
    let steps: Vec<&Step> = ops
        .iter()
        .filter_map(|op| match op {
            JournalOp::Step { step, .. } if moved.contains(&step.invocation_id) => Some(step),
            _ => None,
        })
        .collect();
    if !steps.is_empty() {
        db!(tx, dialect::insert_steps(&steps))?;
    }
    end_items(tx, advances.into_iter().filter(|one| moved.contains(&one.id))).await?;
    Ok(moved)
}

/// Items of one invocation that have ended.
struct EndedItems {
    workspace: WorkspaceId,
    count: i64,
    /// When one of them ended the loop.
    loop_ended_at: Option<Timestamp>,
}

/// Lets the next items of a loop go on in the place of those that have ended, and their parent when it
/// is its turn.
///
/// Items first and then their parents, these in the order of their ids, as whoever cancels does. Two
/// groups in which parents move too may still wait for each other; PostgreSQL then ends one of them, and
/// its writes are tried one by one.
async fn end_items<'a>(
    tx: &mut WriteTx,
    moved: impl Iterator<Item = &'a Advance>,
) -> Result<(), Error> {
    let mut ended: BTreeMap<InvocationId, EndedItems> = BTreeMap::new();
    for advance in moved {
        let (Some(item), Some(at)) = (advance.item_of, advance.finished_at) else { continue };
        let of = ended.entry(item.parent).or_insert(EndedItems {
            workspace: advance.workspace,
            count: 0,
            loop_ended_at: None,
        });
        of.count += 1;
        of.loop_ended_at = of.loop_ended_at.or(advance.ends_loop.then_some(at));
    }
    for (parent, EndedItems { workspace, mut count, loop_ended_at }) in ended {
        let next = match loop_ended_at {
            Some(now) => {
                count += db!(tx, item::end_loop(workspace, parent, now))?;
                0
            }
            None => db!(tx, dialect::give_turns(workspace, parent, count))?,
        };
        db!(tx, item::ended(workspace, parent, count, next < count))?;
    }
    Ok(())
}

/// What runs, or ran, on the event that the workflow had before.
async fn earlier(tx: &mut WriteTx, tenant: Tenant, event: &Event) -> Result<JournalResult, Error> {
    let key = event.dedupe_key.as_deref().unwrap_or_default();
    let found = db!(tx, invocation::by_dedupe_key(tenant, event.workflow_id, key))?;
    // Its invocation may have been deleted since: the event is known all the same.
    Ok(JournalResult::Duplicate(found.unwrap_or(InvocationId::lowest())))
}
