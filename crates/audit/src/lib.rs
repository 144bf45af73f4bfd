//! Proving what was done, and by whom.
//!
//! - Every workspace has a *chain*: its audit events, one row each, numbered from 1 without gaps.
//!   A row's *hash* covers the hash of the row before it. The *head* is the number and hash of the
//!   last row. The store appends a row in the transaction that makes the change.
//! - A *checkpoint* is a signed statement that a chain reached a row with a certain hash. Without
//!   the installation's key nobody can make one, so that whoever rewrites a chain, consistently,
//!   is found out ([`Keeper`]).
//! - The *check* walks a whole chain and names the first link that is broken ([`verify`],
//!   [`Broken`]).
//! - *Retention* is how long a workspace keeps its events. What is older is pruned up to a
//!   checkpoint, the *floor*, from where the rest is still provable ([`AuditLog::set_retention`]).
//! - An *export* takes a piece of a chain out, as JSON lines that prove themselves or as OCSF
//!   ([`Format`]).
//!
//! What each of these can and cannot show is told in `docs/audit.md`.

mod broken;
mod checkpoint;
mod export;
mod keeper;
mod list;
mod prune;
mod retention;
mod statement;
mod verify;

pub use broken::Broken;
pub use checkpoint::Checkpoint;
pub use export::{Export, Format, Wanted, export};
pub use keeper::Keeper;
pub use list::{Checkpoints, Events, read_time};
pub use retention::{MAX_DAYS, MIN_DAYS};
pub use verify::{Verified, VerifyError, verify};

use causeway_identity::OwnKeys;
use causeway_store::Store;
use causeway_types::{Clock, Code, Coded};
use std::borrow::Cow;
use std::sync::Arc;

/// Rows read in one go.
const PAGE: i64 = 500;

/// The chains, for those who may look at them. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    store: Store,
    keys: OwnKeys,
    clock: Arc<dyn Clock>,
}

/// The audit chain could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error("reading the audit chain")]
    Store(#[from] causeway_store::Error),
    /// The number of days is out of bounds.
    #[error("keeping events for {0} days")]
    Days(i64),
    /// What events are to be about is not an id.
    #[error("looking for events about what is not an id")]
    About,
}

impl Coded for AuditError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Days(_) | Self::About => Code::InvalidRequest,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Days(_) => format!(
                "Events are kept for {MIN_DAYS} to {MAX_DAYS} days, or for ever with `null`."
            )
            .into(),
            Self::About => {
                "`about` is an id, such as that of a key, a member or a connection.".into()
            }
        }
    }
}

impl AuditLog {
    /// The chains of `store`, signed and checked with `keys`.
    pub fn new(store: Store, keys: OwnKeys, clock: Arc<dyn Clock>) -> Self {
        Self { store, keys, clock }
    }
}
