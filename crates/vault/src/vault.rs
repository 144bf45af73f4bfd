//! Unlocking the vault, and sealing and opening with it.

use crate::keyring::Shared;
use crate::{Counts, Keyring, RootKey, VaultError};
use causeway_crypto::{Salts, SealingKey};
use causeway_store::{Store, WriteTx, db};
use causeway_types::entity::{DataKey, DataKeyState};
use causeway_types::place::Sealed;
use causeway_types::{Clock, DataKeyId, Place, Randomness, SecretBytes, Timestamp, WorkspaceId};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

/// How long data keys stay in memory after they were unwrapped.
pub const DEFAULT_KEY_LIFETIME: Duration = Duration::from_mins(5);

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    root: RootKey,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    lifetime: Duration,
    shared: Arc<Shared>,
    slots: RwLock<HashMap<WorkspaceId, Slot>>,
}

/// A workspace's place in the cache.
#[derive(Default)]
struct Slot {
    ring: Option<Arc<Keyring>>,
    /// Held while the keys are loaded, so that many who need them cause one load.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Vault {
    /// Unlocks the vault: checks that the root key opens the stored data keys. With a root key
    /// in KMS that is one call, for one data key; [`check`](Self::check) opens all of them.
    ///
    /// `key_lifetime` is how long data keys stay in memory; every node of an installation has to
    /// have the same, because the end of a rotation waits for the keys of other nodes to expire.
    pub async fn unlock(
        store: Store,
        root: RootKey,
        key_lifetime: Duration,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Result<Self, VaultError> {
        let vault = Self(Arc::new(Inner {
            store,
            root,
            clock,
            shared: Arc::new(Shared::new(Salts::new(random.clone()))),
            random,
            lifetime: key_lifetime,
            slots: RwLock::default(),
        }));
        let one_call = matches!(vault.0.root, RootKey::AwsKms(_));
        vault.check_keys(if one_call { 1 } else { usize::MAX }).await?;
        tokio::spawn(forget_in_turn(Arc::downgrade(&vault.0), key_lifetime));
        Ok(vault)
    }

    /// Unwraps every stored data key and says how many there are.
    pub async fn check(&self) -> Result<usize, VaultError> {
        self.check_keys(usize::MAX).await
    }

    async fn check_keys(&self, unwraps: usize) -> Result<usize, VaultError> {
        let mut conn = self.0.store.read().await?;
        let keys = db!(conn, data_key::all())?;
        drop(conn);
        for key in &keys {
            self.check_root(key)?;
        }
        for key in keys.iter().take(unwraps) {
            self.unwrap(key).await?;
        }
        Ok(keys.len())
    }

    /// The root key's name, as it stands in the data keys' records.
    pub fn root_key(&self) -> &str {
        self.0.root.name()
    }

    /// How often the vault has done what.
    pub fn counts(&self) -> Counts {
        self.0.shared.counts()
    }

    /// Makes a workspace's first data key, in the caller's transaction. The root key is asked
    /// meanwhile, so this is for setting a workspace up and not for a busy moment.
    pub async fn create_data_key(
        &self,
        tx: &mut WriteTx,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<DataKeyId, VaultError> {
        let key = self.new_data_key(workspace, now).await?;
        db!(tx, data_key::insert(&key))?;
        Ok(key.id)
    }

    /// A new data key, wrapped, for the caller to store.
    pub(crate) async fn new_data_key(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<DataKey, VaultError> {
        let id = DataKeyId::generate(now, &*self.0.random);
        let mut bytes = vec![0; causeway_crypto::KEY_BYTES];
        self.0.random.fill(&mut bytes);
        let wrapped = self
            .0
            .root
            .wrap(workspace, id, &SecretBytes::new(bytes), &*self.0.random)
            .await
            .map_err(|source| VaultError::Wrap { workspace, source })?;
        Ok(DataKey {
            id,
            workspace_id: workspace,
            state: DataKeyState::Active,
            root_key: self.root_key().to_owned(),
            wrapped,
            created_at: now,
        })
    }

    /// Seals a value for its place. Waits for nothing while the workspace's keys are in memory.
    pub async fn seal(
        &self,
        workspace: WorkspaceId,
        place: &Place,
        plaintext: &[u8],
    ) -> Result<Sealed, VaultError> {
        self.keyring(workspace)
            .await?
            .seal(place, plaintext)
            .map_err(|source| VaultError::Seal { place: *place, source })
    }

    /// Opens the seal that stands at a place. Waits for nothing while the workspace's keys are in
    /// memory; a seal made with a key that is not among them has the keys loaded again, because
    /// another node may have rotated them.
    pub async fn open(
        &self,
        workspace: WorkspaceId,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<SecretBytes, VaultError> {
        let mut ring = self.keyring(workspace).await?;
        if !ring.knows(sealed) {
            self.forget(workspace);
            ring = self.keyring(workspace).await?;
        }
        ring.open(place, sealed).map_err(|source| VaultError::Open { place: *place, source })
    }

    /// The workspace's keys, from memory if they are there.
    pub async fn keyring(&self, workspace: WorkspaceId) -> Result<Arc<Keyring>, VaultError> {
        match self.cached(workspace) {
            Some(ring) => Ok(ring),
            None => Box::pin(self.load(workspace)).await,
        }
    }

    fn cached(&self, workspace: WorkspaceId) -> Option<Arc<Keyring>> {
        let ring = self.0.read().get(&workspace)?.ring.clone()?;
        (self.0.clock.now() < ring.until()).then_some(ring)
    }

    async fn load(&self, workspace: WorkspaceId) -> Result<Arc<Keyring>, VaultError> {
        let gate = self.0.write().entry(workspace).or_default().gate.clone();
        let _held = gate.lock().await;
        if let Some(ring) = self.cached(workspace) {
            return Ok(ring);
        }
        // Counted from before the read: the end of a rotation relies on it.
        let until = self.0.clock.now().plus(self.0.lifetime);
        let mut conn = self.0.store.read().await?;
        let keys = db!(conn, data_key::of_workspace(workspace))?;
        drop(conn);
        let (mut active, mut retired) = (None, Vec::new());
        for key in &keys {
            self.check_root(key)?;
            let sealing = self.unwrap(key).await?;
            match key.state {
                DataKeyState::Active => active = Some(sealing),
                DataKeyState::Retired => retired.push(sealing),
            }
        }
        let active = active.ok_or(VaultError::NoDataKey(workspace))?;
        let ring = Arc::new(Keyring::new(workspace, active, retired, until, self.0.shared.clone()));
        self.0.write().entry(workspace).or_default().ring = Some(ring.clone());
        Ok(ring)
    }

    fn check_root(&self, key: &DataKey) -> Result<(), VaultError> {
        if key.root_key == self.root_key() {
            return Ok(());
        }
        Err(VaultError::WrongRootKey {
            workspace: key.workspace_id,
            key: key.id,
            stored: key.root_key.clone(),
            given: self.0.root.to_string(),
        })
    }

    async fn unwrap(&self, key: &DataKey) -> Result<SealingKey, VaultError> {
        let workspace = key.workspace_id;
        self.0.shared.unwraps.fetch_add(1, Ordering::Relaxed);
        let bytes = self
            .0
            .root
            .unwrap(workspace, key.id, &key.wrapped)
            .await
            .map_err(|source| VaultError::Unwrap { workspace, key: key.id, source })?;
        SealingKey::new(key.id, &bytes).map_err(|source| VaultError::DataKey {
            workspace,
            key: key.id,
            source,
        })
    }

    /// Drops a workspace's keys from memory; whoever needs them next loads them.
    pub fn forget(&self, workspace: WorkspaceId) {
        if let Some(slot) = self.0.write().get_mut(&workspace) {
            slot.ring = None;
        }
    }

    /// Drops the keys whose time is over.
    pub fn forget_expired(&self) {
        self.0.forget_expired();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn random(&self) -> &dyn Randomness {
        &*self.0.random
    }

    pub(crate) fn key_lifetime(&self) -> Duration {
        self.0.lifetime
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<WorkspaceId, Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<WorkspaceId, Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_expired(&self) {
        let now = self.clock.now();
        // A gate that somebody holds stays, so that its workspace is not loaded twice.
        self.write().retain(|_, slot| {
            slot.ring = slot.ring.take().filter(|ring| now < ring.until());
            slot.ring.is_some() || Arc::strong_count(&slot.gate) > 1
        });
    }
}

/// Sees to it that keys of workspaces that nobody asks for are forgotten too.
async fn forget_in_turn(vault: Weak<Inner>, lifetime: Duration) {
    let mut turns = tokio::time::interval((lifetime / 4).max(Duration::from_millis(100)));
    loop {
        turns.tick().await;
        match vault.upgrade() {
            Some(vault) => vault.forget_expired(),
            None => return,
        }
    }
}
