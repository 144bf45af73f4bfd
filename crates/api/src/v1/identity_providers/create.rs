use super::IdentityProviderBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewProvider, action};
use causeway_types::SecretString;
use causeway_types::entity::ProviderKind;
use serde::Deserialize;
use utoipa::ToSchema;

/// An identity provider as its own console shows Causeway's client there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIdentityProvider {
    /// How it is spoken to. It never changes.
    kind: ProviderKind,
    /// What the button on the sign-in page says; unique in the workspace.
    name: String,
    /// Its issuer, needed for `oidc`: the base address of its discovery document. For `github`,
    /// the address of a GitHub Enterprise server. It never changes.
    issuer: Option<String>,
    /// Causeway's client id there.
    client_id: String,
    /// Causeway's client secret there. It never comes back.
    client_secret: SecretString,
}

/// Add an identity provider to the workspace. People whom it knows can sign in to this workspace
/// only; those of the installation's own providers, to every workspace.
#[utoipa::path(
    post, path = "/identity-providers", tag = "sign-in", operation_id = "create_identity_provider",
    request_body = NewIdentityProvider,
    responses((status = 201, description = "The provider, without its secret.", body = IdentityProviderBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageSso>,
    JsonBody(new): JsonBody<NewIdentityProvider>,
) -> Result<(StatusCode, Json<IdentityProviderBody>), Problem> {
    let new = NewProvider {
        kind: new.kind,
        name: new.name,
        issuer: new.issuer,
        client_id: new.client_id,
        client_secret: new.client_secret,
    };
    let made = api.sign_in().add_provider(&permit, new).await?;
    Ok((StatusCode::CREATED, Json(IdentityProviderBody::of(&api, made))))
}
