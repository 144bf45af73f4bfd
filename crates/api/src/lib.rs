//! Causeway's HTTP interfaces. Handlers translate; the rules live in the engines behind them.
//!
//! - `/api/v1` is the native API, one endpoint a file under [`v1`]. Its document is made from the
//!   code ([`openapi`]).
//! - `/t/…` takes the requests that start workflows ([`ingress`]).
//! - `/connect/…` is the page on which a customer adds a connection ([`connect_page`]).
//! - `/healthz`, `/readyz`, `/metrics` are for whoever operates the server ([`ops`]).
//!
//! A handler under `/api/v1` takes an [`extract::Authorized`] permit: naming its action is how a
//! route says which permission it needs.

mod connect_page;
mod extract;
mod idempotency;
mod ingress;
mod ops;
mod page;
mod problem;
mod request_id;
mod v1;

pub use ops::install_metrics;
pub use problem::Problem;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::middleware;
use axum::routing::{any, get, post};
use causeway_catalog::Catalog;
use causeway_connect::Connect;
use causeway_flow::Flow;
use causeway_identity::Authenticator;
use causeway_store::Store;
use causeway_types::{Clock, Code, Randomness};
use causeway_vault::Vault;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::time::Duration;
use tower_http::trace::TraceLayer;
use url::Url;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// The largest body of a request to the API, in bytes.
pub const API_BODY_LIMIT: usize = 1 << 20;
/// The largest body of a deployment, in bytes: its files in base64 and a little more.
pub const DEPLOY_BODY_LIMIT: usize = 24 << 20;
/// The largest body of a request to a trigger, in bytes.
pub const TRIGGER_BODY_LIMIT: usize = 1 << 20;
/// The largest form that the connect page sends, in bytes.
pub const FORM_BODY_LIMIT: usize = 64 << 10;
/// How long the caller of a trigger waits for what its workflow answers.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the interfaces stand on.
pub struct ApiParts {
    /// Workflows.
    pub flow: Flow,
    /// Connections.
    pub connect: Connect,
    /// Keys.
    pub vault: Vault,
    /// Apps.
    pub catalog: Arc<Catalog>,
    /// The database, for the API's own bookkeeping.
    pub store: Store,
    /// Who calls.
    pub authenticator: Authenticator,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of requests and the browser cookie of the connect page.
    pub random: Arc<dyn Randomness>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// The address under which the world reaches this server, without a trailing slash in its
    /// printed form.
    pub public_url: Url,
}

/// The interfaces' shared state.
#[derive(Clone)]
pub struct Api {
    parts: Arc<ApiParts>,
}

impl Api {
    /// Puts the parts together.
    pub fn new(parts: ApiParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.parts.flow
    }

    pub(crate) fn connect(&self) -> &Connect {
        &self.parts.connect
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.parts.catalog
    }

    pub(crate) fn store(&self) -> &Store {
        &self.parts.store
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.parts.authenticator
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.parts.clock
    }

    pub(crate) fn random(&self) -> &dyn Randomness {
        &*self.parts.random
    }

    pub(crate) fn metrics(&self) -> &PrometheusHandle {
        &self.parts.metrics
    }

    /// An address of this server, for the world.
    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.parts.public_url.as_str().trim_end_matches('/'))
    }

    /// Whether the world reaches this server over TLS, so that cookies may demand it.
    pub(crate) fn is_https(&self) -> bool {
        self.parts.public_url.scheme() == "https"
    }

    /// Everything that this server answers.
    pub fn router(self) -> Router {
        let (v1, document) = documented(|router, limit| {
            router
                .layer(middleware::from_fn_with_state(self.clone(), idempotency::layer))
                .layer(DefaultBodyLimit::max(limit))
        })
        .split_for_parts();
        let document = serde_json::to_value(&document).unwrap_or_default();
        let connect = Router::new()
            .route("/connect/callback", get(connect_page::callback))
            .route("/connect/{token}", get(connect_page::open))
            .route("/connect/{token}/authorize", post(connect_page::authorize))
            .route("/connect/{token}/key", post(connect_page::submit_key))
            .layer(DefaultBodyLimit::max(FORM_BODY_LIMIT));
        let ingress = Router::new()
            .route("/t/{token}", any(ingress::receive))
            .route("/t/{token}/", any(ingress::receive))
            .route("/t/{token}/{*rest}", any(ingress::receive))
            .layer(DefaultBodyLimit::max(TRIGGER_BODY_LIMIT));
        Router::new()
            .merge(v1)
            .merge(connect)
            .route("/api/v1/openapi.json", get(|| async move { axum::Json(document) }))
            .route("/schemas/workflow.json", get(ops::workflow_schema))
            .route("/healthz", get(ops::healthz))
            .route("/readyz", get(ops::readyz))
            .route("/metrics", get(ops::metrics))
            .fallback(|| async {
                Problem::new(Code::UnknownRoute, "There is nothing at this address.")
            })
            .method_not_allowed_fallback(|| async {
                Problem::new(Code::WrongMethod, "This address does not take this method.")
            })
            .layer(middleware::map_response(harden))
            // A failed request has its line already, where its problem was made.
            .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
            // The triggers' own answers belong to the workflows, and their path is the hot one.
            .merge(ingress)
            .layer(middleware::from_fn_with_state(self.clone(), request_id::layer))
            .with_state(self)
    }
}

/// The document of the native API (OpenAPI 3.1).
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented(|router, _| router).into_openapi()
}

fn documented(
    limited: impl Fn(OpenApiRouter<Api>, usize) -> OpenApiRouter<Api>,
) -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(v1::Document::openapi()).nest("/api/v1", v1::router(limited))
}

/// Headers that keep a browser from doing more with an answer than it should.
async fn harden(mut response: axum::response::Response) -> axum::response::Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// A request's span: method and the route's pattern, never the path, which may hold a token.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or("unknown", axum::extract::MatchedPath::as_str);
    let id = request_id::current().unwrap_or_default();
    tracing::info_span!("request", http.method = %request.method(), http.route = route, request.id = id)
}
