//! Schemes whose token Causeway gets by itself, whenever it needs one, from what the customer
//! typed or installed.

use crate::row::field::Field;
use crate::row::oauth::{ClientAuth, Scopes};
use crate::row::token::{BodyForm, KeyForm, RowRequest, Send, TokenAnswer};
use crate::values::{FieldName, JsonPointer, PageUrl, Template, UrlTemplate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// OAuth 2.0 client credentials with a client of the customer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// What the customer is asked for; `client_id` and `client_secret` must be among them.
    pub fields: Vec<Field>,
    /// The token endpoint.
    pub token_url: UrlTemplate,
    /// More fields for the request, beside `grant_type`.
    #[serde(default)]
    pub params: BTreeMap<String, Template>,
    /// The form of its body.
    #[serde(default)]
    pub body: BodyForm,
    /// How the client proves itself; with `private_key_jwt` the secret is its key in PEM.
    pub client_auth: ClientAuth,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Scopes,
    /// Where the token stands in the answer.
    #[serde(default)]
    pub answer: TokenAnswer,
    /// What carries the token; `Authorization: Bearer` if not said.
    #[serde(default)]
    pub send: Option<Send>,
}

/// A token signed with the customer's key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// What the customer is asked for.
    pub fields: Vec<Field>,
    /// How it is signed (RFC 7518, section 3.1).
    pub algorithm: JwtAlgorithm,
    /// The field with the key.
    pub key: FieldName,
    /// How the key is written.
    #[serde(default)]
    pub key_form: KeyForm,
    /// More fields for the token's header, beside `alg` and `typ`.
    #[serde(default)]
    pub header: BTreeMap<String, Template>,
    /// Its claims, beside `iat` and `exp`.
    pub claims: BTreeMap<String, Template>,
    /// Seconds that it lives.
    pub lifetime: u32,
    /// The request that exchanges it for an access token; without it, it is one.
    #[serde(default)]
    pub exchange: Option<JwtExchange>,
    /// What carries the token; `Authorization: Bearer` if not said.
    #[serde(default)]
    pub send: Option<Send>,
}

/// How a JWT is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    HS256,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// The request that exchanges a JWT for an access token (RFC 7523, section 2.1).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtExchange {
    /// The token endpoint.
    pub token_url: UrlTemplate,
    /// `grant_type`; RFC 7523's if not said. Empty: none is sent.
    #[serde(default = "jwt_bearer")]
    pub grant_type: String,
    /// The field that carries the token.
    #[serde(default = "assertion")]
    pub assertion_param: String,
    /// More fields.
    #[serde(default)]
    pub params: BTreeMap<String, Template>,
    /// The form of its body.
    #[serde(default)]
    pub body: BodyForm,
    /// Where the token stands in the answer.
    #[serde(default)]
    pub answer: TokenAnswer,
}

fn jwt_bearer() -> String {
    "urn:ietf:params:oauth:grant-type:jwt-bearer".into()
}

fn assertion() -> String {
    "assertion".into()
}

/// A token that one request gets for the customer's keys.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// What the customer is asked for.
    pub fields: Vec<Field>,
    /// The request for the token.
    pub request: RowRequest,
    /// Where the token stands in the answer.
    #[serde(default)]
    pub answer: TokenAnswer,
    /// What carries the token; `Authorization: Bearer` if not said.
    #[serde(default)]
    pub send: Option<Send>,
}

/// The company's app is installed into the customer's account. The company's OAuth client is the
/// app: its id, and its private key in PEM as the secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// Where the customer's browser is sent; `{…}` stands for `client_fields`.
    pub install_url: UrlTemplate,
    /// The query parameter of the way back that names the installation. Kept as
    /// `installation_id`.
    pub id_param: String,
    /// Seconds that the app's own token (RS256, `iss` is the client's id) lives.
    pub jwt_lifetime: u32,
    /// The request for an installation's token, with the app's own as Bearer; `{installation_id}`
    /// stands in its URL.
    pub token_url: UrlTemplate,
    /// Where the installation says which account it is in, asked with the app's own token.
    #[serde(default)]
    pub installation_url: Option<UrlTemplate>,
    /// Where that answer names the account.
    #[serde(default)]
    pub account_name: Option<JsonPointer>,
    /// Where the token stands in the answer.
    #[serde(default)]
    pub answer: TokenAnswer,
    /// What carries the token; `Authorization: Bearer` if not said.
    #[serde(default)]
    pub send: Option<Send>,
}
