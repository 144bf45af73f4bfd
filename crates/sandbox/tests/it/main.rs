//! The jail with the real Node in it: what a step can do, what it cannot, and what the pool does.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod bash;
mod broker;
mod check;
mod contract;
mod egress;
mod escape;
mod libraries;
mod lifecycle;
mod limits;
mod machine;
mod pool;
mod python;
mod python_egress;
mod python_hostile;
mod support;
mod tiers;
