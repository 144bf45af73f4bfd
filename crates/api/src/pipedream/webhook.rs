//! The project webhook: operations 51 to 54.

use super::caller::Program;
use super::ids;
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action::{ManageWebhooks, ReadWebhooks};
use causeway_types::{SecretString, Timestamp};
use causeway_webhooks::ProjectWebhookView;
use serde::{Deserialize, Serialize};

/// The project webhook.
#[derive(Serialize)]
struct Webhook {
    id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
    signing_key_set: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The project webhook, if there is one, and its key, if that is new.
#[derive(Serialize)]
pub(crate) struct One {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
}

/// Where reports shall go.
#[derive(Deserialize)]
pub(crate) struct Body {
    url: String,
}

fn one(webhook: ProjectWebhookView, key: Option<&SecretString>) -> One {
    let key = key.map(|key| key.expose().clone());
    let data = Webhook {
        id: ids::webhook(webhook.environment),
        url: webhook.url.into(),
        signing_key: key.clone(),
        signing_key_set: true,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
    };
    One { data: Some(data), signing_key: key }
}

/// Shows the project webhook, never its key.
pub(crate) async fn show(
    State(api): State<Api>,
    Program(permit): Program<ReadWebhooks>,
) -> Result<Json<One>, Problem> {
    let found = api.webhooks().project_webhook(&permit).await?;
    let nothing = One { data: None, signing_key: None };
    Ok(Json(found.map_or(nothing, |webhook| one(webhook, None))))
}

/// Sets the project webhook. The first time, its key is shown.
pub(crate) async fn set(
    State(api): State<Api>,
    Program(permit): Program<ManageWebhooks>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<One>, Problem> {
    let (webhook, key) = api.webhooks().set_project_webhook(&permit, &body.url).await?;
    Ok(Json(one(webhook, key.as_ref())))
}

/// Deletes the project webhook.
pub(crate) async fn delete(
    State(api): State<Api>,
    Program(permit): Program<ManageWebhooks>,
) -> Result<StatusCode, Problem> {
    api.webhooks().delete_project_webhook(&permit).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the project webhook another key and shows it.
pub(crate) async fn renew_key(
    State(api): State<Api>,
    Program(permit): Program<ManageWebhooks>,
) -> Result<Json<One>, Problem> {
    let (webhook, key) = api.webhooks().renew_project_webhook_key(&permit).await?;
    Ok(Json(one(webhook, Some(&key))))
}
