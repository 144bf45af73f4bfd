//! What the server sets up for its whole process: logs, limits, signals.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Files that the server may have open at a time, if the system allows that many.
const OPEN_FILES: u64 = 65_536;

/// Logs go to standard error: JSON lines, or text on a terminal. `RUST_LOG` filters them.
pub(super) fn log() {
    use std::io::IsTerminal;
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // What it would tell of its work at lower levels is about keys and what is encrypted.
    if let Ok(quiet) = "pgp=warn".parse() {
        filter = filter.add_directive(quiet);
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would tell of a line that nobody takes where nobody takes lines, and panic.
        .log_internal_errors(false);
    if std::io::stderr().is_terminal() {
        lines.init();
    } else {
        lines.json().init();
    }
}

/// A core dump would hold keys.
pub(super) fn no_core_dumps() -> anyhow::Result<()> {
    rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    )
    .context("switching core dumps off")
}

/// Each connection is an open file, and many systems allow a process 1,024 unless it asks for more.
pub(super) fn many_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if current.is_some_and(|current| current < wanted) {
        let more = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, more) {
            tracing::warn!(%error, "the process may not open more files");
        }
    }
}

/// Ctrl-C, or what service managers send. From this call on neither ends the process by itself.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let listening = || "listening for the signal to stop";
    let mut interrupt = signal(SignalKind::interrupt()).with_context(listening)?;
    let mut terminate = signal(SignalKind::terminate()).with_context(listening)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
