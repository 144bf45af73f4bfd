//! When to look at the operator's files again.

use anyhow::Context as _;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

/// A look every so often, and one at each SIGHUP, until the server stops.
pub(crate) struct Looks {
    turns: Interval,
    hangup: Signal,
    stopping: CancellationToken,
}

impl Looks {
    /// The first look is at once.
    ///
    /// # Errors
    /// If the process cannot listen for signals.
    pub(crate) fn new(every: Duration, stopping: CancellationToken) -> anyhow::Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
        Ok(Self { turns: tokio::time::interval(every), hangup, stopping })
    }

    /// Waits for the next look: true if somebody asked for it; none after the last.
    pub(crate) async fn next(&mut self) -> Option<bool> {
        tokio::select! {
            _ = self.turns.tick() => Some(false),
            _ = self.hangup.recv() => Some(true),
            () = self.stopping.cancelled() => None,
        }
    }
}
