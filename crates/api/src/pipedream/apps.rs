//! Apps: operations 12 and 13.

use super::app::App;
use super::caller::Reader;
use super::ids;
use super::paging::{Paged, window};
use super::params::{Params, wrong};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use causeway_catalog as catalog;
use causeway_connect::{Edge, Window};
use serde::Serialize;
use std::cmp::Reverse;

/// One app.
#[derive(Serialize)]
pub(crate) struct One {
    data: App,
}

/// By what apps are listed. Those of one weight or name stand by their slugs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Name,
    Slug,
}

/// Lists the apps of the catalogue.
pub(crate) async fn list(
    State(api): State<Api>,
    _: Reader,
    params: Params,
) -> Result<Json<Paged<App>>, Problem> {
    let order = match params.get("sort_key") {
        // All weigh the same, so that their slugs decide.
        None | Some("name_slug" | "featured_weight") => Order::Slug,
        Some("name") => Order::Name,
        Some(_) => return Err(wrong("sort_key", "is `name`, `name_slug` or `featured_weight`")),
    };
    let descending = match params.get("sort_direction") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(wrong("sort_direction", "is `asc` or `desc`")),
    };
    let all = api.catalog().list();
    let mut apps: Vec<&catalog::App> =
        all.iter().map(|app| &**app).filter(|app| is_asked_for(app, &params)).collect();
    for name in ["has_components", "has_actions", "has_triggers"] {
        // No app of the catalogue has any of these yet.
        if params.flag(name)? == Some(true) {
            apps.clear();
        }
    }
    let key = |app: &catalog::App| match order {
        Order::Name => (app.name.to_lowercase(), app.slug.to_string()),
        Order::Slug => (String::new(), app.slug.to_string()),
    };
    apps.sort_by_key(|app| key(app));
    let asked: Window<String> = window(&params)?;
    // A cursor is a slug; where it stands follows from the order.
    let known = |slug: &String| {
        let app = api.catalog().get(slug);
        app.as_deref()
            .map(key)
            .ok_or_else(|| wrong("after", "and `before` take a cursor of this listing"))
    };
    let edge = match &asked.edge {
        Edge::Beginning => Edge::Beginning,
        Edge::After(slug) => Edge::After(known(slug)?),
        Edge::Before(slug) => Edge::Before(known(slug)?),
    };
    let limit = asked.limit;
    let listed = if descending {
        apps.reverse();
        let edge = match edge {
            Edge::Beginning => Edge::Beginning,
            Edge::After(key) => Edge::After(Reverse(key)),
            Edge::Before(key) => Edge::Before(Reverse(key)),
        };
        Window { edge, limit }.of(apps, |app| Reverse(key(app)))
    } else {
        Window { edge, limit }.of(apps, |app| key(app))
    };
    Ok(Json(Paged::of(listed, |app| app.slug.to_string(), App::of)))
}

/// Shows an app, by its id or slug.
pub(crate) async fn show(
    State(api): State<Api>,
    _: Reader,
    Path(path): Path<AppPath>,
) -> Result<Json<One>, Problem> {
    let app = ids::known_app(&api, &path.app)?;
    Ok(Json(One { data: App::of(&app) }))
}

/// The app in a path, with or without a project before it.
#[derive(serde::Deserialize)]
pub(crate) struct AppPath {
    pub(super) app: String,
}

fn is_asked_for(app: &catalog::App, params: &Params) -> bool {
    let q = params.get("q").map(str::to_lowercase);
    let found = q.is_none_or(|q| {
        let slug = app.slug.as_str();
        app.name.to_lowercase().contains(&q)
            || slug.contains(&q)
            || ids::name_slug(slug).contains(&q)
    });
    let wanted = params.all("category_ids");
    let of_category = |category: &catalog::Category| wanted.contains(&category.id());
    found && (wanted.is_empty() || app.categories.iter().any(of_category))
}
