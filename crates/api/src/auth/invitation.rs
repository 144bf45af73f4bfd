//! `/auth/invitations/…`: what somebody is invited to, and the buttons that accept it.

use super::{ACCOUNT, Visiting, moment, provider_buttons, sign_in_refused};
use crate::Api;
use crate::html::{self, Document, Markup};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use causeway_identity::{InvitationView, Offered, Purpose, SignInError};
use causeway_store::db;

/// Shows who is invited where, and as what.
pub(crate) async fn show(
    State(api): State<Api>,
    token: Result<Path<String>, PathRejection>,
    visiting: Visiting,
) -> Response {
    let token = token.map(|Path(token)| token).unwrap_or_default();
    let response = match api.sign_in().invitation(&token, visiting.address()).await {
        Ok(invitation) => match project_name(&api, &invitation).await {
            Ok(project) => page(&api, &token, &invitation, project.as_deref()).into_response(),
            Err(error) => html::refusal(error).into_response(),
        },
        Err(error) => sign_in_refused(error, &next()),
    };
    visiting.attach(response)
}

/// Sends the browser to a provider; coming back with the invited address accepts.
pub(crate) async fn accept(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    visiting: Visiting,
) -> Response {
    let (token, provider) = path.map(|Path(both)| both).unwrap_or_default();
    // No page of ours sends what is no id.
    let Ok(provider) = provider.parse() else {
        return sign_in_refused(SignInError::LinkSpent, &next());
    };
    let purpose = Purpose::Invitation { provider, token: &token };
    let response = match api.sign_in().begin(purpose, &visiting.visit(), ACCOUNT).await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => sign_in_refused(error, &next()),
    };
    visiting.attach(response)
}

/// What the project is called in which the role counts.
async fn project_name(
    api: &Api,
    invitation: &InvitationView,
) -> causeway_store::Result<Option<String>> {
    let Some(id) = invitation.project else { return Ok(None) };
    let mut conn = api.store().read().await?;
    let project = db!(conn, workspace::project(invitation.workspace, id))?;
    Ok(project.map(|project| project.name))
}

fn page(api: &Api, token: &str, invitation: &InvitationView, project: Option<&str>) -> Document {
    let mut body = match &invitation.inviter {
        Some(name) => Markup::of("<p><strong>{}</strong> invites you", &[name]),
        None => Markup::of("<p>You are invited", &[]),
    };
    body.add(
        " to join <strong>{}</strong> as <strong>{}</strong>",
        &[&invitation.workspace_name, &invitation.role],
    );
    if let Some(project) = project {
        body.add(" in the project <strong>{}</strong>", &[&project]);
    }
    body.add(
        ".</p><p>The invitation is for <strong>{}</strong>: continue with an account of this address. It can be accepted until ",
        &[&invitation.email],
    )
    .join(&moment(invitation.expires_at))
    .add(".</p>", &[]);
    if invitation.providers.is_empty() {
        body.join(&Markup::alert(
            "There is no identity provider to sign in with. Tell whoever invited you.",
        ));
    }
    let action = |provider: &Offered| format!("/auth/invitations/{token}/accept/{}", provider.id);
    body.join(&provider_buttons(api, &invitation.providers, action, "Accept with"));
    Document::new(format!("Join {}", invitation.workspace_name), body).leaves()
}

fn next() -> Markup {
    Markup::of("<p>Ask whoever invited you for a new invitation.</p>", &[])
}
