//! The demo app: a handle on a server on this machine.

pub(crate) mod counters;
mod crm;
pub(crate) mod faults;
mod oauth;
mod page;
mod refusal;
mod serve;
mod sim;
mod state;

use causeway_types::{Clock, OsRandom, Randomness, SystemClock};
use counters::Counters;
use faults::Faults;
use state::State;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// How the demo app is set up. What is `None` is made up at the start.
pub struct DemoOptions {
    /// The id of its one OAuth client.
    pub client_id: Option<String>,
    /// The secret of its one OAuth client.
    pub client_secret: Option<String>,
    /// Where it may send a browser back to, compared exactly (RFC 9700, section 2.1). If empty,
    /// to any http URL at a loopback address.
    pub redirect_uris: Vec<Url>,
    /// The key that the CRM API takes in `X-Api-Key`.
    pub api_key: Option<String>,
    /// Seconds that an access token lives.
    pub access_token_seconds: u32,
    /// Whether a refresh token may be used once more as long as the one that replaced it has not
    /// been used: the leniency of providers whose rows say `retry_old_token`.
    pub accept_previous_token: bool,
    /// Keeps grants, contacts and generated secrets in this file across restarts.
    pub state_file: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where tokens come from.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            client_id: None,
            client_secret: None,
            redirect_uris: Vec::new(),
            api_key: None,
            access_token_seconds: 600,
            accept_previous_token: false,
            state_file: None,
            clock: Arc::new(SystemClock),
            randomness: Arc::new(OsRandom),
        }
    }
}

/// The demo app could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It knows no users and must not be reachable from elsewhere.
    #[error("the demo app listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("listening on {0}; is the port taken?")]
    Listen(SocketAddr, #[source] io::Error),
    /// The state file does not read.
    #[error("reading the demo app's state from {0}; delete it to start anew")]
    State(PathBuf, #[source] io::Error),
}

/// A running demo app. It stops when this is dropped.
pub struct DemoApp {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) state: Mutex<State>,
    pub(crate) counters: Mutex<Counters>,
    pub(crate) faults: Faults,
}

impl DemoApp {
    /// Starts it; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(address: SocketAddr, options: DemoOptions) -> Result<Self, StartError> {
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let refused = |source| StartError::Listen(address, source);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let state_file = options.state_file.clone();
        let state = State::open(options)
            .map_err(|source| StartError::State(state_file.unwrap_or_default(), source))?;
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}"),
            state: Mutex::new(state),
            counters: Mutex::default(),
            faults: Faults::default(),
        });
        let server = tokio::spawn(serve::serve(listener, shared.clone()));
        Ok(Self { shared, address, server })
    }

    /// Its base URL, `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.shared.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its row in the catalogue, with this server's address: an operator's `demo/app.yaml`.
    pub fn app_yaml(&self) -> String {
        include_str!("../../../apps/demo/app.yaml")
            .replace("127.0.0.1:8401", &self.address.to_string())
    }

    /// The id of its OAuth client.
    pub fn client_id(&self) -> String {
        self.shared.state().client_id().to_owned()
    }

    /// The secret of its OAuth client.
    pub fn client_secret(&self) -> String {
        self.shared.state().client_secret().to_owned()
    }

    /// The key that its CRM API takes.
    pub fn api_key(&self) -> String {
        self.shared.state().api_key().to_owned()
    }

    /// What it has been asked so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters().clone()
    }

    /// Makes it fail.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }
}

impl Drop for DemoApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
