//! OAuth 2.0 (RFC 6749) with PKCE (RFC 7636) and revocation (RFC 7009).

use super::device::GRANT_OF_DEVICES;
use super::{Answer, Client, Code, EXAMPLE_CODE, Plan, State, answer};
use crate::seen::{Fault, Fields, Seen};
use causeway_catalog::{
    BodyForm, ClientAuth, OAuth2, Pkce, Revoke, RevokeMethod, Template, TokenKind, TokenPlace,
};
use causeway_types::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use std::collections::BTreeMap;
use url::Url;

/// A server, and whose client is expected there.
pub(super) struct At<'a> {
    pub(super) plan: &'a Plan,
    pub(super) row: &'a OAuth2,
    pub(super) client: &'a Client,
}

impl State {
    /// Answers at the endpoints of the scheme; `None` if the request is at none of them.
    pub(super) fn oauth2(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.oauth2.as_ref().ok_or("the row has no oauth2")?;
        self.oauth2_at(&At { plan, row, client: &plan.client }, seen, now)
    }

    pub(super) fn oauth2_at(
        &mut self,
        at: &At<'_>,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let (plan, row) = (at.plan, at.row);
        let authorize = plan.url(&row.authorization_url)?;
        if seen.method == "GET" && seen.is_at(&authorize) {
            return self.authorize(at, &authorize, seen).map(Some);
        }
        if let Some(revoke) = &row.revoke {
            let url = plan.url(&revoke.url)?;
            if seen.is_at(&url) && seen.method == method(revoke) {
                return self.revoke(at, revoke, &url, seen, now).map(Some);
            }
        }
        let token = plan.url(&row.token_url)?;
        let refresh = row.refresh.as_ref().and_then(|refresh| refresh.url.as_ref());
        let refresh = refresh.map_or(Ok(token.clone()), |url| plan.url(url))?;
        if seen.method != "POST" || (!seen.is_at(&token) && !seen.is_at(&refresh)) {
            return Ok(None);
        }
        let mut body = seen.members(row.token_body)?;
        let (what, url) = match body.need("grant_type")?.as_str() {
            "authorization_code" => {
                self.redeem(row, &mut body)?;
                ("token", token)
            }
            "refresh_token" => {
                self.renew(plan, row, &mut body)?;
                ("refresh", refresh)
            }
            GRANT_OF_DEVICES => {
                let has_agreed = self.is_agreed(plan, &mut body)?;
                at.check_token_request(&token, seen, body, now)?;
                if !has_agreed {
                    self.count("pending", seen);
                    return Ok(Some(Answer::Error("authorization_pending")));
                }
                self.count("token", seen);
                return Ok(Some(self.give(plan, row, now)));
            }
            other => return Err(format!("the grant type `{other}` is not of the row")),
        };
        if !seen.is_at(&url) {
            return Err(format!("it should have gone to {url}"));
        }
        at.check_token_request(&url, seen, body, now)?;
        self.count(what, seen);
        Ok(Some(self.give(plan, row, now)))
    }

    fn authorize(&mut self, at: &At<'_>, url: &Url, seen: &Seen) -> Result<Answer, Fault> {
        let (plan, row) = (at.plan, at.row);
        let mut query = seen.query();
        query.expect_query_of(url)?;
        plan.expect_filled(&row.authorization_params, &mut query)?;
        query.expect("response_type", "code")?;
        query.expect(&row.client_id_param, &at.client.id)?;
        query.expect("redirect_uri", &plan.redirect_uri)?;
        if !row.scopes.param.is_empty() && !plan.scopes.is_empty() {
            query.expect(&row.scopes.param, &plan.scopes.join(&row.scopes.separator))?;
        }
        let challenge = if row.pkce == Pkce::Forbidden {
            None
        } else {
            query.expect("code_challenge_method", "S256")?;
            Some(query.need("code_challenge")?)
        };
        let state = query.need("state")?;
        query.end()?;
        let code = match &plan.example {
            Some(_) => EXAMPLE_CODE.to_owned(),
            None => self.fresh("code"),
        };
        let mut back: Url = plan.redirect_uri.parse().map_err(|_| "the way back is no URL")?;
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
        for (name, param) in &row.callback_keep {
            if let Some(value) = plan.kept.get(name.as_str()) {
                back.query_pairs_mut().append_pair(param, value);
            }
        }
        self.codes.insert(code, Code { redirect_uri: plan.redirect_uri.clone(), challenge });
        self.count("authorize", seen);
        Ok(Answer::Redirect(back))
    }

    /// Uses a code up.
    fn redeem(&mut self, row: &OAuth2, body: &mut Fields) -> Result<(), Fault> {
        let code = body.need("code")?;
        let code = self.codes.remove(&code).ok_or("the code is unknown, or was used")?;
        body.expect("redirect_uri", &code.redirect_uri)?;
        if let Some(challenge) = code.challenge {
            let verifier = body.need("code_verifier")?;
            let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
            if BASE64URL_NOPAD.encode(sum.as_ref()) != challenge {
                return Err("the verifier is not that of the challenge".into());
            }
        } else if row.pkce != Pkce::Forbidden {
            return Err("the flow had no challenge".into());
        }
        Ok(())
    }

