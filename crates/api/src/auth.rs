//! The pages on which people come in: signing in and out, claiming an installation, accepting an
//! invitation, and one's own account. Plain HTML from the server, no script.
//!
//! What begins a sign-in or changes something is a form that is posted from a page of ours
//! ([`cross_site`](crate::cross_site)), so a link alone does nothing.

mod account;
mod callback;
mod claim;
mod invitation;
mod invite;
mod path;
mod set_up;
mod sign_in;
mod step_up;
mod visit;

use crate::html::{self, Document, Markup};
use crate::{Api, FORM_BODY_LIMIT, Problem, cross_site};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use causeway_identity::{Offered, SignInError};
use causeway_types::{Code, Coded};
use std::fmt::Display;
use visit::Visiting;

/// Where people land who did not say where they want to go.
const ACCOUNT: &str = "/account";

/// The pages' routes.
pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route("/auth/sign-in", get(sign_in::show))
        .route("/auth/sign-in/{provider}", post(sign_in::begin))
        .route("/auth/callback", get(callback::of_installation))
        .route("/auth/callback/{workspace}", get(callback::of_workspace))
        .route("/auth/step-up", get(step_up::show).post(step_up::begin))
        .route("/auth/sign-out", post(account::sign_out))
        .route("/auth/claim/{token}", get(claim::show))
        .route("/auth/claim/{token}/providers", post(claim::add_provider))
        .route("/auth/claim/{token}/sign-in/{provider}", post(claim::begin))
        .route("/auth/invitations/{token}", get(invitation::show))
        .route("/auth/invitations/{token}/accept/{provider}", post(invitation::accept))
        .route(ACCOUNT, get(account::show))
        .route("/account/workspaces/{id}/invite", get(invite::show).post(invite::invite))
        .route("/account/sessions/{id}/revoke", post(account::revoke))
        .route("/account/sessions/revoke", post(account::revoke_all))
        .layer(DefaultBodyLimit::max(FORM_BODY_LIMIT))
        .layer(middleware::from_fn_with_state(api.clone(), cross_site::forms))
        .layer(middleware::from_fn_with_state(api.clone(), only_where_cookies_are_safe))
        .layer(middleware::map_response(tell_own_pages_where_from))
}

/// Over plain HTTP anybody on the way could read the session's cookie.
async fn only_where_cookies_are_safe(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Response {
    if api.keeps_sessions() {
        return next.run(request).await;
    }
    let detail = format!(
        "People can sign in over HTTPS only, and this server's public URL is {}. Put TLS in front of it, or give it a certificate, and set `public_url` to its https address.",
        api.public("/")
    );
    html::problem(&Problem::new(Code::SignInFailed, detail)).into_response()
}

/// With `no-referrer`, browsers would send `Origin: null` with our own forms (Fetch section 3.2).
/// Other sites are still told nothing.
async fn tell_own_pages_where_from(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A redirect to a page of this server.
fn go_to(api: &Api, path: &str) -> Response {
    Redirect::to(&api.at(path)).into_response()
}

/// A failed sign-in, with what to do next.
fn sign_in_refused(error: SignInError, next: &Markup) -> Response {
    let wait = error.retry_after();
    let throttled = error.code() == Code::RateLimited;
    let mut page = html::refusal(error);
    if !throttled {
        page = page.more(next);
    }
    let mut response = page.into_response();
    if let Some(wait) = wait {
        // Whole seconds, rounded up: who comes then is not refused again.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
    }
    response
}

/// A form that does not hold what its page asks for, or came otherwise than by that page.
fn wrong_form(status: StatusCode) -> Response {
    let text = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "What was typed is too long. Go back and check it."
    } else {
        "The form did not arrive whole. Go back and send it again."
    };
    let page = Document::new(Code::InvalidRequest.title(), Markup::alert(text));
    page.status(status).into_response()
}

/// A link that leads on.
fn link(api: &Api, path: &str, text: &str) -> Markup {
    Markup::of("<p><a class=\"button\" href=\"{}\">{}</a></p>", &[&api.at(path), &text])
}

/// A button for each provider. Each is a form, so that following a link signs nobody in.
/// `action` gives the form's path, `words` what the button says before the provider's name.
fn provider_buttons(
    api: &Api,
    providers: &[Offered],
    action: impl Fn(&Offered) -> String,
    words: &str,
) -> Markup {
    buttons(api, providers, action, Look { words, return_path: None, plain: false })
}

/// What such buttons say, send along and look like.
#[derive(Clone, Copy)]
struct Look<'a> {
    words: &'a str,
    return_path: Option<&'a str>,
    plain: bool,
}

fn buttons(
    api: &Api,
    providers: &[Offered],
    action: impl Fn(&Offered) -> String,
    look: Look<'_>,
) -> Markup {
    let mut body = Markup::default();
    for provider in providers {
        let path = api.at(&action(provider));
        body.add("<form method=\"post\" action=\"{}\">", &[&path]);
        if let Some(path) = look.return_path {
            body.add("<input type=\"hidden\" name=\"return\" value=\"{}\">", &[&path]);
        }
        body.add(if look.plain { "<button class=\"plain\">" } else { "<button>" }, &[])
            .add("{} {}</button></form>", &[&look.words, &provider.name]);
    }
    body
}

/// A moment as people read it, with its exact form for machines.
fn moment(time: impl Display) -> Markup {
    let exact = time.to_string();
    let (date, clock) =
        (exact.get(..10).unwrap_or_default(), exact.get(11..16).unwrap_or_default());
    Markup::of("<time datetime=\"{}\">{} {} UTC</time>", &[&exact, &date, &clock])
}
