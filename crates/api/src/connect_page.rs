//! The page on which a customer adds a connection: plain HTML from the server, no script.

use crate::{Api, Problem};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use causeway_connect::{Callback, FieldView, Finished, LinkView, SchemeView};
use causeway_identity::token::{Browser, Plain};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The cookie that binds a link to one browser. Over TLS it has the `__Host-` prefix, so that no
/// other host can set it (RFC 6265bis section 4.1.3.2).
const COOKIE: &str = "causeway_connect";
const SECURE_COOKIE: &str = "__Host-causeway_connect";
/// How long the cookie stays, in seconds: as long as the longest link.
const COOKIE_SECONDS: u32 = 86_400;

/// What the page may do: its own style and forms, which may go to the app, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'sha256-STYLE'; base-uri 'none'; frame-ancestors 'none'";

/// A browser, by its cookie.
struct Visitor {
    browser: Plain<Browser>,
    /// The cookie to set, if the browser brought none.
    set: Option<String>,
}

impl Visitor {
    /// The browser of a request; a new one if it brought no cookie of ours.
    fn of(api: &Api, headers: &HeaderMap) -> Self {
        let name = if api.is_https() { SECURE_COOKIE } else { COOKIE };
        let known = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .find_map(|(_, value)| Plain::parse(value).ok());
        if let Some(browser) = known {
            return Self { browser, set: None };
        }
        let text = Plain::<Browser>::generate(api.random()).reveal();
        let secure = if api.is_https() { "; Secure" } else { "" };
        let set = format!(
            "{name}={}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}",
            text.expose()
        );
        // What was generated just now reads back.
        match Plain::parse(text.expose()) {
            Ok(browser) => Self { browser, set: Some(set) },
            Err(_) => Self { browser: Plain::generate(api.random()), set: None },
        }
    }

    fn attach(self, mut response: Response) -> Response {
        if let Some(cookie) = self.set.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Shows what a link is for.
pub(crate) async fn open(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let visitor = Visitor::of(&api, &headers);
    let response = match api.connect().open_link(&token, &visitor.browser).await {
        Ok(view) => {
            page(StatusCode::OK, &format!("Connect {}", view.app_name), &choices(&token, &view))
        }
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
    let visitor = Visitor::of(&api, &headers);
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
    let visitor = Visitor::of(&api, &headers);
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
    let visitor = Visitor::of(&api, &headers);
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
    let mut body =
        format!("<p>{} is connected. You can close this page.</p>", escape(&finished.app_name));
    if !finished.missing.0.is_empty() {
        let scopes = escape(&finished.missing.0.join(", "));
        let _ =
            write!(body, "<p class=\"note\">Not granted: {scopes}. Some things may not work.</p>");
    }
    page(StatusCode::OK, "Connected", &body)
}

fn refusal(error: impl Coded + 'static) -> Response {
    let title = error.code().title();
    let problem = Problem::from(error);
    let mut body = format!("<p role=\"alert\">{}</p>", escape(problem.detail()));
    if let Some(id) = problem.request_id().filter(|_| problem.status().is_server_error()) {
        let _ = write!(body, "<p class=\"note\">Request {id}</p>");
    }
    page(problem.status(), title, &body)
}

/// A request that no page of ours sends.
fn wrong(status: StatusCode, text: &str) -> Response {
    page(status, Code::InvalidRequest.title(), &format!("<p role=\"alert\">{text}</p>"))
}

/// The ways to connect, each a form. Their addresses are relative to the page's, which may stand
/// under a path of the public URL.
fn choices(token: &str, view: &LinkView) -> String {
    let mut body = String::new();
    let what = if view.reconnect { "Renew the connection of" } else { "Connect" };
    let _ = write!(
        body,
        "<p>{what} <strong>{}</strong> to <strong>{}</strong>.</p>",
        escape(&view.customer),
        escape(&view.app_name)
    );
    for (index, scheme) in view.schemes.iter().enumerate() {
        if index > 0 {
            body.push_str("<p class=\"or\">or</p>");
        }
        match scheme {
            SchemeView::OAuth2 => {
                let _ = write!(
                    body,
                    "<form method=\"post\" action=\"{}/authorize\"><button>Continue with {}</button></form>",
                    escape(token),
                    escape(&view.app_name)
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
        body.push_str("<p role=\"alert\">There is no way to connect this app yet. Ask whoever sent you this link.</p>");
    }
    body
}

fn key_form(body: &mut String, token: &str, scheme: Scheme, docs: &str, fields: &[FieldView]) {
    let _ = write!(
        body,
        "<form method=\"post\" action=\"{}/key\" autocomplete=\"off\"><input type=\"hidden\" name=\"scheme\" value=\"{scheme}\">",
        escape(token)
    );
    for field in fields {
        let kind = if field.secret { "password" } else { "text" };
        let help = field.help.as_deref().map(|help| format!("<small>{}</small>", escape(help)));
        let _ = write!(
            body,
            "<label>{}<input type=\"{kind}\" name=\"{}\" required>{}</label>",
            escape(&field.label),
            escape(&field.name),
            help.unwrap_or_default()
        );
    }
    let _ = write!(
        body,
        "<p class=\"note\"><a href=\"{}\" rel=\"noreferrer\">Where to find this</a></p><button>Connect</button></form>",
        escape(docs)
    );
}

/// The page's whole style; its hash stands in the policy.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#1b2430;background:#fff}h1{font-size:1.4rem}button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:6px;background:#1d4ed8;color:#fff;cursor:pointer}button:focus-visible,input:focus-visible,a:focus-visible{outline:3px solid #93c5fd}label{display:block;margin:.8rem 0}input{font:inherit;display:block;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #6b7280;border-radius:6px}small,.note,.or{color:#4b5563}@media(prefers-color-scheme:dark){body{background:#111827;color:#f3f4f6}small,.note,.or{color:#9ca3af}input{background:#1f2937;color:#f3f4f6}a{color:#93c5fd}}";

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    if let Ok(policy) = HeaderValue::try_from(POLICY.replace("STYLE", &style_hash())) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn style_hash() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    data_encoding::BASE64.encode(digest.as_ref())
}

/// Text as it may stand in HTML, in and outside of quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_says_cannot_become_markup() {
        assert_eq!(escape("<b onx='1'>&\""), "&lt;b onx=&#39;1&#39;&gt;&amp;&quot;");
    }
}
