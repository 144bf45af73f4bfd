//! Which address is answered behind which listener.
//!
//! - The *public ingress* is for the world: triggers, the connect page, and what finders of
//!   vulnerabilities and monitors need.
//! - The *API* is for the company's own people and programs: the native API, sign-in, directories.
//! - *Metrics* are for whoever operates the server.
//!
//! What has a listener of its own is answered there and nowhere else, so that it can stay in a
//! private network.

use crate::pipedream::For;
use crate::{
    Api, FORM_BODY_LIMIT, Problem, TRIGGER_BODY_LIMIT, auth, client_address, connect_json,
    connect_page, connect_shell, console, denials, harden, idempotency, ingress, oauth_server, ops,
    pipedream, problem_pages, rate_limit, request_id, scim, security, suspended, v1,
};
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state, map_response_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use causeway_types::Code;
use std::net::SocketAddr;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// What has a listener of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Split {
    /// The API, and the pages on which people come in.
    pub api: bool,
    /// Metrics and readiness.
    pub metrics: bool,
}

/// What each listener answers.
pub struct Routers {
    /// The public ingress, and whatever has no listener of its own.
    pub public: Router,
    /// The API, if it has.
    pub api: Option<Router>,
    /// Metrics, if they have.
    pub metrics: Option<Router>,
}

impl Api {
    /// Everything that this server answers.
    pub fn router(self) -> Router {
        self.routers(Split::default()).public
    }

    /// What each listener answers.
    pub fn routers(self, split: Split) -> Routers {
        let mut public = public().merge(limited(&self, connect(&self)));
        let (mut api, mut metrics) = (None, None);
        let private = limited(&self, private(&self));
        let contract = |whom| pipedream::router(&self, whom);
        if split.api {
            let private = private.merge(contract(For::Everybody)).merge(common());
            api = Some(finish(&self, private, Router::new()));
            // Customers call from their browsers, which reach the public ingress only.
            public = public.merge(contract(For::Browsers));
        } else {
            public = public.merge(private).merge(contract(For::Everybody));
        }
        if split.metrics {
            metrics = Some(finish(&self, operators().merge(alive()), Router::new()));
        } else {
            public = public.merge(operators());
        }
        Routers { public: finish(&self, public, triggers(&self)), api, metrics }
    }
}

/// The document of the native API (OpenAPI 3.1).
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented(|router, _| router).into_openapi()
}

fn documented(
    limited: impl Fn(OpenApiRouter<Api>, usize) -> OpenApiRouter<Api>,
) -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(v1::Document::openapi())
        .nest("/api/v1", v1::router(limited))
        .merge(v1::proxy::router())
        .nest("/scim/v2", scim::router())
        .merge(oauth_server::documented())
}

/// What anybody may ask, on the public ingress.
fn public() -> Router<Api> {
    common()
        .merge(alive())
        .route("/connect.js", get(console::script))
        .route("/connect/assets/{file}", get(console::asset))
}

/// What stands beside both the public ingress and the API: the explanations of problems, which
/// either may answer with.
fn common() -> Router<Api> {
    Router::new()
        .route("/problems", get(problem_pages::list))
        .route("/problems/{code}", get(problem_pages::show))
}

fn alive() -> Router<Api> {
    Router::new().route("/healthz", get(ops::healthz))
}

/// Pages for customers, and for finders of vulnerabilities.
fn connect(api: &Api) -> Router<Api> {
    let pages = Router::new()
        .route("/connect/callback", get(connect_page::callback))
        .route("/connect/{token}", get(connect_shell::open))
        .route("/connect/{token}/window", post(connect_shell::window))
        .route("/connect/{token}/authorize", post(connect_page::authorize))
        .route("/connect/{token}/key", post(connect_page::submit_key))
        .route("/connect/{token}/waiting", get(connect_page::waiting))
        .layer(from_fn_with_state(api.clone(), connect_page::own_forms));
    let json = Router::new()
        .route("/connect/{token}/session", get(connect_json::session))
        .route("/connect/{token}/start", post(connect_json::start))
        .route("/connect/{token}/submit", post(connect_json::submit))
        .route("/connect/{token}/progress", get(connect_json::progress))
        .route("/oauth/client-metadata/{environment}", get(connect_json::client_metadata))
        .layer(from_fn_with_state(api.clone(), connect_json::own_requests));
    pages
        .merge(json)
        .merge(pipedream::pages())
        .layer(DefaultBodyLimit::max(FORM_BODY_LIMIT))
        .merge(security::router())
        .merge(suspended::router())
}

/// The native API, and the pages on which people come in.
fn private(api: &Api) -> Router<Api> {
    let (v1, document) = documented(|router, limit| {
        router
            .layer(from_fn_with_state(api.clone(), idempotency::layer))
            .layer(DefaultBodyLimit::max(limit))
    })
    .split_for_parts();
    let document = serde_json::to_value(&document).unwrap_or_default();
    Router::new()
        .merge(v1)
        .merge(auth::router(api))
        .merge(oauth_server::well_known())
        .route("/api/v1/openapi.json", get(|| async move { axum::Json(document) }))
        .route("/schemas/app.json", get(ops::app_schema))
        .route("/schemas/workflow.json", get(ops::workflow_schema))
}

fn operators() -> Router<Api> {
    Router::new().route("/readyz", get(ops::readyz)).route("/metrics", get(ops::metrics))
}

/// The triggers' own answers belong to the workflows, and their path is the hot one.
fn triggers(api: &Api) -> Router<Api> {
    Router::new()
        .route("/t/{token}", any(ingress::receive))
        .route("/t/{token}/", any(ingress::receive))
        .route("/t/{token}/{*rest}", any(ingress::receive))
        .layer(DefaultBodyLimit::max(TRIGGER_BODY_LIMIT))
        .layer(map_response_with_state(api.clone(), harden::of_workflows))
}

/// Counts the requests to these.
fn limited(api: &Api, router: Router<Api>) -> Router<Api> {
    router.layer(from_fn_with_state(api.clone(), rate_limit::layer))
}

/// Puts around what every request of a listener has. `bare` gets no more than an id and its
/// client's address.
fn finish(api: &Api, router: Router<Api>, bare: Router<Api>) -> Router {
    router
        .fallback(|| async {
            Problem::new(Code::UnknownRoute, "There is nothing at this address.")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::WrongMethod, "This address does not take this method.")
        })
        .layer(from_fn_with_state(api.clone(), own))
        // A failed request has its line already, where its problem was made.
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .merge(bare)
        .layer(from_fn_with_state(api.clone(), every))
        .with_state(api.clone())
}

/// Around every request. One layer instead of two, as in [`own`]: a layer costs each request a copy
/// of all the layers below it.
async fn every(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    request_id::around(&api, client_address::around(&api, peer, request, next)).await
}

/// Around every request whose answer is the server's own.
async fn own(State(api): State<Api>, request: Request, next: Next) -> Response {
    harden::own(&api, denials::around(&api, request, next).await)
}

/// A request's span: method and the route's pattern, never the path, which may hold a token.
fn span(request: &Request) -> tracing::Span {
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or("unknown", axum::extract::MatchedPath::as_str);
    let id = request_id::current().unwrap_or_default();
    tracing::info_span!("request", http.method = %request.method(), http.route = route, request.id = id)
}
