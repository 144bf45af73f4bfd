//! The `causeway` binary: configuration, wiring and the command line.

mod cli;
mod client;
mod command;
mod config;
mod listen;
mod looks;
mod output;
mod tls;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

/// A call through the proxy allocates a few hundred times, and glibc's allocator took a tenth of the
/// server's time (bench/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The hidden command with which the server starts a jail. It is looked for before anything else,
/// because a jail is made by a process without threads.
const JAIL: &str = "__jail";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == JAIL) {
        return causeway_sandbox::jail_main();
    }
    let cli = cli::Cli::parse();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&error.into(), json),
    };
    match runtime.block_on(command::run(cli)) {
        Ok(()) => output::success(json),
        Err(error) => output::failure(&error, json),
    }
}
