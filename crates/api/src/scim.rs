//! SCIM 2.0 under `/scim/v2` (RFC 7643, RFC 7644): the company's directory keeps members and
//! groups. The rules live in [`causeway_identity::scim`].
//!
//! A request carries an API key whose scopes name `members.provision`; its workspace is the key's.
//! Answers are `application/scim+json`. An error has SCIM's body with Causeway's own `code` and
//! `request_id` beside.

mod answer;
mod discovery;
mod groups;
mod query;
mod users;

pub(crate) use answer::{ScimError, ScimProblem};

use crate::extract::{Authorized, JsonBody};
use crate::{API_BODY_LIMIT, Api, Problem};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use causeway_identity::Permit;
use causeway_identity::action::Action;
use causeway_identity::scim::Resource;
use causeway_types::Code;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes under `/scim/v2`.
pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::replace, users::patch, users::delete))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::show, groups::replace, groups::patch, groups::delete))
        .routes(routes!(discovery::service_provider_config))
        .routes(routes!(discovery::resource_types))
        .routes(routes!(discovery::resource_type))
        .routes(routes!(discovery::schemas))
        .routes(routes!(discovery::schema))
        .fallback(|| async {
            ScimProblem::from(Problem::new(
                Code::UnknownRoute,
                "There is nothing of SCIM at this address.",
            ))
        })
        .layer(DefaultBodyLimit::max(API_BODY_LIMIT))
}

/// [`Authorized`], with SCIM's form of a refusal.
pub(crate) struct ScimAuthorized<A: Action>(pub(crate) Permit<A>);

impl<A: Action + 'static> FromRequestParts<Api> for ScimAuthorized<A> {
    type Rejection = ScimProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ScimProblem> {
        let Authorized(permit) = Authorized::<A>::from_request_parts(parts, api).await?;
        Ok(Self(permit))
    }
}

/// A JSON object, of `application/scim+json` or `application/json`.
pub(crate) struct ScimBody(pub(crate) Resource);

impl FromRequest<Api> for ScimBody {
    type Rejection = ScimProblem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ScimProblem> {
        match JsonBody::<Resource>::from_request(request, api).await {
            Ok(JsonBody(body)) => Ok(Self(body)),
            Err(problem) => Err(ScimProblem::from(problem).of_type("invalidSyntax")),
        }
    }
}

/// An id in the path: any text, which may be nobody's.
pub(crate) struct ScimId(pub(crate) String);

impl FromRequestParts<Api> for ScimId {
    type Rejection = ScimProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ScimProblem> {
        let Path(id) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| ScimProblem::nothing_here())?;
        Ok(Self(id))
    }
}
