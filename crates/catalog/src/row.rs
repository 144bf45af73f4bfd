//! The form of a row. Its JSON Schema is generated from these types.

use crate::values::{AppUrl, FieldName, HostPattern, JsonPointer, Slug, Template, UrlTemplate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The short name; also the name of the row's folder.
    pub slug: Slug,
    /// The name that people know.
    pub name: String,
    /// One sentence: what one connects it for.
    pub description: String,
    /// The vendor's page from which the facts of this row come.
    pub docs: AppUrl,
    /// Words to find it by.
    #[serde(default)]
    pub categories: Vec<Slug>,
    /// Where a credential may be sent. Nowhere else does it go.
    pub hosts: Vec<HostPattern>,
    /// How a customer connects; at least one way.
    pub auth: AuthSchemes,
    /// The request that proves that a credential works.
    pub verify: Verify,
    /// A boolean field at the top of the app's JSON answers that says whether the call worked,
    /// for apps that answer failures with status 200. The field `error` then holds the code.
    #[serde(default)]
    pub ok_field: Option<FieldName>,
}

/// The ways to connect that an app offers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthSchemes {
    /// OAuth 2.0 authorization code flow (RFC 6749, section 4.1). Code sees
    /// `oauth_access_token`.
    #[serde(default)]
    pub oauth2: Option<OAuth2>,
    /// One or more keys that the customer copies from the app. Code sees them by their names.
    #[serde(default)]
    pub api_key: Option<ApiKey>,
    /// User name and password in HTTP Basic (RFC 7617). Code sees `username` and `password`.
    #[serde(default)]
    pub basic: Option<Basic>,
}

/// How an app does OAuth 2.0.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// The vendor's page on it.
    pub docs: AppUrl,
    /// Where the customer's browser is sent.
    pub authorization_url: AppUrl,
    /// More query parameters for it.
    #[serde(default)]
    pub authorization_params: BTreeMap<String, String>,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: AppUrl,
    /// More form fields for each token request.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// How the client proves itself there (RFC 6749, section 2.3.1).
    pub client_auth: ClientAuth,
    /// Whether the flow uses PKCE (RFC 7636); always with S256.
    pub pkce: Pkce,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Scopes,
    /// The object of a code's token answer that holds `access_token` and its companions, if it is
    /// not the answer itself.
    #[serde(default)]
    pub token_at: Option<JsonPointer>,
    /// Seconds that an access token lives if the token answer has no `expires_in`. Without
    /// either, it does not expire.
    #[serde(default)]
    pub default_expires_in: Option<u32>,
    /// How tokens are refreshed; without it, an expired one needs the customer.
    #[serde(default)]
    pub refresh: Option<Refresh>,
    /// How the app is asked whether it has replaced a refresh token, after an answer was lost.
    #[serde(default)]
    pub introspection: Option<Introspection>,
    /// How a grant is given back.
    #[serde(default)]
    pub revoke: Option<Revoke>,
    /// Who the customer is at the app (OpenID Connect Core, section 5.3).
    #[serde(default)]
    pub userinfo_url: Option<AppUrl>,
}

/// How the OAuth client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic, with id and secret form-encoded first.
    Basic,
    /// `client_id` and `client_secret` in the form.
    Post,
}

/// Whether the flow uses PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// The app refuses flows without it. Sent.
    Required,
    /// The app checks it if it is sent. Sent.
    Supported,
    /// The app does not know it, or it changes what the client is. Not sent; the signed,
    /// session-bound state still ties the answer to the browser.
    Forbidden,
}

/// What an OAuth flow asks for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scopes {
    /// Asked for if the OAuth client's settings name none.
    pub default: Vec<String>,
    /// Between scopes; RFC 6749 says a space.
    pub separator: String,
    /// The query parameter that carries them.
    pub param: String,
}

impl Default for Scopes {
    fn default() -> Self {
        Self { default: Vec::new(), separator: " ".into(), param: "scope".into() }
    }
}

/// How an app refreshes tokens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Whether a refresh token is replaced by the one in the answer and then refused. An answer
    /// with a refresh token is stored either way.
    pub rotates: bool,
    /// Whether the app accepts the old token once more after its answer was lost.
    #[serde(default)]
    pub retry_old_token: bool,
    /// The values of `error` with which the app says that the grant is gone.
    #[serde(default = "invalid_grant")]
    pub denied_errors: Vec<String>,
}

