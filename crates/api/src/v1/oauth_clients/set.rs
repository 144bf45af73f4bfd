use super::OAuthClientBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_connect::NewOAuthClient;
use causeway_identity::action;
use causeway_types::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An OAuth client as the app's own console shows it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOAuthClient {
    /// The app.
    app: String,
    /// Which of the app's clients it is: 1 to 64 of a-z, 0-9, `-` and `_`. Left out or empty for
    /// the usual one.
    #[serde(default)]
    name: String,
    /// What it is for, in your own words.
    #[serde(default)]
    description: String,
    /// The client id that the app gave you: a consumer key at OAuth 1.0a, an app's id at GitHub.
    client_id: String,
    /// The client secret that the app gave you, or a private key in PEM where the app takes a
    /// signature; left out for a public client.
    client_secret: Option<SecretString>,
    /// What the app asks for beside, as `client_fields` of `GET /api/v1/apps/{slug}` says.
    #[serde(default)]
    fields: BTreeMap<String, SecretString>,
    /// The scopes to ask for; left out or empty for the app's usual ones.
    #[serde(default)]
    scopes: Vec<String>,
}

/// Set an OAuth client of yours at an app, or replace its secret, fields and scopes. App and name
/// say which one it is.
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
        name: new.name,
        description: new.description,
        client_id: new.client_id,
        secret: new.client_secret,
        fields: new.fields,
        scopes: new.scopes,
    };
    Ok(Json(api.connect().set_oauth_client(&permit, new).await?.into()))
}
