//! Requests for tokens, their answers, and how a credential goes with a request.

use crate::values::{FieldName, JsonPointer, Template, UrlTemplate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request that a row describes. `{…}` stands for fields of the connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowRequest {
    /// `GET` if not said.
    #[serde(default)]
    pub method: Method,
    /// Where to.
    pub url: UrlTemplate,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// Query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// `Authorization: Basic` of these two.
    #[serde(default)]
    pub basic: Option<SendBasic>,
    /// A form body. Not together with `json`.
    #[serde(default)]
    pub form: BTreeMap<String, Template>,
    /// A JSON body; its texts are templates.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// RFC 9110, section 9.3.1.
    #[default]
    Get,
    /// RFC 9110, section 9.3.3.
    Post,
    /// RFC 9110, section 9.3.4.
    Put,
    /// RFC 9110, section 9.3.5.
    Delete,
    /// RFC 5789.
    Patch,
}

/// How a credential goes with a request to the app. The names in braces are the connection's:
/// fields of the app, of the scheme, of the company's client, what was kept of a token answer, and
/// `oauth_access_token` where the scheme has a token. A secret in the path stands in
/// `api.base_url` instead.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    /// In headers.
    pub headers: BTreeMap<String, Template>,
    /// In query parameters, for apps that take it nowhere else.
    pub query: BTreeMap<String, Template>,
    /// In `Authorization: Basic`.
    pub basic: Option<SendBasic>,
    /// In fields of the JSON or form body of each request that has one.
    pub body: BTreeMap<String, Template>,
}

/// What goes into `Authorization: Basic` (RFC 7617).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendBasic {
    /// The user name.
    pub username: Template,
    /// The password; empty if not said.
    #[serde(default)]
    pub password: Option<Template>,
}

/// Where the parts of a token answer stand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenAnswer {
    /// The object that holds the others, if it is not the answer itself. For `oauth2`: of the
    /// answer to a code.
    pub at: Option<JsonPointer>,
    /// The access token's name there.
    pub access_token: String,
    /// The refresh token's.
    pub refresh_token: String,
    /// The lifetime's.
    pub expires_in: String,
    /// What the lifetime is given in.
    pub expiry: ExpiryForm,
    /// The granted scopes', a text or a list of texts.
    pub scope: String,
    /// Seconds that a token lives if the answer does not say. Without either, it does not expire.
    pub default_expires_in: Option<u32>,
    /// Values to keep with the credential, under these names; not secret.
    pub keep: BTreeMap<FieldName, Keep>,
}

impl Default for TokenAnswer {
    /// RFC 6749, section 5.1.
    fn default() -> Self {
        Self {
            at: None,
            access_token: "access_token".into(),
            refresh_token: "refresh_token".into(),
            expires_in: "expires_in".into(),
            expiry: ExpiryForm::Seconds,
            scope: "scope".into(),
            default_expires_in: None,
            keep: BTreeMap::new(),
        }
    }
}

/// How an answer says when a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryForm {
    /// Seconds from now, as a number or a text.
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMilliseconds,
    /// A date of RFC 3339.
    Rfc3339,
}

/// A value of a token answer that is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Where it stands in the whole answer.
    pub at: JsonPointer,
    /// Which part of it.
    #[serde(default)]
    pub part: KeepPart,
}

/// Which part of a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepPart {
    /// All of it.
    #[default]
    Whole,
    /// Host and port of the URL that it is, so that it may stand in a host.
    Host,
}

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// The bytes of the text; for `jwt` with RS, ES or `EdDSA`: PEM.
    #[default]
    Text,
    /// Base64.
    Base64,
    /// Hexadecimal.
    Hex,
}

/// A hash for HMAC (RFC 2104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-1, where the app knows nothing better.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// Hexadecimal, in lower case.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 for URLs without padding.
    Base64Url,
}
