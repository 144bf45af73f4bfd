//! `/auth/claim/…`: how a new installation gets its first owner. Whoever holds the link, which is
//! printed on the server's machine only, sets up a provider if there is none, and signs in.

use super::set_up::{self, ProviderForm, Typed};
use super::{ACCOUNT, Visiting, provider_buttons, sign_in_refused, wrong_form};
use crate::Api;
use crate::html::{self, Document, Markup};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use causeway_identity::{Offered, ProviderError, Purpose, SignInError};
use causeway_types::{Code, Coded};

/// Shows what the link is for.
pub(crate) async fn show(
    State(api): State<Api>,
    token: Result<Path<String>, PathRejection>,
    visiting: Visiting,
) -> Response {
    let token = token.map(|Path(token)| token).unwrap_or_default();
    let response = page(&api, &token, &visiting, None).await.unwrap_or_else(refused);
    visiting.attach(response)
}

/// Adds a provider.
pub(crate) async fn add_provider(
    State(api): State<Api>,
    token: Result<Path<String>, PathRejection>,
    visiting: Visiting,
    form: Result<Form<ProviderForm>, FormRejection>,
) -> Response {
    let token = token.map(|Path(token)| token).unwrap_or_default();
    let (new, typed) = match form {
        Ok(Form(form)) => form.split(),
        Err(rejection) => return wrong_form(rejection.status()),
    };
    match api.sign_in().set_claim_provider(&token, visiting.address(), new).await {
        Ok(_) => Redirect::to(&api.at(&format!("/auth/claim/{token}"))).into_response(),
        Err(ProviderError::Claim(error)) => refused(*error),
        Err(error) if is_of_the_form(&error) => {
            let again = Some((error, typed));
            page(&api, &token, &visiting, again).await.unwrap_or_else(refused)
        }
        Err(error) => html::refusal(error).into_response(),
    }
}

/// Sends the browser to a provider.
pub(crate) async fn begin(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    visiting: Visiting,
) -> Response {
    let (token, provider) = path.map(|Path(both)| both).unwrap_or_default();
    // No page of ours sends what is no id.
    let Ok(provider) = provider.parse() else { return refused(SignInError::LinkSpent) };
    let purpose = Purpose::Claim { provider, token: &token };
    let response = match api.sign_in().begin(purpose, &visiting.visit(), ACCOUNT).await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => refused(error),
    };
    visiting.attach(response)
}

async fn page(
    api: &Api,
    token: &str,
    visiting: &Visiting,
    failed: Option<(ProviderError, Typed)>,
) -> Result<Response, SignInError> {
    api.sign_in().check_claim(token, visiting.address()).await?;
    let offered = api.sign_in().offered(None).await?;
    let form = format!("/auth/claim/{token}/providers");
    let typed = failed.as_ref().map(|(_, typed)| typed);
    let forms = set_up::forms(api, &api.at(&form), typed);
    let mut body = Markup::default();
    if let Some((error, _)) = &failed {
        body.join(&Markup::alert(error.public()));
    }
    body.add(
        "<p>This installation of Causeway has no owner yet. With this link you become its owner: it works once.</p>",
        &[],
    );
    if offered.is_empty() {
        body.add(
            "<p>Causeway keeps no passwords. First set up the identity provider with which you and others will sign in:</p>",
            &[],
        )
        .join(&forms);
    } else {
        let action = |provider: &Offered| format!("/auth/claim/{token}/sign-in/{}", provider.id);
        body.add("<p>Sign in with the account that is to own it.</p>", &[])
            .join(&provider_buttons(api, &offered, action, "Continue with"))
            .add(
                "<h2>Another provider</h2><p>To mend a typing error, set the provider up again under the same name.</p>",
                &[],
            )
            .join(&forms);
    }
    let status = failed.map_or(StatusCode::OK, |(error, _)| html::refusal(error).status_code());
    Ok(Document::new("Claim this installation", body).status(status).leaves().into_response())
}

/// Whether typing something else may help.
fn is_of_the_form(error: &ProviderError) -> bool {
    matches!(error.code(), Code::InvalidRequest | Code::Taken)
}

fn refused(error: SignInError) -> Response {
    let next = Markup::of(
        "<p>If this installation has no owner yet, run <code>causeway claim-link</code> on its machine for a new link. Otherwise ask its owner for an invitation.</p>",
        &[],
    );
    sign_in_refused(error, &next)
}
