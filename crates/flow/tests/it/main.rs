//! Workflows over the real jail: what a deploy refuses, and what a version's code may reach.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod bounds;
mod control;
mod dependencies;
mod deploy;
mod examples;
mod items;
mod kit;
mod reach;
mod runtimes;
mod schedules;
#[path = "../../../packages/tests/it/stand_in.rs"]
#[expect(dead_code, reason = "the tests of packages themselves use more of it")]
mod stand_in;
mod suspend;
mod tiers;
mod triggers;
mod waiting;
