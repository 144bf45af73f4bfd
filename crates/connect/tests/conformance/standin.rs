//! Stand-ins of apps, made from their rows. A stand-in answers as the row says that the app does,
//! and refuses whatever does not fit: a parameter that the row does not know, a client that proves
//! itself otherwise, a credential in another place, a request that nobody asked for. What it has
//! refused is a *fault*, and fails the drive.
//!
//! Nothing here calls the code under test: signatures and assertions are checked by what stands
//! in this folder, written from the RFC or the vendor's page.

mod answer;
mod calls;
mod device;
mod hmac;
mod installation;
mod jwt;
mod mcp;
mod minted;
mod oauth1;
mod oauth2;
mod proof;
mod sigv4;

pub(crate) use installation::INSTALLATION;
pub(crate) use mcp::SCOPES as MCP_SCOPES;

use crate::rows::{ExampleCall, Row};
use crate::seen::{Fault, Seen};
use crate::server::Answers;
use bytes::Bytes;
use causeway_catalog::{App, Template, UrlTemplate};
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, ManualClock, Timestamp};
use http::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use url::Url;

/// The company's client at the app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// What a stand-in expects while one scheme of its app is driven.
pub(crate) struct Plan {
    pub(crate) row: Row,
    pub(crate) scheme: Scheme,
    /// What the customer types.
    pub(crate) typed: BTreeMap<String, String>,
    /// What the app's answers give to be kept.
    pub(crate) kept: BTreeMap<String, String>,
    pub(crate) client: Client,
    /// The keys of `jwt`, `private_key_jwt` and app installations.
    pub(crate) keys: Arc<crate::keys::Keys>,
    /// What is asked for.
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    /// The call through the proxy.
    pub(crate) call: ExampleCall,
    /// What the vendor's own example gives, where that is compared.
    pub(crate) example: Option<ExampleTokens>,
}

/// The vendor's example of a token answer.
pub(crate) struct ExampleTokens {
    pub(crate) access: String,
    pub(crate) secret: Option<String>,
    pub(crate) answer: Option<Value>,
}

/// The code that every example has.
pub(crate) const EXAMPLE_CODE: &str = "ac_123";

/// What may come besides requests to the endpoints of the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The request of `verify`.
    Connecting,
    /// The call through the proxy.
    Calling,
    /// Nothing.
    Ending,
}

/// Tokens that a stand-in gave.
#[derive(Debug, Clone)]
struct Grant {
    access: String,
    /// Of OAuth 1.0a.
    secret: Option<String>,
    refresh: Option<String>,
    expires_at: Option<Timestamp>,
    is_over: bool,
}

/// What a code stands for.
#[derive(Debug, Clone)]
struct Code {
    redirect_uri: String,
    challenge: Option<String>,
}

#[derive(Default)]
struct State {
    plan: Option<Arc<Plan>>,
    phase: Option<Phase>,
    grants: Vec<Grant>,
    codes: BTreeMap<String, Code>,
    counts: BTreeMap<&'static str, u32>,
    /// What was granted, with the requests for it.
    granted: Vec<(&'static str, Seen)>,
    faults: Vec<Fault>,
    made: u32,
    /// The client that registered itself at an MCP server's authorization server.
    registered: Option<Client>,
}

/// A stand-in.
pub(crate) struct Standin {
    clock: Mutex<Arc<ManualClock>>,
    state: Mutex<State>,
}

/// What a stand-in answers.
enum Answer {
    Json(Value),
    Form(Vec<(String, String)>),
    Redirect(Url),
    /// 400 with the error of RFC 6749, section 5.2, which is no fault.
    Error(&'static str),
    /// 401 with this `WWW-Authenticate`.
    Challenge(String),
    Empty,
}

impl Standin {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock: Mutex::new(clock), state: Mutex::default() }
    }

    /// Takes the time from another clock from now on.
    pub(crate) fn keep_time_by(&self, clock: &Arc<ManualClock>) {
        *self.clock.lock().unwrap() = Arc::clone(clock);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Forgets what was, and expects a scheme.
    pub(crate) fn expect(&self, plan: Arc<Plan>) {
        let mut state = self.state();
        *state = State {
            plan: Some(plan),
            phase: Some(Phase::Connecting),
            // Who has registered stays a client.
            registered: state.registered.take(),
            ..State::default()
        };
    }

    /// Expects what comes next.
    pub(crate) fn enter(&self, phase: Phase) {
        self.state().phase = Some(phase);
    }

    /// How often something was asked for, and granted.
    pub(crate) fn count(&self, what: &str) -> u32 {
        self.state().counts.get(what).copied().unwrap_or(0)
    }

    /// What was refused.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.state().faults.clone()
    }

