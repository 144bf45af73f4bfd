//! The keeper: what a node does for the chains without being asked.
//!
//! - It writes the denied attempts that were counted.
//! - It *watches*: it remembers how far it has seen each chain, and follows the rows that are new
//!   from there. Who rewrites what it has seen so that all hashes fit again, or cuts it off together
//!   with the head, is found out at the next look, even before there is a checkpoint.
//! - It *signs* a checkpoint where a chain has moved, and only over rows that it has followed. A
//!   copy goes to the server's log, outside of the database.
//! - It prunes.
//!
//! Several nodes do the same for the same chains: at worst there are more checkpoints.

use crate::PAGE;
use crate::checkpoint::{self, Checkpoint};
use crate::verify::Chain;
use causeway_identity::{Denials, OwnKeys};
use causeway_store::{Bookkeeping, Error, Link, Store, db};
use causeway_types::entity::{AuditCheckpoint, AuditHead};
use causeway_types::{Actor, Clock, Timestamp, WorkspaceId, chain};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often the keeper looks at the chains.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// When a chain that has moved gets its next checkpoint.
const SIGN_EVERY: Duration = Duration::from_mins(5);
/// After how many rows it gets one earlier.
const SIGN_AFTER: i64 = 1_000;
/// How often old events are pruned.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How often the log says of the same chain that it is broken.
const COMPLAIN_EVERY: Duration = Duration::from_mins(5);

/// Keeps the chains of a database. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    keys: OwnKeys,
    clock: Arc<dyn Clock>,
    denials: Denials,
    actor: Actor,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: HashMap<WorkspaceId, Watched>,
    pruned_at: Option<Timestamp>,
}

/// What is remembered of a chain.
struct Watched {
    /// The last row that was followed.
    link: Link,
    /// The last row that a checkpoint proves, and when that was signed.
    signed: Option<(i64, Timestamp)>,
    complained_at: Option<Timestamp>,
}

impl Keeper {
    /// Keeps the chains of `store` as `actor`, and writes what `denials` has counted.
    pub fn new(
        store: Store,
        keys: OwnKeys,
        denials: Denials,
        clock: Arc<dyn Clock>,
        actor: Actor,
    ) -> Self {
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { store, keys, clock, denials, actor, state }) }
    }

    /// Works until `stop`. An error is logged, and the work goes on at the next turn. Afterwards
    /// comes [`close`](Self::close).
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.turn().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// One turn: writes the denials that are due, looks at every chain that has moved, signs those
    /// whose time has come, and prunes once an hour.
    pub async fn turn(&self) {
        self.inner.round(false).await;
        self.inner.prune_all().await;
    }

    /// Ends the work at a clean stop, once nobody writes any more: what was counted is written, and
    /// every chain that has moved is signed as it is.
    pub async fn close(&self) {
        self.inner.round(true).await;
    }
}

