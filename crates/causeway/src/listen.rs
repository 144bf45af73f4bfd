//! Listening: which address, how many connections, how long each may take to say what it wants.
//!
//! Until an installation is claimed, whoever comes first could claim it. So until then the server
//! listens on loopback alone, whatever address it is told to, and moves to that address in the
//! moment of the claim.

mod connection;
mod doors;

pub(crate) use doors::{Doors, Serving};

use connection::Bounds;

use crate::tls::Tls;
use anyhow::Context as _;
use axum::Router;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait when no connection can be accepted, for want of file descriptors say.
const BREATHER: Duration = Duration::from_millis(500);
/// How often it is tried to move to the address wanted, when another program has taken it.
const MOVE_AGAIN: Duration = Duration::from_secs(5);

/// A listener, and what is answered behind it.
struct Door {
    /// Its flag: `--listen`.
    flag: &'static str,
    /// Where it is to listen, with the port that it got.
    wanted: SocketAddr,
    /// Where it listens now.
    at: SocketAddr,
    listener: TcpListener,
}

/// What the connections of a door have in common.
struct Behind {
    router: Router,
    tls: Option<Arc<Tls>>,
    bounds: Bounds,
}

impl Door {
    /// Takes the address. Nothing is answered yet.
    ///
    /// # Errors
    /// If it cannot be listened on.
    async fn open(flag: &'static str, wanted: SocketAddr) -> anyhow::Result<Self> {
        let refused = || {
            format!(
                "listening on {wanted}: is another program using the port? {flag} takes another"
            )
        };
        let listener = TcpListener::bind(wanted).await.with_context(refused)?;
        let wanted = listener.local_addr().with_context(refused)?;
        Ok(Self { flag, wanted, at: wanted, listener })
    }

    /// Goes back to the same port of the loopback.
    ///
    /// # Errors
    /// If that cannot be listened on.
    async fn confine(self) -> anyhow::Result<Self> {
        let at = confined(self.wanted);
        if at == self.wanted {
            return Ok(self);
        }
        let Self { flag, wanted, listener, .. } = self;
        // Two sockets cannot listen on one port if one of them has every address.
        drop(listener);
        let listener = TcpListener::bind(at).await.with_context(|| {
            format!("listening on {at}, as long as nobody has claimed the installation")
        })?;
        Ok(Self { flag, wanted, at, listener })
    }

    /// Answers connections until `stopping`, and moves to the address wanted once `claimed`.
    async fn serve(
        self,
        behind: Behind,
        claimed: watch::Receiver<bool>,
        stopping: CancellationToken,
        connections: TaskTracker,
    ) {
        let Self { flag, wanted, mut at, listener } = self;
        let permits = Arc::new(Semaphore::new(behind.bounds.connections));
        let behind = Arc::new(behind);
        let mut listener = Some(listener);
        while !stopping.is_cancelled() {
            let serving = async {
                match listener.take() {
                    Some(listener) => {
                        accept(listener, &behind, &permits, &stopping, &connections).await;
                    }
                    None => tokio::time::sleep(MOVE_AGAIN).await,
                }
            };
            tokio::select! {
                () = serving => {}
                () = until(claimed.clone()), if at != wanted => {}
                () = stopping.cancelled() => return,
            }
            if *claimed.borrow() {
                at = wanted;
            }
            match TcpListener::bind(at).await {
                Ok(bound) => {
                    tracing::info!(listen = %at, "listening");
                    listener = Some(bound);
                }
                Err(error) => tracing::error!(
                    listen = %at,
                    %error,
                    "cannot listen there, and tries again; is another program using the port? {flag} takes another",
                ),
            }
        }
    }
}

/// Waits for the claim; for ever, if nobody can tell any more.
async fn until(mut claimed: watch::Receiver<bool>) {
    if claimed.wait_for(|claimed| *claimed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Takes connections, no more at a time than there are permits. Never ends by itself.
async fn accept(
    listener: TcpListener,
    behind: &Arc<Behind>,
    permits: &Arc<Semaphore>,
    stopping: &CancellationToken,
    connections: &TaskTracker,
) {
    loop {
        // Whoever comes meanwhile waits in the kernel's own, bounded, queue.
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                without_delay(&stream);
                let serving = connection::serve(stream, peer, Arc::clone(behind), stopping.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            // The other side has gone already.
            Err(error) if is_its_own(&error) => tracing::debug!(%error, "a connection ended early"),
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted, and it is tried again");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

/// Each piece of news leaves as it comes, without waiting until the one before has arrived.
fn without_delay(connection: &TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
}

/// Whether an error concerns the one connection alone: accept(2).
fn is_its_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Where is listened instead of `wanted` until the installation is claimed.
pub(crate) fn confined(wanted: SocketAddr) -> SocketAddr {
    if wanted.ip().to_canonical().is_loopback() { wanted } else { loopback(wanted) }
}

/// What is listened at as a URL, for who was told no better one.
pub(crate) fn url(at: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    // "Every address" is none that a browser could go to, and one that this machine has.
    let at = if at.ip().to_canonical().is_unspecified() { loopback(at) } else { at };
    format!("{scheme}://{at}")
}

/// The same port on the loopback of the same family.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip =
        if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;
