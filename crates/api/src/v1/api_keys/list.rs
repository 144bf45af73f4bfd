use super::ApiKeyBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ApiKeyId;

/// List the environment's API keys, oldest first, those that have ended too.
#[utoipa::path(
    get, path = "/api-keys", tag = "machine access", operation_id = "list_api_keys",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<ApiKeyBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMachineAccess>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<ApiKeyBody>>, Problem> {
    let (after, limit) = (query.after(ApiKeyId::lowest())?, query.limit()?);
    let keys = api.machine().keys(&permit, after, limit).await?;
    Ok(Json(Page::of(keys, limit, |key| key.id.to_string(), ApiKeyBody::from)))
}
