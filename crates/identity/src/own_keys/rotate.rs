//! New keys in the place of old ones.

use super::{OwnKeys, OwnKeysError, stored};
use causeway_store::{Audit, db};
use causeway_types::entity::KeyPurpose;
use causeway_types::{Actor, INSTALLATION, Randomness, SigningKeyId, Timestamp, chain};

/// A key that was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotatedSigningKey {
    /// What it signs.
    pub purpose: KeyPurpose,
    /// The key that signs nothing any more.
    pub retired: SigningKeyId,
    /// The key that signs from now on.
    pub active: SigningKeyId,
}

impl OwnKeys {
    /// Lets new keys sign access tokens and checkpoints of audit chains from now on, for whoever
    /// has the machine. The old keys still vouch for what they signed: for tokens until the last of
    /// them has ended, for checkpoints for ever. The other nodes hear of it with the commit.
    ///
    /// The key for the digests of tokens stays: every API key and every cookie hangs on it.
    ///
    /// # Errors
    /// See [`OwnKeysError`]; nothing is changed then.
    pub async fn rotate(
        &self,
        now: Timestamp,
        random: &dyn Randomness,
        actor: Actor,
    ) -> Result<Vec<RotatedSigningKey>, OwnKeysError> {
        let inner = &self.inner;
        let mut new = Vec::new();
        // Sealed before the transaction begins: a root key in a KMS may take its time.
        for purpose in [KeyPurpose::AccessToken, KeyPurpose::Audit] {
            new.push(stored::new_key(&inner.vault, now, random, purpose).await?);
        }
        let mut tx = inner.store.write(actor).await?;
        // One rotation at a time.
        db!(tx, audit::lock_head(INSTALLATION))?;
        let (mut rotated, mut last) = (Vec::new(), None);
        for key in &new {
            let purpose = key.purpose;
            let keys = db!(tx, signing_key::list(purpose))?;
            let old = keys.iter().find(|old| old.retired_at.is_none());
            let retired = old.ok_or(OwnKeysError::Missing(purpose))?.id;
            db!(tx, signing_key::retire(retired, now))?;
            if !db!(tx, signing_key::insert(key))? {
                return Err(OwnKeysError::Missing(purpose));
            }
            rotated.push(RotatedSigningKey { purpose, retired, active: key.id });
            let event = Audit::SigningKeyRotated {
                key: retired,
                successor: key.id,
                purpose: purpose.to_string(),
            };
            if let Some(before) = last.replace(event) {
                tx.record(INSTALLATION, now, before).await?;
            }
        }
        tx.access_changed(INSTALLATION).await?;
        let last = last.ok_or(OwnKeysError::Missing(KeyPurpose::AccessToken))?;
        tx.commit(INSTALLATION, now, last).await?;
        // The rotation is made, whatever comes of this; whoever signs next looks again.
        if let Err(error) = self.renew().await {
            tracing::warn!(error = chain(&error), "the new signing keys are not taken up yet");
        }
        Ok(rotated)
    }
}
