use super::answer::{Answer, ScimError, ScimObject, with_addresses};
use super::query::{ListParameters, ScimQuery, ShowParameters};
use super::{ScimAuthorized, ScimBody, ScimId, ScimProblem};
use crate::Api;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use causeway_identity::action;
use causeway_identity::scim::Kind;
use serde_json::Value;

/// List the groups that pass a filter, oldest first.
#[utoipa::path(
    get, path = "/Groups", tag = "scim", operation_id = "scim_list_groups",
    params(ListParameters),
    responses((status = 200, description = "One page.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimQuery(query): ScimQuery<ListParameters>,
) -> Result<Answer, ScimProblem> {
    let (query, shown) = query.read(Kind::Group)?;
    let listing = api.scim().groups(&permit, &query).await?;
    let show = |group| Value::from(shown.of(with_addresses(&api, Kind::Group, group)));
    let groups: Vec<Value> = listing.resources.into_iter().map(show).collect();
    Ok(Answer::page(listing.total, listing.start, &groups))
}

/// Make a group. It carries no role until somebody gives it one.
#[utoipa::path(
    post, path = "/Groups", tag = "scim", operation_id = "scim_create_group",
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 201, description = "The group.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimBody(body): ScimBody,
) -> Result<Answer, ScimProblem> {
    let group = api.scim().create_group(&permit, &body).await?;
    Ok(Answer::created(with_addresses(&api, Kind::Group, group)))
}

/// Show a group.
#[utoipa::path(
    get, path = "/Groups/{id}", tag = "scim", operation_id = "scim_show_group",
    params(("id" = String, Path), ShowParameters),
    responses((status = 200, description = "The group.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimQuery(query): ScimQuery<ShowParameters>,
) -> Result<Answer, ScimProblem> {
    let shown = query.read(Kind::Group)?;
    let group = api.scim().group(&permit, &id, shown.relations(Kind::Group)).await?;
    Ok(Answer::ok(shown.of(with_addresses(&api, Kind::Group, group))))
}

/// Set what a whole group names; what it does not name stays.
#[utoipa::path(
    put, path = "/Groups/{id}", tag = "scim", operation_id = "scim_replace_group",
    params(("id" = String, Path)),
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 200, description = "The group.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn replace(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimBody(body): ScimBody,
) -> Result<Answer, ScimProblem> {
    api.scim().replace_group(&permit, &id, &body).await?;
    let group = api.scim().group(&permit, &id, true).await?;
    Ok(Answer::ok(with_addresses(&api, Kind::Group, group)))
}

/// Change a group. The group is shown only if `attributes` asks for some.
#[utoipa::path(
    patch, path = "/Groups/{id}", tag = "scim", operation_id = "scim_patch_group",
    params(("id" = String, Path), ShowParameters),
    request_body(content = ScimObject, content_type = "application/scim+json"),
    responses((status = 200, description = "The group.", body = ScimObject, content_type = "application/scim+json"), (status = 204, description = "It is changed."), (status = "default", response = ScimError))
)]
pub(crate) async fn patch(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
    ScimQuery(query): ScimQuery<ShowParameters>,
    ScimBody(request): ScimBody,
) -> Result<Response, ScimProblem> {
    let shown = query.read(Kind::Group)?;
    api.scim().patch_group(&permit, &id, &request).await?;
    if !shown.is_asked_for() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let group = api.scim().group(&permit, &id, shown.relations(Kind::Group)).await?;
    let group = shown.of(with_addresses(&api, Kind::Group, group));
    Ok(Answer::ok(group).into_response())
}

/// Delete a group: its members lose its roles.
#[utoipa::path(
    delete, path = "/Groups/{id}", tag = "scim", operation_id = "scim_delete_group",
    params(("id" = String, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = ScimError))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScimAuthorized(permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(id): ScimId,
) -> Result<StatusCode, ScimProblem> {
    api.scim().delete_group(&permit, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
