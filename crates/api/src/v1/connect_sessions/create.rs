use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_connect::NewSession;
use causeway_identity::action;
use causeway_types::{ConnectSessionId, ConnectionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;
use utoipa::ToSchema;

/// What a customer shall connect.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSessionBody {
    /// Your own id of the customer; made if it is new.
    customer: String,
    /// The app; the customer chooses if it is left out.
    app: Option<String>,
    /// The name by which workflows refer to the connection; made up if it is left out.
    name: Option<String>,
    /// Where the customer goes afterwards: an absolute https URL, or an http one at localhost, at
    /// one of the `return_origins` of your connect settings if you have set any.
    #[schema(value_type = Option<String>, format = "uri")]
    return_url: Option<Url>,
    /// Where the customer goes if it did not work, under the same rule, with the problem's code as
    /// `error`; the page says what happened if it is left out.
    #[schema(value_type = Option<String>, format = "uri")]
    error_url: Option<Url>,
    /// Where the outcome is reported to: an https URL.
    #[schema(value_type = Option<String>, format = "uri")]
    webhook_url: Option<Url>,
    /// The connection to renew instead of making another.
    reconnect_id: Option<ConnectionId>,
    /// Your OAuth client to use, by its name or id; the app's usual one if it is left out.
    oauth_client: Option<String>,
    /// The set of scopes of the app to ask for instead of the usual ones.
    scope_profile: Option<String>,
    /// Scopes to ask for beside those. A connection that is renewed keeps those that it has.
    #[serde(default)]
    scopes: Vec<String>,
    /// The origins of your pages that may embed the connect page, like `https://app.example.com`.
    #[serde(default)]
    allowed_origins: Vec<String>,
    /// How long the link works, in seconds: 60 to 86400. Default 1800.
    expires_in: Option<u64>,
}

/// A connect session with its link.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionBody {
    /// Its id.
    id: ConnectSessionId,
    /// The link for the customer. It is shown this once, and is good for one connection in one
    /// browser.
    connect_url: String,
    /// When the link stops working.
    expires_at: Timestamp,
}

/// Make a link on which a customer connects an account.
#[utoipa::path(
    post, path = "/connect-sessions", tag = "connections", operation_id = "create_connect_session",
    request_body = NewSessionBody,
    responses((status = 201, description = "The session with its link.", body = SessionBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    JsonBody(new): JsonBody<NewSessionBody>,
) -> Result<(StatusCode, Json<SessionBody>), Problem> {
    let new = NewSession {
        customer: new.customer,
        app: new.app,
        name: new.name,
        return_url: new.return_url.map(String::from),
        error_url: new.error_url.map(String::from),
        webhook_url: new.webhook_url.map(String::from),
        reconnect: new.reconnect_id,
        oauth_client: new.oauth_client,
        scope_profile: new.scope_profile,
        scopes: new.scopes,
        allowed_origins: new.allowed_origins,
        lifetime: new.expires_in.map(Duration::from_secs),
    };
    let made = api.connect().create_session(&permit, new).await?;
    let body = SessionBody {
        id: made.id,
        connect_url: api.public(&format!("/connect/{}", made.token.expose())),
        expires_at: made.expires_at,
    };
    Ok((StatusCode::CREATED, Json(body)))
}
