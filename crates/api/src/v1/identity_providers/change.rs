use super::IdentityProviderBody;
use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{ProviderChange, action};
use causeway_types::{ProviderId, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

/// What to change of an identity provider; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityProviderChange {
    /// What the button on the sign-in page says.
    name: Option<String>,
    /// Causeway's client id there.
    client_id: Option<String>,
    /// Causeway's client secret there. It never comes back.
    client_secret: Option<SecretString>,
}

/// Change an identity provider's name, client id or client secret.
#[utoipa::path(
    patch, path = "/identity-providers/{id}", tag = "sign-in", operation_id = "change_identity_provider",
    params(("id" = ProviderId, Path)),
    request_body = IdentityProviderChange,
    responses((status = 200, description = "The provider, without its secret.", body = IdentityProviderBody), (status = "default", response = Problem))
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageSso>,
    PathId(id): PathId<ProviderId>,
    JsonBody(change): JsonBody<IdentityProviderChange>,
) -> Result<Json<IdentityProviderBody>, Problem> {
    let change = ProviderChange {
        name: change.name,
        client_id: change.client_id,
        client_secret: change.client_secret,
    };
    let changed = api.sign_in().change_provider(&permit, id, change).await?;
    Ok(Json(IdentityProviderBody::of(&api, changed)))
}
