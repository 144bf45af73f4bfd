//! The requests for tokens, as rows describe them.

use super::MintError;
use crate::apply::{Applied, basic, put_headers, sensitive};
use crate::client::Client;
use crate::credential::Tokens;
use crate::jws::SigningKey;
use crate::token_endpoint::{Ask, EndpointError, Prepared};
use causeway_catalog::{
    BodyForm, ClientCredentials, Installation, Jwt, JwtAlgorithm, KeyForm, Method, RowRequest,
    Template, UrlTemplate,
};
use causeway_types::entity::Scheme;
use causeway_types::{SecretString, Timestamp};
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// How far the clock of an app may be behind ours.
const SKEW: u64 = 30;

/// What getting a token takes.
pub(crate) enum Minting {
    /// A request.
    Ask(Prepared),
    /// Nothing: the key has made it.
    Here(Tokens),
}

pub(super) fn of(applied: &Applied<'_>) -> Result<Minting, MintError> {
    let auth = &applied.app.auth;
    let missing = || MintError::Unconfigured { app: applied.app.slug.to_string() };
    let request = match applied.scheme {
        Scheme::ClientCredentials => {
            client_credentials(applied, auth.client_credentials.as_ref().ok_or_else(missing)?)
        }
        Scheme::Jwt => return jwt(applied, auth.jwt.as_ref().ok_or_else(missing)?),
        Scheme::TokenExchange => {
            row_request(applied, &auth.token_exchange.as_ref().ok_or_else(missing)?.request)
        }
        Scheme::Installation => {
            let row = auth.installation.as_ref().ok_or_else(missing)?;
            return as_the_app(applied, row, http::Method::POST, &row.token_url).map(Minting::Ask);
        }
        _ => return Err(missing()),
    };
    request.map(Minting::Ask).map_err(|source| match source {
        EndpointError::Key => key(applied, "client_secret"),
        source => MintError::Endpoint { app: applied.app.name.clone(), source },
    })
}

/// RFC 6749, section 4.4.2, with the customer's own client.
fn client_credentials(
    applied: &Applied<'_>,
    row: &ClientCredentials,
) -> Result<Prepared, EndpointError> {
    let mut ask = Ask::post(url(applied, &row.token_url)?);
    ask.set("grant_type", "client_credentials");
    let scopes = row.scopes.default.join(&row.scopes.separator);
    if !scopes.is_empty() && !row.scopes.param.is_empty() {
        ask.set(&row.scopes.param, &scopes);
    }
    set_all(&mut ask, applied, &row.params)?;
    let value = |name| applied.values.stored.value(name).ok_or(EndpointError::Request);
    let client = Client::new(
        value("client_id")?.to_owned(),
        SecretString::new(value("client_secret")?.to_owned()),
    );
    ask.prove(row.client_auth, "client_id", &client, applied.moment)?;
    ask.ready(row.body)
}

/// RFC 7523, section 2.1; or the token itself.
fn jwt(applied: &Applied<'_>, row: &Jwt) -> Result<Minting, MintError> {
    let failed = |source| MintError::Endpoint { app: applied.app.name.clone(), source };
    let bad_key = || key(applied, row.key.as_str());
    let text = applied.values.get(row.key.as_str()).ok_or_else(bad_key)?;
    let signing = SigningKey::read(text, row.algorithm, row.key_form).ok_or_else(bad_key)?;
    let header = texts(applied, &row.header).map_err(failed)?;
    let claims = texts(applied, &row.claims).map_err(failed)?;
    let (token, expires_at) =
        signed(applied, &signing, header, claims, row.lifetime).ok_or_else(bad_key)?;
    let Some(exchange) = &row.exchange else {
        return Ok(Minting::Here(Tokens {
            access: token,
            secret: None,
            refresh: None,
            obtained_at: applied.moment.now,
            expires_at: Some(expires_at),
        }));
    };
    let ask = || {
        let mut ask = Ask::post(url(applied, &exchange.token_url)?);
        if !exchange.grant_type.is_empty() {
            ask.set("grant_type", &exchange.grant_type);
        }
        ask.set(&exchange.assertion_param, token.expose());
        set_all(&mut ask, applied, &exchange.params)?;
        ask.ready(exchange.body)
    };
    ask().map(Minting::Ask).map_err(failed)
}

