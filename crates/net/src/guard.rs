//! The egress guard: resolve once, check every address, connect to a checked one.

use crate::address::{self, Special};
use crate::allow::AllowedRange;
use crate::host::{self, Target};
use crate::resolve::Resolve;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// How many addresses of an answer are tried; all are checked.
const MOST_TRIES: usize = 6;

/// What the guard lets through and for how long it waits.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// Networks that are not public and may be reached all the same. A cloud metadata service
    /// is reached only if a range names its single address.
    pub allow: Vec<AllowedRange>,
    /// Time for looking up a name and connecting, together. Default 10 s.
    pub connect_timeout: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { allow: Vec::new(), connect_timeout: Duration::from_secs(10) }
    }
}

/// The guard. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    config: GuardConfig,
    resolver: Box<dyn Resolve>,
}

/// A connection was not made. The text is for the person who caused it: it names the host, but
/// not the address, which would let a tenant map the operator's network. The log has it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GuardError {
    /// The text is not a host.
    #[error(
        "`{host}` is not a host to connect to; give a name such as api.example.com or an address, without user, port or path"
    )]
    InvalidHost {
        /// As given, without user info.
        host: String,
    },
    /// An address of the host is not on the public Internet.
    #[error(
        "{host} leads to {what}, and Causeway connects only to the public Internet; the operator can allow the network with `net.allow`", what = special.describe()
    )]
    DeniedAddress {
        /// The host.
        host: String,
        /// What kind of address.
        special: Special,
    },
    /// `http:` to the public Internet.
    #[error(
        "{host} was called without TLS; use https, or let the operator allow its network with `net.allow`"
    )]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// The name has no address, or the look-up failed.
    #[error("{host} has no address; check the name, then the server's DNS")]
    Unresolvable {
        /// The host.
        host: String,
        /// The resolver's answer, if it failed.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// No address accepted the connection.
    #[error("{host} does not accept connections at port {port}; check that it is up")]
    Unreachable {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The last address's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The time ran out.
    #[error("{host} did not answer at port {port} within {} ms; try again later", within.as_millis())]
    Timeout {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The time that it had.
        within: Duration,
    },
}

impl GuardError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidHost { .. } => "egress_invalid_host",
            Self::DeniedAddress { .. } => "egress_denied_address",
            Self::PlainHttp { .. } => "egress_plain_http",
            Self::Unresolvable { .. } => "egress_unresolvable",
            Self::Unreachable { .. } => "egress_unreachable",
            Self::Timeout { .. } => "egress_timeout",
        }
    }
}

/// Whether what is spoken over the connection protects itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// TLS, or bytes of somebody who was told to look after himself (a step's own socket).
    Any,
    /// HTTP in clear: only to networks that the operator has allowed.
    Clear,
}

impl Guard {
    /// A guard that looks names up with `resolver`.
    pub fn new(config: GuardConfig, resolver: impl Resolve + 'static) -> Self {
        Self(Arc::new(Inner { config, resolver: Box::new(resolver) }))
    }

    /// Connects to a host: a name, or an address in any form.
    ///
    /// The name is looked up once. If *any* address of the answer is neither public nor allowed,
    /// the whole answer is refused: a mixed answer is either an attack or a fault in the DNS, and
    /// picking the public one would make the outcome depend on chance. The public addresses are
    /// then tried in the answer's order.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, GuardError> {
        self.connect_for(host, port, Wire::Any).await
    }

    pub(crate) async fn connect_for(
        &self,
        host: &str,
        port: u16,
        wire: Wire,
    ) -> Result<TcpStream, GuardError> {
        let within = self.0.config.connect_timeout;
        let deadline = Instant::now() + within;
        let late = || GuardError::Timeout { host: host::printable(host), port, within };
        let addresses = timeout_at(deadline, self.checked(host, port, wire))
            .await
            .unwrap_or_else(|_| Err(late()))?;
        let mut last = None;
        let tries = addresses.len().min(MOST_TRIES);
        for (index, address) in addresses.into_iter().take(MOST_TRIES).enumerate() {
            // Shares the time left among the addresses left, so that a dead first one (often
            // IPv6) leaves time for the next.
            let left = deadline.saturating_duration_since(Instant::now());
            let shares = u32::try_from(tries - index).unwrap_or(1);
            let share = Instant::now() + left / shares;
            match timeout_at(share, dial(SocketAddr::new(address, port))).await {
                Ok(Ok(stream)) => {
                    // Requests are written whole; waiting to fill a packet only delays them.
                    let _: io::Result<()> = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(refused)) => {
                    tracing::debug!(%address, port, error = %refused, "connecting failed");
                    last = Some(refused);
                }
                Err(_) => tracing::debug!(%address, port, "connecting took too long"),
            }
        }
        Err(match last {
            Some(source) => GuardError::Unreachable {
                host: host::printable(host),
                port,
                source: Arc::new(source),
            },
            None => late(),
        })
    }

    /// The addresses of a host, all of which may be connected to at this port.
    async fn checked(&self, host: &str, port: u16, wire: Wire) -> Result<Vec<IpAddr>, GuardError> {
        let invalid = || GuardError::InvalidHost { host: host::printable(host) };
        let target = host::parse(host).filter(|_| port != 0).ok_or_else(invalid)?;
        let addresses = match target {
            Target::Address(address) => vec![address],
            Target::Name(name) => {
                let unresolvable = |source| GuardError::Unresolvable { host: name.clone(), source };
                let found = self.0.resolver.resolve(&name).await;
                let found = found.map_err(|source| unresolvable(Some(Arc::new(source))))?;
                if found.is_empty() {
                    return Err(unresolvable(None));
                }
                found
            }
        };
        for address in &addresses {
            self.check(host, address::canonical(*address), port, wire)?;
        }
        Ok(addresses.into_iter().map(address::canonical).collect())
    }

    /// Whether one address may be connected to.
    fn check(&self, host: &str, address: IpAddr, port: u16, wire: Wire) -> Result<(), GuardError> {
        let special = address::special(address);
        let allowed = self.0.config.allow.iter().any(|range| {
            range.covers(address, port)
                && (special != Some(Special::CloudMetadata) || range.is_single())
        });
        match special {
            _ if allowed => Ok(()),
            Some(special) => {
                let host = host::printable(host);
                tracing::warn!(%host, %address, port, "refused to connect to {}", special.describe());
                Err(GuardError::DeniedAddress { host, special })
            }
            None if wire == Wire::Clear => {
                Err(GuardError::PlainHttp { host: host::printable(host) })
            }
            None => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the guard is where sockets are opened")]
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}
