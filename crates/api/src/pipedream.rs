//! The Pipedream Connect contract at `/v1/connect`: a translation of its requests into those of the
//! engines, and of their answers into its shapes. No rules live here.
//!
//! - A *program* sends an access token or an API key, which is of one environment. It names the
//!   project in the path and the environment in `x-pd-environment`; both must be those of its
//!   credential.
//! - A *customer* sends a connect token, `ctok_…`, from his browser, and may leave the project out:
//!   the token knows where it belongs. He sees and touches what is his own.
//!
//! Ids are ours under the contract's prefixes, and back ([`ids`]):
//!
//! | Theirs | Ours |
//! | --- | --- |
//! | `apn_…` | `conn_…`, a connection |
//! | `oa_…` | `oac_…`, an OAuth client |
//! | `exu_…` | `cus_…`, a customer |
//! | `ctok_…` | `cwl_…`, the token of a connect session |
//! | `app_<slug>`, `name_slug` | the slug, in `name_slug` with `_` for `-` |
//! | `o_…` | `ws_…`, a workspace |
//! | `wh_…` | `env_…`: an environment has one project webhook |
//! | `proj_…`, `ovr_…`, `sc_…`, `dyp_…` | the same |
//!
//! An error of any kind is `{"error", "code", "details"}` ([`failure`]).

mod account;
mod accounts;
mod app;
mod app_categories;
mod app_overrides;
mod apps;
mod caller;
mod components;
mod cors;
mod event;
mod failure;
mod ids;
mod oauth_apps;
mod pages;
mod paging;
mod params;
mod projects;
mod proxy;
mod rate_limits;
mod tokens;
mod usage;
mod users;
mod webhook;

pub use event::connection_event;
pub(crate) use ids::account as account_id;
pub(crate) use pages::router as pages;

use crate::{API_BODY_LIMIT, Api, Problem, denials, rate_limit};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use causeway_types::Code;

/// Where the contract stands.
const PREFIX: &str = "/v1/connect";

/// Whom a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Programs, and customers' browsers.
    Everybody,
    /// Customers' browsers only.
    Browsers,
}

/// The routes. Their errors have the contract's shape, whatever made them.
pub(crate) fn router(api: &Api, whom: For) -> Router<Api> {
    let mut routes = resources("").route("/tokens/{token}/validate", get(tokens::validate));
    if whom == For::Everybody {
        routes = routes
            .merge(resources("/{project}"))
            .route("/projects", get(projects::list).post(projects::create))
            .route(
                "/projects/{id}",
                get(projects::show).patch(projects::change).delete(projects::delete),
            )
            .route("/projects/{id}/logo", post(projects::set_logo))
            .route("/usage", get(usage::show))
            .route("/rate_limits", post(rate_limits::create));
    } else {
        routes = routes.layer(axum::Extension(caller::CustomersOnly));
    }
    let routes = routes
        .fallback(|| async {
            Problem::new(Code::UnknownRoute, "The contract has nothing at this address.")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::WrongMethod, "This address does not take this method.")
        })
        .layer(from_fn_with_state(api.clone(), denials::layer))
        .layer(from_fn_with_state(api.clone(), rate_limit::layer))
        .layer(from_fn(failure::layer))
        .layer(from_fn(cors::layer));
    Router::new().nest(PREFIX, routes)
}

/// What both forms of paths have: with the project, and without it.
fn resources(project: &str) -> Router<Api> {
    let at = |path: &str| format!("{project}{path}");
    Router::new()
        .route(&at("/tokens"), post(tokens::create))
        .route(&at("/accounts"), get(accounts::list).post(accounts::create))
        .route(&at("/accounts/{id}"), get(accounts::show).delete(accounts::delete))
        .route(&at("/apps/{app}/accounts"), delete(accounts::delete_of_app))
        .route(&at("/users"), get(users::list))
        .route(&at("/users/{external_id}"), delete(users::delete))
        .route(&at("/users/{external_id}/accounts"), get(users::accounts))
        .route(&at("/apps"), get(apps::list))
        .route(&at("/apps/{app}"), get(apps::show))
        .route(&at("/app_categories"), get(app_categories::list))
        .route(&at("/app_categories/{category}"), get(app_categories::show))
        .route(&at("/app_overrides"), get(app_overrides::list).post(app_overrides::create))
        .route(
            &at("/app_overrides/{id}"),
            get(app_overrides::show).put(app_overrides::set).delete(app_overrides::delete),
        )
        .route(&at("/oauth_apps"), get(oauth_apps::list).post(oauth_apps::create))
        .route(
            &at("/oauth_apps/{id}"),
            get(oauth_apps::show).put(oauth_apps::change).delete(oauth_apps::delete),
        )
        .route(&at("/webhook"), get(webhook::show).put(webhook::set).delete(webhook::delete))
        .route(&at("/webhook/regenerate_signing_key"), post(webhook::renew_key))
        .route(&at("/projects/info"), get(projects::info))
        .merge(components::router(project))
        .layer(DefaultBodyLimit::max(API_BODY_LIMIT))
        .merge(proxy::router(&at("/proxy/{*target}")))
}
