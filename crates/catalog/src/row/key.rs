//! Schemes whose credential is what the customer typed.

use crate::row::field::Field;
use crate::row::token::{HmacAlgorithm, KeyForm, Send, TextForm};
use crate::values::{FieldName, PageUrl, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys that the customer copies from the app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The vendor's page on where to find them.
    pub docs: PageUrl,
    /// What the customer is asked for.
    pub fields: Vec<Field>,
    /// What carries them; may be left out if `api.base_url` does.
    #[serde(default)]
    pub send: Send,
}

/// User name and password. Code sees `username` and `password`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// What the app calls the user name.
    #[serde(default = "username")]
    pub username_label: String,
    /// What the app calls the password.
    #[serde(default = "password")]
    pub password_label: String,
    /// Where to find them, in a sentence.
    #[serde(default)]
    pub help: Option<String>,
}

fn username() -> String {
    "User name".into()
}

fn password() -> String {
    "Password".into()
}

/// Every request is signed with the customer's key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// What the customer is asked for.
    pub fields: Vec<Field>,
    /// AWS Signature Version 4. One of the three is given.
    #[serde(default)]
    pub aws_sigv4: Option<AwsSigV4>,
    /// An HMAC over parts of the request.
    #[serde(default)]
    pub hmac: Option<HmacSignature>,
    /// OAuth 1.0a with tokens that the customer copies from the app (RFC 5849, section 3).
    #[serde(default)]
    pub oauth1: Option<TokenBasedOAuth1>,
}

/// AWS Signature Version 4.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSigV4 {
    /// The service's signing name, like `s3`; the first label of each request's host if not said.
    #[serde(default)]
    pub service: Option<Template>,
    /// The region.
    pub region: Template,
    /// The field with the access key id.
    pub access_key: FieldName,
    /// The field with the secret access key.
    pub secret_key: FieldName,
    /// The field with the session token, which may be empty.
    #[serde(default)]
    pub session_token: Option<FieldName>,
}

/// An HMAC over parts of the request. Beside the connection's fields, templates know `{method}`,
/// `{host}`, `{path}`, `{query}` (as sent, without `?`), `{path_and_query}`, `{url}`, `{body}`,
/// `{body_sha256}` (hexadecimal), `{timestamp}` (seconds), `{timestamp_ms}`, `{http_date}`,
/// `{nonce}` (32 hexadecimal digits), and in `send` `{signature}`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacSignature {
    /// The hash.
    pub algorithm: HmacAlgorithm,
    /// The field with the key.
    pub key: FieldName,
    /// How the key is written.
    #[serde(default)]
    pub key_form: KeyForm,
    /// What is signed.
    pub message: Template,
    /// How the signature is written.
    #[serde(default)]
    pub signature_form: TextForm,
    /// What carries it.
    pub send: Send,
}

/// OAuth 1.0a without its flow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBasedOAuth1 {
    /// How requests are signed.
    pub method: crate::row::oauth::OAuth1Method,
    /// The field with the consumer key.
    pub consumer_key: FieldName,
    /// The field with the consumer secret.
    pub consumer_secret: FieldName,
    /// The field with the token.
    pub token: FieldName,
    /// The field with the token's secret.
    pub token_secret: FieldName,
    /// The realm.
    #[serde(default)]
    pub realm: Option<Template>,
}

/// Nothing is needed to call the app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The vendor's page that says so.
    pub docs: PageUrl,
}

impl Basic {
    /// What code sees in `connections.<name>.$auth`.
    pub const AUTH_FIELDS: [&str; 2] = ["username", "password"];
}
