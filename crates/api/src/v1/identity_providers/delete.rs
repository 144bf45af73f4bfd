use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::ProviderId;

/// Delete an identity provider. The sessions that it opened end at once, and whoever has no other
/// way to sign in cannot come in any more.
#[utoipa::path(
    delete, path = "/identity-providers/{id}", tag = "sign-in", operation_id = "delete_identity_provider",
    params(("id" = ProviderId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageSso>,
    PathId(id): PathId<ProviderId>,
) -> Result<StatusCode, Problem> {
    api.sign_in().delete_provider(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
