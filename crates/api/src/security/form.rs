//! `/security/report`: a report from a browser.

use super::report::Patient;
use crate::html::{self, Document, Markup};
use crate::{Api, Problem};
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use causeway_disclosure::{Draft, MAX_REPORT, SubmitError};
use causeway_types::Coded as _;
use serde::Deserialize;

const TITLE: &str = "Report a vulnerability";

/// What the reporter typed.
#[derive(Deserialize)]
pub(crate) struct Typed {
    text: String,
    #[serde(default)]
    reply_to: String,
}

/// Shows the form, or how else to reach the operator.
pub(crate) async fn show(State(api): State<Api>) -> Document {
    if api.disclosure().takes_reports() {
        page(&api, None, "")
    } else {
        Document::new(TITLE, elsewhere(&api))
    }
}

/// Takes what was typed.
pub(crate) async fn submit(
    State(api): State<Api>,
    patient: Result<Patient, Problem>,
    form: Result<Form<Typed>, FormRejection>,
) -> Document {
    if let Err(problem) = patient {
        return html::problem(&problem);
    }
    let typed = match form {
        Ok(Form(typed)) => typed,
        Err(rejection) => return unreadable(&api, rejection.status()),
    };
    let draft = Draft { text: typed.text, reply_to: Some(typed.reply_to) };
    match api.disclosure().submit(&draft).await {
        Ok(id) => Document::new(
            "Thank you",
            Markup::of(
                "<p role=\"status\">Your report has arrived as <code>{}</code>. It was encrypted to the operator's key before it was stored.</p>",
                &[&id],
            ),
        )
        .status(StatusCode::CREATED),
        Err(error @ (SubmitError::Empty | SubmitError::TooLong(_))) => {
            let problem = Problem::new(error.code(), error.public());
            page(&api, Some(problem.detail()), &draft.text).status(problem.status())
        }
        Err(error) => html::refusal(error),
    }
}

fn unreadable(api: &Api, status: StatusCode) -> Document {
    let (text, status) = if status == StatusCode::PAYLOAD_TOO_LARGE {
        ("What you typed is too long. Send the essence, and say that there is more.", status)
    } else {
        ("The form did not arrive whole. Send it again.", StatusCode::BAD_REQUEST)
    };
    page(api, Some(text), "").status(status)
}

/// The form, with what is wrong with the last try and what was typed in it.
fn page(api: &Api, wrong: Option<&str>, text: &str) -> Document {
    let mut body = Markup::default();
    if let Some(wrong) = wrong {
        body.join(&Markup::alert(wrong));
    }
    let (action, key) = (api.at("/security/report"), api.at("/security/pgp-key"));
    body.add(
        "<p>What you write is encrypted to <a href=\"{}\">the operator's PGP key</a> before it is stored: nobody else can read it, this server neither.</p>",
        &[&key],
    );
    body.add(
        "<form method=\"post\" action=\"{}\"><label>What you found, and where<textarea name=\"text\" rows=\"12\" required maxlength=\"{}\">\n{}</textarea></label>",
        &[&action, &MAX_REPORT, &text],
    );
    body.add(
        "<label>How to reach you<input name=\"reply_to\" maxlength=\"500\" autocomplete=\"off\"><small>If you want to be: a mail address, or your own PGP key's place.</small></label><button>Send</button></form>",
        &[],
    );
    if !api.disclosure().contacts().is_empty() || api.disclosure().policy().is_some() {
        body.add("<h2>Other ways</h2>", &[]).join(&ways(api));
    }
    Document::new(TITLE, body).wide()
}

/// What a server without a key says.
fn elsewhere(api: &Api) -> Markup {
    let mut body = Markup::of(
        "<p>This server takes no reports itself, because its operator has given no key to encrypt them to.</p>",
        &[],
    );
    if api.disclosure().contacts().is_empty() {
        body.add("<p>Please turn to whoever operates it.</p>", &[]);
    } else {
        body.add("<p>Please turn to its operator:</p>", &[]);
    }
    body.join(&ways(api));
    body
}

fn ways(api: &Api) -> Markup {
    let mut body = Markup::of("<ul>", &[]);
    for contact in api.disclosure().contacts() {
        body.add("<li><a href=\"{}\">{}</a></li>", &[contact, contact]);
    }
    if let Some(policy) = api.disclosure().policy() {
        body.add("<li><a href=\"{}\">The operator's policy</a></li>", &[policy]);
    }
    body.add("</ul>", &[]);
    body
}
