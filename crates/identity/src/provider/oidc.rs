//! OpenID Connect: discovery, the authorization request, the code's exchange.

use super::ask::{self, AskError, Form};
use super::id_token::{self, Expected, Person};
use super::known::Known;
use super::told::{TellError, Told, checked_subject, clean_name};
use super::{Ask, Exchange, Hints};
use crate::email::normalize_domain;
use crate::sign_in::Refusal;
use causeway_net::HttpClient;
use causeway_types::SecretString;
use causeway_types::entity::{IdentityProvider, ProviderKind};
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use std::sync::Arc;
use url::Url;

/// The most keys of an issuer that are kept.
const MAX_KEYS: usize = 100;

/// What an issuer says of itself (OpenID Connect Discovery section 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207 section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    id_token: SecretString,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    person: Person,
}

/// How Causeway proves itself at the token endpoint.
#[derive(Clone, Copy)]
enum ClientAuth {
    Basic,
    Post,
}

impl Metadata {
    /// Fetches an issuer's metadata. It must call itself exactly as it was configured.
    pub(super) async fn fetch(http: &HttpClient, issuer: &str) -> Result<Self, AskError> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = Url::parse(&address).map_err(|_| AskError::Metadata("its address is no URL"))?;
        let metadata: Self = ask::get(http, "the discovery document", &url, None).await?;
        if metadata.issuer != issuer {
            return Err(AskError::Metadata("it names another issuer"));
        }
        // A browser is sent there, so the egress guard does not see it. Plain http is left to
        // those who run a provider in a network of their own.
        let scheme = metadata.authorization_endpoint.scheme();
        if scheme != "https" && !(scheme == "http" && url.scheme() == "http") {
            return Err(AskError::Metadata("its authorization endpoint is not https"));
        }
        metadata.client_auth()?;
        Ok(metadata)
    }

    /// Fetches the issuer's keys. Those of kinds that are not known are left out.
    pub(super) async fn fetch_keys(&self, http: &HttpClient) -> Result<Arc<[Jwk]>, AskError> {
        let set: KeySet = ask::get(http, "the issuer's keys", &self.jwks_uri, None).await?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.take(MAX_KEYS).collect())
    }

    /// Without a word on it, the default is `client_secret_basic`.
    fn client_auth(&self) -> Result<ClientAuth, AskError> {
        let Some(methods) = &self.token_endpoint_auth_methods_supported else {
            return Ok(ClientAuth::Basic);
        };
        let has = |wanted: &str| methods.iter().any(|method| method == wanted);
        if has("client_secret_basic") {
            Ok(ClientAuth::Basic)
        } else if has("client_secret_post") {
            Ok(ClientAuth::Post)
        } else {
            Err(AskError::Metadata("its token endpoint takes no client secret"))
        }
    }

    /// The address to send a browser to (OpenID Connect Core section 3.1.2.1).
    pub(super) fn authorization_url(&self, row: &IdentityProvider, ask: &Ask) -> Url {
        let mut url = self.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("scope", "openid email profile")
            .append_pair("client_id", &row.client_id)
            .append_pair("redirect_uri", &ask.redirect_uri)
            .append_pair("state", &ask.state)
            .append_pair("nonce", &ask.nonce)
            .append_pair("code_challenge", &ask.challenge)
            .append_pair("code_challenge_method", "S256");
        let Hints { again, acr, hosted_domain } = &ask.hints;
        // Google knows no `login`: it can only be made to ask which account is meant.
        match (again, row.kind) {
            (false, _) => {}
            (true, ProviderKind::Google) => {
                query.append_pair("prompt", "select_account");
            }
            (true, _) => {
                query.append_pair("prompt", "login").append_pair("max_age", "0");
            }
        }
        if !acr.is_empty() {
            query.append_pair("acr_values", &acr.join(" "));
        }
        if let (Some(domain), ProviderKind::Google) = (hosted_domain, row.kind) {
            query.append_pair("hd", domain);
        }
        drop(query);
        url
    }

    /// Whether the answer comes from this issuer (RFC 9207 section 2.4).
    pub(super) fn check_issuer(&self, iss: Option<&str>) -> Result<(), Refusal> {
        match iss {
            Some(iss) if iss == self.issuer => Ok(()),
            None if !self.authorization_response_iss_parameter_supported => Ok(()),
            _ => Err(Refusal::Issuer),
        }
    }

    /// Exchanges the code.
    async fn exchange(
        &self,
        http: &HttpClient,
        row: &IdentityProvider,
        exchange: &Exchange<'_>,
    ) -> Result<TokenAnswer, TellError> {
        let what = "the token endpoint";
        let form = Form::default()
            .with("grant_type", "authorization_code")
            .with("code", exchange.code.expose())
            .with("redirect_uri", &exchange.redirect_uri)
            .with("code_verifier", exchange.verifier.expose());
        let secret = exchange.client_secret;
        let (basic, form) = match self.client_auth()? {
            ClientAuth::Basic => (Some((row.client_id.as_str(), secret)), form),
            ClientAuth::Post => {
                let form =
                    form.with("client_id", &row.client_id).with("client_secret", secret.expose());
                (None, form)
            }
        };
        let response = ask::post(http, what, &self.token_endpoint, basic, form).await?;
        if response.status() == http::StatusCode::OK {
            return Ok(ask::read(what, response).await?);
        }
        Err(super::token_refusal(what, response).await)
    }

    /// The algorithms that the issuer says it signs with, as far as it says so.
    fn signs_with(&self, algorithm: jsonwebtoken::Algorithm) -> bool {
        let name = format!("{algorithm:?}");
        let named = &self.id_token_signing_alg_values_supported;
        named.is_empty() || named.contains(&name)
    }
}

