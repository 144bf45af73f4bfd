//! Machine access, on both databases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod api_keys;
mod assertions;
mod clients;
mod nodes;
mod signing_keys;
mod tokens;
mod world;
