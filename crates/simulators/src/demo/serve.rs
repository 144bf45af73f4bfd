//! The server loop. It is our own because a failing app must be able to cut a connection without
//! an answer, which a web framework does not do.

use super::{Shared, crm, oauth, sim};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The largest request body, in bytes.
const MOST_BODY: usize = 64 * 1024;
/// The most connections at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;

/// Cuts the connection that a request came over.
#[derive(Clone, Default)]
pub(crate) struct HangUp(Arc<Notify>);

impl HangUp {
    /// Cuts it; the caller is dropped while waiting.
    pub(crate) async fn now(&self) -> ! {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .merge(oauth::routes())
        .merge(crm::routes())
        .route_layer(from_fn_with_state(shared.clone(), count))
        .merge(sim::routes())
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(shared);
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        // An error here is one connection's (it was reset before it was accepted).
        let Ok((stream, _)) = listener.accept().await else { continue };
        let hang_up = HangUp::default();
        let service = TowerToHyperService::new(router.clone().layer(Extension(hang_up.clone())));
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // What a client breaks off is the client's affair.
            tokio::select! {
                _ = connection => (),
                () = hang_up.0.notified() => (),
            }
        });
    }
}

/// Counts a request by its route, so that ids in paths do not multiply the counters.
async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let name = format!("{} {}", request.method(), path.as_str());
        *shared.counters().requests.entry(name).or_default() += 1;
    }
    next.run(request).await
}
