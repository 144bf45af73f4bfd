//! How often credentials were opened. Each opening counts; a connection's are written as one audit
//! event a minute, so that traffic does not drown the chain. When a connection was last used stands
//! in its row, to the hour; what keeps it alive is no use.

use crate::refresh::Purpose;
use crate::{Connect, Inner};
use causeway_store::{Audit, Error, db};
use causeway_types::{Actor, ConnectionId, Timestamp, WorkspaceId, chain};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long openings are counted before they are written.
const WINDOW: Duration = Duration::from_mins(1);
/// How often it is written when a connection was used.
const REMEMBERED_EVERY: Duration = Duration::from_hours(1);
/// Connections counted at once; with more, everything is written at once.
const COUNTED: usize = 10_000;
/// Events that one transaction carries.
const TOGETHER: usize = 200;

/// Openings that no event tells of yet.
#[derive(Default)]
pub(crate) struct Uses {
    counted: Mutex<HashMap<ConnectionId, Use>>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    workspace: WorkspaceId,
    connection: ConnectionId,
    times: i64,
    since: Timestamp,
    /// Whether somebody used the connection, and when last.
    used_at: Option<Timestamp>,
}

impl Connect {
    /// Writes the openings of credentials that were counted for a minute; all of them with
    /// `everything`.
    ///
    /// # Errors
    /// If the database refuses. What was not written is still counted.
    pub async fn write_uses(&self, everything: bool) -> Result<(), Error> {
        self.inner.write_uses(everything).await
    }
}

impl Inner {
    /// Counts the opening of a connection's credential.
    pub(crate) async fn count_use(
        &self,
        workspace: WorkspaceId,
        connection: ConnectionId,
        purpose: Purpose,
    ) {
        let since = self.clock.now();
        let used_at = (purpose == Purpose::Use).then_some(since);
        let full = self.uses.add(Use { workspace, connection, times: 1, since, used_at });
        if full && let Err(error) = self.write_uses(true).await {
            tracing::warn!(error = chain(&error), "the use of credentials is not audited yet");
        }
    }

    pub(crate) async fn write_uses(&self, everything: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let mut due = Owed { uses: &self.uses, owed: self.uses.take_due(everything, now) };
        due.owed.sort_by_key(|used| used.workspace);
        while let Some(workspace) = due.owed.last().map(|used| used.workspace) {
            let together = due.owed.iter().rev().take(TOGETHER);
            let count = together.take_while(|used| used.workspace == workspace).count();
            let rest = due.owed.len() - count;
            self.write_together(workspace, due.owed.get(rest..).unwrap_or_default(), now).await?;
            due.owed.truncate(rest);
        }
        Ok(())
    }

    async fn write_together(
        &self,
        workspace: WorkspaceId,
        uses: &[Use],
        now: Timestamp,
    ) -> Result<(), Error> {
        let event = |used: &Use| Audit::CredentialUsed {
            connection: used.connection,
            times: used.times,
            since: used.since,
        };
        let Some((last, others)) = uses.split_last() else { return Ok(()) };
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        for used in uses {
            if let Some(at) = used.used_at {
                let before = at.minus(REMEMBERED_EVERY);
                db!(tx, connection::touch(workspace, used.connection, at, before))?;
            }
        }
        for used in others {
            tx.record(workspace, now, event(used)).await?;
        }
        tx.commit(workspace, now, event(last)).await
    }
}

impl Uses {
    /// Counts, and says whether it is time to write.
    fn add(&self, used: Use) -> bool {
        let mut counted = self.counted();
        counted
            .entry(used.connection)
            .and_modify(|known| {
                known.times += used.times;
                known.since = known.since.min(used.since);
                known.used_at = known.used_at.max(used.used_at);
            })
            .or_insert(used);
        counted.len() > COUNTED
    }

    fn take_due(&self, everything: bool, now: Timestamp) -> Vec<Use> {
        let mut due = Vec::new();
        self.counted().retain(|_, used| {
            let keep = !everything && now.since(used.since) < WINDOW;
            if !keep {
                due.push(*used);
            }
            keep
        });
        due
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<ConnectionId, Use>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Openings that are being written. What is left when that fails or is given up counts again.
struct Owed<'a> {
    uses: &'a Uses,
    owed: Vec<Use>,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        for used in self.owed.drain(..) {
            self.uses.add(used);
        }
    }
}
