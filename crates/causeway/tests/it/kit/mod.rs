//! What the tests share: an installation, its running server, and who calls it.

mod browser;
mod census;
mod counterpart;
mod home;
mod needles;
mod proxy;
mod server;
mod third_party;

pub(crate) use browser::Browser;
pub(crate) use census::{Census, groups};
pub(crate) use counterpart::Counterpart;
pub(crate) use home::{Home, PUBLIC_URL, Ran, run};
pub(crate) use needles::{Needles, at_rest, contains};
pub(crate) use proxy::Proxy;
pub(crate) use server::{Answer, Server, limits};
pub(crate) use third_party::{APP_CLIENT_SECRET, APP_KEY, APP_TOKEN, ThirdParty};

use std::time::{Duration, Instant};

/// How long anything that should happen may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Looks again and again until there is something to see. For what nobody announces.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut turns = tokio::time::interval(Duration::from_millis(50));
    loop {
        turns.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
    }
}
