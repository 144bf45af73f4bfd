//! Connections against real counterparts: npm's certified `oidc-provider`, and the demo app for
//! failures on demand. Everything runs on both databases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod bad_answers;
mod broker;
mod browser;
mod crash;
mod devices;
mod faults;
mod flow;
mod introspection;
mod keys;
mod lifecycle;
mod mcp;
mod minted;
mod news;
mod options;
mod proxy;
mod reports;
mod revocations;
mod sessions;
mod standin;
mod states;
mod storm;
mod thing;
mod uses;
mod ways;
mod world;
