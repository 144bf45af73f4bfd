//! `/auth/callback`: the provider's answer. Each workspace with providers of its own has an address
//! of its own, so that one provider cannot be taken for another (RFC 9700 section 4.4).

use super::{Visiting, go_to, link, sign_in_refused};
use crate::{Api, cookies, html};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use causeway_identity::Callback;
use causeway_types::{Code, INSTALLATION, WorkspaceId};

/// Takes the answer of one of the installation's providers.
pub(crate) async fn of_installation(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    visiting: Visiting,
) -> Response {
    complete(&api, INSTALLATION, query, visiting).await
}

/// Takes the answer of a workspace's own provider.
pub(crate) async fn of_workspace(
    State(api): State<Api>,
    workspace: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    visiting: Visiting,
) -> Response {
    match workspace.ok().and_then(|Path(id)| id.parse().ok()) {
        Some(workspace) => complete(&api, workspace, query, visiting).await,
        None => html::problem(&crate::Problem::new(
            Code::UnknownRoute,
            "There is nothing at this address.",
        ))
        .into_response(),
    }
}

async fn complete(
    api: &Api,
    realm: WorkspaceId,
    query: Option<String>,
    visiting: Visiting,
) -> Response {
    let callback = Callback::from_query(&query.unwrap_or_default());
    let signed_in = match api.sign_in().complete(realm, callback, &visiting.visit()).await {
        Ok(signed_in) => signed_in,
        Err(error) => {
            return sign_in_refused(error, &link(api, "/auth/sign-in", "Back to signing in"));
        }
    };
    let mut response = go_to(api, &signed_in.return_path);
    let lives = signed_in.expires_at.since(api.clock().now());
    cookies::set_session(api, &mut response, &signed_in.cookie, lives);
    visiting.attach(response)
}
