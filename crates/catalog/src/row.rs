//! The form of a row. Its JSON Schema is generated from these types.

mod api;
mod field;
mod key;
mod minted;
mod oauth;
mod token;

pub use api::{
    Api, Pagination, RateHeaders, RateLimit, RateScope, ResetForm, WebhookSecret, WebhookSignature,
    Webhooks,
};
pub use field::{Field, FieldFormat, FieldOption, matches};
pub use key::{ApiKey, AwsSigV4, Basic, HmacSignature, Open, Signature, TokenBasedOAuth1};
pub use minted::{ClientCredentials, Installation, Jwt, JwtAlgorithm, JwtExchange, TokenExchange};
pub use oauth::{
    ClientAuth, Device, Introspection, Mcp, McpRegistration, OAuth1, OAuth1Method, OAuth2, Pkce,
    Refresh, Revoke, RevokeMethod, ScopeProfile, Scopes, TokenKind, TokenPlace,
};
pub use token::{
    BodyForm, ExpiryForm, HmacAlgorithm, Keep, KeepPart, KeyForm, Method, RowRequest, Send,
    SendBasic, TextForm, TokenAnswer,
};

use crate::category::Category;
use crate::shape::Shape;
use crate::values::{
    FieldName, HostPattern, HostTemplate, JsonPointer, PageUrl, Slug, Template, UrlTemplate,
};
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
    pub docs: PageUrl,
    /// The vendor's page on how to get an OAuth client, for the company.
    #[serde(default)]
    pub client_docs: Option<PageUrl>,
    /// Words to find it by.
    pub categories: Vec<Category>,
    /// Where a credential may be sent. Nowhere else does it go.
    pub hosts: Vec<HostTemplate>,
    /// What the customer is asked for whichever scheme they choose, like the name of their
    /// account in the app's address. Not secret unless they say so.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// What the company enters with its OAuth client beyond id and secret, like a developer
    /// token that goes with each call. Secret unless they say otherwise.
    #[serde(default)]
    pub client_fields: Vec<Field>,
    /// How a customer connects; at least one way.
    pub auth: AuthSchemes,
    /// The request that proves that a credential works.
    pub verify: Verify,
    /// Others, for the schemes for which that one does not do, by the scheme's name.
    #[serde(default)]
    pub verify_by: BTreeMap<String, Verify>,
    /// A boolean field at the top of the app's JSON answers that says whether the call worked,
    /// for apps that answer failures with status 200. The field `error` then holds the code.
    #[serde(default)]
    pub ok_field: Option<FieldName>,
    /// What secrets look like, by the name of the field, for the placeholders that code has in
    /// their stead: libraries check it. The one that begins like the real secret is taken, or
    /// else the first.
    #[serde(default)]
    pub looks_like: BTreeMap<FieldName, Vec<Shape>>,
    /// How the app's API is called: the proxy's base, headers, limits, pages.
    pub api: Api,
    /// How the app's webhooks are proved.
    #[serde(default)]
    pub webhooks: Option<Webhooks>,
}

/// The ways to connect that an app offers. What code sees in `connections.<name>.$auth` are the
/// fields of the app and of the scheme, what the row keeps of a token answer, and, where the
/// scheme has a token, `oauth_access_token`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSchemes {
    /// OAuth 2.0 authorization code flow (RFC 6749, section 4.1).
    pub oauth2: Option<OAuth2>,
    /// OAuth 2.0 device authorization grant (RFC 8628), beside `oauth2`, whose token endpoint,
    /// client and scopes it uses.
    pub device: Option<Device>,
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4), with a client of the customer.
    pub client_credentials: Option<ClientCredentials>,
    /// A token signed with the customer's key: sent itself, or exchanged (RFC 7523).
    pub jwt: Option<Jwt>,
    /// OAuth 1.0a (RFC 5849).
    pub oauth1: Option<OAuth1>,
    /// One or more keys that the customer copies from the app.
    pub api_key: Option<ApiKey>,
    /// User name and password in HTTP Basic (RFC 7617).
    pub basic: Option<Basic>,
    /// A token that one request gets for the customer's keys (two steps).
    pub token_exchange: Option<TokenExchange>,
    /// Every request is signed with the customer's key.
    pub signature: Option<Signature>,
    /// The company's app is installed into the customer's account, as GitHub Apps are.
    pub installation: Option<Installation>,
    /// OAuth as the Model Context Protocol describes it, found out from the server.
    pub mcp: Option<Mcp>,
    /// Nothing is needed.
    pub none: Option<Open>,
}

/// The request that proves that a credential works: any status of 2xx does, and `ok_field` if the
/// app has one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// `GET` if not said.
    #[serde(default)]
    pub method: Method,
    /// One that every credential may call and that changes nothing. `{…}` stands for fields of
    /// the connection.
    pub url: UrlTemplate,
    /// More headers than those of `api`.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// A JSON body, for apps whose every call is a POST.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
    /// Where the answer names the account that was connected: its id and what people call it.
    #[serde(default)]
    pub account: Option<AccountAt>,
}

/// Where an answer names the connected account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountAt {
    /// Its id, a text or a number.
    #[serde(default)]
    pub id: Option<JsonPointer>,
    /// Its name, or the user's e-mail address.
    #[serde(default)]
    pub name: Option<JsonPointer>,
}

impl App {
    /// The names of the schemes that the app offers, the preferred first.
    pub fn schemes(&self) -> Vec<&'static str> {
        let auth = &self.auth;
        [
            ("oauth2", auth.oauth2.is_some()),
            ("device", auth.device.is_some()),
            ("client_credentials", auth.client_credentials.is_some()),
            ("jwt", auth.jwt.is_some()),
            ("oauth1", auth.oauth1.is_some()),
            ("api_key", auth.api_key.is_some()),
            ("basic", auth.basic.is_some()),
            ("token_exchange", auth.token_exchange.is_some()),
            ("signature", auth.signature.is_some()),
            ("installation", auth.installation.is_some()),
            ("mcp", auth.mcp.is_some()),
            ("none", auth.none.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_offered)| is_offered.then_some(name))
        .collect()
    }

    /// The request that proves a credential of this scheme.
    pub fn verify_for(&self, scheme: &str) -> &Verify {
        self.verify_by.get(scheme).unwrap_or(&self.verify)
    }

    /// The hosts that may receive a credential of the app, for a connection with these values.
    /// One whose values are missing, or are no host, is left out.
    pub fn hosts<'a>(&self, value: impl Fn(&str) -> Option<&'a str> + Copy) -> Vec<HostPattern> {
        self.hosts.iter().filter_map(|host| host.fill(value)).collect()
    }

    /// Whether a request to this URL may carry a credential of a connection with these values.
    pub fn may_receive<'a>(
        &self,
        url: &url::Url,
        value: impl Fn(&str) -> Option<&'a str> + Copy,
    ) -> bool {
        self.hosts.iter().any(|host| host.covers(url, value))
    }
}
