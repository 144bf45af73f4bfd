use super::SessionBody;
use crate::cookies::SessionCookie;
use crate::extract::Own;
use crate::page::Page;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_types::SessionId;

/// List your own open sessions, newest first, all on one page.
#[utoipa::path(
    get, path = "/sessions", tag = "sessions", operation_id = "list_sessions",
    responses((status = 200, description = "All of them.", body = Page<SessionBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Own(cookie): Own<SessionCookie>,
) -> Result<Json<Page<SessionBody>>, Problem> {
    let open = api.sign_in().sessions().list(cookie.text()).await?;
    Ok(Json(Page::new(open, None::<SessionId>, SessionBody::from)))
}
