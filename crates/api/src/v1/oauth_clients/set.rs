use super::OAuthClientBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_connect::NewOAuthClient;
use causeway_identity::action;
use causeway_types::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

/// An OAuth client as the app's own console shows it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOAuthClient {
    /// The app.
    app: String,
    /// The client id that the app gave you.
    client_id: String,
    /// The client secret that the app gave you; left out for a public client.
    client_secret: Option<SecretString>,
    /// The scopes to ask for; left out or empty for the app's usual ones.
    #[serde(default)]
    scopes: Vec<String>,
}

/// Set your OAuth client at an app, or replace its secret and scopes.
#[utoipa::path(
    put, path = "/oauth-clients", tag = "oauth clients", operation_id = "set_oauth_client",
    request_body = SetOAuthClient,
    responses((status = 200, description = "The client, without its secret.", body = OAuthClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageOAuthClients>,
    JsonBody(new): JsonBody<SetOAuthClient>,
) -> Result<Json<OAuthClientBody>, Problem> {
    let new = NewOAuthClient {
        app: new.app,
        client_id: new.client_id,
        secret: new.client_secret,
        scopes: new.scopes,
    };
    Ok(Json(api.connect().set_oauth_client(&permit, new).await?.into()))
}
