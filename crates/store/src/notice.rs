//! Who may come in has changed: every node knows at once.
//!
//! A node that remembers a key, a token or a session may believe its memory only as long as nobody
//! took anything away. So a transaction that does says it ([`WriteTx::access_changed`]): when it
//! commits, this process knows before anybody is answered, and PostgreSQL tells the other nodes
//! with the commit itself (`NOTIFY`). SQLite has no other nodes.
//!
//! A memory keeps the [`Mark`] that it took *before* it read, and asks whether the mark still
//! [holds](Notices::holds). While PostgreSQL cannot be heard there are no marks, and none holds.
//!
//! In the same way, whoever delivers webhooks hears that there are some ([`WriteTx::webhooks_due`]).
//! That is a hint: it may be lost, and they look by themselves too.

use crate::tx::WriteTx;
use crate::{Result, db, postgres};
use causeway_types::WorkspaceId;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long to wait before PostgreSQL is listened to again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// Workspaces whose last change is remembered; beyond them, all memories are asked again.
const WORKSPACES: usize = 10_000;

/// What this process has heard of changes to who may come in.
#[derive(Debug)]
pub struct Notices {
    state: Mutex<State>,
    heard: watch::Sender<Heard>,
    /// How often it was heard that webhooks are to be delivered.
    webhooks: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Since which beginning the changes are heard without a gap; None while they are not.
    since: Option<u64>,
    beginnings: u64,
    gaps: u64,
    changes: u64,
    /// The number of each workspace's last change.
    last: HashMap<WorkspaceId, u64>,
    /// The last change of workspaces that have no entry.
    floor: u64,
}

/// What had been heard at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    since: u64,
    changes: u64,
}

/// How the hearing stands, for whoever waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Whether changes on other nodes are heard.
    pub listening: bool,
    /// How many changes were heard.
    pub changes: u64,
    /// How often it was interrupted.
    pub gaps: u64,
}

impl Notices {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            heard: watch::Sender::default(),
            webhooks: watch::Sender::default(),
        })
    }

    /// Those of a process that is alone with its database.
    pub(crate) fn alone() -> Arc<Self> {
        let notices = Self::new();
        notices.listening(true);
        notices
    }

    /// Those of a process that shares its database: listens until the pool is closed.
    pub(crate) fn shared(pool: PgPool) -> Arc<Self> {
        let notices = Self::new();
        tokio::spawn(listen(Arc::clone(&notices), pool));
        notices
    }

    /// The mark to keep with what is read from now on; None while nothing may be remembered.
    pub fn mark(&self) -> Option<Mark> {
        let state = self.state();
        state.since.map(|since| Mark { since, changes: state.changes })
    }

    /// Whether what was read of a workspace under a mark may still be believed.
    pub fn holds(&self, workspace: WorkspaceId, mark: Mark) -> bool {
        let state = self.state();
        let last = state.last.get(&workspace).copied().unwrap_or(state.floor);
        state.since == Some(mark.since) && last <= mark.changes
    }

    /// Follows what is heard.
    pub fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// Changes whenever webhooks are to be delivered that were not before.
    pub fn webhooks(&self) -> watch::Receiver<u64> {
        self.webhooks.subscribe()
    }

    pub(crate) fn webhooks_due(&self) {
        self.webhooks.send_modify(|times| *times += 1);
    }

    /// Somebody's access to a workspace has changed.
    pub(crate) fn changed(&self, workspace: WorkspaceId) {
        let mut state = self.state();
        state.changes += 1;
        if state.last.len() >= WORKSPACES {
            state.last.clear();
            state.floor = state.changes;
        }
        let number = state.changes;
        state.last.insert(workspace, number);
        self.show(&state);
    }

    fn listening(&self, listening: bool) {
        let mut state = self.state();
        if listening {
            state.beginnings += 1;
        } else {
            state.gaps += 1;
        }
        state.since = listening.then_some(state.beginnings);
        self.show(&state);
    }

    fn show(&self, state: &State) {
        let (listening, changes) = (state.since.is_some(), state.changes);
        self.heard.send_replace(Heard { listening, changes, gaps: state.gaps });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteTx {
    /// This transaction takes somebody's access to a workspace away, or makes it smaller: once it
    /// commits, no node believes what it remembers of this workspace.
    pub async fn access_changed(&mut self, workspace: WorkspaceId) -> Result<()> {
        db!(self, notice::access_changed(workspace))?;
        self.changed.push(workspace);
        Ok(())
    }

    /// This transaction leaves webhooks to be delivered: once it commits, every node looks for them.
    pub async fn webhooks_due(&mut self) -> Result<()> {
        db!(self, notice::webhooks_due())?;
        self.webhooks = true;
        Ok(())
    }
}

/// Hears the other nodes until the pool is closed.
async fn listen(notices: Arc<Notices>, pool: PgPool) {
    while !pool.is_closed() {
        let ended = hear(&notices, &pool).await;
        notices.listening(false);
        if pool.is_closed() {
            return;
        }
        if let Err(error) = ended {
            tracing::warn!(%error, "cannot hear of changed access; every request asks the database");
        }
        tokio::select! {
            () = pool.close_event() => return,
            () = tokio::time::sleep(LISTEN_AGAIN) => {}
        }
    }
}

/// Hears the other nodes until the connection ends. What was said meanwhile is lost with it, so it
/// is not taken up again: a new beginning leaves old memories behind.
async fn hear(notices: &Notices, pool: &PgPool) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all([postgres::notice::ACCESS, postgres::notice::WEBHOOKS]).await?;
    notices.listening(true);
    // What was said meanwhile was not heard.
    notices.webhooks_due();
    while let Some(notice) = listener.try_recv().await? {
        if notice.channel() == postgres::notice::WEBHOOKS {
            notices.webhooks_due();
            continue;
        }
        match notice.payload().parse() {
            Ok(workspace) => notices.changed(workspace),
            // A newer version says something that this one does not know: forget everything.
            Err(_) => notices.listening(true),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{Clock as _, OsRandom, SystemClock};

    fn workspace() -> WorkspaceId {
        WorkspaceId::generate(SystemClock.now(), &OsRandom)
    }

    #[test]
    fn a_mark_holds_until_its_workspace_changes() {
        let (notices, here, there) = (Notices::alone(), workspace(), workspace());
        let mark = notices.mark().unwrap();
        notices.changed(there);
        assert!(notices.holds(here, mark) && !notices.holds(there, mark));
        let later = notices.mark().unwrap();
        assert!(notices.holds(there, later));
        notices.changed(here);
        assert!(!notices.holds(here, mark) && !notices.holds(here, later));
    }

    #[test]
    fn nothing_is_believed_across_a_gap() {
        let (notices, here) = (Notices::new(), workspace());
        assert!(notices.mark().is_none());
        notices.listening(true);
        let mark = notices.mark().unwrap();
        notices.listening(false);
        assert!(notices.mark().is_none() && !notices.holds(here, mark));
        notices.listening(true);
        assert!(!notices.holds(here, mark));
        assert!(notices.holds(here, notices.mark().unwrap()));
    }

    #[test]
    fn a_forgotten_workspace_counts_as_changed() {
        let (notices, here) = (Notices::alone(), workspace());
        let mark = notices.mark().unwrap();
        for _ in 0..=WORKSPACES {
            notices.changed(workspace());
        }
        assert!(!notices.holds(here, mark));
        assert!(notices.holds(here, notices.mark().unwrap()));
    }
}
