//! Packages from stand-ins of the registries on loopback, chosen by the real npm and pip in real
//! sandboxes.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod kit;
mod node;
mod python;
mod real;
mod scripts;
mod stand_in;
