//! Wrapping data keys under a root key that this machine holds.
//!
//! The format is that of [the envelope](crate), with the root key's fingerprint in the header and
//! the workspace's and the data key's ids as associated data: a wrapped key put in another
//! workspace's row does not unwrap.

use crate::KeyLength;
use crate::envelope::{OpenError, Parts, Read, Root, TooLong};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Randomness, SecretBytes, WorkspaceId};

const PURPOSE: &[u8] = b"causeway root key v1";

/// A root key made ready to wrap and unwrap.
pub struct WrappingKey(Root);

impl WrappingKey {
    /// Makes a root key ready.
    pub fn new(root_key: &SecretBytes) -> Result<Self, KeyLength> {
        Root::new(PURPOSE, root_key).map(Self)
    }

    /// A public name of the key: 16 bytes that say nothing about it.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint()
    }

    /// Wraps a data key.
    pub fn wrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        data_key: &SecretBytes,
        random: &dyn Randomness,
    ) -> Result<Sealed, TooLong> {
        self.0.seal(self.fingerprint(), &owner(workspace, id), data_key.expose(), random)
    }

    /// Unwraps a data key.
    pub fn unwrap(
        &self,
        workspace: WorkspaceId,
        id: DataKeyId,
        wrapped: &Sealed,
    ) -> Result<SecretBytes, OpenError> {
        if Read::new(wrapped)?.id != self.fingerprint() {
            return Err(OpenError::OtherKey);
        }
        self.0.open(&owner(workspace, id), wrapped)
    }
}

fn owner(workspace: WorkspaceId, id: DataKeyId) -> Parts {
    Parts::new().with(&workspace.to_bytes()).with(b"data_key").with(&id.to_bytes())
}
