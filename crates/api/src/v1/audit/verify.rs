use super::{CheckpointBody, VerifiedBody};
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_audit::Checkpoint;
use causeway_identity::action;
use causeway_types::Code;
use serde::Deserialize;
use utoipa::ToSchema;

/// The most checkpoints that a request compares. The newest prove the most.
pub(crate) const MAX_KEPT: usize = 1_000;

/// What to compare the chain with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    /// Checkpoints that you kept, at most 1,000. Those of other workspaces are passed over.
    #[serde(default)]
    #[schema(max_items = 1_000)]
    checkpoints: Vec<CheckpointBody>,
}

/// Check the workspace's whole chain: every hash, the order, the head, the signed checkpoints, and
/// the checkpoints that you kept. If it does not hold, the answer is the problem `audit_broken`,
/// whose detail names the first link that is broken.
#[utoipa::path(
    post, path = "/audit/verify", tag = "audit", operation_id = "verify_audit",
    request_body = VerifyBody,
    responses((status = 200, description = "It holds.", body = VerifiedBody), (status = "default", response = Problem))
)]
pub(crate) async fn verify(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadAudit>,
    JsonBody(body): JsonBody<VerifyBody>,
) -> Result<Json<VerifiedBody>, Problem> {
    if body.checkpoints.len() > MAX_KEPT {
        return Err(Problem::new(
            Code::InvalidRequest,
            format!("`checkpoints` has at most {MAX_KEPT} entries; the newest prove the most."),
        ));
    }
    let kept: Vec<Checkpoint> = body.checkpoints.into_iter().map(Checkpoint::from).collect();
    Ok(Json(api.audit().verify(&permit, &kept).await?.into()))
}
