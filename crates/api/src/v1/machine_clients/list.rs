use super::MachineClientBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MachineClientId;

/// List the environment's machine clients, oldest first, the revoked ones too.
#[utoipa::path(
    get, path = "/machine-clients", tag = "machine access", operation_id = "list_machine_clients",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<MachineClientBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMachineAccess>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<MachineClientBody>>, Problem> {
    let (after, limit) = (query.after(MachineClientId::lowest())?, query.limit()?);
    let clients = api.machine().clients(&permit, after, limit).await?;
    Ok(Json(Page::of(clients, limit, |client| client.id.to_string(), MachineClientBody::from)))
}
