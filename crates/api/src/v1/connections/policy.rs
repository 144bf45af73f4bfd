use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_connect::{CallPolicy, CallRate};
use causeway_identity::{ProxyRule, action};
use causeway_types::ConnectionId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What may be done with a connection through the proxy.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = CallPolicy)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    /// The requests that may be made; all if missing, none if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<CallRuleBody>>,
    /// How many may be made; as many as the app allows if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<CallRateBody>,
}

/// Requests that may be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CallRule)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallRuleBody {
    /// HTTP methods in capitals; all if empty.
    #[serde(default)]
    methods: Vec<String>,
    /// Paths at the app. `*` stands for text without `/`, `**` at the end for anything; all if
    /// empty.
    #[serde(default)]
    paths: Vec<String>,
}

/// How many calls may be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CallRate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallRateBody {
    /// Calls…
    calls: u32,
    /// …in this many seconds.
    seconds: u32,
}

/// Show what may be done with a connection through the proxy; an empty object: everything.
#[utoipa::path(
    get, path = "/connections/{id}/policy", tag = "connections", operation_id = "show_call_policy",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, description = "The policy.", body = PolicyBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<PolicyBody>, Problem> {
    let policy = api.connect().call_policy(&permit, id).await?;
    Ok(Json(policy.unwrap_or_default().into()))
}

/// Set what may be done with a connection through the proxy; an empty object: everything.
#[utoipa::path(
    put, path = "/connections/{id}/policy", tag = "connections", operation_id = "set_call_policy",
    params(("id" = ConnectionId, Path)),
    request_body = PolicyBody,
    responses((status = 204, description = "It is set."), (status = "default", response = Problem))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    PathId(id): PathId<ConnectionId>,
    JsonBody(body): JsonBody<PolicyBody>,
) -> Result<StatusCode, Problem> {
    let policy = CallPolicy::from(body);
    let policy = (policy != CallPolicy::default()).then_some(policy);
    api.connect().set_call_policy(&permit, id, policy).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<CallPolicy> for PolicyBody {
    fn from(policy: CallPolicy) -> Self {
        let rule = |rule: ProxyRule| CallRuleBody { methods: rule.methods, paths: rule.paths };
        Self {
            rules: policy.rules.map(|rules| rules.into_iter().map(rule).collect()),
            rate: policy.rate.map(|r| CallRateBody { calls: r.calls, seconds: r.seconds }),
        }
    }
}

impl From<PolicyBody> for CallPolicy {
    fn from(body: PolicyBody) -> Self {
        let rule = |rule: CallRuleBody| ProxyRule { methods: rule.methods, paths: rule.paths };
        Self {
            rules: body.rules.map(|rules| rules.into_iter().map(rule).collect()),
            rate: body.rate.map(|r| CallRate { calls: r.calls, seconds: r.seconds }),
        }
    }
}
