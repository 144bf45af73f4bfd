//! API keys. A key's text is in the one answer that makes it and nowhere else: these answers are
//! not kept for an `Idempotency-Key`.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod show;

use crate::Problem;
use causeway_identity::action::ActionName;
use causeway_identity::{ApiKeyView, ProxyRule, Scopes};
use causeway_types::{ApiKeyId, Code, Timestamp};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The longest part of a wrong name that is sent back, in characters.
const SHOWN: usize = 64;

/// What a program may do in its environment. Each list narrows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Scopes)]
pub(crate) struct ScopesBody {
    /// The actions, like `workflows.deploy`. Left out: the usual ones, as far as you have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<String>>,
    /// The apps whose connections and OAuth clients may be touched. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apps: Option<Vec<String>>,
    /// The requests that may go through the proxy. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_objects")]
    proxy: Option<Vec<ProxyRuleBody>>,
}

/// Requests that may go through the proxy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProxyRule)]
pub(crate) struct ProxyRuleBody {
    /// HTTP methods in capital letters. Empty: all.
    #[serde(default)]
    methods: Vec<String>,
    /// Paths at the app. `*` stands for any text without a `/`, `**` at the end for anything.
    /// Empty: all.
    #[serde(default)]
    paths: Vec<String>,
}

/// Reads an object only: a list would be taken for the fields in their order, so that `[]`, which
/// looks like nothing at all, would be everything usual.
pub(crate) fn object<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let object = Map::deserialize(from)?;
    T::deserialize(Value::Object(object)).map_err(D::Error::custom)
}

fn some_objects<'de, D, T>(from: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Some(objects) = Option::<Vec<Map<String, Value>>>::deserialize(from)? else {
        return Ok(None);
    };
    let read = |object| T::deserialize(Value::Object(object)).map_err(D::Error::custom);
    objects.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

impl TryFrom<ScopesBody> for Scopes {
    type Error = Problem;

    fn try_from(body: ScopesBody) -> Result<Self, Problem> {
        let action = |name: String| {
            name.parse::<ActionName>().map_err(|_| {
                let shown: String = name.chars().take(SHOWN).collect();
                Problem::new(
                    Code::InvalidRequest,
                    format!("`scopes.actions` names `{shown}`, which is no action."),
                )
            })
        };
        let actions = body.actions.map(|names| names.into_iter().map(action).collect());
        let rule = |rule: ProxyRuleBody| ProxyRule { methods: rule.methods, paths: rule.paths };
        Ok(Self {
            actions: actions.transpose()?,
            apps: body.apps,
            proxy: body.proxy.map(|rules| rules.into_iter().map(rule).collect()),
        })
    }
}

impl From<Scopes> for ScopesBody {
    fn from(scopes: Scopes) -> Self {
        let rule = |rule: ProxyRule| ProxyRuleBody { methods: rule.methods, paths: rule.paths };
        Self {
            actions: Some(scopes.actions().iter().map(ToString::to_string).collect()),
            apps: scopes.apps,
            proxy: scopes.proxy.map(|rules| rules.into_iter().map(rule).collect()),
        }
    }
}

/// An API key, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyBody {
    /// Its id.
    id: ApiKeyId,
    /// What people call it.
    name: String,
    /// Its first characters, by which people tell it from others.
    hint: String,
    /// What it may do.
    scopes: ScopesBody,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it stops working, if ever.
    expires_at: Option<Timestamp>,
    /// When it was used last, to a minute. Known within a minute of the use.
    last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    revoked_at: Option<Timestamp>,
}

impl From<ApiKeyView> for ApiKeyBody {
    fn from(key: ApiKeyView) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.into(),
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A new API key with its text.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(crate) struct NewApiKeyBody {
    #[serde(flatten)]
    key: ApiKeyBody,
    /// The key: `cwk_…`. It is shown this once.
    api_key: String,
}