    /// Uses a refresh token.
    fn renew(&mut self, plan: &Plan, row: &OAuth2, body: &mut Fields) -> Result<(), Fault> {
        let refresh = row.refresh.as_ref().ok_or("the row does not refresh")?;
        let given = body.need("refresh_token")?;
        let newest = self
            .grants
            .iter()
            .rev()
            .find_map(|grant| grant.refresh.as_ref().filter(|_| !grant.is_over));
        if newest != Some(&given) {
            return Err("the refresh token is unknown, or was replaced".into());
        }
        plan.expect_filled(&refresh.params, body)?;
        Ok(())
    }

    /// Gives tokens: a refresh token with a code, and with a refresh if they rotate.
    fn give(&mut self, plan: &Plan, row: &OAuth2, now: Timestamp) -> Answer {
        let is_code = self.grants.is_empty();
        let rotates = row.refresh.as_ref().is_some_and(|refresh| refresh.rotates);
        let is_new = row.refresh.is_some() && (is_code || rotates);
        let refresh = is_new.then(|| self.fresh("refresh_token"));
        let grant = self.grant(plan, &row.answer, row.refresh.is_some(), refresh, now);
        // What was kept once has to stay, whether a later answer names it or not.
        Answer::Json(answer::of(plan, &row.answer, &grant, (is_code, is_code), now))
    }

    fn revoke(
        &mut self,
        at: &At<'_>,
        row: &Revoke,
        url: &Url,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Answer, Fault> {
        let access = self.grants.last().map(|grant| grant.access.clone()).unwrap_or_default();
        let refresh = self.grants.iter().rev().find_map(|grant| grant.refresh.clone());
        let (token, hint) = match (row.token, refresh) {
            (TokenKind::Refresh, Some(refresh)) => (refresh, "refresh_token"),
            _ => (access, "access_token"),
        };
        let mut query = seen.query();
        query.expect_query_of(url)?;
        let form = match row.send {
            TokenPlace::Json(_) => BodyForm::Json,
            _ => BodyForm::Form,
        };
        let in_body = matches!(row.client_auth, Some(ClientAuth::Post | ClientAuth::None))
            || matches!(row.send, TokenPlace::Form(_) | TokenPlace::Json(_));
        let mut body = if in_body { seen.members(form)? } else { Fields::empty() };
        match &row.send {
            TokenPlace::Form(name) => {
                body.expect(name, &token)?;
                if body.take("token_type_hint").is_some_and(|given| given != hint) {
                    return Err("token_type_hint names the other token".into());
                }
            }
            TokenPlace::Json(name) => body.expect(name, &token)?,
            TokenPlace::Query(name) => query.expect(name, &token)?,
            TokenPlace::Bearer => {
                if seen.header("authorization") != Some(&format!("Bearer {token}")) {
                    return Err("the token is not in `Authorization: Bearer`".into());
                }
            }
        }
        match row.client_auth {
            Some(auth) => {
                let client = at.client.at(&at.row.client_id_param);
                at.plan.check_proof(auth, &client, seen, &mut body, now)?;
            }
            None if row.send == TokenPlace::Bearer => {}
            None if seen.header("authorization").is_some() => {
                return Err("it has an Authorization header, which the row does not say".into());
            }
            None => {}
        }
        query.end()?;
        body.end()?;
        self.grants.iter_mut().for_each(|grant| grant.is_over = true);
        self.count("revoke", seen);
        match &at.plan.app().ok_field {
            Some(field) => {
                let mut done = serde_json::json!({});
                done[field.as_str()] = true.into();
                Ok(Answer::Json(done))
            }
            None => Ok(Answer::Empty),
        }
    }
}

fn method(row: &Revoke) -> &'static str {
    match row.method {
        RevokeMethod::Post => "POST",
        RevokeMethod::Delete => "DELETE",
        RevokeMethod::Get => "GET",
    }
}

impl At<'_> {
    /// What every token request has, and nothing else.
    fn check_token_request(
        &self,
        url: &Url,
        seen: &Seen,
        mut body: Fields,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut query = seen.query();
        query.expect_query_of(url)?;
        query.end()?;
        let (plan, row) = (self.plan, self.row);
        let client = self.client.at(&row.client_id_param);
        plan.check_proof(row.client_auth, &client, seen, &mut body, now)?;
        plan.expect_filled(&row.token_params, &mut body)?;
        body.end()?;
        for (name, template) in &row.token_headers {
            let wanted = plan.text(template, |_| None)?;
            if seen.header(name) != wanted.as_deref() {
                return Err(format!("the header {name} is not that of the row"));
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Takes parameters that the row gives.
    pub(super) fn expect_filled(
        &self,
        templates: &BTreeMap<String, Template>,
        fields: &mut Fields,
    ) -> Result<(), Fault> {
        for (name, template) in templates {
            if let Some(text) = self.text(template, |_| None)? {
                fields.expect(name, &text)?;
            }
        }
        Ok(())
    }
}
