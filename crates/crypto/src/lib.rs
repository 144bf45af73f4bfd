//! Cryptography of the vault, and the matcher that masks secrets in what is written down.
//!
//! - A *data key* is 32 random bytes that belong to a workspace; a [`SealingKey`] is one made
//!   ready for use.
//! - To *seal* is to encrypt for one [`Place`](causeway_types::Place) in one workspace; to *open*
//!   is the reverse, which fails anywhere else. See [`seal`] for the format.
//! - To *wrap* is to encrypt a data key under a root key, so that it may be stored. See [`wrap`].
//! - A [`Redactor`] masks known secrets, and their usual encodings, in text and JSON.
//!
//! Nothing here does I/O. Key material is wiped when dropped: what is ours by
//! [`SecretBytes`](causeway_types::SecretBytes) and `zeroize`, what lives in aws-lc by aws-lc.

mod envelope;
pub mod redact;
pub mod salts;
pub mod seal;
pub mod wrap;

pub use envelope::{OpenError, TooLong};
pub use redact::{MaskedStream, Masks, Redactor, TooManySecrets};
pub use salts::Salts;
pub use seal::{SealingKey, key_of};
pub use wrap::WrappingKey;

/// Length of every symmetric key here, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key of the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("using a key of {found} bytes where {KEY_BYTES} are needed")]
pub struct KeyLength {
    /// The length that it has.
    pub found: usize,
}
