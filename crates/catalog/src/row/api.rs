//! How an app's API is called, and how its webhooks are proved.

use crate::row::token::{HmacAlgorithm, KeyForm, TextForm};
use crate::values::{JsonPointer, PageUrl, Template, UrlTemplate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the app's API is called.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// What the proxy puts before a relative path. `{…}` stands for fields of the connection; a
    /// secret in the path stands here too.
    pub base_url: UrlTemplate,
    /// Headers of every call, unless the caller gives their own.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// What the app allows, as far as it says.
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
    /// Where its answers say what is left.
    #[serde(default)]
    pub rate_headers: Option<RateHeaders>,
    /// How its listings are paged, if one way is common to them.
    #[serde(default)]
    pub pagination: Option<Pagination>,
}

/// A limit that the app documents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests…
    pub requests: u32,
    /// …in this many seconds.
    pub seconds: u32,
    /// For whom.
    #[serde(default)]
    pub per: RateScope,
}

/// For whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateScope {
    /// Each connected account.
    #[default]
    Connection,
    /// The company's OAuth client, over all customers.
    Client,
}

/// Headers of an answer that say what is left. `Retry-After` (RFC 9110, section 10.2.3) and
/// `RateLimit` (the IETF draft) are always read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateHeaders {
    /// How many requests are left in the window.
    pub remaining: String,
    /// When the window ends.
    #[serde(default)]
    pub reset: Option<String>,
    /// What `reset` is given in.
    #[serde(default)]
    pub reset_form: ResetForm,
    /// Statuses beside 429 that mean the limit if nothing remains, like 403 at GitHub.
    #[serde(default)]
    pub statuses: Vec<u16>,
}

/// How a header says when a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetForm {
    /// Seconds from now.
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

/// How listings are paged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pagination {
    /// An answer names the cursor of the next page.
    Cursor {
        /// Where.
        next: JsonPointer,
        /// The query parameter that takes it.
        param: String,
        /// Where the records stand; the answer itself if not said.
        #[serde(default)]
        records: Option<JsonPointer>,
        /// The query parameter for the page's size.
        #[serde(default)]
        limit_param: Option<String>,
        /// The largest size.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// An answer names the URL of the next page.
    NextUrl {
        /// Where.
        next: JsonPointer,
        /// Where the records stand; the answer itself if not said.
        #[serde(default)]
        records: Option<JsonPointer>,
        /// The query parameter for the page's size.
        #[serde(default)]
        limit_param: Option<String>,
        /// The largest size.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// The header `Link` with `rel="next"` (RFC 8288).
    Link {
        /// Where the records stand; the answer itself if not said.
        #[serde(default)]
        records: Option<JsonPointer>,
        /// The query parameter for the page's size.
        #[serde(default)]
        limit_param: Option<String>,
        /// The largest size.
        #[serde(default)]
        limit: Option<u32>,
    },
    /// Records are skipped.
    Offset {
        /// The query parameter that says how many.
        param: String,
        /// Where the records stand; the answer itself if not said.
        #[serde(default)]
        records: Option<JsonPointer>,
        /// The query parameter for the page's size.
        limit_param: String,
        /// The largest size.
        limit: u32,
    },
    /// Pages are numbered.
    Page {
        /// The query parameter that says which.
        param: String,
        /// The first page's number.
        first: u32,
        /// Where the records stand; the answer itself if not said.
        #[serde(default)]
        records: Option<JsonPointer>,
        /// The query parameter for the page's size.
        #[serde(default)]
        limit_param: Option<String>,
        /// The largest size.
        #[serde(default)]
        limit: Option<u32>,
    },
}

/// How the app's webhooks are proved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// The vendor's page on it.
    pub docs: PageUrl,
    /// Whose secret it is.
    pub secret: WebhookSecret,
    /// The header or query parameter that carries the proof, and how it is made.
    pub signature: WebhookSignature,
}

/// Where the secret of webhooks comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSecret {
    /// The secret of the company's OAuth client.
    ClientSecret,
    /// One that the app shows when the webhook is made, or that is chosen then.
    Own,
    /// A public key of the app.
    PublicKey,
}

/// How a webhook is proved. In `message`, `{body}` is the raw body, `{timestamp}` the value of
/// `timestamp_header`, `{url}` the URL that the app was given, `{id}` the value of `id_header`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WebhookSignature {
    /// An HMAC.
    Hmac {
        /// The header that carries it.
        header: String,
        /// The hash.
        algorithm: HmacAlgorithm,
        /// How the signature is written.
        #[serde(default)]
        form: TextForm,
        /// How the key is written.
        #[serde(default)]
        key_form: KeyForm,
        /// What stands before it in the header, like `sha256=`.
        #[serde(default)]
        prefix: String,
        /// The name of its part in a header of the form `t=…,v1=…`, with the timestamp in `t`.
        #[serde(default)]
        part: Option<String>,
        /// What is signed; the body if not said.
        #[serde(default)]
        message: Option<Template>,
        /// The header with the time, in seconds since 1970.
        #[serde(default)]
        timestamp_header: Option<String>,
        /// The header with the message's id.
        #[serde(default)]
        id_header: Option<String>,
        /// Seconds that a time may differ from ours.
        #[serde(default)]
        tolerance: Option<u32>,
    },
    /// Ed25519 over the timestamp and the body.
    Ed25519 {
        /// The header that carries it, in hexadecimal.
        header: String,
        /// What is signed.
        message: Template,
        /// The header with the time.
        #[serde(default)]
        timestamp_header: Option<String>,
    },
    /// The secret itself, in a header.
    Token {
        /// The header that carries it.
        header: String,
    },
    /// Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`,
    /// `webhook-signature`, or those of Svix.
    StandardWebhooks {
        /// What the headers' names begin with: `webhook` or `svix`.
        prefix: String,
    },
}
