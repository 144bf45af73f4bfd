use super::ComponentDetailBody;
use crate::extract::{Authorized, JsonBody};
use crate::v1::deployments::read_files;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_flow::NewComponent;
use causeway_identity::action;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A component's folder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishRequest {
    /// Every file by its path in the folder, in base64.
    files: BTreeMap<String, String>,
    /// The path of the component's own file. Default: `main` of `package.json`, or the only file.
    entry: Option<String>,
    /// The hosts that its code may reach beyond those of its apps.
    #[serde(default)]
    egress: Vec<String>,
}

/// What publishing did.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublishedBody {
    #[serde(flatten)]
    component: ComponentDetailBody,
    /// Whether it was not there before, with this content.
    created: bool,
}

/// Publish a version of a component, which never changes afterwards.
#[utoipa::path(
    post, path = "/components", tag = "components", operation_id = "publish_component",
    request_body = PublishRequest,
    responses((status = 200, description = "The component is there.", body = PublishedBody), (status = "default", response = Problem))
)]
pub(crate) async fn publish(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::Deploy>,
    JsonBody(request): JsonBody<PublishRequest>,
) -> Result<Json<PublishedBody>, Problem> {
    let PublishRequest { files, entry, egress } = request;
    let new = NewComponent { files: read_files(files)?, entry, egress };
    let published = api.flow().publish(&permit, new).await?;
    Ok(Json(PublishedBody { component: published.detail.into(), created: published.is_new }))
}
