//! Connections against real counterparts: npm's certified `oidc-provider`, and the demo app for
//! failures on demand. Everything runs on both databases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod browser;
mod crash;
mod faults;
mod flow;
mod introspection;
mod keys;
mod sessions;
mod storm;
mod uses;
mod world;
