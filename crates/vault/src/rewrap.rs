//! Changing the root key: every data key is unwrapped with the old one and wrapped with the new.

use crate::{RootKey, VaultError};
use causeway_store::{Audit, Store, db};
use causeway_types::entity::DataKey;
use causeway_types::{Actor, Clock, Randomness, SecretBytes, WorkspaceId};
use std::collections::BTreeMap;

/// Wraps every data key with the new root key and returns how many there were. Each workspace
/// is one transaction; data keys that the new root key wraps already are checked and left, so a
/// run that was cut off is finished by another. Each new wrapping is opened again before it
/// replaces the old one.
///
/// Servers go on with the keys that they hold and need the new root key at their next start.
pub async fn rewrap(
    store: &Store,
    from: &RootKey,
    to: &RootKey,
    actor: Actor,
    clock: &dyn Clock,
    random: &dyn Randomness,
) -> Result<usize, VaultError> {
    let mut conn = store.read().await?;
    let keys = db!(conn, data_key::all())?;
    drop(conn);
    let mut workspaces: BTreeMap<WorkspaceId, Vec<DataKey>> = BTreeMap::new();
    for key in keys {
        workspaces.entry(key.workspace_id).or_default().push(key);
    }
    let mut count = 0;
    for (workspace, keys) in workspaces {
        let mut wrapped = Vec::new();
        for key in &keys {
            if key.root_key == to.name() {
                unwrap(to, key).await?;
                continue;
            }
            if key.root_key != from.name() {
                return Err(VaultError::WrongRootKey {
                    workspace,
                    key: key.id,
                    stored: key.root_key.clone(),
                    given: from.to_string(),
                });
            }
            let bytes = unwrap(from, key).await?;
            let anew = to
                .wrap(workspace, key.id, &bytes, random)
                .await
                .map_err(|source| VaultError::Wrap { workspace, source })?;
            let again = to
                .unwrap(workspace, key.id, &anew)
                .await
                .map_err(|source| VaultError::Unwrap { workspace, key: key.id, source })?;
            if aws_lc_rs::constant_time::verify_slices_are_equal(again.expose(), bytes.expose())
                .is_err()
            {
                let source = crate::RootKeyError::Refused { root_key: to.name().to_owned() };
                return Err(VaultError::Unwrap { workspace, key: key.id, source });
            }
            wrapped.push((key, anew));
        }
        if wrapped.is_empty() {
            continue;
        }
        let mut tx = store.write(actor).await?;
        for (key, anew) in &wrapped {
            db!(tx, data_key::rewrap(workspace, key.id, &key.wrapped, to.name(), anew))?;
        }
        let event =
            Audit::DataKeysRewrapped { root_key: to.name().to_owned(), keys: wrapped.len() };
        tx.commit(workspace, clock.now(), event).await?;
        count += wrapped.len();
    }
    Ok(count)
}

async fn unwrap(root: &RootKey, key: &DataKey) -> Result<SecretBytes, VaultError> {
    root.unwrap(key.workspace_id, key.id, &key.wrapped).await.map_err(|source| VaultError::Unwrap {
        workspace: key.workspace_id,
        key: key.id,
        source,
    })
}
