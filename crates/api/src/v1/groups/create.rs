use super::{GroupBody, GroupName};
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;

/// Make a group without members or roles.
#[utoipa::path(
    post, path = "/groups", tag = "groups", operation_id = "create_group",
    request_body = GroupName,
    responses((status = 201, description = "The group.", body = GroupBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    JsonBody(new): JsonBody<GroupName>,
) -> Result<(StatusCode, Json<GroupBody>), Problem> {
    let group = api.members().create_group(&permit, &new.name).await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}
