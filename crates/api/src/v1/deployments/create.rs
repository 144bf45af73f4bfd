use super::{DeployRequest, action_word, read_files};
use crate::extract::{Authorized, JsonBody};
use crate::v1::workflows::trigger::TriggerBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::{VersionId, WorkflowId};
use serde::Serialize;
use utoipa::ToSchema;

/// What a deploy did.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeploymentBody {
    /// The workflow.
    workflow_id: WorkflowId,
    /// The active version.
    version_id: VersionId,
    /// Its number.
    number: i64,
    /// `create`, `update`, `reactivate` or `unchanged`.
    action: &'static str,
    /// The URL of its HTTP trigger, if it has one such trigger.
    trigger_url: Option<String>,
    /// What starts it.
    triggers: Vec<TriggerBody>,
}

/// Deploy a workflow: make its files a version, and that version the active one.
#[utoipa::path(
    post, path = "/deployments", tag = "deployments", operation_id = "create_deployment",
    request_body = DeployRequest,
    responses((status = 200, description = "The version is active.", body = DeploymentBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::Deploy>,
    JsonBody(request): JsonBody<DeployRequest>,
) -> Result<Json<DeploymentBody>, Problem> {
    let deployment = api.flow().deploy(&permit, read_files(request.files)?).await?;
    let triggers = TriggerBody::deployed(&api, deployment.triggers);
    Ok(Json(DeploymentBody {
        workflow_id: deployment.workflow_id,
        version_id: deployment.version_id,
        number: deployment.number,
        action: action_word(deployment.action),
        trigger_url: TriggerBody::only_url(&triggers),
        triggers,
    }))
}
