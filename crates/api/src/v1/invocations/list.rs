#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::InvocationBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_flow::InvocationFilter;
use causeway_identity::action;
use causeway_types::entity::InvocationState;
use causeway_types::{InvocationId, WorkflowId};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which invocations to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those of one workflow.
    workflow_id: Option<WorkflowId>,
    /// Those in one state.
    state: Option<InvocationState>,
    /// The items of the loops of one invocation, which are left out otherwise.
    parent_id: Option<InvocationId>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List invocations, newest first.
#[utoipa::path(
    get, path = "/invocations", tag = "invocations", operation_id = "list_invocations",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<InvocationBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadInvocations>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<InvocationBody>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before = page::cursor(query.cursor.as_deref(), InvocationId::highest())?;
    let ListQuery { workflow_id: workflow, state, parent_id: parent, .. } = query;
    let filter = InvocationFilter { workflow, state, parent };
    let invocations = api.flow().invocations(&permit, filter, before, limit + 1).await?;
    Ok(Json(Page::of(invocations, limit, |one| one.id.to_string(), InvocationBody::from)))
}
