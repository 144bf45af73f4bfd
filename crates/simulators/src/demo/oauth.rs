//! The authorization server: RFC 6749 with PKCE (RFC 7636) and rotating refresh tokens
//! (RFC 9700, section 4.14.2), revocation (RFC 7009), introspection of refresh tokens (RFC 7662),
//! issuer in the answer (RFC 9207), userinfo.

use super::Shared;
use super::crm::bearer;
use super::faults::Fault;
use super::page::{self, Consent};
use super::refusal::Refusal;
use super::serve::HangUp;
use super::state::{Refreshed, Tokens};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::sync::Arc;
use url::Url;

/// The scopes that there are.
const SCOPES: [&str; 2] = ["crm.read", "crm.write"];

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth/authorize", get(ask).post(decide))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/oauth/introspect", post(introspect))
        .route("/oauth/userinfo", get(userinfo))
}

/// An authorization request, and the consent page's form, which repeats it with a decision.
#[derive(Deserialize)]
struct Authorization {
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    #[serde(default)]
    decision: String,
}

/// A checked request.
struct Checked {
    redirect_uri: Url,
    scope: String,
}

impl Authorization {
    /// Everything that must be right before a code may be given.
    fn check(&self, shared: &Shared) -> Result<Checked, Refusal> {
        let page =
            |why: &str| Err(Refusal::new((StatusCode::BAD_REQUEST, Html(page::refusal(why)))));
        let redirect_uri = {
            let state = shared.state();
            if self.client_id != state.client_id() {
                return page("No client has this client_id here.");
            }
            match Url::parse(&self.redirect_uri) {
                Ok(uri) if state.may_return_to(&uri) => uri,
                _ => return page("The redirect_uri is not registered for this client."),
            }
        };
        let back = |error| {
            Err(Refusal::new(self.back(&shared.issuer, &redirect_uri, &[("error", error)])))
        };
        if self.response_type != "code" {
            return back("unsupported_response_type");
        }
        // 43 characters: a SHA-256 in base64url without padding.
        if self.code_challenge_method != "S256" || self.code_challenge.len() != 43 {
            return back("invalid_request");
        }
        if self.scope.split(' ').any(|scope| !scope.is_empty() && !SCOPES.contains(&scope)) {
            return back("invalid_scope");
        }
        let scope = match self.scope.trim() {
            "" => SCOPES.join(" "),
            named => named.to_owned(),
        };
        Ok(Checked { redirect_uri, scope })
    }

    /// Sends the browser back to the client.
    fn back(&self, issuer: &str, redirect_uri: &Url, answer: &[(&str, &str)]) -> Response {
        let mut uri = redirect_uri.clone();
        uri.query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs((!self.state.is_empty()).then_some(("state", &self.state)))
            .append_pair("iss", issuer);
        (StatusCode::SEE_OTHER, [(header::LOCATION, uri.to_string())]).into_response()
    }
}

async fn ask(
    State(shared): State<Arc<Shared>>,
    Query(request): Query<Authorization>,
) -> Result<Html<String>, Refusal> {
    let checked = request.check(&shared)?;
    let scopes: Vec<&str> = checked.scope.split(' ').collect();
    let fields = [
        ("response_type", request.response_type),
        ("client_id", request.client_id),
        ("redirect_uri", request.redirect_uri),
        ("scope", request.scope),
        ("state", request.state),
        ("code_challenge", request.code_challenge),
        ("code_challenge_method", request.code_challenge_method),
    ];
    Ok(Html(page::consent(&Consent { fields: &fields, scopes: &scopes })))
}

async fn decide(
    State(shared): State<Arc<Shared>>,
    Form(request): Form<Authorization>,
) -> Result<Response, Refusal> {
    let checked = request.check(&shared)?;
    let (issuer, uri) = (&shared.issuer, &checked.redirect_uri);
    if request.decision != "allow" {
        return Ok(request.back(issuer, uri, &[("error", "access_denied")]));
    }
    let code = shared.state().grant(&request.redirect_uri, &request.code_challenge, &checked.scope);
    Ok(request.back(issuer, uri, &[("code", &code)]))
}

