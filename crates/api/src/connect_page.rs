//! The page on which a customer adds a connection: plain HTML from the server, no script. What a
//! page with a script asks instead is [`connect_json`](crate::connect_json).
//!
//! Every form has to come from a page of ours ([`cross_site`](crate::cross_site)): another site
//! could otherwise send a customer's browser straight to an app with somebody else's link, and an
//! app that asks no more would connect the customer's account for them.

use crate::cookies::{self, Visitor};
use crate::html::{self, Document, Markup};
use crate::{Api, cross_site};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use causeway_catalog::FieldFormat;
use causeway_connect::{
    AppView, Callback, Choice, DevicePrompt, FieldView, Finished, How, LinkView, Progress,
    SchemeView, Started,
};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the browser's cookie stays: as long as the longest link.
pub(crate) const COOKIE_LIVES: Duration = Duration::from_hours(24);
/// Most parameters that an app may send a browser back with.
const MOST_PARAMETERS: usize = 50;

pub(crate) fn visitor(api: &Api, headers: &HeaderMap) -> Visitor {
    Visitor::of_page(api, headers)
        .unwrap_or_else(|| Visitor::of(api, headers, cookies::CONNECT, Some(COOKIE_LIVES)))
}

/// Refuses forms of other sites, with a page.
pub(crate) async fn own_forms(State(api): State<Api>, request: Request, next: Next) -> Response {
    let refused = cross_site::check_customers(&api, request.method(), request.headers());
    let mut response = match refused {
        Ok(()) => next.run(request).await,
        Err(problem) => html::problem(&problem).leaves().for_customers().into_response(),
    };
    // With `no-referrer`, browsers would send `Origin: null` with our own forms (Fetch section
    // 3.2). Other sites are still told nothing, least of all the link.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Which app the customer has chosen, where the link leaves it open.
#[derive(Deserialize)]
pub(crate) struct ChosenApp {
    app: Option<String>,
}

impl ChosenApp {
    /// The app; what cannot be read names none.
    pub(crate) fn of(query: Result<Query<Self>, QueryRejection>) -> Option<String> {
        query.ok().and_then(|Query(query)| query.app)
    }
}

/// Shows what a link is for.
pub(crate) async fn open(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ChosenApp>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let chosen = ChosenApp::of(query);
    let visitor = visitor(&api, &headers);
    let opened = api.connect().open_link(&token, &visitor.browser, chosen.as_deref()).await;
    let response = match opened {
        Ok(view) => match &view.app {
            Some(app) => page(format!("Connect {}", app.name), ways(&token, &view, app)),
            None => page("Choose an app", choices(&view)),
        },
        Err(error) => refusal(error),
    };
    visitor.attach(response)
}

/// What the customer chose and typed.
#[derive(Deserialize)]
pub(crate) struct ChoiceForm {
    app: Option<String>,
    scheme: Option<Scheme>,
    #[serde(flatten)]
    fields: BTreeMap<String, SecretString>,
}

impl From<ChoiceForm> for Choice {
    fn from(form: ChoiceForm) -> Self {
        Self { app: form.app, scheme: form.scheme, fields: form.fields, popup: false }
    }
}

/// Sends the customer to the app, or tells them the code for another device.
pub(crate) async fn authorize(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    form: Result<Form<ChoiceForm>, FormRejection>,
) -> Response {
    let token = token_of(path);
    let choice: Choice = match read(form) {
        Ok(form) => form.into(),
        Err(refused) => return *refused,
    };
    let visitor = visitor(&api, &headers);
    let response = match api.connect().start(&token, &visitor.browser, choice).await {
        Ok(Started::Browser(url)) => Redirect::to(url.as_str()).into_response(),
        // Relative: the page may stand under a path of the public URL.
        Ok(Started::Device(_)) => Redirect::to("waiting").into_response(),
        Err(error) => refusal(error),
    };
    visitor.attach(response)
}

/// Shows how far a flow is whose customer agrees elsewhere. The page loads itself again.
pub(crate) async fn waiting(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let visitor = visitor(&api, &headers);
    let response = match api.connect().progress(&token, &visitor.browser).await {
        Ok(Progress::Waiting(Some(prompt))) => prompted(&prompt),
        Ok(Progress::Connected(finished)) => done(&finished),
        Ok(Progress::Failed { text, .. }) => {
            let mut body = Markup::alert(text);
            body.add("<p><a class=\"button\" href=\"../{}?plain\">Start over</a></p>", &[&token]);
            page("Not connected", body)
        }
        // Nothing waits: the link's own page says what can be done.
        Ok(Progress::Open | Progress::Waiting(None)) => {
            Redirect::to(&format!("../{token}?plain")).into_response()
        }
        Err(error) => refusal(error),
    };
    visitor.attach(response)
}

/// Takes the app's answer.
pub(crate) async fn callback(
    State(api): State<Api>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Some(callback) = query.ok().and_then(|Query(query)| answer(query)) else {
        return wrong(
            StatusCode::BAD_REQUEST,
            "The app sent you back with an answer that cannot be read. Open your link again and start over.",
        );
    };
    let visitor = visitor(&api, &headers);
    let state = callback.state.clone();
    match api.connect().finish(callback, &visitor.browser).await {
        Ok(finished) => done(&finished),
        Err(error) => match api.connect().error_url(&state, &visitor.browser, &error).await {
            Some(url) => {
                // Logged as any other failure.
                drop(html::refusal(error));
                Redirect::to(url.as_str()).into_response()
            }
            None => refusal(error),
        },
    }
}

/// Sorts what an app sent; `None` if something stands there twice.
fn answer(query: Vec<(String, String)>) -> Option<Callback> {
    let mut callback = Callback::default();
    if query.len() > MOST_PARAMETERS {
        return None;
    }
    let mut others = BTreeMap::new();
    for (name, value) in query {
        if others.insert(name, value).is_some() {
            return None;
        }
    }
    callback.state = others.remove("state").unwrap_or_default();
    callback.error = others.remove("error");
    callback.error_description = others.remove("error_description");
    callback.iss = others.remove("iss");
    callback.code = others.remove("code").map(SecretString::new);
    callback.others =
        others.into_iter().map(|(name, value)| (name, SecretString::new(value))).collect();
    Some(callback)
}

/// Takes what the customer typed.
pub(crate) async fn submit_key(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    form: Result<Form<ChoiceForm>, FormRejection>,
) -> Response {
    let token = token_of(path);
    let choice: Choice = match read(form) {
        Ok(form) => form.into(),
        Err(refused) => return *refused,
    };
    let visitor = visitor(&api, &headers);
    let submitted = api.connect().submit(&token, &visitor.browser, choice).await;
    visitor.attach(match submitted {
        Ok(finished) => done(&finished),
        Err(error) => refusal(error),
    })
}

fn read(form: Result<Form<ChoiceForm>, FormRejection>) -> Result<ChoiceForm, Box<Response>> {
    let (status, text) = match form {
        Ok(Form(form)) if form.scheme.is_some() => return Ok(form),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            (rejection.status(), "What was typed is too long. Go back and check it.")
        }
        _ => (StatusCode::BAD_REQUEST, "The form did not arrive whole. Go back and send it again."),
    };
    Err(Box::new(wrong(status, text)))
}

