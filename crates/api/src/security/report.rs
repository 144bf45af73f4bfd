//! `POST /security/reports`: a report from a program, or from somebody without a browser.

use crate::extract::JsonBody;
use crate::{Api, Problem, rate_limit};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use causeway_disclosure::Draft;
use causeway_types::ReportId;
use serde::{Deserialize, Serialize};

/// A request whose sender may still send reports.
pub(crate) struct Patient;

impl FromRequestParts<Api> for Patient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        rate_limit::charge_report(parts, api).map(|()| Self)
    }
}

/// What the reporter sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReport {
    /// What was found, and where.
    text: String,
    /// How to reach the reporter, if they want to be.
    reply_to: Option<String>,
}

/// What the reporter gets.
#[derive(Serialize)]
pub(crate) struct Received {
    /// The name of the report, for later mention.
    id: ReportId,
}

/// Takes a report.
pub(crate) async fn create(
    State(api): State<Api>,
    _patient: Patient,
    JsonBody(new): JsonBody<NewReport>,
) -> Result<(StatusCode, Json<Received>), Problem> {
    let draft = Draft { text: new.text, reply_to: new.reply_to };
    let id = api.disclosure().submit(&draft).await?;
    Ok((StatusCode::CREATED, Json(Received { id })))
}
