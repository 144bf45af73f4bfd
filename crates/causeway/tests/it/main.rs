//! The whole of Causeway: the built binary with real jails and the real Node in them, on both
//! databases. Each test has an installation of its own and stops what it started.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod audit;
mod brokered;
mod cli;
mod components;
mod connect_page;
mod crash;
mod edge;
mod hostile;
mod kit;
mod linked;
mod machine;
mod mistakes;
mod outage;
mod output;
mod packages;
mod revoke;
mod rotation;
mod rows;
mod runtimes;
mod sign_in;
mod sign_in_machine;
mod soak;
#[path = "../../../packages/tests/it/stand_in.rs"]
#[expect(dead_code, reason = "the tests of packages themselves use more of it")]
mod stand_in;
mod starts;
mod stolen;
mod stops;
mod told;
mod webhooks;
