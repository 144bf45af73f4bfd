//! What starts a workflow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What starts a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSpec {
    /// A request to the workflow's own URL.
    Http(HttpTrigger),
}

/// An HTTP trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    /// Who may call the URL.
    pub auth: HttpAuth,
    /// What the caller is answered.
    #[serde(default)]
    pub response: HttpResponse,
}

/// Who may call an HTTP trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpAuth {
    /// Whoever knows the URL, which holds 128 random bits.
    None,
}

/// What the caller of an HTTP trigger is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpResponse {
    /// 202 with the ids, as soon as the event is stored.
    #[default]
    Accepted,
    /// What a step gives to `$.respond`, when it does; the caller waits for it.
    Workflow,
}
