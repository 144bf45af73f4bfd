//! External users, who are customers here: operations 9 to 11.

use super::account::Account;
use super::accounts::{credentials, slug_of};
use super::caller::{Program, Who};
use super::ids;
use super::paging::{Paged, window};
use super::params::Params;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use causeway_identity::action::{ReadConnections, WriteConnections};
use causeway_types::Timestamp;
use causeway_types::entity::Customer;
use serde::{Deserialize, Serialize};

/// An external user.
#[derive(Serialize)]
pub(crate) struct ExternalUser {
    id: String,
    external_id: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The user in a path, with or without a project before it.
#[derive(Deserialize)]
pub(crate) struct UserPath {
    external_id: String,
}

fn view(customer: Customer) -> ExternalUser {
    ExternalUser {
        id: ids::user(customer.id),
        external_id: customer.external_id,
        created_at: customer.created_at,
        // The record never changes.
        updated_at: customer.created_at,
    }
}

/// Lists users.
pub(crate) async fn list(
    State(api): State<Api>,
    Program(permit): Program<ReadConnections>,
    params: Params,
) -> Result<Json<Paged<ExternalUser>>, Problem> {
    let listed = api.connect().customers(&permit, window(&params)?).await?;
    Ok(Json(Paged::of(listed, |one| one.id.to_string(), view)))
}

/// Deletes a user with all accounts.
pub(crate) async fn delete(
    State(api): State<Api>,
    Program(permit): Program<WriteConnections>,
    Path(path): Path<UserPath>,
) -> Result<StatusCode, Problem> {
    api.connect().delete_customer(&permit, &path.external_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a user's accounts.
pub(crate) async fn accounts(
    State(api): State<Api>,
    who: Who<ReadConnections>,
    Path(path): Path<UserPath>,
    params: Params,
) -> Result<Json<Vec<Account>>, Problem> {
    let app = params.get("app").map(|app| slug_of(&api, app));
    let found = api.connect().accounts_of_customer(&who.whose()?, &path.external_id, app).await?;
    let mut credentials = credentials(&api, &who, &params, &found).await?;
    let shown = found.into_iter().map(|one| {
        let own = credentials.remove(&one.id);
        Account::of(api.catalog(), one).with_credentials(own)
    });
    Ok(Json(shown.collect()))
}
