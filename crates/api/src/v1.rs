//! The native API, one endpoint a file.

mod access_requests;
mod access_review;
mod api_keys;
mod apps;
mod audit;
mod components;
mod connect_sessions;
mod connect_settings;
mod connections;
mod deployments;
mod groups;
mod identity_providers;
pub(crate) mod invitations;
mod invocations;
mod keys;
mod machine_clients;
mod me;
mod members;
mod oauth_clients;
mod packages;
mod projects;
pub(crate) mod proxy;
mod role_grants;
mod security_reports;
mod sessions;
mod sso_policy;
mod staff_access_requests;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhook_messages;
mod workflows;
mod workspace;
mod workspaces;

use crate::{API_BODY_LIMIT, Api, DEPLOY_BODY_LIMIT, Problem};
use axum::extract::DefaultBodyLimit;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the document says before its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Causeway",
        description = "The native API. A program's request carries an API key or an access token as `Authorization: Bearer …`. A person's carries the cookie of a session and, in `causeway-environment` or `causeway-workspace`, the id of the place where it acts; if it changes something, it has to come from a page of this server. Errors are `application/problem+json` (RFC 9457) with a stable `code`. Changing requests may carry an `Idempotency-Key`."
    ),
    components(schemas(Problem), responses(Problem, crate::scim::ScimError)),
    modifiers(&Credentials)
)]
pub(crate) struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cwk_… or JWT");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme.build()));
        let client = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        components.add_security_scheme("oauth_client", SecurityScheme::Http(client.build()));
        let session = ApiKeyValue::with_description(
            "__Host-causeway",
            "The session of a person. Over plain HTTP on the machine itself it has no `__Host-`; if the public URL names a port, `_` and the port follow, as in `causeway_8400`.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
        let requirement =
            |name| utoipa::openapi::SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
        document.security = Some(vec![requirement("api_key"), requirement("session")]);
    }
}

fn invocations() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(invocations::list::list))
        .routes(routes!(invocations::tail::tail))
        .routes(routes!(invocations::show::show, invocations::delete::delete))
        .routes(routes!(invocations::event::event))
        .routes(routes!(invocations::replay::replay))
        .routes(routes!(invocations::cancel::cancel))
        .routes(routes!(invocations::resume::resume))
}

