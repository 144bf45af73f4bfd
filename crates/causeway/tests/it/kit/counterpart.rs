//! A third party that steps call: it counts who comes, and lets callers wait.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::get;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) struct Counterpart {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// The queries of the calls, by the name that was called.
    calls: watch::Sender<BTreeMap<String, Vec<String>>>,
    open: watch::Sender<bool>,
}

impl Counterpart {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            calls: watch::Sender::new(BTreeMap::new()),
            open: watch::Sender::new(false),
        });
        let router = Router::new()
            .route("/count/{name}", get(count))
            .route("/wait/{name}", get(wait))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, server }
    }

    /// Its address, as `--net-allow` takes it.
    pub(crate) fn range(&self) -> String {
        format!("{}/32:{}", self.address.ip(), self.address.port())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was called with under a name.
    pub(crate) fn calls(&self, name: &str) -> Vec<String> {
        self.shared.calls.borrow().get(name).cloned().unwrap_or_default()
    }

    /// Waits until it was called under a name that often.
    pub(crate) async fn called(&self, name: &str, times: usize) {
        let mut calls = self.shared.calls.subscribe();
        let come = calls.wait_for(|calls| calls.get(name).is_some_and(|all| all.len() >= times));
        tokio::time::timeout(super::PATIENCE, come)
            .await
            .unwrap_or_else(|_| panic!("`{name}` was not called {times} times"))
            .unwrap();
    }

    /// Lets all that wait go on, and all that will come.
    pub(crate) fn open(&self) {
        self.shared.open.send_replace(true);
    }
}

impl Drop for Counterpart {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn count(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> &'static str {
    let query = query.unwrap_or_default();
    shared.calls.send_modify(|calls| calls.entry(name).or_default().push(query));
    "counted"
}

async fn wait(state: State<Arc<Shared>>, path: Path<String>, query: RawQuery) -> &'static str {
    let mut open = state.open.subscribe();
    count(state, path, query).await;
    // An error would mean that the test is over.
    let _ = open.wait_for(|open| *open).await;
    "opened"
}
