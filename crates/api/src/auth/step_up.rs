//! `/auth/step-up`: prove again who one is, at the provider of the session.

use super::path::ReturnPath;
use super::{Visiting, go_to, link, sign_in_refused, wrong_form};
use crate::Api;
use crate::html::{self, Document, Markup};
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use causeway_identity::Purpose;
use causeway_types::{Code, Coded};
use serde::Deserialize;

/// Where to go afterwards.
#[derive(Default, Deserialize)]
pub(crate) struct StepUp {
    #[serde(default, rename = "return")]
    to: ReturnPath,
}

/// Says why, and offers the provider.
pub(crate) async fn show(
    State(api): State<Api>,
    query: Result<Query<StepUp>, QueryRejection>,
    visiting: Visiting,
) -> Response {
    let StepUp { to } = query.map(|Query(query)| query).unwrap_or_default();
    let Some(cookie) = visiting.session() else { return go_to(&api, "/auth/sign-in") };
    let me = match api.sign_in().sessions().who(cookie).await {
        Ok(me) => me,
        Err(error) if error.code() == Code::Unauthenticated => return go_to(&api, "/auth/sign-in"),
        Err(error) => return html::refusal(error).into_response(),
    };
    let body = Markup::of(
        "<p>What you are about to do needs a fresh proof of who you are. You are signed in as <strong>{}</strong>.</p><form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"return\" value=\"{}\"><button>Sign in again</button></form><p class=\"note\"><a href=\"{}\">Not now</a></p>",
        &[&me.user.email, &api.at("/auth/step-up"), &to.as_str(), &api.at(to.as_str())],
    );
    visiting.attach(Document::new("Confirm that it is you", body).leaves().into_response())
}

/// Sends the browser to the session's provider.
pub(crate) async fn begin(
    State(api): State<Api>,
    visiting: Visiting,
    form: Result<Form<StepUp>, FormRejection>,
) -> Response {
    let to = match form {
        Ok(Form(form)) => form.to,
        Err(rejection) => return wrong_form(rejection.status()),
    };
    let response = match api.sign_in().begin(Purpose::StepUp, &visiting.visit(), to.as_str()).await
    {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => sign_in_refused(error, &link(&api, "/auth/sign-in", "Sign in")),
    };
    visiting.attach(response)
}
