//! Chains on both databases, and what can be done to them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod export;
mod keep;
mod list;
mod prune;
mod tamper;
mod world;
