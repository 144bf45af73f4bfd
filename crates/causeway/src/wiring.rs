//! What several commands need: the data folder, the database, the root key, the vault.

use crate::config::Config;
use anyhow::{Context, bail};
use causeway_identity::OwnKeys;
use causeway_store::{ConnectError, Store, db};
use causeway_types::{Actor, Clock, OsRandom, Randomness, SystemClock};
use causeway_vault::{DEFAULT_KEY_LIFETIME, RootKey, RootKeySpec, Vault};
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

/// The machine's clock.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The machine's randomness.
pub(crate) fn random() -> Arc<dyn Randomness> {
    Arc::new(OsRandom)
}

/// Makes the data folder, for its owner only.
pub(crate) fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(&config.data_dir).with_context(|| {
        format!(
            "making the data folder {}: give another with --data-dir, or make it writable",
            config.data_dir.display()
        )
    })
}

/// Sees to it that one server alone uses the data folder, for as long as the result lives.
pub(crate) fn lock_data_dir(config: &Config) -> anyhow::Result<File> {
    make_data_dir(config)?;
    let path = config.data_dir.join("lock");
    let file = File::create(&path).with_context(|| {
        format!(
            "writing to the data folder {}: make it writable for this user, or give another with --data-dir",
            config.data_dir.display()
        )
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another Causeway uses the data folder {}: stop it, or give another folder with --data-dir",
            config.data_dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// Opens the database and brings its tables up to this version.
pub(crate) async fn open_store(config: &Config) -> Result<Store, ConnectError> {
    Store::connect(&config.database).await
}

/// Whether nothing was ever sealed in this database.
pub(crate) async fn is_fresh(store: &Store) -> anyhow::Result<bool> {
    let mut conn = store.read().await?;
    Ok(db!(conn, data_key::all())?.is_empty())
}

/// The root key. Its file is made if nothing was ever sealed; once something was, a missing file
/// is an error, because a new key would open nothing.
pub(crate) async fn root_key(config: &Config, store: &Store) -> anyhow::Result<RootKey> {
    if !is_fresh(store).await? {
        return existing_root_key(config).await;
    }
    let key = config.root_key.load_or_create(&config.data_dir, &OsRandom).await;
    key.context("loading the root key; without it Causeway does not start")
}

/// The root key, which must be there.
pub(crate) async fn existing_root_key(config: &Config) -> anyhow::Result<RootKey> {
    let key = config.root_key.load(&config.data_dir).await;
    key.context("loading the root key; without it Causeway does not start")
}

/// The root key to change to.
pub(crate) async fn new_root_key(spec: &RootKeySpec, data_dir: &Path) -> anyhow::Result<RootKey> {
    spec.load_or_create(data_dir, &OsRandom).await.context("loading the new root key")
}

/// Unlocks the vault.
pub(crate) async fn unlock(store: Store, root: RootKey) -> anyhow::Result<Vault> {
    Vault::unlock(store, root, DEFAULT_KEY_LIFETIME, clock(), random())
        .await
        .context("unlocking the vault")
}

/// Opens Causeway's own keys, and makes those that are missing.
pub(crate) async fn own_keys(store: &Store, vault: &Vault) -> anyhow::Result<OwnKeys> {
    OwnKeys::open(store, vault, &*clock(), &*random(), Actor::Machine)
        .await
        .context("opening Causeway's own keys")
}

/// Wraps every data key under another root key.
pub(crate) async fn rewrap(store: &Store, from: &RootKey, to: &RootKey) -> anyhow::Result<usize> {
    causeway_vault::rewrap(store, from, to, Actor::Machine, &*clock(), &*random())
        .await
        .context("wrapping the data keys under the new root key")
}
