//! Schemes in which the customer agrees at the app, in a browser.

use crate::row::token::{BodyForm, Send, TokenAnswer};
use crate::values::{AppUrl, FieldName, PageUrl, Template, UrlTemplate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an app does OAuth 2.0.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// Where the customer's browser is sent.
    pub authorization_url: UrlTemplate,
    /// More query parameters for it.
    #[serde(default)]
    pub authorization_params: BTreeMap<String, Template>,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: UrlTemplate,
    /// More fields for each token request.
    #[serde(default)]
    pub token_params: BTreeMap<String, Template>,
    /// More headers for each token request.
    #[serde(default)]
    pub token_headers: BTreeMap<String, Template>,
    /// The form of its body.
    #[serde(default)]
    pub token_body: BodyForm,
    /// How the client proves itself there (RFC 6749, section 2.3.1; RFC 7523, section 2.2).
    pub client_auth: ClientAuth,
    /// What the app calls `client_id`.
    #[serde(default = "client_id")]
    pub client_id_param: String,
    /// Whether the flow uses PKCE (RFC 7636); always with S256.
    pub pkce: Pkce,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Scopes,
    /// Where the parts of a token answer stand.
    #[serde(default)]
    pub answer: TokenAnswer,
    /// Query parameters of the way back that are kept with the credential, under these names.
    #[serde(default)]
    pub callback_keep: BTreeMap<FieldName, String>,
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
    /// What carries the token; `Authorization: Bearer` if not said.
    #[serde(default)]
    pub send: Option<Send>,
}

fn client_id() -> String {
    "client_id".into()
}

/// How the OAuth client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic, with id and secret form-encoded first.
    Basic,
    /// `client_id` and `client_secret` in the body.
    Post,
    /// A signed assertion (RFC 7523, section 2.2): the client's secret is a private key in PEM.
    PrivateKeyJwt,
    /// It only names itself: a public client.
    None,
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
    /// The query parameter that carries them. Empty: the app takes none.
    pub param: String,
    /// Sets of scopes that a connect session can ask for by name.
    pub profiles: Vec<ScopeProfile>,
}

/// A set of scopes with a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeProfile {
    /// Its name, like `read_only`.
    pub name: FieldName,
    /// What it is for, in a few words.
    pub description: String,
    /// The scopes.
    pub scopes: Vec<String>,
}

impl Default for Scopes {
    fn default() -> Self {
        Self {
            default: Vec::new(),
            separator: " ".into(),
            param: "scope".into(),
            profiles: Vec::new(),
        }
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
    /// Where, if not at `token_url`.
    #[serde(default)]
    pub url: Option<UrlTemplate>,
    /// More fields for the request, beside those of `token_params`.
    #[serde(default)]
    pub params: BTreeMap<String, Template>,
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
    /// Where. `{client_id}` stands for the OAuth client's id.
    pub url: UrlTemplate,
    /// `POST`, `DELETE` or `GET`.
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
    /// For apps that know no better.
    Get,
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
    /// As this parameter of the query, for apps that take it nowhere else.
    Query(String),
    /// In the header `Authorization: Bearer`.
    Bearer,
}

impl Default for TokenPlace {
    fn default() -> Self {
        Self::Form("token".into())
    }
}

/// The device authorization grant (RFC 8628).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// Where a code for the customer is got.
    pub device_authorization_url: UrlTemplate,
    /// What the app calls `verification_uri` in its answer.
    #[serde(default = "verification_uri")]
    pub verification_uri: String,
}

fn verification_uri() -> String {
    "verification_uri".into()
}

/// How an app does OAuth 1.0a (RFC 5849). The company's OAuth client holds consumer key and
/// secret; code sees `oauth_access_token` and `oauth_access_token_secret`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth1 {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// Where a request token is got.
    pub request_token_url: AppUrl,
    /// Where the customer's browser is sent.
    pub authorization_url: AppUrl,
    /// More query parameters for it.
    #[serde(default)]
    pub authorization_params: BTreeMap<String, String>,
    /// Where the request token is exchanged.
    pub access_token_url: AppUrl,
    /// How requests are signed.
    pub method: OAuth1Method,
    /// Fields of the token answer that are kept with the credential, under these names.
    #[serde(default)]
    pub keep: BTreeMap<FieldName, String>,
}

/// How requests of OAuth 1.0a are signed (RFC 5849, section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OAuth1Method {
    /// HMAC with SHA-1.
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// HMAC with SHA-256.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    /// The secrets themselves; over TLS only.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

/// OAuth as the Model Context Protocol describes it: the authorization server is found from the
/// server's own metadata (RFC 9728, RFC 8414), the client registers itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// The MCP server's URL, its resource identifier (RFC 8707).
    pub url: UrlTemplate,
    /// How Causeway may become a client there, the preferred first.
    pub registration: Vec<McpRegistration>,
    /// Asked for; what the server's metadata says, if empty.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// How Causeway becomes a client of an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpRegistration {
    /// Its client id is the URL of its own metadata document.
    MetadataDocument,
    /// Dynamic client registration (RFC 7591).
    Dynamic,
    /// The company's OAuth client, registered by hand.
    Static,
}

impl OAuth2 {
    /// What code sees in `connections.<name>.$auth`.
    pub const AUTH_FIELDS: [&str; 1] = ["oauth_access_token"];
}
