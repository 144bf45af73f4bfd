#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::PackageBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::entity::PackageFilter;
use causeway_types::{VersionPackageId, WorkflowId};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which packages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those of one workflow's active version.
    workflow_id: Option<WorkflowId>,
    /// Those of one name, to see which workflows have it.
    name: Option<String>,
    /// Those of one version.
    version: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List the packages that the active versions of workflows have.
#[utoipa::path(
    get, path = "/packages", tag = "workflows", operation_id = "list_packages",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<PackageBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkflows>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<PackageBody>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = page::cursor(query.cursor.as_deref(), VersionPackageId::lowest())?;
    let filter =
        PackageFilter { workflow: query.workflow_id, name: query.name, version: query.version };
    let packages = api.flow().packages(&permit, &filter, after, limit + 1).await?;
    Ok(Json(Page::of(packages, limit, |one| one.id.to_string(), PackageBody::from)))
}
