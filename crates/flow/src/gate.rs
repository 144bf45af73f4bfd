//! The gates of workflows with bounds: an invocation waits before one until fewer run than may, and its
//! turn of the throttle has come. Only then do nodes claim it.
//!
//! Who opens a gate holds the workflow's bounds in the database, so that all nodes together let no more
//! through than may.

use crate::{FlowError, Inner};
use causeway_store::{Bookkeeping, db};
use causeway_types::{Actor, Timestamp, WorkflowId};

/// Invocations that are let through in one transaction.
const BATCH: i64 = 1_000;

impl Inner {
    /// Lets through what may begin; when the next one may, as far as that is known.
    pub(crate) async fn open_gates(&self) -> Result<Option<Timestamp>, FlowError> {
        let mut conn = self.store.read().await?;
        let crowded = db!(conn, gate::crowded())?;
        drop(conn);
        let mut next = None;
        for workflow in crowded {
            let at = self.open_gate(workflow).await?;
            next = [next, at].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Lets through what of a workflow may begin; when the next one may, if that is a matter of time.
    async fn open_gate(&self, workflow: WorkflowId) -> Result<Option<Timestamp>, FlowError> {
        loop {
            let now = self.clock.now();
            // A look that holds nothing: most of the time the workflow is at its bound.
            let mut conn = self.store.read().await?;
            if let Some(bound) = db!(conn, bound::of(workflow))? {
                if bound.room(db!(conn, gate::running(workflow))?) == 0 {
                    return Ok(None);
                }
                let first = db!(conn, gate::in_line(workflow, 1))?;
                let begins_at = bound.begins_at().filter(|at| *at > now);
                if begins_at.is_some() && first.iter().all(|(_, begun)| !begun) {
                    return Ok(begins_at);
                }
            }
            drop(conn);

            let mut tx = self.store.write(Actor::Node(self.node)).await?;
            let mut bound = db!(tx, gate::hold(workflow))?;
            let running = db!(tx, gate::running(workflow))?;
            let room = bound.as_ref().map_or(BATCH, |bound| bound.room(running).min(BATCH));
            let line = db!(tx, gate::in_line(workflow, room))?;
            let mut through = Vec::with_capacity(line.len());
            for (id, begun) in &line {
                // One that goes on after a wait began once, and is not throttled again.
                if !begun && bound.as_mut().is_some_and(|bound| !bound.begin(now)) {
                    break;
                }
                through.push(*id);
            }
            db!(tx, gate::let_through(&through))?;
            if let Some(bound) = &bound {
                db!(tx, bound::throttle(workflow, bound.throttled_until))?;
            }
            tx.commit_bookkeeping(Bookkeeping::Lease).await?;
            if !through.is_empty() {
                self.unclaimed.notify_one();
            }
            if through.len() < line.len() {
                return Ok(bound.and_then(|bound| bound.begins_at()));
            }
            if i64::try_from(line.len()).is_ok_and(|count| count < BATCH) {
                return Ok(None);
            }
        }
    }
}
