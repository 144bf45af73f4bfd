//! The native API, one endpoint a file.

mod apps;
mod connect_sessions;
mod connections;
mod deployments;
mod invocations;
mod keys;
mod oauth_clients;
mod workflows;

use crate::{API_BODY_LIMIT, Api, DEPLOY_BODY_LIMIT, Problem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the document says before its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Causeway",
        description = "The native API. Every request carries an API key as `Authorization: Bearer cwk_…`. Errors are `application/problem+json` (RFC 9457) with a stable `code`. Changing requests may carry an `Idempotency-Key`."
    ),
    components(schemas(Problem), responses(Problem)),
    modifiers(&ApiKey)
)]
pub(crate) struct Document;

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cwk_…");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme.build()));
        document.security = Some(vec![utoipa::openapi::SecurityRequirement::new::<
            _,
            [&str; 0],
            &str,
        >("api_key", [])]);
    }
}

/// The routes. `limited` puts the layers that every route has around a group of them, which takes
/// bodies of so many bytes.
pub(crate) fn router(
    limited: impl Fn(OpenApiRouter<Api>, usize) -> OpenApiRouter<Api>,
) -> OpenApiRouter<Api> {
    let deployments = OpenApiRouter::new()
        .routes(routes!(deployments::plan::plan))
        .routes(routes!(deployments::create::create));
    let others = OpenApiRouter::new()
        .routes(routes!(workflows::list::list))
        .routes(routes!(workflows::show::show))
        .routes(routes!(workflows::run::run))
        .routes(routes!(invocations::list::list))
        .routes(routes!(invocations::tail::tail))
        .routes(routes!(invocations::show::show, invocations::delete::delete))
        .routes(routes!(invocations::event::event))
        .routes(routes!(invocations::replay::replay))
        .routes(routes!(connections::list::list, connections::create::create))
        .routes(routes!(connections::show::show, connections::delete::delete))
        .routes(routes!(connect_sessions::create::create))
        .routes(routes!(connect_sessions::show::show))
        .routes(routes!(oauth_clients::list::list, oauth_clients::set::set))
        .routes(routes!(oauth_clients::delete::delete))
        .routes(routes!(apps::list::list))
        .routes(routes!(apps::show::show))
        .routes(routes!(keys::show::show))
        .routes(routes!(keys::rotate::rotate));
    limited(others, API_BODY_LIMIT).merge(limited(deployments, DEPLOY_BODY_LIMIT))
}
