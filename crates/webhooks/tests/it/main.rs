//! Webhooks, from an engine's transaction to a receiver on this machine, on both databases.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

mod at_rest;
mod crash;
mod deliver;
mod disable;
mod endpoints;
mod enqueue;
mod fair;
mod guard;
mod libraries;
mod nodes;
mod order;
mod prune;
mod receiver;
mod replay;
mod reports;
mod world;
