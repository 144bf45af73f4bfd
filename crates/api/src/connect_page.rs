//! The page on which a customer adds a connection: plain HTML from the server, no script.

use crate::Api;
use crate::cookies::{self, Visitor};
use crate::html::{self, Document, Markup};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use causeway_connect::{Callback, FieldView, Finished, LinkView, SchemeView};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the browser's cookie stays: as long as the longest link.
const COOKIE_LIVES: Duration = Duration::from_hours(24);

fn visitor(api: &Api, headers: &HeaderMap) -> Visitor {
    Visitor::of(api, headers, cookies::CONNECT, Some(COOKIE_LIVES))
}

/// Shows what a link is for.
pub(crate) async fn open(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let visitor = visitor(&api, &headers);
    let response = match api.connect().open_link(&token, &visitor.browser).await {
        Ok(view) => page(format!("Connect {}", view.app_name), choices(&token, &view)),
        Err(error) => refusal(error),
    };
    visitor.attach(response)
}

/// Sends the customer to the app.
pub(crate) async fn authorize(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let visitor = visitor(&api, &headers);
    let response = match api.connect().start_oauth(&token, &visitor.browser).await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => refusal(error),
    };
    visitor.attach(response)
}

/// What the app's authorization server adds to the callback URL.
#[derive(Deserialize)]
pub(crate) struct CallbackQuery {
    #[serde(default)]
    state: String,
    code: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// Takes the app's answer.
pub(crate) async fn callback(
    State(api): State<Api>,
    query: Result<Query<CallbackQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(query)) = query else {
        return wrong(
            StatusCode::BAD_REQUEST,
            "The app sent you back with an answer that cannot be read. Open your link again and start over.",
        );
    };
    let visitor = visitor(&api, &headers);
    let callback = Callback {
        state: query.state,
        code: query.code,
        error: query.error,
        error_description: query.error_description,
        iss: query.iss,
    };
    match api.connect().finish_oauth(callback, &visitor.browser).await {
        Ok(finished) => done(&finished),
        Err(error) => refusal(error),
    }
}

/// What the customer typed: the scheme, and the fields that it asks for.
#[derive(Deserialize)]
pub(crate) struct KeyForm {
    scheme: Scheme,
    #[serde(flatten)]
    fields: BTreeMap<String, SecretString>,
}

/// Takes keys that the customer typed.
pub(crate) async fn submit_key(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    form: Result<Form<KeyForm>, FormRejection>,
) -> Response {
    let token = token_of(path);
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return wrong(rejection.status(), "What was typed is too long. Go back and check it.");
        }
        Err(_) => {
            return wrong(
                StatusCode::BAD_REQUEST,
                "The form did not arrive whole. Go back and send it again.",
            );
        }
    };
    let visitor = visitor(&api, &headers);
    let submitted =
        api.connect().submit_key(&token, &visitor.browser, form.scheme, form.fields).await;
    visitor.attach(match submitted {
        Ok(finished) => done(&finished),
        Err(error) => refusal(error),
    })
}

/// The link's token; what is no text is no token.
fn token_of(path: Result<Path<String>, PathRejection>) -> String {
    path.map(|Path(token)| token).unwrap_or_default()
}

fn done(finished: &Finished) -> Response {
    if let Some(url) = &finished.return_url {
        return Redirect::to(url).into_response();
    }
    let app = &finished.app_name;
    let mut body = Markup::of("<p>{} is connected. You can close this page.</p>", &[app]);
    if !finished.missing.0.is_empty() {
        let scopes = finished.missing.0.join(", ");
        body.add("<p class=\"note\">Not granted: {}. Some things may not work.</p>", &[&scopes]);
    }
    page("Connected", body)
}

fn refusal(error: impl Coded + 'static) -> Response {
    html::refusal(error).leaves().for_customers().into_response()
}

/// A request that no page of ours sends.
fn wrong(status: StatusCode, text: &'static str) -> Response {
    let page = Document::new(Code::InvalidRequest.title(), Markup::alert(text));
    page.status(status).leaves().for_customers().into_response()
}

/// A page; its form may lead to the app.
fn page(title: impl Into<String>, body: Markup) -> Response {
    Document::new(title, body).leaves().for_customers().into_response()
}

/// The ways to connect, each a form. Their addresses are relative to the page's, which may stand
/// under a path of the public URL.
fn choices(token: &str, view: &LinkView) -> Markup {
    let what = if view.reconnect { "Renew the connection of" } else { "Connect" };
    let mut body = Markup::of(
        "<p>{} <strong>{}</strong> to <strong>{}</strong>.</p>",
        &[&what, &view.customer, &view.app_name],
    );
    for (index, scheme) in view.schemes.iter().enumerate() {
        if index > 0 {
            body.add("<p class=\"or\">or</p>", &[]);
        }
        match scheme {
            SchemeView::OAuth2 => {
                body.add(
                    "<form method=\"post\" action=\"{}/authorize\"><button>Continue with {}</button></form>",
                    &[&token, &view.app_name],
                );
            }
            SchemeView::ApiKey { docs, fields } => {
                key_form(&mut body, token, Scheme::ApiKey, docs, fields);
            }
            SchemeView::Basic { docs, fields } => {
                key_form(&mut body, token, Scheme::Basic, docs, fields);
            }
        }
    }
    if view.schemes.is_empty() {
        body.join(&Markup::alert(
            "There is no way to connect this app yet. Ask whoever sent you this link.",
        ));
    }
    body
}

fn key_form(body: &mut Markup, token: &str, scheme: Scheme, docs: &str, fields: &[FieldView]) {
    body.add(
        "<form method=\"post\" action=\"{}/key\" autocomplete=\"off\"><input type=\"hidden\" name=\"scheme\" value=\"{}\">",
        &[&token, &scheme],
    );
    for field in fields {
        let kind = if field.secret { "password" } else { "text" };
        body.add(
            "<label>{}<input type=\"{}\" name=\"{}\" required>",
            &[&field.label, &kind, &field.name],
        );
        if let Some(help) = &field.help {
            body.add("<small>{}</small>", &[help]);
        }
        body.add("</label>", &[]);
    }
    body.add(
        "<p class=\"note\"><a href=\"{}\" rel=\"noreferrer\">Where to find this</a></p><button>Connect</button></form>",
        &[&docs],
    );
}
