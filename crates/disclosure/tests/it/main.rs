//! Reports as their readers read them: with GnuPG, from both databases and from a mail server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod gnupg;
mod kit;
mod mail;
mod pgp;
mod reports;
