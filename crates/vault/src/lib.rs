//! The vault: the only part of Causeway that seals and opens.
//!
//! - A *root key* wraps data keys. It is a file or a key in AWS KMS ([`RootKey`]), never in the
//!   database, and there is no mode without one.
//! - A *data key* belongs to a workspace and seals its records. One is *active* and seals; those
//!   before it are *retired* and still open what they sealed.
//! - A [`Keyring`] holds a workspace's data keys, unwrapped, in memory for a bounded time.
//! - A *rotation* makes a new active data key and seals every record again under it. To *rewrap*
//!   is to wrap the data keys under another root key; the records stay as they are.

mod error;
mod keyring;
mod rewrap;
mod root_key;
mod rotation;
mod vault;

pub use error::VaultError;
pub use keyring::{Counts, Keyring};
pub use rewrap::rewrap;
pub use root_key::{FileKey, KeyArn, KmsKey, RootKey, RootKeyError, RootKeySpec};
pub use rotation::{RotationOutcome, RotationProgress};
pub use vault::{DEFAULT_KEY_LIFETIME, Vault};

/// Masks what the vault opened wherever it might be written down.
pub use causeway_crypto::{MaskedStream, Masks, Redactor, TooManySecrets};
