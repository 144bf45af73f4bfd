//! App overrides: operations 16 to 20.

use super::accounts::IdPath;
use super::app::{self, App};
use super::caller::Program;
use super::ids;
use super::paging::{Paged, window};
use super::params::Params;
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use causeway_connect::{AppOverrideView, NewAppOverride};
use causeway_identity::action::ManageOAuthClients;
use causeway_types::{SecretString, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An app override.
#[derive(Serialize)]
pub(crate) struct AppOverride {
    id: String,
    name: String,
    app: App,
    oauth_app_id: Option<String>,
    /// The values by the names of their fields; null for one that is secret.
    cfmap: BTreeMap<String, Option<String>>,
    owner_id: String,
    /// When it last changed, in milliseconds since 1970.
    ts: u64,
}

/// An app override as somebody wants it.
#[derive(Deserialize)]
pub(crate) struct Body {
    app: String,
    #[serde(default)]
    name: String,
    oauth_app_id: Option<String>,
    #[serde(default)]
    cfmap: BTreeMap<String, Option<SecretString>>,
}

fn view(api: &Api, owner: WorkspaceId, one: AppOverrideView) -> AppOverride {
    AppOverride {
        id: one.id.to_string(),
        name: one.name,
        app: app::of(api, &one.app),
        oauth_app_id: one.oauth_client.map(ids::oauth_app),
        cfmap: one.fields,
        owner_id: ids::owner(owner),
        ts: one.updated_at.as_millis(),
    }
}

fn wanted(api: &Api, body: Body) -> Result<NewAppOverride, Problem> {
    Ok(NewAppOverride {
        app: ids::known_app(api, &body.app)?.slug.to_string(),
        name: body.name,
        oauth_client: body.oauth_app_id.as_deref().map(ids::read_oauth_app).transpose()?,
        fields: body.cfmap,
    })
}

/// Lists overrides.
pub(crate) async fn list(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    params: Params,
) -> Result<Json<Paged<AppOverride>>, Problem> {
    let listed = api.connect().app_overrides(&permit, window(&params)?).await?;
    let show = |one| view(&api, permit.workspace(), one);
    Ok(Json(Paged::of(listed, |one| one.id.to_string(), show)))
}

/// Makes an override.
pub(crate) async fn create(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<AppOverride>, Problem> {
    let made = api.connect().create_app_override(&permit, wanted(&api, body)?).await?;
    Ok(Json(view(&api, permit.workspace(), made)))
}

/// Shows an override.
pub(crate) async fn show(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
) -> Result<Json<AppOverride>, Problem> {
    let id = ids::read_app_override(&path.id)?;
    let found = api.connect().app_override(&permit, id).await?;
    Ok(Json(view(&api, permit.workspace(), found)))
}

/// Replaces an override.
pub(crate) async fn set(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<AppOverride>, Problem> {
    let id = ids::read_app_override(&path.id)?;
    let made = api.connect().set_app_override(&permit, id, wanted(&api, body)?).await?;
    Ok(Json(view(&api, permit.workspace(), made)))
}

/// Deletes an override.
pub(crate) async fn delete(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
) -> Result<StatusCode, Problem> {
    let id = ids::read_app_override(&path.id)?;
    api.connect().delete_app_override(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
