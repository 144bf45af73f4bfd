//! Denied attempts, as the audit chain gets them: the first at once, repeats of the same by the
//! same caller counted and written as one event.

mod recorder;

pub use recorder::Recorder;

use crate::permit::{Denied, DeniedReason};
use causeway_store::{Audit, Error, Store};
use causeway_types::{Clock, Timestamp, WorkspaceId, chain};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// How long repeats are counted before they are written.
const WINDOW: Duration = Duration::from_mins(1);
/// Kinds of attempts counted at once. Beyond them each attempt is written by itself.
const COUNTED: usize = 10_000;

/// Counts denied attempts and writes them. Cheap to clone; clones share what they count.
#[derive(Clone)]
pub struct Denials {
    store: Store,
    clock: Arc<dyn Clock>,
    counted: Arc<Mutex<HashMap<Key, Repeats>>>,
    /// The first attempts that are being written.
    writing: TaskTracker,
}

/// What makes two attempts the same.
type Key = (WorkspaceId, String);

fn key_of(denied: Denied) -> Key {
    (denied.workspace, format!("{} {} {}", denied.actor, denied.action, denied.reason.as_str()))
}

#[derive(Debug)]
struct Repeats {
    attempt: Denied,
    since: Timestamp,
    /// Those that no event tells of yet.
    unwritten: i64,
}

impl DeniedReason {
    /// The reason as the audit chain has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::App => "app",
            Self::Beyond => "beyond",
            Self::StepUp => "step_up",
            Self::NoEnvironment => "no_environment",
        }
    }
}

impl Denials {
    /// Writes to `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, counted: Arc::default(), writing: TaskTracker::new() }
    }

    /// Notes that somebody was denied something in a workspace. The first such attempt is in the
    /// audit chain when this returns; a repeat within a minute is counted. If the database does
    /// not answer, the attempt is counted too, and written with the next [`flush`](Self::flush).
    ///
    /// A request that does not say in which environment it is to act was not denied anything: it
    /// is not noted.
    pub async fn note(&self, attempt: Denied) {
        if attempt.reason == DeniedReason::NoEnvironment {
            return;
        }
        let now = self.clock.now();
        if !self.is_first(attempt, now) {
            return;
        }
        let own = self.clone();
        // A task of its own, since the caller may hang up: a commit that is given up may be done
        // all the same, and then the attempt would be written twice.
        let write = async move {
            if let Err(error) = own.write(own.owed(attempt, 1, now)).await {
                tracing::warn!(
                    workspace.id = %attempt.workspace,
                    error = chain(&error),
                    "a denied attempt is not in the audit chain yet"
                );
            }
        };
        let writing = self.writing.spawn(write.in_current_span());
        // What it had to say, it has said; a task that is cut off by the end counts what it owes.
        drop(writing.await);
    }

    /// Writes the repeats whose minute is over; all of them with `everything`, as at a stop, and
    /// then waits for the first attempts that are being written, too.
    ///
    /// # Errors
    /// If the database refuses. What was not written is still counted.
    pub async fn flush(&self, everything: bool) -> Result<(), Error> {
        if everything {
            self.writing.close();
            self.writing.wait().await;
            self.writing.reopen();
        }
        let now = self.clock.now();
        let mut due = Vec::new();
        self.counted().retain(|_, repeats| {
            let keep = !everything && now.since(repeats.since) < WINDOW;
            if !keep && repeats.unwritten > 0 {
                due.push(self.owed(repeats.attempt, repeats.unwritten, now));
            }
            keep
        });
        for owed in due {
            self.write(owed).await?;
        }
        Ok(())
    }

    /// What one request is denied is noted through this.
    pub fn recorder(&self) -> Recorder {
        Recorder::new(self.clone())
    }

    /// Counts an attempt, to be written with the next [`flush`](Self::flush): for where nobody can
    /// wait for the database.
    fn count(&self, attempt: Denied) {
        // Counted by what is dropped here.
        drop(self.owed(attempt, 1, self.clock.now()));
    }

    /// Whether the attempt has to be written now; counts it otherwise.
    fn is_first(&self, attempt: Denied, now: Timestamp) -> bool {
        let (key, mut counted) = (key_of(attempt), self.counted());
        if let Some(repeats) = counted.get_mut(&key) {
            repeats.unwritten += 1;
            return false;
        }
        if counted.len() < COUNTED {
            counted.insert(key, Repeats { attempt, since: now, unwritten: 0 });
        }
        true
    }

    fn owed(&self, attempt: Denied, times: i64, now: Timestamp) -> Owed<'_> {
        Owed { denials: self, attempt, times, now }
    }

    async fn write(&self, owed: Owed<'_>) -> Result<(), Error> {
        let event = Audit::PermissionDenied {
            permission: owed.attempt.action.to_string(),
            reason: owed.attempt.reason.as_str().to_owned(),
            times: owed.times,
        };
        let tx = self.store.write(owed.attempt.actor).await?;
        tx.commit(owed.attempt.workspace, owed.now, event).await?;
        owed.paid();
        Ok(())
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Key, Repeats>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attempts that are being written. If that fails, or is given up because the caller hung up, they
/// are counted again: nobody gets out of the record by going away.
struct Owed<'a> {
    denials: &'a Denials,
    attempt: Denied,
    times: i64,
    now: Timestamp,
}

impl Owed<'_> {
    fn paid(mut self) {
        self.times = 0;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.times > 0 {
            let repeats = Repeats { attempt: self.attempt, since: self.now, unwritten: 0 };
            let mut counted = self.denials.counted();
            counted.entry(key_of(self.attempt)).or_insert(repeats).unwritten += self.times;
        }
    }
}

#[cfg(test)]
mod tests;
