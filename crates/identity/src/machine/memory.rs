//! What an authenticator remembers of keys and tokens, and for how long it believes it.

use super::last_used::minute;
use crate::permit::Caller;
use causeway_store::{Mark, Notices};
use causeway_types::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a memory is believed in which nothing is known to have changed. A change through
/// Causeway is known at once ([`causeway_store::Notices`]); this bounds what else may go wrong: a
/// row changed by hand, or a dead connection to PostgreSQL that has not been noticed yet.
pub(crate) const BELIEVED: Duration = Duration::from_secs(3);
/// Keys and tokens remembered at most.
const REMEMBERED: usize = 10_000;
/// Texts remembered at most that are no key's: in a place of their own, so that made-up keys push
/// no real ones out.
const UNKNOWN: usize = 10_000;

/// The digest of a key or a token.
pub(crate) type Digest = [u8; 32];

/// What is known of a key or a token.
#[derive(Debug)]
pub(crate) struct Known {
    /// Whom it makes known; None if it was revoked.
    pub(crate) caller: Option<Caller>,
    /// When it ends.
    pub(crate) ends_at: Option<Timestamp>,
    /// The minute in which it was noted as used last.
    used: AtomicI64,
}

impl Known {
    pub(crate) fn new(caller: Option<Caller>, ends_at: Option<Timestamp>) -> Self {
        Self { caller, ends_at, used: AtomicI64::new(i64::MIN) }
    }

    /// Whether this is its first use in this minute, as far as this memory goes.
    pub(crate) fn first_use(&self, now: Timestamp) -> bool {
        let minute = minute(now);
        self.used.swap(minute, Ordering::Relaxed) != minute
    }
}

/// What is remembered of a digest.
pub(crate) enum Recalled {
    /// It is a key's or a token's.
    Known(Arc<Known>),
    /// Nothing has it.
    Unknown,
    /// Nothing that may be believed: the database must be asked.
    Nothing,
}

/// Keys and tokens that were looked up.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Mutex<HashMap<Digest, Entry>>,
    unknown: Mutex<HashMap<Digest, Timestamp>>,
}

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    workspace: causeway_types::WorkspaceId,
    mark: Mark,
    read_at: Timestamp,
}

impl Memory {
    /// What is known of a digest and may be believed.
    pub(crate) fn recall(&self, notices: &Notices, digest: &Digest, now: Timestamp) -> Recalled {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = known.get(digest)
                && now.since(entry.read_at) < BELIEVED
                && notices.holds(entry.workspace, entry.mark)
            {
                return Recalled::Known(Arc::clone(&entry.known));
            }
        }
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        match unknown.get(digest) {
            Some(read_at) if now.since(*read_at) < BELIEVED => Recalled::Unknown,
            _ => Recalled::Nothing,
        }
    }

    /// Remembers what was read under a mark that was taken before.
    pub(crate) fn keep(
        &self,
        digest: Digest,
        known: Arc<Known>,
        workspace: causeway_types::WorkspaceId,
        mark: Mark,
        read_at: Timestamp,
    ) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, old| read_at.since(old.read_at) < BELIEVED);
        }
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(digest, Entry { known, workspace, mark, read_at });
    }

    /// Remembers that nothing has this digest: 256 random bits do not become somebody's key later.
    pub(crate) fn keep_unknown(&self, digest: Digest, read_at: Timestamp) {
        let mut all = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= UNKNOWN {
            all.clear();
        }
        all.insert(digest, read_at);
    }
}
