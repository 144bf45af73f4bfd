//! Requests with the customer's credential: that of `verify`, and the call through the proxy.

use super::{Answer, Phase, Plan, State};
use crate::seen::{Fault, Seen};
use causeway_catalog::{JsonPointer, Method, Send, SendBasic, Template};
use causeway_types::Timestamp;
use causeway_types::entity::Scheme;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Headers that say nothing of a credential.
const PLAIN: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// A request as it should be, before its credential.
struct Wanted {
    method: &'static str,
    url: Url,
    headers: BTreeMap<String, String>,
    json: Option<Value>,
}

/// What carries the credential.
#[derive(Default)]
pub(super) struct Carried {
    /// By their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: BTreeMap<String, String>,
}

impl State {
    /// Answers the request that is expected now, if its credential is as the row says.
    pub(super) fn call(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Answer, Fault> {
        match self.phase {
            Some(Phase::Connecting) => {
                self.check(plan, seen, &plan.verify()?, now)?;
                self.count("verify", seen);
                Ok(Answer::Json(plan.verified()))
            }
            Some(Phase::Calling) => {
                self.check(plan, seen, &plan.called()?, now)?;
                self.count("call", seen);
                Ok(Answer::Json(json!({ "called": true })))
            }
            _ => Err("nothing was to be called".into()),
        }
    }

    fn check(
        &self,
        plan: &Plan,
        seen: &Seen,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if !seen.is_at(&wanted.url) {
            return Err(format!("it should have gone to {}", wanted.url));
        }
        if seen.method != wanted.method {
            return Err(format!("the method is {} and not {}", seen.method, wanted.method));
        }
        let carried = self.carried(plan, seen, now)?;
        let mut query = seen.query();
        query.expect_query_of(&wanted.url)?;
        carried.query.iter().try_for_each(|(name, value)| query.expect(name, value))?;
        query.end()?;
        check_headers(seen, &wanted.headers, &carried.headers)?;
        check_body(seen, wanted.json.as_ref(), &carried.body)
    }

    /// What has to carry the credential in a request that is otherwise as it was seen.
    fn carried(&self, plan: &Plan, seen: &Seen, now: Timestamp) -> Result<Carried, Fault> {
        let auth = &plan.app().auth;
        let send = match plan.scheme {
            Scheme::None => return Ok(Carried::default()),
            Scheme::Basic => {
                let pair = [plan.value("username"), plan.value("password")];
                let pair = pair.map(Option::unwrap_or_default).join(":");
                let text = format!("Basic {}", BASE64.encode(pair.as_bytes()));
                return Ok(Carried::authorization(text));
            }
            Scheme::Signature => return plan.signed(seen, now),
            Scheme::Oauth1 => return self.signed_by_oauth1(plan, seen, now),
            Scheme::Oauth2 | Scheme::Device => auth.oauth2.as_ref().and_then(|r| r.send.as_ref()),
            Scheme::ClientCredentials => {
                auth.client_credentials.as_ref().and_then(|row| row.send.as_ref())
            }
            Scheme::Jwt => auth.jwt.as_ref().and_then(|row| row.send.as_ref()),
            Scheme::ApiKey => auth.api_key.as_ref().map(|row| &row.send),
            Scheme::TokenExchange => auth.token_exchange.as_ref().and_then(|r| r.send.as_ref()),
            Scheme::Installation => auth.installation.as_ref().and_then(|row| row.send.as_ref()),
            Scheme::Mcp => None,
        };
        // Without an exchange, the token is one that the caller has signed.
        let own = match (plan.scheme, &auth.jwt) {
            (Scheme::Jwt, Some(row)) if row.exchange.is_none() => {
                Some(plan.own_token(row, seen, now)?)
            }
            _ => None,
        };
        let token = match (plan.scheme, &own) {
            (Scheme::ApiKey, _) => None,
            (_, Some(own)) => Some(own.as_str()),
            (_, None) => Some(self.current(now)?.access.as_str()),
        };
        let more = |name: &str| token.filter(|_| name == "oauth_access_token");
        match send {
            Some(send) => plan.sent(send, more),
            None => Ok(Carried::authorization(format!("Bearer {}", token.unwrap_or_default()))),
        }
    }
}

impl Carried {
    pub(super) fn authorization(text: String) -> Self {
        Self { headers: BTreeMap::from([("authorization".to_owned(), text)]), ..Self::default() }
    }
}

impl Plan {
    /// What `send` of a row makes of values.
    pub(super) fn sent<'a>(
        &'a self,
        send: &Send,
        more: impl Fn(&str) -> Option<&'a str> + Copy,
    ) -> Result<Carried, Fault> {
        let filled = |templates: &BTreeMap<String, Template>| {
            let mut all = Vec::new();
            for (name, template) in templates {
                if let Some(text) = self.text(template, more)? {
                    all.push((name.clone(), text));
                }
            }
            Ok::<_, Fault>(all)
        };
        let headers = filled(&send.headers)?;
        let mut carried = Carried {
            headers: headers.into_iter().map(|(name, text)| (name.to_lowercase(), text)).collect(),
            query: filled(&send.query)?,
            body: filled(&send.body)?.into_iter().collect(),
        };
        if let Some(pair) = &send.basic {
            let text = self.basic(pair, more)?;
            carried.headers.insert("authorization".into(), text);
        }
        Ok(carried)
    }

