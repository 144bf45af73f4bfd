//! A workspace's data keys and their rotation.

use crate::column::words;
use crate::place::Sealed;
use crate::{DataKeyId, RotationId, Timestamp, WorkspaceId};

words! {
    /// What a data key is used for.
    DataKeyState {
        /// Seals what is written now.
        Active = "active",
        /// Opens what it sealed before.
        Retired = "retired",
    }
}

/// A data key, wrapped by the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Its id, which every seal made with it carries.
    pub id: DataKeyId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// What it is used for.
    pub state: DataKeyState,
    /// The root key that wraps it, by the provider's own name for it.
    pub root_key: String,
    /// The key, wrapped.
    pub wrapped: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

words! {
    /// How far a rotation is.
    RotationState {
        /// Records are being sealed again.
        Running = "running",
        /// No record is left under the old keys.
        Done = "done",
    }
}

/// One rotation of a workspace's data key: every record is sealed again under the new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRotation {
    /// Its id.
    pub id: RotationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The key under which everything is sealed in the end.
    pub data_key_id: DataKeyId,
    /// How far it is.
    pub state: RotationState,
    /// The kind of record being worked on.
    pub at_kind: String,
    /// The last record of that kind that was done.
    pub at_record: String,
    /// Records passed so far.
    pub done: i64,
    /// Records that there were at the start.
    pub total: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// When it ended, if it has.
    pub finished_at: Option<Timestamp>,
}

/// A seal and the id of the record that holds it, as a rotation reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// The record's id.
    pub record: String,
    /// The seal.
    pub sealed: Sealed,
}

/// The same for an answer kept for a repeated request, which is known by a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedScope {
    /// SHA-256 of the key's scope.
    pub scope: Vec<u8>,
    /// The seal.
    pub sealed: Sealed,
}

impl KeyRotation {
    /// Stands in `at_kind` once every record has been passed and other nodes' copies of the old
    /// key have to expire.
    pub const SETTLING: &'static str = "settling";

    /// Whether every record has been passed.
    pub fn is_settling(&self) -> bool {
        self.state == RotationState::Running && self.at_kind == Self::SETTLING
    }
}
