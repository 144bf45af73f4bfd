use super::AppBody;
use crate::extract::Authorized;
use crate::page::Page;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// List the apps of the catalogue.
#[utoipa::path(
    get, path = "/apps", tag = "apps", operation_id = "list_apps",
    responses((status = 200, description = "One page.", body = Page<AppBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(_permit): Authorized<action::ReadApps>,
) -> Result<Json<Page<AppBody>>, Problem> {
    let apps = api.catalog().list().collect();
    Ok(Json(Page::new(apps, None::<String>, AppBody::from)))
}
