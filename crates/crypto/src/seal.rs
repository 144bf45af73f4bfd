//! Sealing values for their place, under a workspace's data key.
//!
//! The format is that of [the envelope](crate), with the data key's id in the header and these
//! parts as associated data, in this order: the workspace's id, the kind of record, the record's
//! id, the field. A seal that is moved to another row, field or workspace does not open.

use crate::KeyLength;
use crate::envelope::{OpenError, Parts, Read, Root, TooLong};
use causeway_types::place::Sealed;
use causeway_types::{DataKeyId, Place, Randomness, SecretBytes, WorkspaceId};

const PURPOSE: &[u8] = b"causeway data key v1";

/// A data key made ready to seal and open.
pub struct SealingKey {
    id: DataKeyId,
    root: Root,
}

impl SealingKey {
    /// Makes a data key ready.
    pub fn new(id: DataKeyId, data_key: &SecretBytes) -> Result<Self, KeyLength> {
        Ok(Self { id, root: Root::new(PURPOSE, data_key)? })
    }

    /// The data key's id.
    pub fn id(&self) -> DataKeyId {
        self.id
    }

    /// Seals a value for its place.
    pub fn seal(
        &self,
        workspace: WorkspaceId,
        place: &Place,
        plaintext: &[u8],
        random: &dyn Randomness,
    ) -> Result<Sealed, TooLong> {
        self.root.seal(self.id.to_bytes(), &address(workspace, place), plaintext, random)
    }

    /// Opens a seal that stands at a place.
    pub fn open(
        &self,
        workspace: WorkspaceId,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<SecretBytes, OpenError> {
        if key_of(sealed)? != self.id {
            return Err(OpenError::OtherKey);
        }
        self.root.open(&address(workspace, place), sealed)
    }
}

/// The data key that a seal says it was made with.
pub fn key_of(sealed: &Sealed) -> Result<DataKeyId, OpenError> {
    Read::new(sealed).map(|read| DataKeyId::from_bytes(read.id))
}

fn address(workspace: WorkspaceId, place: &Place) -> Parts {
    let (kind, field) = place.kind_and_field();
    Parts::new()
        .with(&workspace.to_bytes())
        .with(kind.as_bytes())
        .with(place.record().as_bytes())
        .with(field.as_bytes())
}

#[cfg(test)]
mod tests;