/// A request with the app's own token: docs.github.com/en/apps/creating-github-apps, "Generating a
/// JSON Web Token (JWT) for a GitHub App".
pub(super) fn as_the_app(
    applied: &Applied<'_>,
    row: &Installation,
    method: http::Method,
    to: &UrlTemplate,
) -> Result<Prepared, MintError> {
    let client = applied.values.client;
    let client =
        client.ok_or_else(|| MintError::Unconfigured { app: applied.app.slug.to_string() })?;
    let bad_key = || key(applied, "client_secret");
    let signing = SigningKey::read(client.secret.expose(), JwtAlgorithm::RS256, KeyForm::Text);
    let signing = signing.ok_or_else(bad_key)?;
    let claims = Map::from_iter([("iss".to_owned(), Value::from(client.client_id.as_str()))]);
    let (token, _) =
        signed(applied, &signing, Map::new(), claims, row.jwt_lifetime).ok_or_else(bad_key)?;
    let ask = || {
        let mut ask = Ask::new(method, url(applied, to)?);
        // It is a call to the app's API, which may demand headers of its own.
        put_headers(applied, applied.app.api.headers.iter(), ask.headers())?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        ask.headers().insert(AUTHORIZATION, sensitive(&bearer)?);
        ask.ready(BodyForm::Json)
    };
    ask().map_err(|source| MintError::Endpoint { app: applied.app.name.clone(), source })
}

/// A request of a row.
fn row_request(applied: &Applied<'_>, row: &RowRequest) -> Result<Prepared, EndpointError> {
    let mut url = url(applied, &row.url)?;
    for (name, template) in &row.query {
        if let Some(text) = applied.fill(template)? {
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
    let mut ask = Ask::new(method(row.method), url);
    put_headers(applied, row.headers.iter(), ask.headers())?;
    if let Some(pair) = &row.basic {
        let user = applied.fill(&pair.username)?.unwrap_or_default();
        let password = match &pair.password {
            Some(template) => applied.fill(template)?.unwrap_or_default(),
            None => Zeroizing::default(),
        };
        ask.headers().insert(AUTHORIZATION, basic(&user, &password)?);
    }
    set_all(&mut ask, applied, &row.form)?;
    match &row.json {
        Some(json) => ask.ready_with_json(&filled(applied, json)?),
        None => ask.ready(BodyForm::Form),
    }
}

/// JSON with its texts filled in. What names an optional field that was left empty is left out.
fn filled(applied: &Applied<'_>, json: &Value) -> Result<Value, EndpointError> {
    Ok(match json {
        Value::String(text) => {
            // Rows are read only if their texts are templates.
            let template: Template =
                serde_json::from_value(text.as_str().into()).map_err(|_| EndpointError::Request)?;
            applied.fill(&template)?.map_or(Value::Null, |text| text.as_str().into())
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(applied, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let mut object = Map::new();
            for (name, item) in map {
                let value = filled(applied, item)?;
                if !(value.is_null() && item.is_string()) {
                    object.insert(name.clone(), value);
                }
            }
            Value::Object(object)
        }
        other => other.clone(),
    })
}

/// Signs a token that is good from a little ago for its lifetime, and says when it ends.
fn signed(
    applied: &Applied<'_>,
    key: &SigningKey,
    header: Map<String, Value>,
    mut claims: Map<String, Value>,
    lifetime: u32,
) -> Option<(SecretString, Timestamp)> {
    let lifetime = u64::from(lifetime);
    // Some apps refuse tokens of the future, some those that live too long; so both ends move.
    let issued = applied.moment.now.as_secs().saturating_sub(SKEW.min(lifetime / 10));
    let end = issued + lifetime;
    claims.insert("iat".into(), issued.into());
    claims.insert("exp".into(), end.into());
    let end = Timestamp::from_micros(0).plus(Duration::from_secs(end));
    Some((key.sign(header, claims)?, end))
}

fn texts(
    applied: &Applied<'_>,
    templates: &BTreeMap<String, Template>,
) -> Result<Map<String, Value>, EndpointError> {
    let mut map = Map::new();
    for (name, template) in templates {
        if let Some(text) = applied.fill(template)? {
            map.insert(name.clone(), text.as_str().into());
        }
    }
    Ok(map)
}

fn set_all(
    ask: &mut Ask,
    applied: &Applied<'_>,
    templates: &BTreeMap<String, Template>,
) -> Result<(), EndpointError> {
    for (name, template) in templates {
        if let Some(text) = applied.fill(template)? {
            ask.set(name, &text);
        }
    }
    Ok(())
}

fn url(applied: &Applied<'_>, template: &UrlTemplate) -> Result<url::Url, EndpointError> {
    template.fill(|name| applied.values.get(name)).ok_or(EndpointError::Request)
}

pub(crate) fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

fn key(applied: &Applied<'_>, field: &str) -> MintError {
    MintError::Key { app: applied.app.name.clone(), field: field.to_owned() }
}
