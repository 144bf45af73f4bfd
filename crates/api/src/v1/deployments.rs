//! Deployments: a folder's files become a version.

pub(crate) mod create;
pub(crate) mod plan;

use crate::Problem;
use causeway_flow::{Change, InstallScript, PlanAction};
use causeway_types::Code;
use data_encoding::BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The files of a workflow's folder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployRequest {
    /// Every file by its path in the folder, `workflow.yaml` among them, in base64.
    files: BTreeMap<String, String>,
}

/// The bytes of files that were sent in base64.
pub(super) fn read_files(
    files: BTreeMap<String, String>,
) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    files
        .into_iter()
        .map(|(path, text)| match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok((path, bytes)),
            Err(error) => Err(Problem::new(
                Code::InvalidRequest,
                format!("The file `{path}` is not in base64: {error}."),
            )),
        })
        .collect()
}

/// The word for what a deploy does to the workflow.
fn action_word(action: PlanAction) -> &'static str {
    match action {
        PlanAction::Create => "create",
        PlanAction::Update => "update",
        PlanAction::Reactivate => "reactivate",
        PlanAction::Unchanged => "unchanged",
    }
}

/// The word for how a file differs.
fn change_word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Removed => "removed",
    }
}

/// The word for what becomes of an install script.
fn script_word(script: InstallScript) -> Option<&'static str> {
    match script {
        InstallScript::None => None,
        InstallScript::LeftOut => Some("left_out"),
        InstallScript::Run => Some("run"),
    }
}
