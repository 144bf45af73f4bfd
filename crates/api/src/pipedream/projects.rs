//! Projects: operations 55 to 61.

use super::caller::{InWorkspace, Somebody};
use super::ids;
use super::paging::{Paged, window};
use super::params::{Params, wrong};
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use causeway_connect::{ConnectProject, ProjectChange};
use causeway_identity::action::{ManageProjects, ReadWorkspace};
use causeway_types::entity::Project as Record;
use causeway_types::{Code, ProjectId};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// A project.
#[derive(Serialize)]
pub(crate) struct Project {
    id: String,
    name: String,
    app_name: Option<String>,
    support_email: Option<String>,
    /// Keys are always tried before they are kept.
    connect_require_key_auth_test: bool,
}

/// What somebody wants of a project. Whether keys are tried is not for anybody to choose.
#[derive(Deserialize)]
pub(crate) struct Body {
    name: Option<String>,
    app_name: Option<String>,
    support_email: Option<String>,
}

/// A logo.
#[derive(Deserialize)]
pub(crate) struct Logo {
    /// A data URI.
    logo: String,
}

/// What is connected in a project.
#[derive(Serialize)]
pub(crate) struct Info {
    apps: Vec<UsedApp>,
}

#[derive(Serialize)]
struct UsedApp {
    id: String,
    name_slug: String,
}

/// The project in a path.
#[derive(Deserialize)]
pub(crate) struct ProjectPath {
    id: String,
}

fn view(one: ConnectProject) -> Project {
    Project {
        id: one.project.id.to_string(),
        name: one.project.name,
        app_name: Some(one.company).filter(|name| !name.is_empty()),
        support_email: Some(one.support_email).filter(|email| !email.is_empty()),
        connect_require_key_auth_test: true,
    }
}

/// The projects that the caller may see.
async fn seen(api: &Api, who: &InWorkspace<ReadWorkspace>) -> Result<Vec<Record>, Problem> {
    let mut found = api.members().projects(&who.permit, &who.caller).await?;
    found.sort_by_key(|one| one.project.id);
    Ok(found.into_iter().map(|one| one.project).collect())
}

/// Lists projects.
pub(crate) async fn list(
    State(api): State<Api>,
    who: InWorkspace<ReadWorkspace>,
    params: Params,
) -> Result<Json<Paged<Project>>, Problem> {
    let asked = window::<ProjectId>(&params)?;
    let records = asked.of(seen(&api, &who).await?, |one| one.id);
    let total = records.total;
    let items = api.connect().described_projects(&who.permit, records.items).await?;
    let listed = causeway_connect::Listed { items, total };
    Ok(Json(Paged::of(listed, |one| one.project.id.to_string(), view)))
}

/// Makes a project.
pub(crate) async fn create(
    State(api): State<Api>,
    who: InWorkspace<ManageProjects>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Project>, Problem> {
    let name = body.name.ok_or_else(|| wrong("name", "is missing"))?;
    let made = api.members().create_project(&who.permit, &name).await?;
    let change =
        ProjectChange { name: None, company: body.app_name, support_email: body.support_email };
    let described = api.connect().change_project(&who.permit, made.project.id, change).await?;
    Ok(Json(view(described)))
}

/// Shows a project.
pub(crate) async fn show(
    State(api): State<Api>,
    who: InWorkspace<ReadWorkspace>,
    Path(path): Path<ProjectPath>,
) -> Result<Json<Project>, Problem> {
    let id = ids::read_project(&path.id)?;
    let found = seen(&api, &who).await?.into_iter().filter(|one| one.id == id).collect();
    let described = api.connect().described_projects(&who.permit, found).await?;
    let one = described.into_iter().next().ok_or_else(|| {
        Problem::new(Code::NotFound, "There is no such project in this workspace.")
    })?;
    Ok(Json(view(one)))
}

/// Changes a project.
pub(crate) async fn change(
    State(api): State<Api>,
    who: InWorkspace<ManageProjects>,
    Path(path): Path<ProjectPath>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Project>, Problem> {
    let id = ids::read_project(&path.id)?;
    let change = ProjectChange {
        name: body.name,
        company: body.app_name,
        support_email: body.support_email,
    };
    Ok(Json(view(api.connect().change_project(&who.permit, id, change).await?)))
}

/// Deletes a project that holds nothing.
pub(crate) async fn delete(
    State(api): State<Api>,
    who: InWorkspace<ManageProjects>,
    Path(path): Path<ProjectPath>,
) -> Result<StatusCode, Problem> {
    let id = ids::read_project(&path.id)?;
    let own = who.caller.place().environment().map(|tenant| tenant.project);
    api.connect().delete_project(&who.permit, id, own).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a project's logo.
pub(crate) async fn set_logo(
    State(api): State<Api>,
    who: InWorkspace<ManageProjects>,
    Path(path): Path<ProjectPath>,
    JsonBody(body): JsonBody<Logo>,
) -> Result<StatusCode, Problem> {
    let id = ids::read_project(&path.id)?;
    let picture = picture(&body.logo)
        .ok_or_else(|| wrong("logo", "is a data URI in base64, like `data:image/png;base64,…`"))?;
    // Another address for every picture, so that browsers may keep it.
    let version = api.clock().now().as_secs();
    let url = api.public(&format!("/_static/logos/{id}?v={version}"));
    api.connect().set_logo(&who.permit, id, picture, &url).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes of a data URI (RFC 2397). What it says of its type is not believed.
fn picture(uri: &str) -> Option<Vec<u8>> {
    let (head, data) = uri.strip_prefix("data:")?.split_once(',')?;
    head.strip_suffix(";base64")?;
    BASE64.decode(data.as_bytes()).ok()
}

/// Says which apps are connected in a project, or could be with a client of the company's.
pub(crate) async fn info(
    State(api): State<Api>,
    Somebody(tenant): Somebody,
) -> Result<Json<Info>, Problem> {
    let apps = api.connect().apps_in_use(tenant).await?;
    let used = |slug: String| UsedApp { id: ids::app(&slug), name_slug: ids::name_slug(&slug) };
    Ok(Json(Info { apps: apps.into_iter().map(used).collect() }))
}
