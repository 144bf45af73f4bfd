#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::AppBody;
use crate::extract::{Authorized, QueryOf, no_control};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_catalog::{App, AppFilter, Category, Slug};
use causeway_identity::action;
use causeway_types::Code;
use causeway_types::entity::Scheme;
use serde::Deserialize;
use utoipa::IntoParams;

/// The longest search, in bytes.
const LONGEST_SEARCH: usize = 200;

/// Which apps to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those in whose name, description or categories each of these words stands.
    q: Option<String>,
    /// Those of this category, like `crm`.
    category: Option<String>,
    /// Those that connect this way, like `oauth2`.
    scheme: Option<Scheme>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List the apps of the catalogue, by their slugs.
#[utoipa::path(
    get, path = "/apps", tag = "apps", operation_id = "list_apps",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<AppBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(_permit): Authorized<action::ReadApps>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<AppBody>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = match query.cursor.as_deref() {
        Some(cursor) => Some(page::known_cursor::<Slug>(cursor)?),
        None => None,
    };
    let filter = filter(query)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let fits = |app: &&App| Some(&app.slug) > after.as_ref() && filter.fits(app);
    let apps = api.catalog().list();
    let found: Vec<&App> = apps.iter().map(|app| &**app).filter(fits).take(most).collect();
    Ok(Json(Page::of(found, limit, |app| app.slug.to_string(), AppBody::from)))
}

fn filter(query: ListQuery) -> Result<AppFilter, Problem> {
    no_control("q", query.q.as_deref())?;
    let words = query.q.unwrap_or_default();
    if words.len() > LONGEST_SEARCH {
        return Err(Problem::new(Code::InvalidRequest, "`q` has at most 200 bytes."));
    }
    let category = match query.category.as_deref() {
        Some(id) => Some(Category::of_id(id).ok_or_else(unknown_category)?),
        None => None,
    };
    Ok(AppFilter { words, category, scheme: query.scheme.map(|scheme| scheme.to_string()) })
}

fn unknown_category() -> Problem {
    let all: Vec<&str> = Category::ALL.iter().map(|category| category.id()).collect();
    Problem::new(Code::InvalidRequest, format!("`category` is one of {}.", all.join(", ")))
}
