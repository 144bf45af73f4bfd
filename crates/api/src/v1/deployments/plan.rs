use super::{DeployRequest, action_word, change_word, read_files, script_word};
use crate::extract::{Authorized, JsonBody};
use crate::v1::workflows::trigger::TriggerBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_flow::{Change, PlannedPackage};
use causeway_identity::action;
use causeway_types::WorkflowId;
use causeway_types::entity::Ecosystem;
use serde::Serialize;
use utoipa::ToSchema;

/// What a deploy would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanBody {
    /// The workflow's name.
    workflow: String,
    /// The workflow, if it exists.
    workflow_id: Option<WorkflowId>,
    /// `create`, `update`, `reactivate` (an earlier version) or `unchanged`.
    action: &'static str,
    /// SHA-256 of the content.
    digest: String,
    /// How the files differ from those of the active version.
    files: Vec<FileChange>,
    /// What would start it.
    triggers: Vec<TriggerBody>,
    /// The connections that it uses.
    connections: Vec<PlannedConnection>,
    /// The hosts that its code may reach.
    egress: Vec<String>,
    /// How its packages differ from those of the active version.
    packages: Vec<PackageChange>,
    /// Locks that the folder has not and that were made: put them into the folder to keep to them.
    made_locks: Vec<MadeLock>,
    /// What would be deployed all the same and would not work as it is, in words.
    warnings: Vec<String>,
}

/// A package that differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct PackageChange {
    /// `npm` or `pypi`.
    ecosystem: Ecosystem,
    /// Its name.
    name: String,
    /// `added`, `changed` or `removed`.
    change: &'static str,
    /// Its version; null if it is gone.
    version: Option<String>,
    /// The version before, if there was one.
    before: Option<String>,
    /// `left_out` or `run`: what becomes of its install script; null if it has none.
    install_script: Option<&'static str>,
}

impl From<PlannedPackage> for PackageChange {
    fn from(one: PlannedPackage) -> Self {
        let change = match (&one.version, &one.before) {
            (Some(_), None) => Change::Added,
            (Some(_), Some(_)) => Change::Changed,
            (None, _) => Change::Removed,
        };
        Self {
            ecosystem: one.ecosystem,
            name: one.name,
            change: change_word(change),
            version: one.version,
            before: one.before,
            install_script: script_word(one.script),
        }
    }
}

/// A lock that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeLock {
    /// The name of its file.
    file: String,
    /// Its text.
    text: String,
}

/// A file that differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileChange {
    /// Its path.
    path: String,
    /// `added`, `changed` or `removed`.
    change: &'static str,
}

/// A connection that a workflow uses.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlannedConnection {
    /// Its name.
    name: String,
    /// Its app.
    app: String,
    /// How it is.
    state: String,
    /// Whether the code gets the credential itself and not a placeholder.
    exposed: bool,
}

/// Say what a deploy would do, and change nothing.
#[utoipa::path(
    post, path = "/deployments/plan", tag = "deployments", operation_id = "plan_deployment",
    request_body = DeployRequest,
    responses((status = 200, description = "The plan.", body = PlanBody), (status = "default", response = Problem))
)]
pub(crate) async fn plan(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::Deploy>,
    JsonBody(request): JsonBody<DeployRequest>,
) -> Result<Json<PlanBody>, Problem> {
    let plan = api.flow().plan(&permit, read_files(request.files)?).await?;
    let file = |(path, change)| FileChange { path, change: change_word(change) };
    let connection = |one: causeway_flow::PlannedConnection| PlannedConnection {
        name: one.name,
        app: one.app,
        state: one.state,
        exposed: one.exposed,
    };
    Ok(Json(PlanBody {
        workflow: plan.workflow,
        workflow_id: plan.workflow_id,
        action: action_word(plan.action),
        digest: plan.digest,
        files: plan.files.into_iter().map(file).collect(),
        triggers: plan.triggers.into_iter().map(TriggerBody::from).collect(),
        connections: plan.connections.into_iter().map(connection).collect(),
        egress: plan.egress,
        packages: plan.packages.into_iter().map(PackageChange::from).collect(),
        made_locks: plan
            .made_locks
            .into_iter()
            .map(|(file, text)| MadeLock { file, text })
            .collect(),
        warnings: plan.warnings,
    }))
}