/// Exchanges the code and reads what the issuer says of whom it was for.
pub(super) async fn tell(
    http: &HttpClient,
    row: &IdentityProvider,
    known: &Known,
    exchange: &Exchange<'_>,
) -> Result<Told, TellError> {
    let metadata = known.metadata(http, row, exchange.now).await?;
    let answer = metadata.exchange(http, row, exchange).await?;
    let received = id_token::read(answer.id_token.expose())?;
    if !metadata.signs_with(received.algorithm) {
        return Err(Refusal::Algorithm.into());
    }
    let expected = Expected {
        issuer: &metadata.issuer,
        client_id: &row.client_id,
        nonce: &exchange.nonce,
        access_token: &answer.access_token,
        begun_at: exchange.begun_at,
        now: exchange.now,
    };
    let mut at_hand = known.keys(http, row, exchange.now, false).await?;
    if received.key(&at_hand).is_none() {
        at_hand = known.keys(http, row, exchange.now, true).await?;
    }
    let key = received.key(&at_hand).ok_or(Refusal::Key)?;
    let mut claims = received.verify(key, &expected)?;
    // Some issuers put only the subject into the token (OpenID Connect Core section 5.4).
    if claims.person.email.is_none()
        && let Some(url) = &metadata.userinfo_endpoint
    {
        let token = Some(&answer.access_token);
        let info: UserInfo = ask::get(http, "the userinfo endpoint", url, token).await?;
        if info.sub != claims.sub {
            return Err(Refusal::Subject.into());
        }
        claims.person = info.person;
    }
    let authentication = claims.authentication();
    let Person { email, email_verified, name } = claims.person;
    if email_verified != Some(serde_json::Value::Bool(true)) {
        return Err(Refusal::Unverified.into());
    }
    let email = email.ok_or(Refusal::Unverified)?.parse().map_err(|_| Refusal::Email)?;
    let authenticated_at = claims.auth_time.and_then(|at| id_token::past(at, exchange.now));
    if exchange.again && row.kind == ProviderKind::Oidc {
        let fresh = authenticated_at.is_some_and(|at| id_token::is_fresh(at, exchange.begun_at));
        if !fresh {
            return Err(Refusal::Stale.into());
        }
    }
    let hosted_domain = claims.hd.filter(|_| row.kind == ProviderKind::Google);
    Ok(Told {
        subject: checked_subject(claims.sub)?,
        name: clean_name(name.as_deref(), &email),
        email,
        hosted_domain: hosted_domain.and_then(|domain| normalize_domain(&domain).ok()),
        authentication,
        authenticated_at,
    })
}
