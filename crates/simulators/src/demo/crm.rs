//! The CRM API. It takes an access token, the API key, or user name and password.

use super::Shared;
use super::refusal::Refusal;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The user name that goes with the API key as the password.
const USERNAME: &str = "demo";
/// The most contacts in one answer.
const MOST_LISTED: usize = 100;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/crm/me", get(me))
        .route("/crm/contacts", get(list).post(add))
        .route("/crm/companies/{domain}", get(company))
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Contact {
    id: String,
    email: String,
    name: String,
    title: Option<String>,
    company_domain: Option<String>,
}

/// A company, found by its domain.
#[derive(Debug, Clone, Copy, Serialize)]
struct Company {
    domain: &'static str,
    name: &'static str,
    industry: &'static str,
    employees: u32,
    country: &'static str,
    plan: &'static str,
    owner: &'static str,
}

const COMPANIES: [Company; 5] = [
    Company {
        domain: "analytical.example",
        name: "Analytical Engines Ltd",
        industry: "Computing",
        employees: 42,
        country: "GB",
        plan: "enterprise",
        owner: "sales@northwind.example",
    },
    Company {
        domain: "lighthouse.example",
        name: "Lighthouse Logistics",
        industry: "Shipping",
        employees: 1_280,
        country: "NO",
        plan: "growth",
        owner: "sales@northwind.example",
    },
    Company {
        domain: "orchard.example",
        name: "Orchard Foods",
        industry: "Food",
        employees: 310,
        country: "FR",
        plan: "growth",
        owner: "support@northwind.example",
    },
    Company {
        domain: "redwood.example",
        name: "Redwood Health",
        industry: "Health",
        employees: 5_400,
        country: "US",
        plan: "enterprise",
        owner: "support@northwind.example",
    },
    Company {
        domain: "tinkers.example",
        name: "Tinkers & Daughters",
        industry: "Repair",
        employees: 6,
        country: "IE",
        plan: "free",
        owner: "sales@northwind.example",
    },
];

pub(crate) fn sample_contacts() -> Vec<Contact> {
    [
        ("data@analytical.example", "Data Desk", "Head of Data", "analytical.example"),
        ("fleet@lighthouse.example", "Fleet Desk", "Fleet Manager", "lighthouse.example"),
        ("buying@orchard.example", "Buying Desk", "Buyer", "orchard.example"),
        ("nursing@redwood.example", "Nursing Desk", "Chief Nurse", "redwood.example"),
        ("it@redwood.example", "Integration Desk", "Integration Lead", "redwood.example"),
        ("office@tinkers.example", "Office", "Owner", "tinkers.example"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((email, name, title, domain), number)| Contact {
        id: format!("contact-{number}"),
        email: email.into(),
        name: name.into(),
        title: Some(title.into()),
        company_domain: Some(domain.into()),
    })
    .collect()
}

/// How a caller proved itself and what it may do.
struct Caller {
    by: &'static str,
    may_write: bool,
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn caller(shared: &Shared, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let state = shared.state();
    if let Some(token) = bearer(headers) {
        if let Some(scope) = state.scope_of(token) {
            let may_write = scope.split(' ').any(|scope| scope == "crm.write");
            return Ok(Caller { by: "oauth2", may_write });
        }
    } else if let Some(key) = headers.get("x-api-key").and_then(|key| key.to_str().ok()) {
        if state.is_api_key(key) {
            return Ok(Caller { by: "api_key", may_write: true });
        }
    } else if basic_password(headers).is_some_and(|password| state.is_api_key(&password)) {
        return Ok(Caller { by: "basic", may_write: true });
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
    let text = "the credential is missing, unknown, expired or revoked";
    Err(Refusal::new((challenge, problem(StatusCode::UNAUTHORIZED, "invalid_token", text))))
}

/// The password, if the user name is the one that there is.
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = BASE64.decode(encoded.as_bytes()).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (user, password) = pair.split_once(':')?;
    (scheme.eq_ignore_ascii_case("basic") && user == USERNAME).then(|| password.to_owned())
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let Caller { by, may_write } = caller(&shared, &headers)?;
    let may = if may_write { "write" } else { "read" };
    Ok(Json(json!({ "account": "Northwind Traders", "authenticated_by": by, "may": may })))
}

#[derive(Deserialize)]
struct Wanted {
    email: Option<String>,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refusal> {
    caller(&shared, &headers)?;
    let state = shared.state();
    let found: Vec<&Contact> = state
        .contacts()
        .iter()
        .rev()
        .filter(|contact| {
            wanted.email.as_ref().is_none_or(|email| contact.email.eq_ignore_ascii_case(email))
        })
        .take(MOST_LISTED)
        .collect();
    Ok(Json(json!({ "contacts": found })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    email: String,
    name: String,
    title: Option<String>,
    company_domain: Option<String>,
}

async fn add(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Json<NewContact>, JsonRejection>,
) -> Result<Response, Refusal> {
    let refuse = |status, code, text: &str| Err(Refusal::new(problem(status, code, text)));
    if !caller(&shared, &headers)?.may_write {
        let text = "the token lacks the scope crm.write";
        return refuse(StatusCode::FORBIDDEN, "insufficient_scope", text);
    }
    let new = match body {
        Ok(Json(new)) => new,
        Err(refused) => return refuse(refused.status(), "invalid_body", &refused.body_text()),
    };
    if !new.email.contains('@') {
        return refuse(StatusCode::BAD_REQUEST, "invalid_email", "the email has no @");
    }
    let mut state = shared.state();
    if state.contacts().iter().any(|known| known.email.eq_ignore_ascii_case(&new.email)) {
        return refuse(StatusCode::CONFLICT, "contact_exists", "a contact has this email already");
    }
    let contact = Contact {
        id: format!("contact-{}", state.contacts().len() + 1),
        email: new.email,
        name: new.name,
        title: new.title,
        company_domain: new.company_domain,
    };
    match state.add_contact(contact.clone()) {
        Ok(true) => Ok((StatusCode::CREATED, Json(contact)).into_response()),
        Ok(false) => refuse(StatusCode::INSUFFICIENT_STORAGE, "full", "the demo CRM is full"),
        Err(failed) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &failed.to_string())
        }
    }
}

async fn company(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(domain): Path<String>,
) -> Result<Json<Company>, Refusal> {
    caller(&shared, &headers)?;
    let found = COMPANIES.iter().find(|company| company.domain.eq_ignore_ascii_case(&domain));
    let text = "no company has this domain";
    found
        .map(|company| Json(*company))
        .ok_or_else(|| Refusal::new(problem(StatusCode::NOT_FOUND, "unknown_company", text)))
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message } });
    (status, Json(body)).into_response()
}