    pub(super) fn basic<'a>(
        &'a self,
        pair: &SendBasic,
        more: impl Fn(&str) -> Option<&'a str> + Copy,
    ) -> Result<String, Fault> {
        let user = self.text(&pair.username, more)?.unwrap_or_default();
        let password = match &pair.password {
            Some(template) => self.text(template, more)?.unwrap_or_default(),
            None => String::new(),
        };
        Ok(format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
    }

    fn headers<'t>(
        &self,
        templates: impl Iterator<Item = (&'t String, &'t Template)>,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let mut headers = BTreeMap::new();
        for (name, template) in templates {
            if let Some(text) = self.text(template, |_| None)? {
                headers.insert(name.to_lowercase(), text);
            }
        }
        Ok(headers)
    }

    /// Checks what every call to the app's API has, beside a credential.
    pub(super) fn check_api_headers(&self, seen: &Seen) -> Result<(), Fault> {
        for (name, text) in self.headers(self.app().api.headers.iter())? {
            if seen.header(&name) != Some(&text) {
                return Err(format!("the header {name} is not `{text}`"));
            }
        }
        Ok(())
    }

    fn verify(&self) -> Result<Wanted, Fault> {
        let (app, row) = (self.app(), self.app().verify_for(self.scheme.as_str()));
        let method = match row.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        let headers = self.headers(app.api.headers.iter().chain(&row.headers))?;
        Ok(Wanted { method, url: self.url(&row.url)?, headers, json: row.json.clone() })
    }

    /// What a caller of the proxy names: a path, or a URL at one of the app's hosts.
    pub(crate) fn target(&self) -> String {
        let path = &self.call.path;
        match path.parse::<Url>() {
            Ok(mut url) => {
                // Https URLs always take one.
                let _ = url.set_port(Some(self.row.port));
                url.into()
            }
            Err(_) => path.clone(),
        }
    }

    fn called(&self) -> Result<Wanted, Fault> {
        let target = self.target();
        let url = if target.starts_with('/') {
            let base = self.url(&self.app().api.base_url)?;
            format!("{}{target}", base.as_str().trim_end_matches('/'))
        } else {
            target
        };
        let mut url: Url = url.parse().map_err(|_| "the example's path makes no URL")?;
        if !self.call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.call.query);
        }
        let method = match self.call.method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            other => return Err(format!("the example's method {other} is unknown")),
        };
        let headers = self.headers(self.app().api.headers.iter())?;
        Ok(Wanted { method, url, headers, json: None })
    }

    /// The answer to the request of `verify`: it names the account where the row looks for it.
    fn verified(&self) -> Value {
        let mut answer = json!({});
        if let Some(at) = &self.app().verify_for(self.scheme.as_str()).account {
            let account = self.account();
            for (pointer, value) in [(&at.id, account.0), (&at.name, account.1)] {
                if let Some(pointer) = pointer {
                    super::answer::put(&mut answer, pointer.as_str(), value.into());
                }
            }
        }
        if let Some(field) = &self.app().ok_field {
            super::answer::put(&mut answer, &format!("/{field}"), true.into());
        }
        answer
    }

    /// The account as the row lets it be read.
    pub(crate) fn account_read(&self) -> (Option<String>, Option<String>) {
        let (id, name) = self.account();
        let at = self.app().verify_for(self.scheme.as_str()).account.as_ref();
        let read = (
            at.and_then(|at| at.id.as_ref()).map(|_| id),
            at.and_then(|at| at.name.as_ref()).map(|_| name.clone()),
        );
        match (&self.app().auth.installation, self.scheme) {
            // An installation says by itself whose it is.
            (Some(row), Scheme::Installation) => {
                let named = row.account_name.as_ref().map(|_| name).or(read.1);
                (Some(self.installation().to_owned()), named)
            }
            _ => read,
        }
    }

    /// The account's id and name.
    pub(super) fn account(&self) -> (String, String) {
        let slug = &self.app().slug;
        let at = self.app().verify_for(self.scheme.as_str()).account.as_ref();
        let id = format!("account-of-{slug}");
        // Some rows take one value for both.
        let same = at.is_some_and(|at| {
            at.id.as_ref().map(JsonPointer::as_str) == at.name.as_ref().map(JsonPointer::as_str)
        });
        let name = if same { id.clone() } else { format!("someone@{slug}.example") };
        (id, name)
    }
}

fn check_headers(
    seen: &Seen,
    wanted: &BTreeMap<String, String>,
    carried: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    // The credential stands above what every call has.
    for (name, text) in
        carried.iter().chain(wanted.iter().filter(|(n, _)| !carried.contains_key(*n)))
    {
        let found = seen.headers.get_all(name.as_str()).iter().collect::<Vec<_>>();
        match found.as_slice() {
            [one] if one.as_bytes() == text.as_bytes() => {}
            [] => return Err(format!("the header {name} is missing")),
            _ => return Err(format!("the header {name} is not `{text}`")),
        }
    }
    let unknown = seen.headers.keys().find(|name| {
        let name = name.as_str();
        !PLAIN.contains(&name) && !wanted.contains_key(name) && !carried.contains_key(name)
    });
    match unknown {
        Some(name) => Err(format!("the header {name} is not of the row")),
        None => Ok(()),
    }
}

fn check_body(
    seen: &Seen,
    json: Option<&Value>,
    carried: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    if json.is_none() && carried.is_empty() {
        return if seen.body.is_empty() { Ok(()) } else { Err("it has a body".into()) };
    }
    if seen.header("content-type") != Some("application/json") {
        return Err("its body is not called application/json".into());
    }
    let found: Value = serde_json::from_slice(&seen.body).map_err(|_| "its body is no JSON")?;
    let mut wanted = json.cloned().unwrap_or_else(|| json!({}));
    for (name, text) in carried {
        wanted[name] = text.as_str().into();
    }
    if found == wanted { Ok(()) } else { Err("its body is not that of the row".into()) }
}
