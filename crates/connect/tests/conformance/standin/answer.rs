//! Token answers, in the form that a row describes.

use super::{Grant, Plan, State};
use causeway_catalog::{ExpiryForm, Keep, KeepPart, TokenAnswer};
use causeway_types::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long tokens live whose answer says so. No row's default is the same, so that a lifetime
/// that is read shows.
const LIFETIME: u32 = 2_400;

/// Puts a value where a JSON Pointer leads, and makes what is missing on the way.
pub(super) fn put(target: &mut Value, pointer: &str, value: Value) {
    let mut at = target;
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        at = match name.parse::<usize>() {
            Ok(index) if !at.is_object() || at.as_object().is_some_and(Map::is_empty) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                let items = at.as_array_mut().unwrap();
                while items.len() <= index {
                    items.push(json!({}));
                }
                &mut items[index]
            }
            _ => {
                if !at.is_object() {
                    *at = json!({});
                }
                at.as_object_mut().unwrap().entry(name).or_insert_with(|| json!({}))
            }
        };
    }
    *at = value;
}

/// Whether an answer says when its token expires, or leaves that to the row's default.
fn says_expiry(row: &TokenAnswer) -> bool {
    row.default_expires_in.is_none()
        || row.expiry != ExpiryForm::Seconds
        || row.expires_in != "expires_in"
}

impl State {
    /// Makes new tokens. `expires` is whether they do.
    pub(super) fn grant(
        &mut self,
        plan: &Plan,
        row: &TokenAnswer,
        expires: bool,
        refresh: Option<String>,
        now: Timestamp,
    ) -> Grant {
        let lifetime =
            if says_expiry(row) { LIFETIME } else { row.default_expires_in.unwrap_or(LIFETIME) };
        let lifetime = Duration::from_secs(lifetime.into());
        let grant = Grant {
            access: plan.new_access().unwrap_or_else(|| self.fresh("access_token")),
            secret: None,
            refresh,
            expires_at: expires.then(|| now.plus(lifetime)),
            is_over: false,
        };
        self.grants.push(grant.clone());
        grant
    }
}

impl Plan {
    /// The access token that an example gives.
    pub(super) fn new_access(&self) -> Option<String> {
        self.example.as_ref().map(|example| example.access.clone())
    }
}

/// The answer that gives tokens. `nested` is whether it is one in which they may stand deeper;
/// `with_kept` whether it gives what the row keeps.
pub(super) fn of(
    plan: &Plan,
    row: &TokenAnswer,
    grant: &Grant,
    (nested, with_kept): (bool, bool),
    now: Timestamp,
) -> Value {
    if let Some(example) = plan.example.as_ref().and_then(|example| example.answer.clone()) {
        return example;
    }
    let mut tokens = json!({ "token_type": "Bearer" });
    tokens[&row.access_token] = grant.access.as_str().into();
    if let Some(refresh) = &grant.refresh {
        tokens[&row.refresh_token] = refresh.as_str().into();
    }
    if let Some(end) = grant.expires_at.filter(|_| says_expiry(row)) {
        tokens[&row.expires_in] = expiry(row.expiry, end, now);
    }
    if !plan.scopes.is_empty() {
        tokens[&row.scope] = plan.scopes.join(" ").into();
    }
    let mut answer = json!({});
    match row.at.as_ref().filter(|_| nested) {
        Some(at) => put(&mut answer, at.as_str(), tokens),
        None => answer = tokens,
    }
    if let Some(field) = &plan.app().ok_field {
        answer[field.as_str()] = true.into();
    }
    for (name, keep) in row.keep.iter().filter(|_| with_kept) {
        let Some(value) = plan.kept.get(name.as_str()) else { continue };
        put(&mut answer, keep.at.as_str(), as_kept(keep, value));
    }
    answer
}

fn as_kept(keep: &Keep, value: &str) -> Value {
    match keep.part {
        KeepPart::Whole => value.into(),
        KeepPart::Host => format!("https://{value}/").into(),
    }
}

fn expiry(form: ExpiryForm, end: Timestamp, now: Timestamp) -> Value {
    let left = end.since(now);
    match form {
        ExpiryForm::Seconds => left.as_secs().into(),
        ExpiryForm::Milliseconds => (left.as_secs() * 1_000).into(),
        ExpiryForm::EpochSeconds => end.as_secs().into(),
        ExpiryForm::EpochMilliseconds => (end.as_secs() * 1_000).into(),
        ExpiryForm::Rfc3339 => {
            let at = jiff::Timestamp::from_second(i64::try_from(end.as_secs()).unwrap()).unwrap();
            at.to_string().into()
        }
    }
}
