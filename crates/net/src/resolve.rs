//! From names to addresses, as a parameter, so that tests can answer like a hostile name server.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use tokio::sync::Semaphore;

/// The future of an answer.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All addresses of `name`, which is lower-case ASCII without a trailing dot and never an
    /// address itself.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The operating system's resolver (`getaddrinfo` on a thread of the runtime's blocking pool).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

/// Look-ups at once. `getaddrinfo` cannot be interrupted, so a name server that never answers
/// holds its thread for half a minute; it must not hold all of the pool's threads.
static SLOTS: Semaphore = Semaphore::const_new(64);

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let slot = SLOTS.acquire().await.map_err(io::Error::other)?;
            let name = name.to_owned();
            let look_up = move || {
                // Given back when the look-up ends, not when its caller stops waiting.
                let _slot = slot;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|found| found.ip()).collect())
            };
            tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
        })
    }
}
