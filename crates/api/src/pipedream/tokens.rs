//! Connect tokens: operations 2 and 3.

use super::app::{self, App};
use super::caller::Program;
use super::ids;
use super::params::Params;
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use causeway_connect::{NewSession, NewToken, TokenAsk, TokenView};
use causeway_identity::action::WriteConnections;
use causeway_types::{Kind, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A token to make.
#[derive(Deserialize)]
pub(crate) struct Body {
    external_user_id: String,
    #[serde(default)]
    allowed_origins: Option<Vec<String>>,
    success_redirect_uri: Option<String>,
    error_redirect_uri: Option<String>,
    webhook_uri: Option<String>,
    /// Seconds.
    expires_in: Option<u64>,
    scope: Option<String>,
    app_id: Option<String>,
    oauth_app_id: Option<String>,
}

/// A token that was made.
#[derive(Serialize)]
pub(crate) struct Made {
    token: String,
    expires_at: Timestamp,
    connect_link_url: String,
}

/// What a token is for.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Validated {
    Good(Box<Good>),
    Bad { success: bool, error: String },
}

#[derive(Serialize)]
pub(crate) struct Good {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App>,
    project_id: String,
    project_app_name: String,
    project_environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_support_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_redirect_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_redirect_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_app_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_override_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    app_override_field_names: Vec<String>,
}

/// The token in a path.
#[derive(Deserialize)]
pub(crate) struct TokenPath {
    token: String,
}

/// Makes a token, and its user if there is none of this id.
pub(crate) async fn create(
    State(api): State<Api>,
    Program(permit): Program<WriteConnections>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Made>, Problem> {
    let app = body.app_id.as_deref().map(|app| ids::known_app(&api, app)).transpose()?;
    let oauth_client = body.oauth_app_id.as_deref().map(ids::read_oauth_app).transpose()?;
    let session = NewSession {
        customer: body.external_user_id,
        app: app.map(|app| app.slug.to_string()),
        return_url: body.success_redirect_uri,
        error_url: body.error_redirect_uri,
        webhook_url: body.webhook_uri,
        oauth_client: oauth_client.map(|id| id.to_string()),
        allowed_origins: body.allowed_origins.unwrap_or_default(),
        lifetime: body.expires_in.map(Duration::from_secs),
        ..NewSession::default()
    };
    let made = api.connect().create_token(&permit, NewToken { session, scope: body.scope }).await?;
    let token = ids::token(&made.token).expose().clone();
    Ok(Json(Made {
        // Its users add `&app=…` to it.
        connect_link_url: api
            .public(&format!("/_static/connect.html?token={token}&connectLink=true")),
        token,
        expires_at: made.expires_at,
    }))
}

/// Says what a token is for, if it can be used for what is asked. The token itself is the proof.
pub(crate) async fn validate(
    State(api): State<Api>,
    Path(path): Path<TokenPath>,
    params: Params,
) -> Result<Json<Validated>, Problem> {
    let asked = match ask(&api, &params) {
        Ok(asked) => asked,
        Err(problem) => return Ok(Json(bad(problem.detail()))),
    };
    let link = ids::link(&path.token);
    match api.connect().token_view(link.expose(), &asked).await {
        Ok(view) => Ok(Json(Validated::Good(Box::new(good(&api, view))))),
        Err(error) => {
            use causeway_types::Coded as _;
            let told = matches!(error.code().kind(), Kind::Unauthenticated | Kind::Missing);
            if told { Ok(Json(bad(&error.public()))) } else { Err(error.into()) }
        }
    }
}

fn bad(error: &str) -> Validated {
    Validated::Bad { success: false, error: error.to_owned() }
}

fn good(api: &Api, view: TokenView) -> Good {
    Good {
        success: true,
        app: view.app.map(|slug| app::of(api, &slug)),
        project_id: view.project.to_string(),
        project_app_name: view.company,
        project_environment: view.environment.to_string(),
        project_support_email: Some(view.support_email).filter(|email| !email.is_empty()),
        success_redirect_uri: view.return_url,
        error_redirect_uri: view.error_url,
        oauth_app_id: view.oauth_client.map(ids::oauth_app),
        app_override_id: view.app_override.map(|id| id.to_string()),
        app_override_field_names: view.field_names,
    }
}

/// What is asked of a token, with the names of the operation.
fn ask(api: &Api, params: &Params) -> Result<TokenAsk, Problem> {
    let app = params.get("app_id").or(params.get("app"));
    Ok(TokenAsk {
        app: app.map(|app| ids::known_app(api, app)).transpose()?.map(|app| app.slug.to_string()),
        connection: params.get("account_id").map(ids::read_account).transpose()?,
        oauth_client: params.get("oauth_app_id").map(ids::read_oauth_app).transpose()?,
        scope_profile: None,
        app_override: params.get("app_override_id").map(ids::read_app_override).transpose()?,
    })
}
