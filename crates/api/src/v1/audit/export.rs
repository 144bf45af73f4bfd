#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::time;
use crate::extract::{Authorized, QueryOf};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use causeway_audit::{Export, Format, Wanted};
use causeway_identity::action;
use causeway_types::chain;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

/// Chunks that wait for a slow reader.
const WAITING: usize = 2;

/// In which form.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormatWord {
    /// JSON lines that prove themselves.
    #[default]
    Jsonl,
    /// The Open Cybersecurity Schema Framework, an event a line.
    Ocsf,
}

/// What to take out.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// In which form. Default `jsonl`.
    #[param(inline)]
    format: Option<FormatWord>,
    /// From the first event at or after this time on (RFC 3339).
    since: Option<String>,
    /// Through the last event before this time (RFC 3339).
    until: Option<String>,
}

/// Take the workspace's chain out, or a piece of it. The answer is a JSON document a line; it is
/// cut off if it cannot be completed. Each export is itself an event.
#[utoipa::path(
    get, path = "/audit/export", tag = "audit", operation_id = "export_audit",
    params(ExportQuery),
    responses((status = 200, description = "The lines.", content_type = "application/jsonl", body = String), (status = "default", response = Problem))
)]
pub(crate) async fn export(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ExportAudit>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response, Problem> {
    let format = match query.format.unwrap_or_default() {
        FormatWord::Jsonl => Format::Lines,
        FormatWord::Ocsf => Format::Ocsf,
    };
    let since = time("since", query.since.as_deref())?;
    let until = time("until", query.until.as_deref())?;
    let export = api.audit().export(&permit, Wanted { format, since, until }).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(send(export, sender));
    let name = format!("attachment; filename=\"audit-{}.jsonl\"", permit.workspace());
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Sends chunk after chunk. An error cuts the answer off, so that nobody takes it for whole.
async fn send(
    mut export: Export,
    sender: mpsc::Sender<Result<bytes::Bytes, causeway_audit::AuditError>>,
) {
    loop {
        let chunk = match export.chunk().await {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(error = chain(&error), "an export of the audit chain is cut off");
                Err(error)
            }
        };
        let failed = chunk.is_err();
        if sender.send(chunk).await.is_err() || failed {
            return;
        }
    }
}
