//! Giving a grant back to the app: RFC 7009, or the app's own call.

use crate::Inner;
use crate::apply::{Moment, Values, sensitive};
use crate::client::Client;
use crate::credential::Tokens;
use crate::token_endpoint::{Ask, EndpointError, Prepared};
use causeway_catalog::{App, BodyForm, OAuth2, Revoke, RevokeMethod, TokenKind, TokenPlace};
use causeway_net::RequestLimits;
use http::header::AUTHORIZATION;
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
    /// Asks the app to end the grant behind these tokens. `values` are the connection's, for the
    /// address.
    pub(crate) async fn revoke(
        &self,
        app: &App,
        row: &OAuth2,
        client: &Client,
        values: Values<'_>,
    ) -> Revocation {
        let Some(revoke) = &row.revoke else { return Revocation::NotOffered };
        let Some(tokens) = &values.stored.tokens else { return Revocation::NotOffered };
        let values = Values { client: Some(client), ..values };
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        match request(revoke, (client, &row.client_id_param), (values, tokens), moment) {
            Ok(request) => self.take_back(app, request).await,
            Err(error) => Revocation::Failed(error.to_string()),
        }
    }

    /// Sends the request that ends a grant.
    async fn take_back(&self, app: &App, request: Prepared) -> Revocation {
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let response = match self.http.request(request.into_request(), limits).await {
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
    (client, id_param): (&Client, &str),
    (values, tokens): (Values<'_>, &Tokens),
    moment: Moment<'_>,
) -> Result<Prepared, EndpointError> {
    let mut url = revoke.url.fill(|name| values.get(name)).ok_or(EndpointError::Request)?;
    let (token, kind) = match (revoke.token, &tokens.refresh) {
        (TokenKind::Refresh, Some(token)) => (token, "refresh_token"),
        _ => (&tokens.access, "access_token"),
    };
    if let TokenPlace::Query(name) = &revoke.send {
        url.query_pairs_mut().append_pair(name, token.expose());
    }
    let method = match revoke.method {
        RevokeMethod::Post => http::Method::POST,
        RevokeMethod::Delete => http::Method::DELETE,
        RevokeMethod::Get => http::Method::GET,
    };
    let mut ask = Ask::new(method, url);
    let mut form = BodyForm::Form;
    match &revoke.send {
        TokenPlace::Form(name) => {
            ask.set(name, token.expose());
            if name == "token" {
                // RFC 7009 section 2.1.
                ask.set("token_type_hint", kind);
            }
        }
        TokenPlace::Json(name) => {
            ask.set(name, token.expose());
            form = BodyForm::Json;
        }
        TokenPlace::Query(_) => {}
        TokenPlace::Bearer => {
            let text = Zeroizing::new(format!("Bearer {}", token.expose()));
            ask.headers().insert(AUTHORIZATION, sensitive(&text)?);
        }
    }
    if let Some(auth) = revoke.client_auth {
        ask.prove(auth, id_param, client, moment)?;
    }
    ask.ready(form)
}
