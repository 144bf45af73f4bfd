//! All listeners of a server.

use super::{Behind, Bounds, Door, url};
use crate::config::Config;
use crate::tls::Tls;
use axum::Router;
use causeway_api::Routers;
use causeway_identity::is_claimed;
use causeway_store::Store;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often it is looked whether the installation has been claimed, here or at another node.
const CLAIM_LOOK: Duration = Duration::from_secs(1);

/// The listeners.
pub(crate) struct Doors {
    public: Door,
    api: Option<Door>,
    metrics: Option<Door>,
    tls: Option<Arc<Tls>>,
    bounds: Bounds,
    confined: bool,
}

/// The listeners at work.
pub(crate) struct Serving {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Doors {
    /// Takes the configured addresses, and reads the certificate. Nothing is answered yet.
    ///
    /// # Errors
    /// If an address cannot be listened on, or the certificate cannot be used.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let edge = &config.edge;
        let tls = edge.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
        Ok(Self {
            public: Door::open("--listen", config.listen).await?,
            api: open("--listen-api", edge.listen_api).await?,
            metrics: open("--listen-metrics", edge.listen_metrics).await?,
            tls,
            bounds: Bounds::new(edge.max_connections),
            confined: false,
        })
    }

    /// Goes back to the loopback with every listener, because nobody has claimed the installation.
    ///
    /// # Errors
    /// If the loopback cannot be listened on.
    pub(crate) async fn confine(mut self) -> anyhow::Result<Self> {
        self.public = self.public.confine().await?;
        self.api = confine(self.api).await?;
        self.metrics = confine(self.metrics).await?;
        let confined = self.each().any(|door| door.at != door.wanted);
        self.confined = confined;
        for door in self.each().filter(|door| door.at != door.wanted) {
            tracing::warn!(
                listen = %door.at,
                then = %door.wanted,
                "nobody has claimed this installation, so it listens on this machine only; after the claim it listens where it was told to"
            );
        }
        Ok(self)
    }

    fn each(&self) -> impl Iterator<Item = &Door> {
        [Some(&self.public), self.api.as_ref(), self.metrics.as_ref()].into_iter().flatten()
    }

    /// The address of the public ingress as a URL, for who gave no better one.
    pub(crate) fn url(&self) -> String {
        url(self.public.at, self.tls.is_some())
    }

    /// What programs that start a server want to know.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut show = |name: &str, address: SocketAddr| {
            shown.insert(name.to_owned(), address.to_string().into());
        };
        show("listening", self.public.at);
        for (name, door) in [("listening_api", &self.api), ("listening_metrics", &self.metrics)] {
            if let Some(door) = door {
                show(name, door.at);
            }
        }
        if self.confined {
            show("listening_once_claimed", self.public.wanted);
        }
        shown
    }

    /// Begins to answer.
    pub(crate) fn serve(self, routers: Routers, store: &Store) -> Serving {
        let serving = Serving { stopping: CancellationToken::new(), tasks: TaskTracker::new() };
        let claimed = claim(store, !self.confined, &serving);
        let Self { public, api, metrics, tls, bounds, .. } = self;
        let spawn = |door: Door, router: Router, tls: Option<Arc<Tls>>| {
            let behind = Behind { router, tls, bounds };
            let (claimed, stopping) = (claimed.clone(), serving.stopping.clone());
            serving.tasks.spawn(door.serve(behind, claimed, stopping, serving.tasks.clone()));
        };
        spawn(public, routers.public, tls.clone());
        if let (Some(door), Some(router)) = (api, routers.api) {
            spawn(door, router, tls.clone());
        }
        if let (Some(door), Some(router)) = (metrics, routers.metrics) {
            spawn(door, router, None);
        }
        if let Some(tls) = tls {
            let stopping = serving.stopping.clone();
            serving.tasks.spawn(async move {
                if let Err(error) = tls.watch(stopping).await {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "a new TLS certificate needs a restart"
                    );
                }
            });
        }
        serving
    }
}

impl Serving {
    /// Takes no connection any more; those that are there get the answer under way.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
    }

    /// Waits until the last answer has left, but no longer than `patience`.
    pub(crate) async fn ended(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::debug!("connections are cut off");
        }
    }
}

async fn open(flag: &'static str, address: Option<SocketAddr>) -> anyhow::Result<Option<Door>> {
    match address {
        Some(address) => Ok(Some(Door::open(flag, address).await?)),
        None => Ok(None),
    }
}

async fn confine(door: Option<Door>) -> anyhow::Result<Option<Door>> {
    match door {
        Some(door) => Ok(Some(door.confine().await?)),
        None => Ok(None),
    }
}

/// Tells of the claim, wherever it happens.
fn claim(store: &Store, already: bool, serving: &Serving) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(already);
    if already {
        return receiver;
    }
    let (store, stopping) = (store.clone(), serving.stopping.clone());
    serving.tasks.spawn(async move {
        let mut turns = tokio::time::interval(CLAIM_LOOK);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = stopping.cancelled() => return,
            }
            match is_claimed(&store).await {
                Ok(true) => {
                    sender.send_replace(true);
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    tracing::warn!(error = format!("{error:#}"), "looking for the claim");
                }
            }
        }
    });
    receiver
}
