//! What goes over the wire, compared with the hand-checked examples in `apps/<slug>/golden.yaml`,
//! which are written from the vendors' pages and not from the rows.

use crate::drive::{Drive, Failed, Purpose, said};
use crate::report::Outcome;
use crate::rows::{Example, ExampleAuthorize, ExampleToken, Row};
use crate::seen::Seen;
use crate::standin::{Phase, Plan};
use causeway_catalog::{BodyForm, ExpiryForm, TokenAnswer};
use causeway_connect::{Exposure, Link};
use causeway_identity::{Permit, action};
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, ConnectionId, NodeId, OsRandom, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// 2020-01-01.
const LONG_AGO: Timestamp = Timestamp::from_micros(1_577_836_800_000_000);

/// What no vendor's example has: each is made anew, or is Causeway's own address.
const OF_THE_FLOW: &[&str] = &[
    "client_assertion",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "oauth_token",
    "redirect_uri",
    "state",
];

impl Drive<'_> {
    /// Makes the example's connection and its call, and compares.
    pub(crate) async fn golden(&self, scheme: Scheme) -> Outcome {
        let Some(example) = self.row.examples.get(scheme.as_str()) else {
            return Outcome::Failed("golden.yaml has no example of it".into());
        };
        let plan = Arc::new(self.plan(scheme, example, Purpose::Golden));
        self.standin.expect(Arc::clone(&plan));
        self.standin.keep_time_by(&self.hand.clock);
        match self.compared(&plan, example).await {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(self.why(why)),
        }
    }

    async fn compared(&self, plan: &Plan, example: &Example) -> Result<(), Failed> {
        let made = self.connect(plan).await?;
        if let Some(token) = &example.token {
            self.compare_answer(plan, example, token, made).await?;
        }
        self.standin.enter(Phase::Calling);
        self.call(plan, made).await?;
        let call = self.standin.granted("call").ok_or("the call did not arrive")?;
        self.compare_call(plan, example, &call)?;
        let by_browser = plan.scheme != Scheme::Device;
        if let (Some(wanted), true) = (&example.authorize, by_browser) {
            let seen = self.standin.granted("authorize").ok_or("no browser came")?;
            self.compare_authorize(wanted, &seen)?;
        }
        if let Some(wanted) = &example.token {
            let seen = self.standin.granted("token").ok_or("no token was asked for")?;
            self.compare_token(plan, wanted, &seen)?;
        }
        // Nobody needs it any more, and the app does not take part in its end here.
        Ok(())
    }

    fn compare_call(&self, plan: &Plan, example: &Example, seen: &Seen) -> Result<(), Failed> {
        let expected = &example.expect;
        let mut url = self.row.as_written(&seen.url);
        // What a signature adds differs at each call.
        if plan.scheme == Scheme::Signature {
            url = without_signature(plan, &url);
        }
        if sorted(&url) != sorted(&expected.url) {
            return Err(format!("the call goes to {url}, and the example's to {}", expected.url));
        }
        for (name, wanted) in &expected.headers {
            let found = seen.header(name).unwrap_or("nothing");
            let found = self.row.text_as_written(found);
            // A token that Causeway signs itself is another each time.
            let own = plan.example.as_ref().map(|example| example.access.as_str());
            let found = match own {
                Some(own) if is_signed_here(plan) => with_token(&found, own),
                _ => found,
            };
            if found != *wanted {
                return Err(format!("the call's {name} is `{found}`, the example's `{wanted}`"));
            }
        }
        Ok(())
    }

    fn compare_authorize(&self, wanted: &ExampleAuthorize, seen: &Seen) -> Result<(), Failed> {
        let found = self.row.as_written(&seen.url);
        if bare(&found) != bare(&wanted.url) {
            return Err(format!("the browser goes to {found}, the example's to {}", wanted.url));
        }
        let mut params: BTreeMap<String, Value> = wanted
            .url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect();
        params.extend(wanted.params.iter().map(|(n, v)| (n.clone(), v.as_str().into())));
        let found = found.query_pairs();
        let found = found.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        compare_fields("the browser's query", &params, found, &wanted.extra_ok)
    }

    fn compare_token(&self, plan: &Plan, wanted: &ExampleToken, seen: &Seen) -> Result<(), Failed> {
        let url = self.row.as_written(&seen.url);
        if sorted(&url) != sorted(&wanted.url) {
            return Err(format!("the token's request goes to {url}, not {}", wanted.url));
        }
        for (name, wanted) in &wanted.headers {
            let found = seen.header(name).unwrap_or("nothing");
            if found != wanted {
                return Err(format!("the token request's {name} is `{found}`, not `{wanted}`"));
            }
        }
        let is_json = seen.header("content-type") == Some("application/json");
        let form = if is_json { BodyForm::Json } else { BodyForm::Form };
        let fields =
            if seen.body.is_empty() { BTreeMap::new() } else { seen.members(form)?.into_map() };
        let assertion = plan.row.app.auth.jwt.as_ref().filter(|_| plan.scheme == Scheme::Jwt);
        let assertion = assertion.and_then(|row| row.exchange.as_ref());
        let fields = fields
            .into_iter()
            .filter(|(name, _)| assertion.is_none_or(|row| row.assertion_param != *name))
            .map(|(name, value)| (name, self.row.text_as_written(&value)))
            .collect();
        compare_fields("the token request", &wanted.body, fields, &wanted.extra_ok)
    }

    /// Whether the vendor's example of an answer was read as it is meant.
    async fn compare_answer(
        &self,
        plan: &Plan,
        example: &Example,
        token: &ExampleToken,
        made: ConnectionId,
    ) -> Result<(), Failed> {
        let Some(answer) = &token.answer else { return Ok(()) };
        let credential = self.credential(made).await?;
        let auth: Value = serde_json::from_slice(credential.auth().expose()).unwrap_or_default();
        for name in plan.kept.keys().map(String::as_str).chain(["oauth_access_token"]) {
            let found = auth[name].as_str().map(|text| self.row.text_as_written(text));
            // What the example does not use has to be there at least.
            let fits = match example.values.get(name) {
                Some(wanted) => found.as_ref() == Some(wanted),
                None => found.as_ref().is_some_and(|text| !text.is_empty()),
            };
            if !fits {
                let wanted = example.values.get(name);
                return Err(format!("{name} was read as {found:?}, and is {wanted:?}"));
            }
        }
        // What examples call a refresh token is kept where there is a way to use it.
        let refreshes = plan.scheme == Scheme::Oauth2
            && plan.row.app.auth.oauth2.as_ref().is_some_and(|row| row.refresh.is_some());
        if let Some(wanted) = refresh_token(answer).filter(|_| refreshes) {
            let found = credential.secrets().iter().any(|s| s.expose() == wanted.as_bytes());
            if !found {
                return Err("the refresh token of the example's answer was not kept".into());
            }
        }
        let Some(row) = self.answer_of(plan.scheme) else { return Ok(()) };
        // The clock has stood since the token came.
        let wanted = expiry(row, answer, self.hand.clock.now());
        if credential.expires_at() != wanted {
            let found = credential.expires_at().map(|at| at.to_string());
            let wanted = wanted.map(|at| at.to_string());
            return Err(format!("the token expires at {found:?}, and not {wanted:?}"));
        }
        Ok(())
    }

    async fn credential(&self, made: ConnectionId) -> Result<Link, Failed> {
        let permit = self.hand.permit::<action::UseProxy>();
        let node = NodeId::generate(self.hand.clock.now(), &OsRandom);
        let permit = Permit::<action::UseConnections>::for_node(node, permit.tenant());
        self.hand.connect.link(&permit, &made.to_string(), Exposure::Secrets).await.map_err(said)
    }
}