/// A request at the token, revocation or introspection endpoint.
#[derive(Deserialize)]
struct TokenForm {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    refresh_token: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Extension(hang_up): Extension<HangUp>,
    headers: HeaderMap,
    Form(form): Form<TokenForm>,
) -> Response {
    shared.counters().token_requests.count(&form.grant_type);
    let met = shared.faults.take();
    if let Some(met) = &met {
        match met.fault {
            Fault::ServerError => {
                met.arrive();
                return error(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
            }
            Fault::InvalidGrant => {
                met.arrive();
                return error(StatusCode::BAD_REQUEST, "invalid_grant");
            }
            Fault::LoseRequest => {
                met.arrive();
                hang_up.now().await;
            }
            Fault::HoldRequest => met.hold().await,
            Fault::LoseAnswer | Fault::HoldAnswer => {}
        }
    }
    let answer = exchange(&shared, &headers, &form).into_response();
    if let Some(met) = &met {
        match met.fault {
            Fault::LoseAnswer => {
                met.arrive();
                hang_up.now().await;
            }
            Fault::HoldAnswer => met.hold().await,
            _ => {}
        }
    }
    answer
}

fn exchange(shared: &Shared, headers: &HeaderMap, form: &TokenForm) -> Result<Response, Refusal> {
    authenticate(shared, headers, form)?;
    let outcome = match form.grant_type.as_str() {
        "authorization_code" => {
            shared.state().exchange(&form.code, &form.redirect_uri, &form.code_verifier)
        }
        "refresh_token" => refresh(shared, &form.refresh_token),
        _ => return Ok(error(StatusCode::BAD_REQUEST, "unsupported_grant_type")),
    };
    match outcome.map_err(not_kept)? {
        Some(tokens) => {
            let body = json!({
                "access_token": tokens.access,
                "token_type": "Bearer",
                "expires_in": tokens.expires_in,
                "refresh_token": tokens.refresh,
                "scope": tokens.scope,
            });
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        }
        None => Ok(error(StatusCode::BAD_REQUEST, "invalid_grant")),
    }
}

fn refresh(shared: &Shared, token: &str) -> io::Result<Option<Tokens>> {
    let refreshed = shared.state().refresh(token)?;
    let mut counters = shared.counters();
    Ok(match refreshed {
        Refreshed::Tokens(tokens) => {
            counters.refreshes += 1;
            Some(tokens)
        }
        Refreshed::Reused => {
            counters.reuse_detections += 1;
            None
        }
        Refreshed::Unknown => None,
    })
}

async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<TokenForm>,
) -> Result<StatusCode, Refusal> {
    authenticate(&shared, &headers, &form)?;
    if shared.faults.meet_revocation().await {
        return Err(Refusal::new(error(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
        )));
    }
    // An unknown token is as good as revoked (RFC 7009, section 2.2).
    let ended = shared.state().revoke(&form.token).map_err(not_kept)?;
    shared.counters().revocations += u64::from(ended);
    Ok(StatusCode::OK)
}

/// Says of a refresh token whether it would be exchanged now. Asking changes nothing.
async fn introspect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<TokenForm>,
) -> Result<Response, Refusal> {
    shared.counters().introspections += 1;
    authenticate(&shared, &headers, &form)?;
    let active = shared.state().is_exchangeable(&form.token);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({ "active": active }))).into_response())
}

async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if bearer(&headers).is_none_or(|token| shared.state().scope_of(token).is_none()) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
        let body = Json(json!({ "error": "invalid_token" }));
        return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
    }
    Json(json!({
        "sub": "demo-user-1",
        "name": "Ada Northwind",
        "email": "sales@northwind.example",
        "email_verified": true,
        "organization": "Northwind Traders",
    }))
    .into_response()
}

/// Checks the client by HTTP Basic or by the form (RFC 6749, section 2.3.1); not by both.
fn authenticate(shared: &Shared, headers: &HeaderMap, form: &TokenForm) -> Result<(), Refusal> {
    let basic = headers.get(header::AUTHORIZATION);
    let known = match basic {
        Some(_) if !form.client_secret.is_empty() => false,
        Some(value) => basic_pair(value.to_str().unwrap_or_default())
            .is_some_and(|(id, secret)| shared.state().is_client(&id, &secret)),
        None => shared.state().is_client(&form.client_id, &form.client_secret),
    };
    if known {
        return Ok(());
    }
    let mut refusal = error(StatusCode::UNAUTHORIZED, "invalid_client");
    if basic.is_some() {
        let challenge = header::HeaderValue::from_static("Basic realm=\"demo\"");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    Err(Refusal::new(refusal))
}

/// The two halves of an HTTP Basic header, each form-decoded.
fn basic_pair(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

fn error(status: StatusCode, code: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], (status, Json(json!({ "error": code }))))
        .into_response()
}

/// The state file could not be written.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn not_kept(failed: io::Error) -> Refusal {
    let body = json!({ "error": "server_error", "error_description": failed.to_string() });
    Refusal::new((StatusCode::INTERNAL_SERVER_ERROR, Json(body)))
}
