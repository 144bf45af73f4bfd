//! The keys that Causeway itself signs with and digests tokens with. They belong to the
//! installation, stand sealed in the database, and are open in memory from start to stop.
//!
//! Those that sign can be [rotated](OwnKeys::rotate): a new one signs from then on, and what the
//! old one signed stays good for as long as it matters. Every node takes a new key up by itself.

mod renew;
mod rotate;
mod stored;

pub use rotate::RotatedSigningKey;

use crate::machine::TOKEN_LIFETIME;
use crate::token::TokenKey;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use causeway_store::Store;
use causeway_types::entity::{KeyPurpose, SigningKey};
use causeway_types::{Actor, Clock, Code, Coded, Randomness, SigningKeyId, Timestamp};
use causeway_vault::{Vault, VaultError};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use stored::Opened;

/// For how long after its retirement a key may still sign on a node that has not heard of it, with
/// time to spare: nodes look at their keys every few seconds.
const LAGGARDS: Duration = Duration::from_mins(5);

/// Causeway's own keys. Cheap to clone; clones see the same keys.
#[derive(Clone)]
pub struct OwnKeys {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    token: TokenKey,
    signing: RwLock<Arc<Signing>>,
    /// One look at the database at a time, and when the last one was made for an unknown key.
    looking: tokio::sync::Mutex<Option<Timestamp>>,
}

/// The keys that sign, at one moment.
struct Signing {
    access: Arc<Signer>,
    audit: Arc<Signer>,
    verifiers: Vec<Verifier>,
}

/// A key that signs: Ed25519 (RFC 8032).
pub struct Signer {
    id: SigningKeyId,
    pair: Ed25519KeyPair,
}

/// The public half of a key that signs, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    id: SigningKeyId,
    purpose: KeyPurpose,
    public_key: Vec<u8>,
    retired_at: Option<Timestamp>,
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
    /// See [`OwnKeysError`]. A key whose secret half does not open, or does not belong to its
    /// public half, is one: Causeway did not write it.
    pub async fn open(
        store: &Store,
        vault: &Vault,
        clock: &dyn Clock,
        random: &dyn Randomness,
        actor: Actor,
    ) -> Result<Self, OwnKeysError> {
        stored::make_installation(store, vault, clock.now(), actor).await?;
        for purpose in KeyPurpose::ALL {
            stored::make_key(store, vault, clock.now(), random, actor, *purpose).await?;
        }
        let Opened { token, signing } = stored::read(store, vault).await?;
        let inner = Inner {
            store: store.clone(),
            vault: vault.clone(),
            token,
            signing: RwLock::new(Arc::new(signing)),
            looking: tokio::sync::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The key for the digests of tokens.
    pub fn token(&self) -> &TokenKey {
        &self.inner.token
    }

    /// The key that signs access tokens.
    pub fn access(&self) -> Arc<Signer> {
        Arc::clone(&self.signing().access)
    }

    /// The key that signs checkpoints of audit chains.
    pub fn audit(&self) -> Arc<Signer> {
        Arc::clone(&self.signing().audit)
    }

    /// The public halves of the keys that access tokens may be signed with: the one that signs, and
    /// those whose last tokens may not have ended yet.
    pub fn access_verifiers(&self, now: Timestamp) -> Vec<Verifier> {
        let all = self.verifiers(KeyPurpose::AccessToken).into_iter();
        all.filter(|one| one.signs_tokens(now)).collect()
    }

    /// The public half of one of them.
    pub fn access_verifier(&self, id: SigningKeyId, now: Timestamp) -> Option<Verifier> {
        self.verifier(KeyPurpose::AccessToken, id).filter(|one| one.signs_tokens(now))
    }

    /// The public halves of the keys that sign checkpoints, or ever signed any.
    pub fn audit_verifiers(&self) -> Vec<Verifier> {
        self.verifiers(KeyPurpose::Audit)
    }

    /// The public half of one of them.
    pub fn audit_verifier(&self, id: SigningKeyId) -> Option<Verifier> {
        self.verifier(KeyPurpose::Audit, id)
    }

    fn verifiers(&self, purpose: KeyPurpose) -> Vec<Verifier> {
        let signing = self.signing();
        signing.verifiers.iter().filter(|one| one.purpose == purpose).cloned().collect()
    }

    fn verifier(&self, purpose: KeyPurpose, id: SigningKeyId) -> Option<Verifier> {
        let signing = self.signing();
        signing.verifiers.iter().find(|one| one.purpose == purpose && one.id == id).cloned()
    }

    fn signing(&self) -> Arc<Signing> {
        Arc::clone(&self.inner.signing.read().unwrap_or_else(PoisonError::into_inner))
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
    fn of(key: &SigningKey) -> Self {
        Self {
            id: key.id,
            purpose: key.purpose,
            public_key: key.public_key.clone(),
            retired_at: key.retired_at,
        }
    }

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

    /// Whether a token that it signed may not have ended yet.
    fn signs_tokens(&self, now: Timestamp) -> bool {
        self.retired_at.is_none_or(|at| now < at.plus(TOKEN_LIFETIME).plus(LAGGARDS))
    }
}