impl Row {
    /// A URL as it would be without a stand-in.
    fn as_written(&self, url: &Url) -> Url {
        self.text_as_written(url.as_str()).parse().unwrap()
    }

    /// The same of any text.
    fn text_as_written(&self, text: &str) -> String {
        // The demo app alone is on this machine, and on a port of its own.
        let demo = format!("https://127.0.0.1:{}", self.port);
        text.replace(&demo, "http://127.0.0.1:8401").replace(&format!(":{}", self.port), "")
    }
}

/// A time at which the example is good: an hour before its token expires, if it names a date.
pub(crate) fn time_of(drive: &Drive<'_>, scheme: Scheme) -> Timestamp {
    let example = drive.row.examples.get(scheme.as_str());
    let answer = example.and_then(|example| example.token.as_ref()?.answer.as_ref());
    let row = drive.answer_of(scheme);
    let end = row.zip(answer).and_then(|(row, answer)| expiry(row, answer, LONG_AGO));
    let is_date = row
        .is_some_and(|row| !matches!(row.expiry, ExpiryForm::Seconds | ExpiryForm::Milliseconds));
    match end.filter(|_| is_date) {
        Some(end) => end.minus(Duration::from_hours(1)),
        None => LONG_AGO,
    }
}

/// When the example's token expires.
fn expiry(row: &TokenAnswer, answer: &Value, now: Timestamp) -> Option<Timestamp> {
    let at = row.at.as_ref().map_or("", |at| at.as_str());
    let said = answer.pointer(at).map(|object| &object[&row.expires_in]);
    let number = said.and_then(|said| {
        said.as_u64().or_else(|| said.as_str().and_then(|text| text.parse().ok()))
    });
    let epoch = Timestamp::from_micros(0);
    match (row.expiry, number.filter(|number| *number > 0)) {
        (ExpiryForm::Seconds, Some(left)) => Some(now.plus(Duration::from_secs(left))),
        (ExpiryForm::Milliseconds, Some(left)) => Some(now.plus(Duration::from_millis(left))),
        (ExpiryForm::EpochSeconds, Some(at)) => Some(epoch.plus(Duration::from_secs(at))),
        (ExpiryForm::EpochMilliseconds, Some(at)) => Some(epoch.plus(Duration::from_millis(at))),
        (ExpiryForm::Rfc3339, _) if said.is_some_and(Value::is_string) => {
            let text = said.and_then(Value::as_str).unwrap_or_default();
            let at: jiff::Timestamp = text.parse().ok()?;
            Some(Timestamp::from_micros(at.as_microsecond()))
        }
        _ => row.default_expires_in.map(|left| now.plus(Duration::from_secs(left.into()))),
    }
}