/// RFC 6749, section 5.2.
fn invalid_grant() -> Vec<String> {
    vec!["invalid_grant".into()]
}

impl Refresh {
    /// Whether the old refresh token may be sent again when it is not known what became of the
    /// first attempt.
    pub fn may_repeat(&self) -> bool {
        !self.rotates || self.retry_old_token
    }
}

/// How an app says what it thinks of a token (RFC 7662). Only for apps that let the OAuth client
/// ask about its own refresh tokens, answer `active: false` for one that they have replaced, and
/// end nothing because of the question.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Where. At the host of `token_url` or one of `hosts`: it receives the refresh token.
    pub url: AppUrl,
    /// How the client proves itself there; RFC 7662, section 2.1, demands it.
    pub client_auth: ClientAuth,
}

/// How an app takes a grant back. The defaults are RFC 7009.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Where.
    pub url: UrlTemplate,
    /// `POST` or `DELETE`.
    #[serde(default)]
    pub method: RevokeMethod,
    /// Which token ends the grant. If the connection has no refresh token, the access token is
    /// sent.
    #[serde(default)]
    pub token: TokenKind,
    /// How it is sent.
    #[serde(default)]
    pub send: TokenPlace,
    /// How the client proves itself; without it, the token is proof enough.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
}

/// The method of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RevokeMethod {
    /// RFC 7009, section 2.1.
    #[default]
    Post,
    /// For apps that model the grant as a resource.
    Delete,
}

/// Which of a connection's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The refresh token, with which the whole grant ends (RFC 7009, section 2.1).
    #[default]
    Refresh,
    /// The access token.
    Access,
}

/// How a token is sent for its revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenPlace {
    /// As this field of a form.
    Form(String),
    /// As this field of a JSON object.
    Json(String),
    /// In the header `Authorization: Bearer`.
    Bearer,
}

impl Default for TokenPlace {
    fn default() -> Self {
        Self::Form("token".into())
    }
}

/// Keys that the customer copies from the app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The vendor's page on where to find them.
    pub docs: AppUrl,
    /// What the customer is asked for.
    pub fields: Vec<KeyField>,
    /// The headers that carry them.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The query parameters that carry them, for apps that take them nowhere else.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
}

/// One field of the form with which a customer connects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyField {
    /// Its name in code.
    pub name: FieldName,
    /// Its name for the customer.
    pub label: String,
    /// Where to find it.
    #[serde(default)]
    pub help: Option<String>,
    /// Whether it is hidden while typed and masked in logs.
    #[serde(default = "yes")]
    pub secret: bool,
}

fn yes() -> bool {
    true
}

/// User name and password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The vendor's page on it.
    pub docs: AppUrl,
    /// What the app calls the user name.
    #[serde(default = "username")]
    pub username_label: String,
    /// What the app calls the password.
    #[serde(default = "password")]
    pub password_label: String,
}

fn username() -> String {
    "User name".into()
}

fn password() -> String {
    "Password".into()
}

/// The request that proves that a credential works: any status of 2xx does, and `ok_field` if the
/// app has one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// `GET` or `POST` (without a body).
    #[serde(default)]
    pub method: VerifyMethod,
    /// One that every credential may call and that changes nothing.
    pub url: AppUrl,
}

/// The method of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerifyMethod {
    /// The usual.
    #[default]
    Get,
    /// For apps whose every call is a POST.
    Post,
}

impl App {
    /// Whether a request to this URL may carry a credential of the app.
    pub fn may_receive(&self, url: &url::Url) -> bool {
        self.hosts.iter().any(|host| host.covers(url))
    }
}

impl AuthSchemes {
    /// Whether the app offers no way to connect at all.
    pub fn is_empty(&self) -> bool {
        self.oauth2.is_none() && self.api_key.is_none() && self.basic.is_none()
    }
}

impl OAuth2 {
    /// What code sees in `connections.<name>.$auth`.
    pub const AUTH_FIELDS: [&str; 1] = ["oauth_access_token"];
}

impl ApiKey {
    /// What code sees in `connections.<name>.$auth`.
    pub fn auth_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }
}

impl Basic {
    /// What code sees in `connections.<name>.$auth`.
    pub const AUTH_FIELDS: [&str; 2] = ["username", "password"];
}
