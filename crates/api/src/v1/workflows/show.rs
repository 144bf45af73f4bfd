use super::WorkflowBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WorkflowId;
use serde::Serialize;
use utoipa::ToSchema;

/// A workflow with the URL of its trigger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowDetail {
    #[serde(flatten)]
    workflow: WorkflowBody,
    /// Requests to this URL are its events. Whoever knows the URL can send them.
    trigger_url: String,
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
    let token = api.flow().workflow_trigger_token(&permit, id).await?;
    let trigger_url = api.public(&format!("/t/{}", token.expose()));
    let connections = api.flow().workflow_connections(&permit, &workflow).await?;
    let connections = connections.into_iter();
    let connections = connections.map(|(name, exposed)| WorkflowConnection { name, exposed });
    Ok(Json(WorkflowDetail {
        workflow: workflow.into(),
        trigger_url,
        connections: connections.collect(),
    }))
}
