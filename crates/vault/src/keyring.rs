//! A workspace's data keys, unwrapped and ready.

use causeway_crypto::{OpenError, Salts, SealingKey, TooLong, key_of};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Place, SecretBytes, Timestamp, WorkspaceId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often the vault has done what, since it was unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Values sealed.
    pub seals: u64,
    /// Seals opened.
    pub opens: u64,
    /// Seals that did not open.
    pub refusals: u64,
    /// Data keys unwrapped by the root key.
    pub unwraps: u64,
}

/// What every keyring shares with the vault that made it.
pub(crate) struct Shared {
    pub(crate) salts: Salts,
    pub(crate) seals: AtomicU64,
    pub(crate) opens: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) unwraps: AtomicU64,
}

impl Shared {
    pub(crate) fn new(salts: Salts) -> Self {
        Self {
            salts,
            seals: AtomicU64::new(0),
            opens: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            unwraps: AtomicU64::new(0),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            seals: self.seals.load(Ordering::Relaxed),
            opens: self.opens.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            unwraps: self.unwraps.load(Ordering::Relaxed),
        }
    }
}

/// A workspace's data keys. Take one for a piece of work and drop it afterwards: what is held
/// stays in memory, and goes on sealing under the key that was active when it was loaded.
pub struct Keyring {
    workspace: WorkspaceId,
    active: SealingKey,
    retired: Vec<SealingKey>,
    until: Timestamp,
    shared: Arc<Shared>,
}

impl Keyring {
    pub(crate) fn new(
        workspace: WorkspaceId,
        active: SealingKey,
        retired: Vec<SealingKey>,
        until: Timestamp,
        shared: Arc<Shared>,
    ) -> Self {
        Self { workspace, active, retired, until, shared }
    }

    /// The key that seals now.
    pub fn active(&self) -> DataKeyId {
        self.active.id()
    }

    /// When the vault forgets it.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed, TooLong> {
        self.shared.seals.fetch_add(1, Ordering::Relaxed);
        self.active.seal(self.workspace, place, plaintext, &self.shared.salts)
    }

    /// Opens the seal that stands at a place. [`OpenError::OtherKey`] may mean that the seal was
    /// made with a key newer than this keyring; [`Vault::open`](crate::Vault::open) looks again.
    pub fn open(&self, place: &Place, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        let result = key_of(sealed)
            .and_then(|id| self.key(id).ok_or(OpenError::OtherKey))
            .and_then(|key| key.open(self.workspace, place, sealed));
        let counter = if result.is_ok() { &self.shared.opens } else { &self.shared.refusals };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Whether it holds the key that a seal names.
    pub(crate) fn knows(&self, sealed: &Sealed) -> bool {
        key_of(sealed).is_ok_and(|id| self.key(id).is_some())
    }

    fn key(&self, id: DataKeyId) -> Option<&SealingKey> {
        if self.active.id() == id {
            return Some(&self.active);
        }
        self.retired.iter().find(|key| key.id() == id)
    }
}
