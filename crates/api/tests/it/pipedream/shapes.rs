//! What the contract's operations answer with, field by field. A field that is not named here makes
//! a test fail, as does one that is missing without being marked as optional.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(crate) struct AccessToken {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: u64,
    pub(crate) scope: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectToken {
    pub(crate) token: String,
    pub(crate) expires_at: String,
    pub(crate) connect_link_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Validation {
    pub(crate) success: bool,
    pub(crate) error: Option<String>,
    pub(crate) app: Option<App>,
    pub(crate) project_id: Option<String>,
    pub(crate) project_app_name: Option<String>,
    pub(crate) project_environment: Option<String>,
    pub(crate) project_support_email: Option<String>,
    pub(crate) success_redirect_uri: Option<String>,
    pub(crate) error_redirect_uri: Option<String>,
    pub(crate) oauth_app_id: Option<String>,
    #[expect(dead_code, reason = "the contract has it; nothing here answers with it")]
    pub(crate) oauth_app_workday_official: Option<bool>,
    #[expect(dead_code, reason = "the contract has it; nothing here answers with it")]
    pub(crate) oauth_app_connect_base_url: Option<String>,
    pub(crate) app_override_id: Option<String>,
    #[serde(default)]
    pub(crate) app_override_field_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    pub(crate) page_info: PageInfo,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageInfo {
    pub(crate) count: usize,
    pub(crate) total_count: usize,
    pub(crate) start_cursor: Option<String>,
    pub(crate) end_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) external_id: String,
    pub(crate) healthy: bool,
    pub(crate) dead: bool,
    pub(crate) app: App,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) authorized_scopes: Vec<String>,
    pub(crate) credentials: Option<BTreeMap<String, String>>,
    pub(crate) expires_at: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) last_refreshed_at: Option<String>,
    pub(crate) next_refresh_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) name_slug: String,
    pub(crate) name: String,
    pub(crate) auth_type: AuthType,
    pub(crate) description: String,
    #[expect(dead_code, reason = "no app of the catalogue has a picture yet")]
    pub(crate) img_src: Option<String>,
    pub(crate) custom_fields_json: String,
    pub(crate) categories: Vec<String>,
    pub(crate) featured_weight: i64,
    pub(crate) connect: AppCalls,
    pub(crate) scope_profiles: Vec<ScopeProfile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthType {
    Oauth,
    Keys,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppCalls {
    pub(crate) proxy_enabled: bool,
    pub(crate) allowed_domains: Vec<String>,
    pub(crate) base_proxy_target_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeProfile {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) scopes: Vec<String>,
}

/// A member of `custom_fields_json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomField {
    pub(crate) name: String,
    pub(crate) label: String,
    #[expect(dead_code, reason = "may be null")]
    pub(crate) description: Option<String>,
    #[expect(dead_code, reason = "may be null")]
    pub(crate) default: Option<String>,
    pub(crate) optional: bool,
    pub(crate) r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct One<T> {
    pub(crate) data: T,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Category {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalUser {
    pub(crate) id: String,
    pub(crate) external_id: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppOverride {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) app: App,
    pub(crate) oauth_app_id: Option<String>,
    pub(crate) cfmap: BTreeMap<String, Option<String>>,
    pub(crate) owner_id: String,
    pub(crate) ts: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthApp {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) name_slug: String,
    pub(crate) description: String,
    pub(crate) app: App,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    pub(crate) owner_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookAnswer {
    pub(crate) data: Option<Webhook>,
    pub(crate) signing_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) signing_key: Option<String>,
    pub(crate) signing_key_set: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) app_name: Option<String>,
    pub(crate) support_email: Option<String>,
    pub(crate) connect_require_key_auth_test: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectInfo {
    pub(crate) apps: Vec<UsedApp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsedApp {
    pub(crate) id: String,
    pub(crate) name_slug: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usage {
    pub(crate) data: Vec<UsageDay>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageDay {
    pub(crate) credits_used: i64,
    pub(crate) action_run_credits_used: i64,
    pub(crate) proxy_credits_used: i64,
    pub(crate) source_emit_credits_used: i64,
    pub(crate) usage_start_ts: u64,
    pub(crate) usage_end_ts: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    pub(crate) token: String,
}

/// What an error is in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) code: Option<String>,
    #[expect(dead_code, reason = "any object")]
    pub(crate) details: Option<serde_json::Map<String, Value>>,
}

/// No body at all, with status 204.
#[derive(Debug)]
pub(crate) struct Nothing;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(crate) struct Component {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: Option<String>,
    pub(crate) component_type: String,
    pub(crate) configurable_props: Vec<Prop>,
    #[expect(dead_code, reason = "the contract has it; nothing here answers with it")]
    pub(crate) stash: Option<String>,
    pub(crate) annotations: Option<Value>,
}

/// A prop: what else it has is its author's.
#[derive(Debug, Deserialize)]
pub(crate) struct Prop {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Observation {
    pub(crate) k: String,
    pub(crate) ts: u64,
    pub(crate) msg: Option<String>,
    pub(crate) err: Option<Thrown>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thrown {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) stack: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Choices {
    pub(crate) options: Option<Vec<Choice>>,
    pub(crate) string_options: Option<Vec<String>>,
    pub(crate) context: Option<Value>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) errors: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) label: String,
    pub(crate) value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Reloaded {
    pub(crate) observations: Vec<Observation>,
    pub(crate) errors: Vec<String>,
    pub(crate) dynamic_props: Option<DynamicProps>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DynamicProps {
    pub(crate) id: String,
    pub(crate) configurable_props: Vec<Prop>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ran {
    pub(crate) exports: BTreeMap<String, Value>,
    pub(crate) os: Vec<Observation>,
    pub(crate) ret: Option<Value>,
    pub(crate) stash_id: Option<String>,
}