impl Inner {
    async fn round(&self, everything: bool) {
        if let Err(error) = self.denials.flush(everything).await {
            tracing::warn!(error = chain(&error), "denied attempts are not in the audit chain yet");
        }
        // Checkpoints of other nodes may be signed with a key that is new.
        if let Err(error) = self.keys.renew().await {
            tracing::error!(error = chain(&error), "Causeway's own keys cannot be read again");
        }
        let now = self.clock.now();
        let mut state = self.state.lock().await;
        let mut after: Option<WorkspaceId> = None;
        loop {
            let heads = match self.heads(after).await {
                Ok(heads) => heads,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "looking at the audit chains");
                    return;
                }
            };
            let Some((last, _)) = heads.last() else { return };
            after = Some(*last);
            for (workspace, head) in heads {
                if let Err(error) =
                    self.keep(&mut state.watched, workspace, head, everything, now).await
                {
                    tracing::warn!(
                        workspace.id = %workspace,
                        error = chain(&error),
                        "an audit chain has no new checkpoint"
                    );
                }
            }
        }
    }

    async fn heads(
        &self,
        after: Option<WorkspaceId>,
    ) -> Result<Vec<(WorkspaceId, AuditHead)>, Error> {
        let mut conn = self.store.read().await?;
        // The installation has the lowest id of all, so the first page begins before it.
        let Some(after) = after else {
            let head = db!(conn, audit::head(causeway_types::INSTALLATION))?;
            let first = head.filter(|head| head.seq > 0).into_iter();
            let mut heads: Vec<_> =
                first.map(|head| (causeway_types::INSTALLATION, head)).collect();
            heads.extend(db!(conn, audit::heads(causeway_types::INSTALLATION, PAGE))?);
            return Ok(heads);
        };
        db!(conn, audit::heads(after, PAGE))
    }

    fn chain(&self, workspace: WorkspaceId) -> Chain<'_> {
        Chain { store: &self.store, keys: &self.keys, workspace }
    }

    async fn keep(
        &self,
        watched: &mut HashMap<WorkspaceId, Watched>,
        workspace: WorkspaceId,
        head: AuditHead,
        everything: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let chain = self.chain(workspace);
        let known = match watched.entry(workspace) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let Some(begun) = chain.begin().await? else {
                    return Ok(());
                };
                new.insert(begun)
            }
        };
        if let Some(broken) = chain.catch_up(&mut known.link, &head).await? {
            if known.complained_at.is_none_or(|at| now.since(at) >= COMPLAIN_EVERY) {
                known.complained_at = Some(now);
                tracing::error!(
                    workspace.id = %workspace,
                    "an audit chain does not hold, and gets no checkpoint any more: {broken}. `causeway audit verify` says more"
                );
            }
            return Ok(());
        }
        known.complained_at = None;
        if !known.is_due(everything, now) {
            return Ok(());
        }
        // Another node may have signed meanwhile.
        if let Some(newer) = chain.newest_checkpoint().await? {
            known.note(&newer);
        }
        if known.is_due(everything, now) {
            self.sign(workspace, known, now).await?;
        }
        Ok(())
    }

    async fn sign(
        &self,
        workspace: WorkspaceId,
        known: &mut Watched,
        now: Timestamp,
    ) -> Result<(), Error> {
        let reached = AuditHead { seq: known.link.seq(), hash: known.link.hash().to_vec() };
        let signed = checkpoint::sign(&self.keys, workspace, reached, now);
        let mut tx = self.store.write(self.actor).await?;
        if db!(tx, audit::insert_checkpoint(&signed))? {
            tx.commit_bookkeeping(Bookkeeping::Checkpoint).await?;
            let copy = serde_json::to_string(&Checkpoint::from(signed.clone()));
            let copy = copy.map_err(Error::AuditEncoding)?;
            tracing::info!(workspace.id = %workspace, checkpoint = copy, "signed an audit checkpoint");
        }
        known.note(&signed);
        Ok(())
    }

    async fn prune_all(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock().await;
        if state.pruned_at.is_some_and(|at| now.since(at) < PRUNE_EVERY) {
            return;
        }
        let retained = match self.retained().await {
            Ok(retained) => retained,
            Err(error) => {
                tracing::warn!(error = chain(&error), "looking for audit events to prune");
                return;
            }
        };
        state.pruned_at = Some(now);
        drop(state);
        for workspace in retained {
            match self.chain(workspace).prune(self.actor, now).await {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::info!(workspace.id = %workspace, rows, "pruned old audit events");
                }
                Err(error) => {
                    tracing::error!(
                        workspace.id = %workspace,
                        error = chain(&error),
                        "old audit events are not pruned"
                    );
                }
            }
        }
    }

    async fn retained(&self) -> Result<Vec<WorkspaceId>, Error> {
        let mut conn = self.store.read().await?;
        db!(conn, audit::retained())
    }
}

impl Watched {
    fn is_due(&self, everything: bool, now: Timestamp) -> bool {
        let reached = self.link.seq();
        match self.signed {
            None => reached > 0,
            Some((seq, at)) => {
                let due = everything || reached - seq >= SIGN_AFTER || now.since(at) >= SIGN_EVERY;
                reached > seq && due
            }
        }
    }

    fn note(&mut self, signed: &AuditCheckpoint) {
        if self.signed.is_none_or(|(seq, _)| seq < signed.seq) {
            self.signed = Some((signed.seq, signed.at));
        }
    }
}

impl Chain<'_> {
    async fn newest_checkpoint(&self) -> Result<Option<AuditCheckpoint>, Error> {
        let mut conn = self.store.read().await?;
        let ever = Timestamp::from_micros(i64::MAX);
        let newest = db!(conn, audit::last_checkpoint(self.workspace, ever, i64::MAX))?;
        // One that is forged is as good as none.
        Ok(newest.filter(|one| Checkpoint::from(one.clone()).check(self.keys).is_ok()))
    }

    /// Where watching begins: at the newest checkpoint, or before the first row. None where neither
    /// is there, as the rows then hang in the air: the check says so.
    async fn begin(&self) -> Result<Option<Watched>, Error> {
        let newest = self.newest_checkpoint().await?;
        if let Some(newest) = newest {
            let link = Link::at(self.workspace, newest.seq, newest.hash.clone());
            let signed = Some((newest.seq, newest.at));
            return Ok(Some(Watched { link, signed, complained_at: None }));
        }
        let first = self.first().await?.map(|row| row.seq);
        let link = Link::beginning(self.workspace);
        Ok(first.filter(|seq| *seq == 1).map(|_| Watched {
            link,
            signed: None,
            complained_at: None,
        }))
    }

    /// Follows the rows up to the head. The text says what is wrong, if something is; then the walk
    /// stays at the last row that it believes.
    async fn catch_up(&self, link: &mut Link, head: &AuditHead) -> Result<Option<String>, Error> {
        let mut more = link.seq() < head.seq;
        while more {
            let before = link.seq();
            for row in self.page(before).await? {
                if row.seq > head.seq {
                    break;
                }
                if let Err(broken) = link.follow(row) {
                    return Ok(Some(broken.to_string()));
                }
            }
            more = before < link.seq() && link.seq() < head.seq;
        }
        let reached = link.seq();
        Ok(match head.seq {
            shorter if shorter < reached => {
                Some(format!("it reached row {reached} before, and its head is row {shorter} now"))
            }
            longer if longer > reached => {
                Some(format!("its head is row {longer}, and its last row is row {reached}"))
            }
            _ if head.hash != link.hash() => {
                Some(format!("the head does not have the hash of row {reached}"))
            }
            _ => None,
        })
    }
}
