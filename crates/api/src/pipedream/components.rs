//! Components, also as actions and as triggers: operations 26 to 38.

mod ask;
mod outcome;

pub(crate) use ask::{AskBody, ConfigureBody, RunBody};
pub(crate) use outcome::{Choices, Ran, Reloaded};

use super::caller::Who;
use super::paging::{Paged, window};
use super::params::{Params, wrong};
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use causeway_flow::{ComponentDetail, PropDefinition};
use causeway_identity::action::RunComponents;
use causeway_types::Code;
use causeway_types::entity::{Component, ComponentKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which components a path is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Only(Option<ComponentKind>);

/// The component in a path, with or without a project before it.
#[derive(Deserialize)]
pub(crate) struct KeyPath {
    key: String,
}

/// A component.
#[derive(Serialize)]
pub(crate) struct ComponentBody {
    key: String,
    name: String,
    version: String,
    description: Option<String>,
    component_type: &'static str,
    configurable_props: Vec<PropDefinition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

/// One component.
#[derive(Serialize)]
pub(crate) struct One {
    data: ComponentBody,
}

/// The same routes for all components, and for those of each kind.
pub(super) fn router(project: &str) -> Router<Api> {
    let of = |name: &str, only: Option<ComponentKind>| {
        let at = |path: &str| format!("{project}/{name}{path}");
        let mut routes = Router::new()
            .route(&at(""), get(list))
            .route(&at("/{key}"), get(show))
            .route(&at("/configure"), post(configure))
            .route(&at("/props"), post(props));
        if only == Some(ComponentKind::Action) {
            routes = routes.route(&at("/run"), post(run));
        }
        routes.layer(Extension(Only(only)))
    };
    of("components", None)
        .merge(of("actions", Some(ComponentKind::Action)))
        .merge(of("triggers", Some(ComponentKind::Source)))
}

impl From<ComponentDetail> for ComponentBody {
    fn from(detail: ComponentDetail) -> Self {
        let ComponentDetail { component, definition } = detail;
        Self {
            key: component.key,
            name: component.name,
            version: component.version,
            description: component.description,
            component_type: match component.kind {
                ComponentKind::Action => "action",
                ComponentKind::Source => "trigger",
            },
            configurable_props: definition.props,
            annotations: definition.annotations,
        }
    }
}

impl Only {
    fn covers(self, kind: ComponentKind) -> bool {
        self.0.is_none_or(|only| only == kind)
    }
}

/// Lists components, each in its newest version.
async fn list(
    State(api): State<Api>,
    who: Who<RunComponents>,
    Extension(only): Extension<Only>,
    params: Params,
) -> Result<Json<Paged<ComponentBody>>, Problem> {
    let wanted = match params.get("component_type") {
        None => only,
        Some("action") => Only(Some(ComponentKind::Action)),
        Some("trigger") => Only(Some(ComponentKind::Source)),
        Some(_) => return Err(wrong("component_type", "is `trigger` or `action`")),
    };
    // Those that everybody shares: there are none.
    let has_private = match params.get("registry") {
        None | Some("all" | "private") => true,
        Some("public") => false,
        Some(_) => return Err(wrong("registry", "is `public`, `private` or `all`")),
    };
    let app = params.get("app").map(|app| super::accounts::slug_of(&api, app));
    let text = params.get("q").map(str::to_lowercase);
    let whose = who.whose()?;
    let mut found = api.flow().newest_components(&whose).await?;
    found.retain(|one| {
        has_private
            && wanted.covers(one.kind)
            && only.covers(one.kind)
            && app.as_ref().is_none_or(|app| one.apps.contains(&format!(" {app} ")))
            && text.as_ref().is_none_or(|text| is_about(one, text))
    });
    let listed = window(&params)?.of(found, |one| one.id);
    let total = listed.total;
    let items = api.flow().component_details(listed.items).await?;
    let listed = causeway_connect::Listed { items, total };
    Ok(Json(Paged::of(listed, |one| one.component.id.to_string(), ComponentBody::from)))
}

/// Whether a component's words hold a text in lower case.
fn is_about(component: &Component, text: &str) -> bool {
    let words = [Some(&component.key), Some(&component.name), component.description.as_ref()];
    words.into_iter().flatten().any(|word| word.to_lowercase().contains(text))
}

/// Shows a component, by its key or id.
async fn show(
    State(api): State<Api>,
    who: Who<RunComponents>,
    Extension(only): Extension<Only>,
    Path(path): Path<KeyPath>,
    params: Params,
) -> Result<Json<One>, Problem> {
    let whose = who.whose()?;
    let found = api.flow().component_named(&whose, &path.key, params.get("version")).await?;
    if !only.covers(found.component.kind) {
        return Err(Problem::new(
            Code::NotFound,
            "There is no such component in this environment.",
        ));
    }
    Ok(Json(One { data: found.into() }))
}

/// Says what can be chosen for a prop.
async fn configure(
    State(api): State<Api>,
    who: Who<RunComponents>,
    JsonBody(body): JsonBody<ConfigureBody>,
) -> Result<Json<Choices>, Problem> {
    let (ask, options) = body.read()?;
    let whose = who.whose()?;
    let outcome = api.flow().prop_options(&ask.of(&whose)?, options).await?;
    Ok(Json(outcome.into()))
}

/// Says which props a component has with the values so far.
async fn props(
    State(api): State<Api>,
    who: Who<RunComponents>,
    JsonBody(body): JsonBody<AskBody>,
) -> Result<Json<Reloaded>, Problem> {
    let ask = body.read()?;
    let whose = who.whose()?;
    let outcome = api.flow().dynamic_props(&ask.of(&whose)?).await?;
    Ok(Json(outcome.into()))
}

/// Runs an action.
async fn run(
    State(api): State<Api>,
    who: Who<RunComponents>,
    JsonBody(body): JsonBody<RunBody>,
) -> Result<Json<Ran>, Problem> {
    let ask = body.read()?;
    let whose = who.whose()?;
    let outcome = api.flow().run_action(&ask.of(&whose)?).await?;
    Ok(Json(outcome.into()))
}
