use super::ConnectionBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_connect::NewConnection;
use causeway_identity::action;
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A connection by a key or a password that you hold already.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnectionBody {
    /// Your own id of the customer; made if it is new.
    customer: String,
    /// The app.
    app: String,
    /// The name by which workflows refer to it; made up if it is left out.
    name: Option<String>,
    /// `api_key` or `basic`. Default `api_key`.
    scheme: Option<Scheme>,
    /// What the scheme asks for: the fields of the app, or `username` and `password`.
    fields: BTreeMap<String, SecretString>,
}

/// Add a connection with a key or a password. The app is asked first whether it takes it.
#[utoipa::path(
    post, path = "/connections", tag = "connections", operation_id = "create_connection",
    request_body = NewConnectionBody,
    responses((status = 201, description = "The connection.", body = ConnectionBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    JsonBody(new): JsonBody<NewConnectionBody>,
) -> Result<(StatusCode, Json<ConnectionBody>), Problem> {
    let new = NewConnection {
        customer: new.customer,
        app: new.app,
        name: new.name,
        scheme: new.scheme.unwrap_or(Scheme::ApiKey),
        fields: new.fields,
    };
    let made = api.connect().create_connection(&permit, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
