//! What can go wrong in the vault.

use crate::RootKeyError;
use causeway_crypto::{KeyLength, OpenError, TooLong};
use causeway_types::{Code, Coded, DataKeyId, Place, RotationId, WorkspaceId};
use std::borrow::Cow;

/// An operation of the vault that failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The data keys were wrapped by another root key than the one given.
    #[error(
        "opening data key {key} of {workspace}: it was wrapped by the root key {stored}, but the root key given is {given}. Start Causeway with the root key that wrapped it"
    )]
    WrongRootKey {
        /// The workspace.
        workspace: WorkspaceId,
        /// The data key.
        key: DataKeyId,
        /// The root key that wrapped it.
        stored: String,
        /// The root key at hand, and where it came from.
        given: String,
    },
    /// A data key could not be wrapped.
    #[error("wrapping a data key for {workspace}")]
    Wrap {
        /// The workspace.
        workspace: WorkspaceId,
        /// Why.
        #[source]
        source: RootKeyError,
    },
    /// A stored data key could not be unwrapped.
    #[error("unwrapping data key {key} of {workspace}")]
    Unwrap {
        /// The workspace.
        workspace: WorkspaceId,
        /// The data key.
        key: DataKeyId,
        /// Why.
        #[source]
        source: RootKeyError,
    },
    /// What was unwrapped is not a data key.
    #[error("using data key {key} of {workspace}")]
    DataKey {
        /// The workspace.
        workspace: WorkspaceId,
        /// The data key.
        key: DataKeyId,
        /// Why.
        #[source]
        source: KeyLength,
    },
    /// The workspace has no active data key.
    #[error("finding the active data key of {0}")]
    NoDataKey(WorkspaceId),
    /// A value could not be sealed.
    #[error("sealing for {place:?}")]
    Seal {
        /// Where it was to stand.
        place: Place,
        /// Why.
        #[source]
        source: TooLong,
    },
    /// A seal did not open.
    #[error("opening what is sealed at {place:?}")]
    Open {
        /// Where it stands.
        place: Place,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A rotation of this workspace is under way.
    #[error("starting a rotation of {0}: one is under way")]
    RotationActive(WorkspaceId),
    /// There is no such rotation.
    #[error("finding rotation {0}")]
    UnknownRotation(RotationId),
    /// Records could not be sealed again because other transactions held them.
    #[error("ending rotation {rotation}: {records} records were held by other transactions")]
    RecordsHeld {
        /// The rotation.
        rotation: RotationId,
        /// How many.
        records: u64,
    },
    /// The database failed.
    #[error("reading or writing the vault's records")]
    Store(#[source] causeway_store::Error),
}

impl From<causeway_store::Error> for VaultError {
    fn from(source: causeway_store::Error) -> Self {
        Self::Store(source)
    }
}

impl Coded for VaultError {
    fn code(&self) -> Code {
        match self {
            Self::WrongRootKey { .. } | Self::Wrap { .. } | Self::Unwrap { .. } => {
                Code::RootKeyUnavailable
            }
            Self::RotationActive(_) => Code::RotationActive,
            Self::UnknownRotation(_) => Code::NotFound,
            Self::RecordsHeld { .. } => Code::StoreUnavailable,
            Self::Store(source) => source.code(),
            Self::NoDataKey(_) | Self::DataKey { .. } | Self::Seal { .. } | Self::Open { .. } => {
                Code::Internal
            }
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::WrongRootKey { .. } | Self::Wrap { .. } | Self::Unwrap { .. } => {
                "The root key cannot be used now, so nothing can be sealed or opened. Whoever runs this Causeway finds the reason in its log and with `causeway doctor`.".into()
            }
            Self::RotationActive(_) => {
                "A rotation of this workspace's data key is under way. Wait until it has ended.".into()
            }
            Self::UnknownRotation(id) => format!("There is no rotation {id}.").into(),
            Self::RecordsHeld { .. } => {
                "Some records were in use. The rotation goes on with them by itself.".into()
            }
            Self::Store(source) => source.public(),
            Self::NoDataKey(_) | Self::DataKey { .. } | Self::Seal { .. } | Self::Open { .. } => {
                "A sealed value could not be used. The server's log has the details under this request's id.".into()
            }
        }
    }
}
