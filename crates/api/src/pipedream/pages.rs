//! Addresses that clients of the contract know beside the API: the connect page, and logos.

use super::ids;
use super::params::Params;
use crate::{Api, Problem, html};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use causeway_connect::{LinkError, TokenAsk, TokenError};
use causeway_types::{Code, ProjectId, SecretString};
use url::form_urlencoded;

/// A year: every picture has an address of its own.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/_static/connect.html", get(connect))
        .route("/_static/logos/{project}", get(logo))
}

/// Leads to the connect page of a token, after what else the address says was noted down. Clients of
/// the contract show it in a frame, so what goes wrong has to be readable there too.
async fn connect(State(api): State<Api>, params: Params) -> Response {
    let link = ids::link(params.get("token").unwrap_or_default());
    let asked = match ask(&api, &params) {
        Ok(asked) => asked,
        Err(problem) => return refused(&api, &link, &problem).await,
    };
    let slug = match api.connect().narrow_token(link.expose(), &asked).await {
        Ok(slug) => slug,
        // The page itself tells its customer what became of the link.
        Err(TokenError::Refused(Some(LinkError::Used | LinkError::Expired))) => None,
        Err(error) => return refused(&api, &link, &error.into()).await,
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(slug) = &slug {
        query.append_pair("app", slug);
    }
    if params.get("hideClose").is_some_and(|value| !matches!(value, "false" | "0")) {
        query.append_pair("hideClose", "true");
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    // What was looked up has 64 characters that need no escaping.
    Redirect::to(&api.at(&format!("/connect/{}{mark}{query}", link.expose()))).into_response()
}

async fn refused(api: &Api, link: &SecretString, problem: &Problem) -> Response {
    let framing = api.connect().framing(link.expose()).await.unwrap_or_default();
    let page = html::problem(problem).leaves().for_customers();
    page.framed_by(framing.origins).into_response()
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