/// The link's token; what is no text is no token.
pub(crate) fn token_of(path: Result<Path<String>, PathRejection>) -> String {
    path.map(|Path(token)| token).unwrap_or_default()
}

fn done(finished: &Finished) -> Response {
    if let Some(url) = finished.return_url.as_ref().filter(|_| !finished.popup) {
        return Redirect::to(url).into_response();
    }
    let app = &finished.app_name;
    let mut body = Markup::of("<p>{} is connected. You can close this page.</p>", &[app]);
    if let Some(account) = &finished.account {
        body.add("<p class=\"note\">Account: {}</p>", &[account]);
    }
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

/// The apps to choose from.
fn choices(view: &LinkView) -> Markup {
    let mut body = purpose(view, "an app");
    if view.apps.is_empty() {
        body.join(&nothing_open());
        return body;
    }
    body.add("<ul class=\"rows\">", &[]);
    for app in &view.apps {
        body.add(
            "<li><div><a href=\"?plain&amp;app={}\">{}</a><small>{}</small></div></li>",
            &[&app.slug, &app.name, &app.description],
        );
    }
    body.add("</ul>", &[]);
    body
}

/// Whom what is connected for.
fn purpose(view: &LinkView, what: &str) -> Markup {
    let verb = if view.reconnect.is_some() { "Renew the connection of" } else { "Connect" };
    let mut body = Markup::of(
        "<p>{} <strong>{}</strong> to <strong>{}</strong>.</p>",
        &[&verb, &view.customer, &what],
    );
    if !view.company.is_empty() {
        body.add("<p class=\"note\">For {}.</p>", &[&view.company]);
    }
    if !view.support_email.is_empty() {
        body.add(
            "<p class=\"note\">Help: <a href=\"mailto:{}\">{}</a></p>",
            &[&view.support_email, &view.support_email],
        );
    }
    body
}

fn nothing_open() -> Markup {
    Markup::alert("There is no way to connect this app yet. Ask whoever sent you this link.")
}

/// The ways to connect, each a form. Their addresses are relative to the page's, which may stand
/// under a path of the public URL.
fn ways(token: &str, view: &LinkView, app: &AppView) -> Markup {
    let mut body = purpose(view, &app.name);
    for (index, way) in app.schemes.iter().enumerate() {
        if index > 0 {
            body.add("<p class=\"or\">or</p>", &[]);
        }
        let to = match way.how {
            How::Browser | How::Device => "authorize",
            How::Keys | How::Nothing => "key",
        };
        body.add(
            "<form method=\"post\" action=\"{}/{}\" autocomplete=\"off\"><input type=\"hidden\" name=\"app\" value=\"{}\"><input type=\"hidden\" name=\"scheme\" value=\"{}\">",
            &[&token, &to, &app.slug, &way.scheme],
        );
        let mut fields = app.fields.iter().chain(&way.fields).peekable();
        let asks = fields.peek().is_some();
        for field in fields {
            add_field(&mut body, field);
        }
        if way.how == How::Keys && asks {
            body.add(
                "<p class=\"note\"><a href=\"{}\" rel=\"noreferrer\">Where to find this</a></p>",
                &[&way.docs],
            );
        }
        body.add("<button>{}</button></form>", &[&button(app, way)]);
    }
    if app.schemes.is_empty() {
        body.join(&nothing_open());
    }
    body
}

fn button(app: &AppView, way: &SchemeView) -> String {
    match (way.how, way.scheme) {
        (How::Browser, Scheme::Installation) => format!("Install at {}", app.name),
        (How::Browser, _) => format!("Continue with {}", app.name),
        (How::Device, _) => format!("Type a code at {}", app.name),
        (How::Keys | How::Nothing, _) => "Connect".to_owned(),
    }
}

fn add_field(body: &mut Markup, field: &FieldView) {
    let need = if field.optional { "" } else { " required" };
    let value = field.default.as_deref().unwrap_or_default();
    body.add("<label>{}", &[&field.label]);
    if !field.options.is_empty() {
        body.add("<select name=\"{}\"{}>", &[&field.name, &need]);
        for (option, label) in &field.options {
            let chosen = if Some(option) == field.default.as_ref() { " selected" } else { "" };
            body.add("<option value=\"{}\"{}>{}</option>", &[option, &chosen, label]);
        }
        body.add("</select>", &[]);
    } else if field.format == FieldFormat::Multiline {
        body.add(
            "<textarea name=\"{}\"{} spellcheck=\"false\">{}</textarea>",
            &[&field.name, &need, &value],
        );
    } else {
        let kind = if field.secret { "password" } else { "text" };
        let example = field.example.as_deref().unwrap_or_default();
        body.add("<input type=\"{}\" name=\"{}\"{}", &[&kind, &field.name, &need]);
        if !value.is_empty() {
            body.add(" value=\"{}\"", &[&value]);
        }
        if !example.is_empty() {
            body.add(" placeholder=\"{}\"", &[&example]);
        }
        body.add(">", &[]);
    }
    if let Some(help) = &field.help {
        body.add("<small>{}</small>", &[help]);
    }
    body.add("</label>", &[]);
}

/// The code for another device. The page loads itself again until there is news.
fn prompted(prompt: &DevicePrompt) -> Response {
    let mut body = Markup::of(
        "<p>Open this page on any device and type the code:</p><p><a class=\"button\" href=\"{}\" target=\"_blank\" rel=\"noreferrer noopener\">{}</a></p><p><code class=\"block\">{}</code></p>",
        &[
            prompt.verification_uri_complete.as_ref().unwrap_or(&prompt.verification_uri),
            &prompt.verification_uri,
            &prompt.user_code,
        ],
    );
    body.add("<p class=\"note\" role=\"status\">Waiting for you to agree there. This page goes on by itself.</p>", &[]);
    let mut response = page("One more step", body);
    if let Ok(seconds) = HeaderValue::try_from(prompt.interval.max(2).to_string()) {
        response.headers_mut().insert(header::REFRESH, seconds);
    }
    response
}