    /// The first request of this kind that was granted.
    pub(crate) fn granted(&self, what: &str) -> Option<Seen> {
        let state = self.state();
        state.granted.iter().find(|(name, _)| *name == what).map(|(_, seen)| seen.clone())
    }

    /// Whether no grant is left that would open the app.
    pub(crate) fn is_revoked(&self) -> bool {
        self.state().grants.iter().all(|grant| grant.is_over)
    }

    /// When the newest token expires, if it does.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.state().grants.last()?.expires_at
    }
}

impl Answers for Standin {
    fn answer(&self, seen: Seen) -> Response<Bytes> {
        let mut state = self.state();
        let now = self.clock.lock().unwrap().now();
        let answer = state.answer(&seen, now);
        let (status, kind, body, more) = match answer {
            Ok(Answer::Json(value)) => (200, "application/json", value.to_string(), None),
            Ok(Answer::Error(code)) => {
                (400, "application/json", json!({ "error": code }).to_string(), None)
            }
            Ok(Answer::Challenge(text)) => {
                (401, "text/plain", String::new(), Some(("www-authenticate", text)))
            }
            Ok(Answer::Form(pairs)) => {
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(pairs)
                    .finish();
                (200, "application/x-www-form-urlencoded", body, None)
            }
            Ok(Answer::Redirect(to)) => {
                (302, "text/plain", String::new(), Some(("location", to.into())))
            }
            Ok(Answer::Empty) => (200, "text/plain", String::new(), None),
            Err(fault) => {
                let shown = format!("{} {}: {fault}", seen.method, seen.url.path());
                let body = json!({ "error": "refused_by_standin", "error_description": shown });
                state.faults.push(shown);
                (400, "application/json", body.to_string(), None)
            }
        };
        let mut response = Response::builder().status(status).header("content-type", kind);
        if let Some((name, text)) = more {
            response = response.header(name, text);
        }
        response.body(Bytes::from(body)).unwrap()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen, now: Timestamp) -> Result<Answer, Fault> {
        let plan = self.plan.clone().ok_or("nothing is expected")?;
        let of_scheme = match plan.scheme {
            Scheme::Oauth2 => self.oauth2(&plan, seen, now)?,
            Scheme::Device => self.device(&plan, seen, now)?,
            Scheme::Installation => self.installation(&plan, seen, now)?,
            Scheme::Mcp => self.mcp(&plan, seen, now)?,
            Scheme::ClientCredentials => self.client_credentials(&plan, seen, now)?,
            Scheme::Jwt => self.jwt_exchange(&plan, seen, now)?,
            Scheme::TokenExchange => self.token_exchange(&plan, seen, now)?,
            Scheme::Oauth1 => self.oauth1(&plan, seen, now)?,
            _ => None,
        };
        match of_scheme {
            Some(answer) => Ok(answer),
            None => self.call(&plan, seen, now),
        }
    }

    /// Notes what was granted.
    fn count(&mut self, what: &'static str, seen: &Seen) {
        *self.counts.entry(what).or_default() += 1;
        self.granted.push((what, seen.clone()));
    }

    /// A text that was not there before.
    fn fresh(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}_{:04}_of_the_standin", self.made)
    }

    /// The newest tokens, which alone are to be used.
    fn current(&self, now: Timestamp) -> Result<&Grant, Fault> {
        let grant = self.grants.last().ok_or("no token was given yet")?;
        if grant.is_over {
            return Err("the token was revoked".into());
        }
        if grant.expires_at.is_some_and(|end| end <= now) {
            return Err("the token has expired".into());
        }
        Ok(grant)
    }
}

impl Plan {
    fn app(&self) -> &App {
        &self.row.app
    }

    /// The value of this name in the templates of the row.
    fn value(&self, name: &str) -> Option<&str> {
        let own = [&self.typed, &self.kept, &self.client.fields];
        match own.into_iter().find_map(|values| values.get(name)) {
            Some(value) => Some(value),
            None => (name == "client_id").then_some(self.client.id.as_str()),
        }
    }

    fn url(&self, template: &UrlTemplate) -> Result<Url, Fault> {
        let url = template.fill(|name| self.value(name));
        url.ok_or_else(|| format!("`{template}` cannot be filled from the example's values"))
    }

    /// The text of a template; `None` if it names an optional field that is empty.
    fn text<'a>(
        &'a self,
        template: &Template,
        more: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<String>, Fault> {
        let value = |name: &str| more(name).or_else(|| self.value(name));
        if let Some(text) = template.fill(value) {
            return Ok(Some(text));
        }
        let optional = |name: &str| {
            crate::keys::fields(self.app(), self.scheme)
                .chain(&self.app().client_fields)
                .any(|field| field.name.as_str() == name && field.optional)
        };
        match template.fields().find(|name| value(name).is_none() && !optional(name)) {
            Some(name) => Err(format!("the example has no value `{name}`")),
            None => Ok(None),
        }
    }
}
