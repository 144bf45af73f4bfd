use super::WorkflowBody;
use super::trigger::TriggerBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WorkflowId;
use serde::Serialize;
use utoipa::ToSchema;

/// A workflow with what starts it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowDetail {
    #[serde(flatten)]
    workflow: WorkflowBody,
    /// The URL of its HTTP trigger, if it has one such trigger.
    trigger_url: Option<String>,
    /// What starts its active version.
    triggers: Vec<TriggerBody>,
    /// The connections that its active version uses.
    connections: Vec<WorkflowConnection>,
}

/// A connection that a version uses.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowConnection {
    /// Its name.
    name: String,
    /// Whether the code gets the credential itself and not a placeholder (`expose: true`).
    exposed: bool,
}

/// Show a workflow.
#[utoipa::path(
    get, path = "/workflows/{id}", tag = "workflows", operation_id = "show_workflow",
    params(("id" = WorkflowId, Path)),
    responses((status = 200, description = "The workflow.", body = WorkflowDetail), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkflows>,
    PathId(id): PathId<WorkflowId>,
) -> Result<Json<WorkflowDetail>, Problem> {
    let workflow = api.flow().workflow(&permit, id).await?;
    let triggers = api.flow().workflow_triggers(&permit, &workflow).await?;
    let triggers = TriggerBody::deployed(&api, triggers);
    let connections = api.flow().workflow_connections(&permit, &workflow).await?;
    let connections = connections.into_iter();
    let connections = connections.map(|(name, exposed)| WorkflowConnection { name, exposed });
    Ok(Json(WorkflowDetail {
        workflow: workflow.into(),
        trigger_url: TriggerBody::only_url(&triggers),
        triggers,
        connections: connections.collect(),
    }))
}
