//! OAuth apps, which are the company's OAuth clients here: operations 21 to 25.

use super::accounts::IdPath;
use super::app::{self, App};
use super::caller::Program;
use super::ids;
use super::paging::{Paged, window};
use super::params::{Params, wrong};
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use causeway_catalog as catalog;
use causeway_connect::{LabelledClient, NewOAuthClient, OAuthClientChange};
use causeway_identity::action::ManageOAuthClients;
use causeway_types::{SecretString, WorkspaceId};
use serde::{Deserialize, Serialize};

/// An OAuth app. Its secret is never shown.
#[derive(Serialize)]
pub(crate) struct OAuthApp {
    id: String,
    name: String,
    name_slug: String,
    description: String,
    app: App,
    client_id: String,
    scopes: Vec<String>,
    redirect_uri: String,
    owner_id: String,
}

/// An OAuth app as somebody wants it. What is missing stays, if there is something.
#[derive(Deserialize)]
pub(crate) struct Body {
    app: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    name: Option<String>,
    description: Option<String>,
    scopes: Option<Vec<String>>,
    additional_scopes: Option<Vec<String>>,
}

fn view(api: &Api, owner: WorkspaceId, one: LabelledClient) -> OAuthApp {
    let app = app::of(api, &one.app);
    let row = api.catalog().get(&one.app);
    OAuthApp {
        id: ids::oauth_app(one.id),
        name: one
            .label
            .unwrap_or_else(|| row.as_ref().map_or(one.app.clone(), |row| row.name.clone())),
        name_slug: ids::name_slug(&one.app),
        description: one.description,
        app,
        client_id: one.client_id,
        scopes: if one.scopes.is_empty() { usual_scopes(row.as_deref()) } else { one.scopes },
        redirect_uri: api.public("/connect/callback"),
        owner_id: ids::owner(owner),
    }
}

fn usual_scopes(row: Option<&catalog::App>) -> Vec<String> {
    let oauth2 = row.and_then(|row| row.auth.oauth2.as_ref());
    oauth2.map(|row| row.scopes.default.clone()).unwrap_or_default()
}

/// The scopes to ask for: those named, or the app's own ones, and the additional ones.
fn scopes(
    row: Option<&catalog::App>,
    named: Option<Vec<String>>,
    additional: Option<Vec<String>>,
) -> Option<Vec<String>> {
    if named.is_none() && additional.is_none() {
        return None;
    }
    let additional = additional.unwrap_or_default();
    let mut scopes = match named.filter(|named| !named.is_empty()) {
        Some(named) => named,
        None if additional.is_empty() => Vec::new(),
        None => usual_scopes(row),
    };
    for scope in additional {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Some(scopes)
}

/// Lists OAuth apps.
pub(crate) async fn list(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    params: Params,
) -> Result<Json<Paged<OAuthApp>>, Problem> {
    let listed = api.connect().labelled_clients(&permit, window(&params)?).await?;
    let show = |one| view(&api, permit.workspace(), one);
    Ok(Json(Paged::of(listed, |one| one.id.to_string(), show)))
}

/// Makes an OAuth app.
pub(crate) async fn create(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<OAuthApp>, Problem> {
    let app = body.app.as_deref().ok_or_else(|| wrong("app", "is missing"))?;
    let row = ids::known_app(&api, app)?;
    let new = NewOAuthClient {
        app: row.slug.to_string(),
        client_id: body.client_id.ok_or_else(|| wrong("client_id", "is missing"))?,
        secret: body.client_secret,
        description: body.description.unwrap_or_default(),
        scopes: scopes(Some(&row), body.scopes, body.additional_scopes).unwrap_or_default(),
        ..NewOAuthClient::default()
    };
    let made = api.connect().create_labelled_client(&permit, body.name, new).await?;
    Ok(Json(view(&api, permit.workspace(), made)))
}

/// Shows an OAuth app.
pub(crate) async fn show(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
) -> Result<Json<OAuthApp>, Problem> {
    let found = api.connect().labelled_client(&permit, ids::read_oauth_app(&path.id)?).await?;
    Ok(Json(view(&api, permit.workspace(), found)))
}

/// Changes an OAuth app.
pub(crate) async fn change(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<OAuthApp>, Problem> {
    let id = ids::read_oauth_app(&path.id)?;
    let present = api.connect().labelled_client(&permit, id).await?;
    let row = api.catalog().get(&present.app);
    let named = body.app.as_deref().and_then(|app| ids::find_app(&api, app));
    if body.app.is_some() && named.is_none_or(|named| named.slug.as_str() != present.app) {
        return Err(wrong("app", "is another one; an OAuth app stays with its app"));
    }
    let change = OAuthClientChange {
        label: body.name,
        description: body.description,
        client_id: body.client_id,
        secret: body.client_secret,
        scopes: scopes(row.as_deref(), body.scopes, body.additional_scopes),
    };
    let changed = api.connect().change_labelled_client(&permit, id, change).await?;
    Ok(Json(view(&api, permit.workspace(), changed)))
}

/// Deletes an OAuth app with which no account was made.
pub(crate) async fn delete(
    State(api): State<Api>,
    Program(permit): Program<ManageOAuthClients>,
    Path(path): Path<IdPath>,
) -> Result<StatusCode, Problem> {
    api.connect().delete_oauth_client(&permit, ids::read_oauth_app(&path.id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