/// Whatever an answer calls a refresh token.
fn refresh_token(answer: &Value) -> Option<&str> {
    match answer {
        Value::Object(object) => object.iter().find_map(|(name, value)| match value {
            Value::String(text) if name.to_lowercase().replace('_', "") == "refreshtoken" => {
                Some(text.as_str())
            }
            _ => refresh_token(value),
        }),
        Value::Array(items) => items.iter().find_map(refresh_token),
        _ => None,
    }
}

fn compare_fields(
    place: &str,
    wanted: &BTreeMap<String, Value>,
    mut found: BTreeMap<String, String>,
    extra_ok: &[String],
) -> Result<(), Failed> {
    for (name, value) in wanted {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match found.remove(name) {
            Some(own) if own == value => {}
            Some(own) => {
                return Err(format!("`{name}` in {place} is `{own}`, the example's `{value}`"));
            }
            None => return Err(format!("`{name}` of the example is not in {place}")),
        }
    }
    found.retain(|name, _| !OF_THE_FLOW.contains(&name.as_str()));
    for name in extra_ok {
        if found.remove(name).is_none() {
            return Err(format!("`{name}` in extra_ok is not in {place}; leave it out"));
        }
    }
    match found.keys().next() {
        Some(name) => Err(format!("`{name}` in {place} is not in the example")),
        None => Ok(()),
    }
}

fn is_signed_here(plan: &Plan) -> bool {
    let row = plan.row.app.auth.jwt.as_ref();
    plan.scheme == Scheme::Jwt && row.is_some_and(|row| row.exchange.is_none())
}

/// A header whose signed token is replaced.
fn with_token(header: &str, token: &str) -> String {
    match header.rsplit_once(' ') {
        Some((before, last)) if last.split('.').count() == 3 => format!("{before} {token}"),
        _ => header.to_owned(),
    }
}

fn without_signature(plan: &Plan, url: &Url) -> Url {
    let row = plan.row.app.auth.signature.as_ref().and_then(|row| row.hmac.as_ref());
    let added = |name: &str| row.is_some_and(|row| row.send.query.contains_key(name));
    let left: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !added(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.set_query(None);
    if !left.is_empty() {
        url.query_pairs_mut().extend_pairs(left);
    }
    url
}

fn bare(url: &Url) -> &str {
    url.as_str().split(['?', '#']).next().unwrap_or_default()
}

/// A URL with its parameters in order.
fn sorted(url: &Url) -> (String, Vec<(String, String)>) {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    pairs.sort();
    (bare(url).to_owned(), pairs)
}