/// The routes. `limited` puts the layers that every route has around a group of them, which takes
/// bodies of so many bytes.
pub(crate) fn router(
    limited: impl Fn(OpenApiRouter<Api>, usize) -> OpenApiRouter<Api>,
) -> OpenApiRouter<Api> {
    let deployments = OpenApiRouter::new()
        .routes(routes!(deployments::plan::plan))
        .routes(routes!(deployments::create::create))
        .routes(routes!(components::list::list, components::publish::publish));
    let others = OpenApiRouter::new()
        .routes(routes!(workflows::list::list))
        .routes(routes!(workflows::show::show))
        .routes(routes!(workflows::run::run))
        .routes(routes!(packages::list::list))
        .routes(routes!(components::show::show, components::delete::delete))
        .merge(invocations())
        .routes(routes!(connections::list::list, connections::create::create))
        .routes(routes!(connections::show::show, connections::delete::delete))
        .routes(routes!(connections::policy::show, connections::policy::set))
        .routes(routes!(connections::test::test))
        .routes(routes!(connections::revocations::create::create))
        .routes(routes!(connections::revocations::show::show))
        .routes(routes!(connections::revocations::failures::failures))
        .routes(routes!(connect_sessions::create::create))
        .routes(routes!(connect_sessions::show::show))
        .routes(routes!(connect_settings::show::show, connect_settings::set::set))
        .routes(routes!(oauth_clients::list::list, oauth_clients::set::set))
        .routes(routes!(oauth_clients::delete::delete))
        .routes(routes!(
            webhook_endpoints::show::show,
            webhook_endpoints::change::change,
            webhook_endpoints::delete::delete
        ))
        .routes(routes!(webhook_endpoints::enable::enable))
        .routes(routes!(webhook_endpoints::disable::disable))
        .routes(routes!(webhook_endpoints::replay::replay))
        .routes(routes!(webhook_messages::list::list))
        .routes(routes!(webhook_messages::show::show))
        .routes(routes!(webhook_deliveries::list::list))
        .routes(routes!(webhook_deliveries::show::show))
        .routes(routes!(webhook_deliveries::attempts::attempts))
        .routes(routes!(webhook_deliveries::replay::replay))
        .routes(routes!(apps::list::list))
        .routes(routes!(apps::show::show))
        .routes(routes!(keys::show::show))
        .routes(routes!(keys::rotate::rotate))
        .routes(routes!(me::show::show))
        .routes(routes!(sessions::list::list))
        .routes(routes!(sessions::revoke::revoke))
        .routes(routes!(identity_providers::list::list, identity_providers::create::create))
        .routes(routes!(identity_providers::change::change, identity_providers::delete::delete))
        .routes(routes!(security_reports::list::list))
        .routes(routes!(security_reports::show::show, security_reports::delete::delete))
        .routes(routes!(sso_policy::show::show, sso_policy::set::set))
        .routes(routes!(audit::list::list))
        .routes(routes!(audit::export::export))
        .routes(routes!(audit::verify::verify))
        .routes(routes!(audit::checkpoints::checkpoints))
        .routes(routes!(audit::show_retention::show_retention, audit::set_retention::set_retention))
        .routes(routes!(access_review::show::show))
        .routes(routes!(access_requests::list::list))
        .routes(routes!(access_requests::approve::approve))
        .routes(routes!(access_requests::deny::deny))
        .routes(routes!(access_requests::end::end))
        .routes(routes!(staff_access_requests::list::list, staff_access_requests::create::create))
        .routes(routes!(staff_access_requests::approve::approve))
        .routes(routes!(staff_access_requests::deny::deny))
        .routes(routes!(staff_access_requests::end::end))
        .routes(routes!(workspace::show::show))
        .routes(routes!(workspace::leave::leave))
        .routes(routes!(projects::list::list, projects::create::create))
        .routes(routes!(members::list::list))
        .routes(routes!(members::show::show, members::remove::remove))
        .routes(routes!(members::deactivate::deactivate))
        .routes(routes!(members::reactivate::reactivate))
        .routes(routes!(groups::list::list, groups::create::create))
        .routes(routes!(groups::show::show, groups::change::change, groups::delete::delete))
        .routes(routes!(
            groups::members::list::list,
            groups::members::set::set,
            groups::members::change::change
        ))
        .routes(routes!(role_grants::list::list, role_grants::create::create))
        .routes(routes!(role_grants::delete::delete));
    // Their answers hold secrets that are shown once: they are not kept for repeated requests.
    let shown_once = OpenApiRouter::new()
        .routes(routes!(connections::export::export))
        .routes(routes!(api_keys::list::list, api_keys::create::create))
        .routes(routes!(api_keys::show::show, api_keys::revoke::revoke))
        .routes(routes!(api_keys::rotate::rotate))
        .routes(routes!(machine_clients::list::list, machine_clients::create::create))
        .routes(routes!(machine_clients::show::show, machine_clients::revoke::revoke))
        .routes(routes!(machine_clients::rotate::rotate))
        .routes(routes!(machine_clients::set_keys::set_keys))
        .routes(routes!(webhook_endpoints::list::list, webhook_endpoints::create::create))
        .routes(routes!(webhook_endpoints::rotate::rotate))
        .routes(routes!(invitations::list::list, invitations::create::create))
        .routes(routes!(invitations::revoke::revoke))
        .routes(routes!(workspaces::list::list, workspaces::create::create))
        .layer(DefaultBodyLimit::max(API_BODY_LIMIT));
    limited(others, API_BODY_LIMIT).merge(shown_once).merge(limited(deployments, DEPLOY_BODY_LIMIT))
}
