//! The vault on both databases, with its root key in a file and in AWS KMS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod file;
mod house;
mod kms;
mod rotation;
mod seals;
