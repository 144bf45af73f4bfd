//! Addresses that clients of the contract know beside the API: the connect page, and logos.

use super::ids;
use super::params::Params;
use crate::{Api, Problem, html};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use causeway_connect::TokenAsk;
use causeway_types::{Code, ProjectId};

/// A year: every picture has an address of its own.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/_static/connect.html", get(connect))
        .route("/_static/logos/{project}", get(logo))
}

/// Leads to the connect page of a token, after what else the address says was noted down.
async fn connect(State(api): State<Api>, params: Params) -> Response {
    let token = params.get("token").unwrap_or_default();
    let asked = match ask(&api, &params) {
        Ok(asked) => asked,
        Err(problem) => return refused(&problem),
    };
    let link = ids::link(token);
    let slug = match api.connect().narrow_token(link.expose(), &asked).await {
        Ok(slug) => slug,
        Err(error) => return refused(&error.into()),
    };
    let query = slug.map(|slug| format!("?app={slug}")).unwrap_or_default();
    // What was looked up has 64 characters that need no escaping.
    Redirect::to(&api.at(&format!("/connect/{}{query}", link.expose()))).into_response()
}

fn refused(problem: &Problem) -> Response {
    html::problem(problem).leaves().for_customers().into_response()
}

/// What the address of a connect page says beside its token.
fn ask(api: &Api, params: &Params) -> Result<TokenAsk, Problem> {
    let app = params.get("app").map(|app| ids::known_app(api, app)).transpose()?;
    Ok(TokenAsk {
        app: app.map(|app| app.slug.to_string()),
        connection: params.get("accountId").map(ids::read_account).transpose()?,
        oauth_client: params.get("oauthAppId").map(ids::read_oauth_app).transpose()?,
        scope_profile: params.owned("oauthScopeProfile"),
        app_override: params.get("appOverrideId").map(ids::read_app_override).transpose()?,
    })
}

/// A project's logo.
async fn logo(State(api): State<Api>, Path(project): Path<String>) -> Response {
    let found = match project.parse::<ProjectId>() {
        Ok(id) => api.connect().logo(id).await.map_err(Problem::from),
        Err(_) => Err(Problem::new(Code::NotFound, "There is no logo at this address.")),
    };
    let logo = match found {
        Ok(logo) => logo,
        Err(problem) => return problem.into_response(),
    };
    let mut headers = HeaderMap::new();
    let Ok(media_type) = HeaderValue::try_from(&logo.media_type) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, KEPT);
    (headers, logo.picture).into_response()
}
