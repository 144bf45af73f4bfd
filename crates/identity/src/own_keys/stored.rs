//! The keys as the database has them.

use super::{OwnKeysError, Signer, Signing, Verifier};
use crate::token::TokenKey;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use causeway_store::{Audit, Store, WriteTx, db};
use causeway_types::entity::{KeyPurpose, SigningKey, Workspace};
use causeway_types::{Actor, INSTALLATION, Place, Randomness, SigningKeyId, Timestamp};
use causeway_vault::Vault;
use std::sync::Arc;
use zeroize::Zeroizing;

/// All keys, opened.
pub(super) struct Opened {
    pub(super) token: TokenKey,
    pub(super) signing: Signing,
}

/// Which keys the database has that sign, and which of them are retired.
pub(super) async fn listed(store: &Store) -> Result<Vec<Verifier>, OwnKeysError> {
    let mut conn = store.read().await?;
    let mut all = Vec::new();
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::Audit] {
        all.extend(db!(conn, signing_key::list(purpose))?.iter().map(Verifier::of));
    }
    Ok(all)
}

/// Opens all keys of the database, the retired ones too: only a row whose seal opens to the public
/// key's other half was written by Causeway, and not by somebody with the database.
pub(super) async fn read(store: &Store, vault: &Vault) -> Result<Opened, OwnKeysError> {
    let (mut token, mut access, mut audit) = (None, None, None);
    let mut verifiers = Vec::new();
    for purpose in KeyPurpose::ALL {
        let mut conn = store.read().await?;
        let stored = db!(conn, signing_key::list(*purpose))?;
        drop(conn);
        for key in stored {
            let place = Place::SigningKey(key.id);
            let secret = vault.open(INSTALLATION, &place, &key.secret).await?;
            let active = key.retired_at.is_none();
            if *purpose == KeyPurpose::TokenDigest {
                if active {
                    token = Some(TokenKey::new(secret.expose()));
                }
                continue;
            }
            let signer = Arc::new(Signer::read(&key, secret.expose())?);
            verifiers.push(Verifier::of(&key));
            match purpose {
                KeyPurpose::AccessToken if active => access = Some(signer),
                KeyPurpose::Audit if active => audit = Some(signer),
                _ => {}
            }
        }
    }
    Ok(Opened {
        token: token.ok_or(OwnKeysError::Missing(KeyPurpose::TokenDigest))?,
        signing: Signing {
            access: access.ok_or(OwnKeysError::Missing(KeyPurpose::AccessToken))?,
            audit: audit.ok_or(OwnKeysError::Missing(KeyPurpose::Audit))?,
            verifiers,
        },
    })
}

/// Makes the installation's own workspace, unless it is there.
pub(super) async fn make_installation(
    store: &Store,
    vault: &Vault,
    now: Timestamp,
    actor: Actor,
) -> Result<(), OwnKeysError> {
    let mut conn = store.read().await?;
    if db!(conn, workspace::get(INSTALLATION))?.is_some() {
        return Ok(());
    }
    drop(conn);
    let mut tx = store.write(actor).await?;
    let name = "Installation".to_owned();
    let row = Workspace { id: INSTALLATION, name: name.clone(), created_at: now };
    if !db!(tx, workspace::ensure(&row))? {
        return Ok(());
    }
    db!(tx, audit::insert_head(INSTALLATION))?;
    vault.create_data_key(&mut tx, INSTALLATION, now).await?;
    let event = Audit::WorkspaceCreated { workspace: INSTALLATION, name };
    Ok(tx.commit(INSTALLATION, now, event).await?)
}

/// Makes a purpose's key, unless it has an active one.
pub(super) async fn make_key(
    store: &Store,
    vault: &Vault,
    now: Timestamp,
    random: &dyn Randomness,
    actor: Actor,
    purpose: KeyPurpose,
) -> Result<(), OwnKeysError> {
    let mut conn = store.read().await?;
    if db!(conn, signing_key::list(purpose))?.iter().any(|key| key.retired_at.is_none()) {
        return Ok(());
    }
    drop(conn);
    let key = new_key(vault, now, random, purpose).await?;
    let mut tx: WriteTx = store.write(actor).await?;
    // Another node may have been quicker; then its key is the one.
    if db!(tx, signing_key::insert(&key))? {
        let event = Audit::SigningKeyCreated { key: key.id, purpose: purpose.to_string() };
        tx.commit(INSTALLATION, now, event).await?;
    }
    Ok(())
}

/// A key that is nowhere yet.
pub(super) async fn new_key(
    vault: &Vault,
    now: Timestamp,
    random: &dyn Randomness,
    purpose: KeyPurpose,
) -> Result<SigningKey, OwnKeysError> {
    let id = SigningKeyId::generate(now, random);
    let mut seed = Zeroizing::new([0_u8; TokenKey::LENGTH]);
    random.fill(seed.as_mut_slice());
    let public_key = match purpose {
        KeyPurpose::TokenDigest => Vec::new(),
        KeyPurpose::AccessToken | KeyPurpose::Audit => {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
                .map_err(|_| OwnKeysError::Damaged(id))?;
            pair.public_key().as_ref().to_vec()
        }
    };
    let secret = vault.seal(INSTALLATION, &Place::SigningKey(id), seed.as_slice()).await?;
    Ok(SigningKey {
        id,
        workspace_id: INSTALLATION,
        purpose,
        public_key,
        secret,
        created_at: now,
        retired_at: None,
    })
}
