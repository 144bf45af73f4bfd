use super::RevocationBody;
use crate::extract::{Authorized, JsonBody, no_control};
use crate::v1::audit::time;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_connect::ConnectionFilter;
use causeway_identity::action;
use serde::Deserialize;
use utoipa::ToSchema;

/// Which connections to revoke: those to which all that is given applies. Something has to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRevocation {
    /// Those to this app.
    app: Option<String>,
    /// Those of the customer with this id of yours.
    customer: Option<String>,
    /// The one of this name.
    name: Option<String>,
    /// Those made before this time (RFC 3339).
    created_before: Option<String>,
    /// Those that nobody has used since this time (RFC 3339); one that was never used counts from
    /// when it was made.
    unused_since: Option<String>,
}

/// Revoke many connections in one go. Nobody can use them from the moment in which they are marked,
/// the newest hundred before this answers; then the server asks the apps to end the grants. What an
/// earlier revocation has not finished, or has failed to revoke, this one goes on with.
#[utoipa::path(
    post, path = "/connections/revocations", tag = "connections", operation_id = "revoke_connections",
    request_body = NewRevocation,
    responses((status = 202, description = "It has begun.", body = RevocationBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    JsonBody(new): JsonBody<NewRevocation>,
) -> Result<(StatusCode, Json<RevocationBody>), Problem> {
    for (name, text) in [("app", &new.app), ("customer", &new.customer), ("name", &new.name)] {
        no_control(name, text.as_deref())?;
    }
    let filter = ConnectionFilter {
        created_before: time("created_before", new.created_before.as_deref())?,
        unused_since: time("unused_since", new.unused_since.as_deref())?,
        customer: new.customer,
        app: new.app,
        name: new.name,
    };
    let begun = api.connect().revoke_connections(&permit, filter).await?;
    Ok((StatusCode::ACCEPTED, Json(begun.into())))
}
