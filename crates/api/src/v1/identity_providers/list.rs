use super::IdentityProviderBody;
use crate::extract::Authorized;
use crate::page::Page;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ProviderId;

/// List the workspace's own identity providers, oldest first, all on one page.
#[utoipa::path(
    get, path = "/identity-providers", tag = "sign-in", operation_id = "list_identity_providers",
    responses((status = 200, description = "All of them.", body = Page<IdentityProviderBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadSso>,
) -> Result<Json<Page<IdentityProviderBody>>, Problem> {
    let providers = api.sign_in().providers(&permit).await?;
    let show = |provider| IdentityProviderBody::of(&api, provider);
    Ok(Json(Page::new(providers, None::<ProviderId>, show)))
}
