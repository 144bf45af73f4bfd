use super::ComponentBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ComponentId;

/// List every version of every component, oldest first.
#[utoipa::path(
    get, path = "/components", tag = "components", operation_id = "list_components",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<ComponentBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkflows>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<ComponentBody>>, Problem> {
    let limit = query.limit()?;
    let after = query.after(ComponentId::lowest())?;
    let mut components = api.flow().components(&permit).await?;
    components.retain(|one| one.id > after);
    components.truncate(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1));
    Ok(Json(Page::of(components, limit, |one| one.id.to_string(), ComponentBody::from)))
}
