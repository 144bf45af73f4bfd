//! Giving a grant back to the app: RFC 7009, or the app's own call.

use crate::Inner;
use crate::credential::Tokens;
use crate::token_endpoint::{Client, EndpointError, Form, client_header, sensitive};
use bytes::Bytes;
use causeway_catalog::{App, OAuth2, Revoke, RevokeMethod, TokenKind, TokenPlace};
use causeway_net::RequestLimits;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use std::time::Duration;
use zeroize::Zeroizing;

/// Time for the request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// What became of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// The app has taken the grant back.
    Done,
    /// The row has no call for it, or the scheme has no grant.
    NotOffered,
    /// The app did not confirm it.
    Failed(String),
}

impl std::fmt::Display for Revocation {
    /// As the audit event says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("yes"),
            Self::NotOffered => f.write_str("not offered"),
            Self::Failed(why) => write!(f, "no: {why}"),
        }
    }
}

impl Inner {
    /// Asks the app to end the grant behind these tokens.
    pub(crate) async fn revoke(
        &self,
        app: &App,
        row: &OAuth2,
        client: &Client,
        tokens: &Tokens,
    ) -> Revocation {
        let Some(revoke) = &row.revoke else { return Revocation::NotOffered };
        let Ok(request) = request(revoke, client, tokens) else {
            return Revocation::Failed("the request cannot be built from the app's row".into());
        };
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let response = match self.http.request(request, limits).await {
            Ok(response) => response,
            Err(error) => return Revocation::Failed(error.to_string()),
        };
        let status = response.status();
        if !status.is_success() {
            return Revocation::Failed(format!("the app answered with status {}", status.as_u16()));
        }
        let Some(field) = &app.ok_field else { return Revocation::Done };
        let body = response.bytes().await.unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        match body.get(field.as_str()).and_then(serde_json::Value::as_bool) {
            Some(true) => Revocation::Done,
            _ => Revocation::Failed("the app answered that it failed".into()),
        }
    }
}

fn request(
    revoke: &Revoke,
    client: &Client,
    tokens: &Tokens,
) -> Result<http::Request<Bytes>, EndpointError> {
    let url = revoke.url.fill(&client.client_id).ok_or(EndpointError::Request)?;
    let (token, kind) = match (revoke.token, &tokens.refresh) {
        (TokenKind::Refresh, Some(token)) => (token, "refresh_token"),
        _ => (&tokens.access, "access_token"),
    };
    let method = match revoke.method {
        RevokeMethod::Post => http::Method::POST,
        RevokeMethod::Delete => http::Method::DELETE,
    };
    let mut form = Form::default();
    let proof = match revoke.client_auth {
        Some(auth) => client_header(auth, client, &mut form).transpose()?,
        None => None,
    };
    let mut request = http::Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(ACCEPT, "application/json");
    if let Some(proof) = proof {
        request = request.header(AUTHORIZATION, proof);
    }
    let (content_type, body) = match &revoke.send {
        TokenPlace::Form(name) => {
            form.add(name, token.expose());
            if name == "token" {
                // RFC 7009 section 2.1.
                form.add("token_type_hint", kind);
            }
            (Some("application/x-www-form-urlencoded"), form.into_body())
        }
        TokenPlace::Json(name) => {
            let object = serde_json::json!({ name.as_str(): token.expose() });
            (Some("application/json"), Bytes::from(object.to_string()))
        }
        TokenPlace::Bearer => {
            let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
            request = request.header(AUTHORIZATION, sensitive(&bearer)?);
            (None, Bytes::new())
        }
    };
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    request.body(body).map_err(|_| EndpointError::Request)
}
