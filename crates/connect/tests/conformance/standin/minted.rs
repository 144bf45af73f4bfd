//! Tokens that are got for what the customer typed.

use super::proof::Prover;
use super::{Answer, Plan, State, answer};
use crate::seen::{Fault, Seen};
use causeway_catalog::{BodyForm, Method, Template, TokenAnswer};
use causeway_types::Timestamp;
use serde_json::Value;

impl State {
    /// RFC 6749, section 4.4.
    pub(super) fn client_credentials(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.client_credentials.as_ref();
        let row = row.ok_or("the row has no client_credentials")?;
        let url = plan.url(&row.token_url)?;
        if seen.method != "POST" || !seen.is_at(&url) {
            return Ok(None);
        }
        let mut query = seen.query();
        query.expect_query_of(&url)?;
        query.end()?;
        let mut body = seen.members(row.body)?;
        let typed = |name: &str| plan.typed.get(name).map_or("", String::as_str);
        let client = Prover {
            id: typed("client_id"),
            secret: typed("client_secret"),
            id_param: "client_id",
        };
        plan.check_proof(row.client_auth, &client, seen, &mut body, now)?;
        // A row may say another, for apps that call it so.
        if !row.params.contains_key("grant_type") {
            body.expect("grant_type", "client_credentials")?;
        }
        plan.expect_filled(&row.params, &mut body)?;
        if !row.scopes.param.is_empty() && !row.scopes.default.is_empty() {
            let scopes = row.scopes.default.join(&row.scopes.separator);
            body.expect(&row.scopes.param, &scopes)?;
        }
        body.end()?;
        Ok(Some(self.mint(plan, &row.answer, seen, now)))
    }

    /// RFC 7523, section 2.1.
    pub(super) fn jwt_exchange(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.jwt.as_ref().ok_or("the row has no jwt")?;
        let Some(exchange) = &row.exchange else { return Ok(None) };
        let url = plan.url(&exchange.token_url)?;
        if seen.method != "POST" || !seen.is_at(&url) {
            return Ok(None);
        }
        let mut query = seen.query();
        query.expect_query_of(&url)?;
        query.end()?;
        let mut body = seen.members(exchange.body)?;
        if !exchange.grant_type.is_empty() {
            body.expect("grant_type", &exchange.grant_type)?;
        }
        let token = body.need(&exchange.assertion_param)?;
        plan.check_jwt(row, &token, now)?;
        plan.expect_filled(&exchange.params, &mut body)?;
        body.end()?;
        if seen.header("authorization").is_some() {
            return Err("it has an Authorization header, which the row does not say".into());
        }
        Ok(Some(self.mint(plan, &exchange.answer, seen, now)))
    }

    /// The row's own request for a token.
    pub(super) fn token_exchange(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.token_exchange.as_ref();
        let row = row.ok_or("the row has no token_exchange")?;
        let (request, url) = (&row.request, plan.url(&row.request.url)?);
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        if seen.method != method || !seen.is_at(&url) {
            return Ok(None);
        }
        let mut query = seen.query();
        query.expect_query_of(&url)?;
        plan.expect_filled(&request.query, &mut query)?;
        query.end()?;
        let mut wanted = request.headers.clone();
        let basic = match &request.basic {
            Some(pair) => Some(plan.basic(pair, |_| None)?),
            None => None,
        };
        let in_headers = wanted.remove("Authorization");
        let in_headers = in_headers.map_or(Ok(None), |template| plan.text(&template, |_| None))?;
        if seen.header("authorization") != in_headers.or(basic).as_deref() {
            return Err("its Authorization header is not that of the row".into());
        }
        for (name, template) in &wanted {
            if seen.header(name) != plan.text(template, |_| None)?.as_deref() {
                return Err(format!("the header {name} is not that of the row"));
            }
        }
        match &request.json {
            Some(json) => {
                let found: Value =
                    serde_json::from_slice(&seen.body).map_err(|_| "its body is no JSON")?;
                if seen.header("content-type") != Some("application/json") {
                    return Err("its body is not called application/json".into());
                }
                if found != plan.filled(json)? {
                    return Err("its body is not that of the row".into());
                }
            }
            None if request.form.is_empty() && seen.body.is_empty() => {}
            None => {
                let mut body = seen.members(BodyForm::Form)?;
                plan.expect_filled(&request.form, &mut body)?;
                body.end()?;
            }
        }
        Ok(Some(self.mint(plan, &row.answer, seen, now)))
    }

    pub(super) fn mint(
        &mut self,
        plan: &Plan,
        row: &TokenAnswer,
        seen: &Seen,
        now: Timestamp,
    ) -> Answer {
        let grant = self.grant(plan, row, true, None, now);
        self.count("token", seen);
        Answer::Json(answer::of(plan, row, &grant, (true, true), now))
    }
}

impl Plan {
    /// A JSON body whose texts are templates.
    fn filled(&self, json: &Value) -> Result<Value, Fault> {
        Ok(match json {
            Value::String(text) => {
                let template: Template = serde_json::from_value(text.as_str().into())
                    .map_err(|_| "a text of the body is no template")?;
                self.text(&template, |_| None)?.map_or(Value::Null, Value::String)
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.filled(item));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let mut filled = serde_json::Map::new();
                for (name, member) in members {
                    let value = self.filled(member)?;
                    // One that names an optional field that is empty.
                    if !(value.is_null() && member.is_string()) {
                        filled.insert(name.clone(), value);
                    }
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }
}
