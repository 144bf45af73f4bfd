//! The keys that Causeway itself signs with and digests tokens with. They belong to the
//! installation, stand sealed in the database, and are open in memory from start to stop.

use crate::token::TokenKey;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use causeway_store::{Audit, Store, WriteTx, db};
use causeway_types::entity::{KeyPurpose, SigningKey, Workspace};
use causeway_types::{
    Actor, Clock, Code, Coded, INSTALLATION, Place, Randomness, SigningKeyId, Timestamp,
};
use causeway_vault::{Vault, VaultError};
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Causeway's own keys. Cheap to clone.
#[derive(Clone)]
pub struct OwnKeys {
    keys: Arc<Keys>,
}

struct Keys {
    token: TokenKey,
    access: Signer,
    audit: Signer,
    verifiers: Vec<Verifier>,
}

/// A key that signs: Ed25519 (RFC 8032).
pub struct Signer {
    id: SigningKeyId,
    pair: Ed25519KeyPair,
}

/// The public half of a key that signs, or did.
#[derive(Debug, Clone)]
pub struct Verifier {
    id: SigningKeyId,
    purpose: KeyPurpose,
    public_key: Vec<u8>,
}

/// Causeway's own keys could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum OwnKeysError {
    /// The store failed.
    #[error("reading Causeway's own keys")]
    Store(#[from] causeway_store::Error),
    /// The vault failed.
    #[error("opening Causeway's own keys")]
    Vault(#[from] VaultError),
    /// A key is not what it should be.
    #[error("reading the key {0}")]
    Damaged(SigningKeyId),
    /// A purpose has no key although one was just made.
    #[error("finding the key for {0}")]
    Missing(KeyPurpose),
}

impl Coded for OwnKeysError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Damaged(_) | Self::Missing(_) => Code::Internal,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Damaged(_) | Self::Missing(_) => {
                "One of Causeway's own keys cannot be read. Restore the database from a backup."
                    .into()
            }
        }
    }
}

impl OwnKeys {
    /// Opens the keys. What an installation lacks of them, and of its own workspace, is made.
    ///
    /// # Errors
    /// See [`OwnKeysError`].
    pub async fn open(
        store: &Store,
        vault: &Vault,
        clock: &dyn Clock,
        random: &dyn Randomness,
        actor: Actor,
    ) -> Result<Self, OwnKeysError> {
        make_installation(store, vault, clock.now(), actor).await?;
        for purpose in KeyPurpose::ALL {
            make_key(store, vault, clock.now(), random, actor, *purpose).await?;
        }
        let (mut token, mut access, mut audit) = (None, None, None);
        let mut verifiers = Vec::new();
        for purpose in KeyPurpose::ALL {
            let mut conn = store.read().await?;
            let stored = db!(conn, signing_key::list(*purpose))?;
            drop(conn);
            for key in stored {
                // A retired key is opened too: only a row whose seal opens to the public key's
                // other half was written by Causeway, and not by somebody with the database.
                let place = Place::SigningKey(key.id);
                let secret = vault.open(INSTALLATION, &place, &key.secret).await?;
                let active = key.retired_at.is_none();
                let signer = match purpose {
                    KeyPurpose::TokenDigest => {
                        if active {
                            token = Some(TokenKey::new(secret.expose()));
                        }
                        continue;
                    }
                    KeyPurpose::AccessToken | KeyPurpose::Audit => {
                        Signer::read(&key, secret.expose())?
                    }
                };
                verifiers.push(Verifier {
                    id: key.id,
                    purpose: key.purpose,
                    public_key: key.public_key,
                });
                match purpose {
                    KeyPurpose::AccessToken if active => access = Some(signer),
                    KeyPurpose::Audit if active => audit = Some(signer),
                    _ => {}
                }
            }
        }
        Ok(Self {
            keys: Arc::new(Keys {
                token: token.ok_or(OwnKeysError::Missing(KeyPurpose::TokenDigest))?,
                access: access.ok_or(OwnKeysError::Missing(KeyPurpose::AccessToken))?,
                audit: audit.ok_or(OwnKeysError::Missing(KeyPurpose::Audit))?,
                verifiers,
            }),
        })
    }

    /// The key for the digests of tokens.
    pub fn token(&self) -> &TokenKey {
        &self.keys.token
    }

    /// The key that signs access tokens.
    pub fn access(&self) -> &Signer {
        &self.keys.access
    }

    /// The key that signs checkpoints of audit chains.
    pub fn audit(&self) -> &Signer {
        &self.keys.audit
    }

    /// The public halves of the keys that sign, or signed, for a purpose.
    pub fn verifiers(&self, purpose: KeyPurpose) -> impl Iterator<Item = &Verifier> {
        self.keys.verifiers.iter().filter(move |one| one.purpose == purpose)
    }

    /// The public half of one key, if it signs for this purpose.
    pub fn verifier(&self, purpose: KeyPurpose, id: SigningKeyId) -> Option<&Verifier> {
        self.verifiers(purpose).find(|one| one.id == id)
    }
}

impl Signer {
    fn read(key: &SigningKey, seed: &[u8]) -> Result<Self, OwnKeysError> {
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, &key.public_key)
            .map_err(|_| OwnKeysError::Damaged(key.id))?;
        Ok(Self { id: key.id, pair })
    }

    /// Its id: the `kid` of what it signs.
    pub fn id(&self) -> SigningKeyId {
        self.id
    }

    /// Signs: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl Verifier {
    /// The key's id.
    pub fn id(&self) -> SigningKeyId {
        self.id
    }

    /// The public key, 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether the key made this signature of this message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(message, signature).is_ok()
    }
}

/// Makes the installation's own workspace, unless it is there.
async fn make_installation(
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
async fn make_key(
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
    let key = SigningKey {
        id,
        workspace_id: INSTALLATION,
        purpose,
        public_key,
        secret,
        created_at: now,
        retired_at: None,
    };
    let mut tx: WriteTx = store.write(actor).await?;
    // Another node may have been quicker; then its key is the one.
    if db!(tx, signing_key::insert(&key))? {
        let event = Audit::SigningKeyCreated { key: id, purpose: purpose.to_string() };
        tx.commit(INSTALLATION, now, event).await?;
    }
    Ok(())
}
