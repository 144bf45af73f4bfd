//! The web application flow.

use super::{Granted, Shared, Token, secret};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use std::sync::Arc;
use url::{Url, form_urlencoded};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/login/oauth/authorize", get(ask).post(decide))
        .route("/login/oauth/access_token", post(exchange))
}

/// An authorization request, and the page's form, which repeats it with a decision.
#[derive(Deserialize)]
struct Authorization {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    code_challenge: Option<String>,
    #[serde(default)]
    code_challenge_method: Option<String>,
    #[serde(default)]
    decision: String,
}

impl Authorization {
    /// Where the answer goes, or what is answered at once.
    fn check(&self, shared: &Shared) -> Result<Url, Box<Response>> {
        let registered = {
            let options = shared.options();
            if self.client_id != options.client_id {
                return Err(Box::new(StatusCode::NOT_FOUND.into_response()));
            }
            options.callback_url.clone()
        };
        let wanted = match &self.redirect_uri {
            None => registered.clone(),
            Some(text) => match Url::parse(text) {
                Ok(url) if is_below(&url, &registered) => url,
                _ => {
                    let error = [
                        ("error", "redirect_uri_mismatch"),
                        (
                            "error_description",
                            "The redirect_uri MUST match the registered callback URL for this application.",
                        ),
                    ];
                    return Err(Box::new(self.back(shared, registered, &error)));
                }
            },
        };
        // Only S256 is taken, and its challenge has 43 characters.
        let fits = match (&self.code_challenge, self.code_challenge_method.as_deref()) {
            (None, None) => true,
            (Some(challenge), Some("S256")) => challenge.len() == 43,
            _ => false,
        };
        if !fits {
            return Err(Box::new(self.back(shared, wanted, &[("error", "invalid_request")])));
        }
        Ok(wanted)
    }

    fn back(&self, shared: &Shared, mut to: Url, answer: &[(&str, &str)]) -> Response {
        to.query_pairs_mut()
            .extend_pairs(answer)
            .append_pair("state", &self.state)
            .append_pair("iss", &format!("{}/login/oauth", shared.base));
        (StatusCode::FOUND, [(header::LOCATION, to.to_string())]).into_response()
    }
}

/// The host and port of a `redirect_uri` must be the callback URL's, and its path must begin with
/// the callback URL's ("Redirect URLs").
fn is_below(url: &Url, registered: &Url) -> bool {
    let base = registered.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(base);
    url.origin() == registered.origin()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn ask(State(shared): State<Arc<Shared>>, Query(request): Query<Authorization>) -> Response {
    if let Err(refusal) = request.check(&shared) {
        return *refusal;
    }
    let fields = [
        ("client_id", Some(request.client_id)),
        ("redirect_uri", request.redirect_uri),
        ("scope", Some(request.scope)),
        ("state", Some(request.state)),
        ("code_challenge", request.code_challenge),
        ("code_challenge_method", request.code_challenge_method),
    ];
    let login = escape(&shared.options().account.login);
    let inputs = fields.into_iter().filter_map(|(name, value)| {
        let value = escape(&value?);
        Some(format!(r#"<input type="hidden" name="{name}" value="{value}">"#))
    });
    let form: String = inputs.collect::<Vec<_>>().concat();
    Html(format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Authorize application</title></head>
<body><h1>Authorize application</h1><p>Signed in as <strong>{login}</strong></p>
<form method="post" action="/login/oauth/authorize">{form}
<button name="decision" value="authorize">Authorize</button>
<button name="decision" value="cancel">Cancel</button></form></body></html>"#
    ))
    .into_response()
}

async fn decide(State(shared): State<Arc<Shared>>, Form(request): Form<Authorization>) -> Response {
    let to = match request.check(&shared) {
        Ok(to) => to,
        Err(refusal) => return *refusal,
    };
    if request.decision != "authorize" {
        let error = [
            ("error", "access_denied"),
            ("error_description", "The user has denied your application access."),
        ];
        return request.back(&shared, to, &error);
    }
    let code = secret("");
    let granted = Granted {
        redirect_uri: to.to_string(),
        challenge: request.code_challenge.clone(),
        scope: request.scope.clone(),
        account: shared.options().account.clone(),
    };
    shared.granted().insert(code.clone(), granted);
    request.back(&shared, to, &[("code", &code)])
}

/// A request for a token.
#[derive(Deserialize)]
struct TokenRequest {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    code_verifier: Option<String>,
}

/// Every refusal has status 200.
async fn exchange(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    let fields = match grant(&shared, &request) {
        Ok((token, scope)) => vec![
            ("access_token", token),
            ("scope", scope.split(' ').collect::<Vec<_>>().join(",")),
            ("token_type", "bearer".to_owned()),
        ],
        Err((error, description)) => vec![
            ("error", error.to_owned()),
            ("error_description", description.to_owned()),
            (
                "error_uri",
                format!(
                    "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#{}",
                    error.replace('_', "-")
                ),
            ),
        ],
    };
    let json = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    if json {
        let object: serde_json::Map<_, _> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return axum::Json(object).into_response();
    }
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    ([(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], form)
        .into_response()
}

/// The token and its scope, or the error and its description.
fn grant(
    shared: &Shared,
    request: &TokenRequest,
) -> Result<(String, String), (&'static str, &'static str)> {
    let bad = ("bad_verification_code", "The code passed is incorrect or expired.");
    {
        let options = shared.options();
        if request.client_id != options.client_id || request.client_secret != options.client_secret
        {
            return Err((
                "incorrect_client_credentials",
                "The client_id and/or client_secret passed are incorrect.",
            ));
        }
    }
    // A code is good once, whatever comes of it.
    let granted = shared.granted().remove(&request.code).ok_or(bad)?;
    if request.redirect_uri.as_ref().is_some_and(|uri| *uri != granted.redirect_uri) {
        return Err((
            "redirect_uri_mismatch",
            "The redirect_uri MUST match the registered callback URL for this application.",
        ));
    }
    // The documentation names no error of its own for a verifier that does not fit.
    let hash =
        |verifier: &str| BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
    let proved = match (&granted.challenge, &request.code_verifier) {
        (None, _) => true,
        (Some(challenge), Some(verifier)) => hash(verifier) == *challenge,
        (Some(_), None) => false,
    };
    if !proved {
        return Err(bad);
    }
    let token = secret("gho_");
    let opens = Token { scope: granted.scope.clone(), account: granted.account };
    shared.tokens().insert(token.clone(), opens);
    Ok((token, granted.scope))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
