//! `/auth/sign-in`: choose a provider, and be sent there.

use super::path::ReturnPath;
use super::{Look, Visiting, buttons, go_to, link, sign_in_refused, wrong_form};
use crate::Api;
use crate::html::{Document, Markup};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use causeway_identity::{Offered, Purpose};
use causeway_types::{ProviderId, WorkspaceId};
use serde::Deserialize;

/// What a link to this page says.
#[derive(Default, Deserialize)]
pub(crate) struct SignInQuery {
    /// Where to go afterwards.
    #[serde(default, rename = "return")]
    to: ReturnPath,
    /// Whose own providers to offer beside the installation's.
    workspace: Option<String>,
}

/// Shows the providers.
pub(crate) async fn show(
    State(api): State<Api>,
    query: Result<Query<SignInQuery>, QueryRejection>,
    visiting: Visiting,
) -> Response {
    // A query that cannot be read is as good as none.
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let workspace = query.workspace.and_then(|id| id.parse::<WorkspaceId>().ok());
    let offered = match api.sign_in().offered(workspace).await {
        Ok(offered) => offered,
        Err(error) => return sign_in_refused(error, &Markup::default()),
    };
    let mut body = Markup::default();
    let mut look =
        Look { words: "Continue with", return_path: Some(query.to.as_str()), plain: false };
    if let Some(cookie) = visiting.session()
        && let Ok(me) = api.sign_in().sessions().who(cookie).await
    {
        look.plain = true;
        body.add("<p>You are signed in as <strong>{}</strong>.</p>", &[&me.user.email])
            .join(&link(&api, query.to.as_str(), "Go on"))
            .add("<p class=\"or\">or sign in again, or as somebody else:</p>", &[]);
    }
    if offered.is_empty() {
        body.join(&Markup::alert(
            "Nobody can sign in yet, because no identity provider is set up.",
        ))
        .add(
            "<p>Run <code>causeway claim-link</code> on the server's machine, and open the link that it prints.</p>",
            &[],
        );
    } else {
        let action = |provider: &Offered| format!("/auth/sign-in/{}", provider.id);
        body.join(&buttons(&api, &offered, action, look));
    }
    visiting.attach(Document::new("Sign in", body).leaves().into_response())
}

/// What the buttons send.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    #[serde(default, rename = "return")]
    to: ReturnPath,
}

/// Sends the browser to a provider.
pub(crate) async fn begin(
    State(api): State<Api>,
    provider: Result<Path<String>, PathRejection>,
    visiting: Visiting,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return wrong_form(rejection.status()),
    };
    let Some(provider) = provider_of(provider) else { return go_to(&api, "/auth/sign-in") };
    let purpose = Purpose::SignIn { provider };
    let begun = api.sign_in().begin(purpose, &visiting.visit(), form.to.as_str()).await;
    let response = match begun {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => sign_in_refused(error, &link(&api, "/auth/sign-in", "Back to signing in")),
    };
    visiting.attach(response)
}

fn provider_of(path: Result<Path<String>, PathRejection>) -> Option<ProviderId> {
    path.ok().and_then(|Path(id)| id.parse().ok())
}
