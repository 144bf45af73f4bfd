use super::AppBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_catalog::{App, Field};
use causeway_identity::action;
use causeway_types::Code;
use serde::Serialize;
use utoipa::ToSchema;

/// An app with what it asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppDetail {
    #[serde(flatten)]
    app: AppBody,
    /// The scopes that an OAuth flow asks for by default.
    default_scopes: Vec<String>,
    /// Sets of scopes that a connect session may ask for by name.
    scope_profiles: Vec<ScopeProfileBody>,
    /// What a connection by API key asks for.
    key_fields: Vec<KeyFieldBody>,
    /// What an OAuth client of yours has beside id and secret.
    client_fields: Vec<KeyFieldBody>,
}

/// A set of scopes with a name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScopeProfileBody {
    /// Its name, for `scope_profile` of a connect session.
    name: String,
    /// What it is for.
    description: String,
    /// The scopes.
    scopes: Vec<String>,
}

/// A field to fill in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyFieldBody {
    /// Its name in requests.
    name: String,
    /// Its name for people.
    label: String,
    /// Where to find it.
    help: Option<String>,
}

impl From<&Field> for KeyFieldBody {
    fn from(field: &Field) -> Self {
        Self { name: field.name.to_string(), label: field.label.clone(), help: field.help.clone() }
    }
}

impl From<&App> for AppDetail {
    fn from(app: &App) -> Self {
        let scopes = app.auth.oauth2.as_ref().map(|oauth2| oauth2.scopes.default.clone());
        let fields = app.auth.api_key.iter().flat_map(|key| &key.fields);
        Self {
            app: app.into(),
            default_scopes: scopes.unwrap_or_default(),
            scope_profiles: app
                .auth
                .oauth2
                .iter()
                .flat_map(|oauth2| &oauth2.scopes.profiles)
                .map(|profile| ScopeProfileBody {
                    name: profile.name.to_string(),
                    description: profile.description.clone(),
                    scopes: profile.scopes.clone(),
                })
                .collect(),
            key_fields: fields.map(KeyFieldBody::from).collect(),
            client_fields: app.client_fields.iter().map(KeyFieldBody::from).collect(),
        }
    }
}

/// Show an app and what it asks for.
#[utoipa::path(
    get, path = "/apps/{slug}", tag = "apps", operation_id = "show_app",
    params(("slug" = String, Path)),
    responses((status = 200, description = "The app.", body = AppDetail), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(_permit): Authorized<action::ReadApps>,
    PathId(slug): PathId<String>,
) -> Result<Json<AppDetail>, Problem> {
    match api.catalog().get(&slug) {
        Some(app) => Ok(Json((&*app).into())),
        None => Err(Problem::new(
            Code::NotFound,
            "The catalogue has no such app; `causeway apps list` shows all.",
        )),
    }
}
