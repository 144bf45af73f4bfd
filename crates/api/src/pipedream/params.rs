//! Queries of the contract. Unknown parameters are passed over: clients of other versions send
//! more.

use crate::extract::no_control;
use crate::{Api, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use causeway_types::{Code, Timestamp};
use std::time::Duration;

/// The largest number of seconds since 1970 that is taken for one; larger ones are milliseconds.
const SECONDS: u64 = 100_000_000_000;

/// The parameters of a request's query.
pub(crate) struct Params(Vec<(String, String)>);

impl FromRequestParts<Api> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (_, value) in &pairs {
            no_control("query", Some(value))?;
        }
        Ok(Self(pairs))
    }
}

impl Params {
    /// A parameter, if it stands there with a value. The last one counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().rev().find(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Every value of a parameter, whether it stands several times, with `[]`, or with commas.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(key, _)| key.strip_suffix("[]").unwrap_or(key) == name);
        named.flat_map(|(_, value)| value.split(',')).filter(|one| !one.is_empty()).collect()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "is `true` or `false`")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, "is a whole number"));
        self.get(name).map(read).transpose()
    }

    /// A moment, in seconds or milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let moment = |number: u64| {
            let since = if number < SECONDS {
                Duration::from_secs(number)
            } else {
                Duration::from_millis(number)
            };
            Timestamp::from_micros(0).plus(since)
        };
        Ok(self.number(name)?.map(moment))
    }
}

pub(super) fn wrong(name: &str, what: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format!("`{name}` {what}."))
}
