use super::answer::{Answer, ScimError, ScimObject, with_addresses};
use super::query::{ListParameters, ScimQuery, ShowParameters};
use super::{ScimAuthorized, ScimBody, ScimId, ScimProblem};
use crate::Api;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_identity::scim::Kind;
use serde_json::Value;

/// List the users that pass a filter, oldest first.
#[utoipa::path(
    get, path = "/Users", tag = "scim", operation_id = "scim_list_users",
    params(ListParameters),
    responses((status = 200, description = "One page.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimQuery(query): ScimQuery<ListParameters>,
) -> Result<Answer, ScimProblem> {
    let (query, shown) = query.read(Kind::User)?;
    let listing = api.scim().users(&permit, &query).await?;
    let show = |user| Value::from(shown.of(with_addresses(&api, Kind::User, user)));
    let users: Vec<Value> = listing.resources.into_iter().map(show).collect();
    Ok(Answer::page(listing.total, listing.start, &users))
}

/// Make a user: a member without a role, for whoever proves to have the address.
#[utoipa::path(
    post, path = "/Users", tag = "scim", operation_id = "scim_create_user",
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 201, description = "The user.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimBody(body): ScimBody,
) -> Result<Answer, ScimProblem> {
    let user = api.scim().create_user(&permit, &body).await?;
    Ok(Answer::created(with_addresses(&api, Kind::User, user)))
}

/// Show a user.
#[utoipa::path(
    get, path = "/Users/{id}", tag = "scim", operation_id = "scim_show_user",
    params(("id" = String, Path), ShowParameters),
    responses((status = 200, description = "The user.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimQuery(query): ScimQuery<ShowParameters>,
) -> Result<Answer, ScimProblem> {
    let shown = query.read(Kind::User)?;
    let user = api.scim().user(&permit, &id).await?;
    Ok(Answer::ok(shown.of(with_addresses(&api, Kind::User, user))))
}

/// Set what a whole user names; what it does not name stays.
#[utoipa::path(
    put, path = "/Users/{id}", tag = "scim", operation_id = "scim_replace_user",
    params(("id" = String, Path)),
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 200, description = "The user.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimBody(body): ScimBody,
) -> Result<Answer, ScimProblem> {
    let user = api.scim().replace_user(&permit, &id, &body).await?;
    Ok(Answer::ok(with_addresses(&api, Kind::User, user)))
}

/// Change a user. `active: false` lets them in no more and ends their sessions at once.
#[utoipa::path(
    patch, path = "/Users/{id}", tag = "scim", operation_id = "scim_patch_user",
    params(("id" = String, Path)),
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 200, description = "The user.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn patch(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimBody(request): ScimBody,
) -> Result<Answer, ScimProblem> {
    let user = api.scim().patch_user(&permit, &id, &request).await?;
    Ok(Answer::ok(with_addresses(&api, Kind::User, user)))
}

/// Remove a user with their roles and places in groups, and end their sessions.
#[utoipa::path(
    delete, path = "/Users/{id}", tag = "scim", operation_id = "scim_delete_user",
    params(("id" = String, Path)),
    responses((status = 204, description = "They are gone."), (status = "default", response = ScimError))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
) -> Result<StatusCode, ScimProblem> {
    api.scim().delete_user(&permit, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
