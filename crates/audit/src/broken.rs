//! Where a chain does not hold.

use causeway_types::SigningKeyId;
use serde::Serialize;

/// The first thing about a chain that does not hold: which row, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Broken {
    /// A row has a number that no row is given.
    #[error("row {seq} stands before the beginning of the chain, which is row 1")]
    Foreign {
        /// Its number.
        seq: i64,
    },
    /// The chain begins after row 1, and nothing proves that Causeway pruned what was before.
    #[error(
        "the rows before row {first} are missing, and no signed floor says that they were pruned"
    )]
    Front {
        /// The first row that is there.
        first: i64,
    },
    /// Rows in the middle are not there.
    #[error("rows {first} to {last} are missing")]
    Missing {
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// A row is not what was written, or the one before it is not.
    #[error(
        "row {seq} does not fit row {}: the contents or the hash of one of them has been edited",
        seq - 1
    )]
    Edited {
        /// Its number.
        seq: i64,
    },
    /// What was written as this row stands in another place.
    #[error("what was written as row {seq} stands as row {found}: rows have been reordered")]
    Moved {
        /// The number under which it was written.
        seq: i64,
        /// The number that it has now.
        found: i64,
    },
    /// The chain ends before its head.
    #[error(
        "the tail is cut off: {written} rows were written, and the last that is there is row {last}"
    )]
    Cut {
        /// The last row that is there; 0 if there is none.
        last: i64,
        /// The number of the last row that was written, by the head.
        written: i64,
    },
    /// The head is not the last row's.
    #[error("the head of the chain has been changed: it is not that of row {last}, the last one")]
    Head {
        /// The last row.
        last: i64,
    },
    /// There is no head.
    #[error("the head of the chain has been removed")]
    NoHead,
    /// The row that a checkpoint is about has another hash.
    #[error(
        "row {seq} is not the one that the {} of it states: a row after row {after} and up to row {seq} has been rewritten, and all hashes after it with it",
        checkpoint(*kept)
    )]
    Rewritten {
        /// The row that the checkpoint is about.
        seq: i64,
        /// The last row before it that is proven to be what was written.
        after: i64,
        /// Whether the checkpoint is one that was kept elsewhere.
        kept: bool,
    },
    /// A checkpoint proves more rows than there are.
    #[error(
        "the tail is cut off, and the head with it: the {} of row {seq} proves that there were more rows, and the last that is there is row {last}",
        checkpoint(*kept)
    )]
    Ahead {
        /// The row that the checkpoint is about.
        seq: i64,
        /// The last row that is there; 0 if there is none.
        last: i64,
        /// Whether the checkpoint is one that was kept elsewhere.
        kept: bool,
    },
    /// A checkpoint was not signed by the key that it names.
    #[error("the signature of the {} of row {seq} is wrong: it is forged or edited", checkpoint(*kept))]
    Signature {
        /// The row that the checkpoint is about.
        seq: i64,
        /// Whether the checkpoint is one that was kept elsewhere.
        kept: bool,
    },
    /// A checkpoint names a key that is not one of this installation for audit chains.
    #[error(
        "the {} of row {seq} names {key}, which is no key of this installation for audit chains",
        checkpoint(*kept)
    )]
    Key {
        /// The row that the checkpoint is about.
        seq: i64,
        /// The key.
        key: SigningKeyId,
        /// Whether the checkpoint is one that was kept elsewhere.
        kept: bool,
    },
}

fn checkpoint(kept: bool) -> &'static str {
    if kept { "checkpoint kept elsewhere" } else { "checkpoint" }
}
