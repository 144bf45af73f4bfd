//! OAuth 1.0a (RFC 5849) as a server checks it.

use super::calls::Carried;
use super::{Answer, Grant, Plan, State};
use crate::seen::{Fault, Seen};
use aws_lc_rs::hmac;
use causeway_catalog::OAuth1Method;
use causeway_types::Timestamp;
use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;
use url::{Position, Url, form_urlencoded};

/// Who should have signed.
pub(super) struct Signer<'a> {
    pub(super) key: &'a str,
    pub(super) secret: &'a str,
    pub(super) token: Option<(&'a str, &'a str)>,
    pub(super) method: OAuth1Method,
}

impl Signer<'_> {
    /// Checks `Authorization: OAuth` of a request: its signature, and that it has the parameters
    /// in `wanted` beside those of the protocol, each with the value given, or any.
    pub(super) fn check(
        &self,
        seen: &Seen,
        realm: Option<&str>,
        wanted: &[(&str, Option<&str>)],
        now: Timestamp,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let header = seen.header("authorization").ok_or("it has no Authorization header")?;
        let mut parts = parts(header)?;
        if parts.remove("realm").as_deref() != realm {
            return Err("the realm is not that of the row".into());
        }
        let signature = parts.remove("oauth_signature").ok_or("it has no signature")?;
        self.check_signature(seen, &parts, &signature)?;
        let mut left = parts.clone();
        let name = match self.method {
            OAuth1Method::HmacSha1 => "HMAC-SHA1",
            OAuth1Method::HmacSha256 => "HMAC-SHA256",
            OAuth1Method::Plaintext => "PLAINTEXT",
        };
        let time = now.as_secs().to_string();
        let own = [
            ("oauth_consumer_key", Some(self.key)),
            ("oauth_signature_method", Some(name)),
            ("oauth_timestamp", Some(time.as_str())),
            ("oauth_nonce", None),
            ("oauth_token", self.token.map(|(token, _)| token)),
        ];
        let has_token = self.token.is_some();
        let own = own.into_iter().filter(|(name, _)| has_token || *name != "oauth_token");
        for (name, value) in own.chain(wanted.iter().copied()) {
            let found = left.remove(name).ok_or_else(|| format!("{name} is missing"))?;
            if value.is_some_and(|value| value != found) {
                return Err(format!("{name} is `{found}`"));
            }
        }
        if left.remove("oauth_version").is_some_and(|version| version != "1.0") {
            return Err("oauth_version is another".into());
        }
        match left.keys().next() {
            Some(name) => Err(format!("{name} is not of the protocol")),
            None => Ok(parts),
        }
    }

    fn check_signature(
        &self,
        seen: &Seen,
        own: &BTreeMap<String, String>,
        signature: &str,
    ) -> Result<(), Fault> {
        let is_form = seen.header("content-type") == Some("application/x-www-form-urlencoded");
        let form: &[u8] = if is_form { &seen.body } else { b"" };
        let pairs = seen.url.query_pairs().chain(form_urlencoded::parse(form));
        let mut pairs: Vec<(String, String)> = pairs
            .map(|(name, value)| (encoded(&name), encoded(&value)))
            .chain(own.iter().map(|(name, value)| (encoded(name), encoded(value))))
            .collect();
        pairs.sort();
        let joined: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let base = format!(
            "{}&{}&{}",
            seen.method,
            encoded(&seen.url[..Position::AfterPath]),
            encoded(&joined.join("&"))
        );
        let secret = self.token.map_or("", |(_, secret)| secret);
        let key = format!("{}&{}", encoded(self.secret), encoded(secret));
        let algorithm = match self.method {
            OAuth1Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            OAuth1Method::HmacSha256 => hmac::HMAC_SHA256,
            OAuth1Method::Plaintext if signature == key => return Ok(()),
            OAuth1Method::Plaintext => return Err("its signature is not the two secrets".into()),
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), base.as_bytes());
        if BASE64.encode(tag.as_ref()) == signature {
            return Ok(());
        }
        Err("its signature is not good".into())
    }
}

/// The parameters of the header (section 3.5.1).
fn parts(header: &str) -> Result<BTreeMap<String, String>, Fault> {
    let rest = header.strip_prefix("OAuth ").ok_or("it is not signed by OAuth 1.0a")?;
    rest.split(',')
        .map(|part| {
            let (name, value) = part.trim().split_once('=').ok_or("a part has no value")?;
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Ok((decoded(name), decoded(value.ok_or("a value has no quotes")?)))
        })
        .collect()
}

/// Section 3.6.
fn encoded(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}

impl State {
    /// Answers at the three endpoints (section 2); `None` if the request is at none of them.
    pub(super) fn oauth1(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.oauth1.as_ref().ok_or("the row has no oauth1")?;
        let signer = |token| Signer {
            key: &plan.client.id,
            secret: &plan.client.secret,
            token,
            method: row.method,
        };
        if seen.is_at(row.request_token_url.as_url()) {
            let parts = signer(None).check(seen, None, &[("oauth_callback", None)], now)?;
            let back = parts.get("oauth_callback").cloned().unwrap_or_default();
            if back.split('?').next() != Some(&plan.redirect_uri) {
                return Err("oauth_callback is not the way back".into());
            }
            let (token, secret) = (self.fresh("request_token"), self.fresh("request_secret"));
            let code = super::Code { redirect_uri: back, challenge: Some(secret.clone()) };
            self.codes.insert(token.clone(), code);
            return Ok(Some(Answer::Form(vec![
                ("oauth_token".into(), token),
                ("oauth_token_secret".into(), secret),
                ("oauth_callback_confirmed".into(), "true".into()),
            ])));
        }
        if seen.is_at(row.authorization_url.as_url()) {
            let mut query = seen.query();
            query.expect_query_of(row.authorization_url.as_url())?;
            let params = row.authorization_params.iter();
            params.into_iter().try_for_each(|(name, value)| query.expect(name, value))?;
            let token = query.need("oauth_token")?;
            query.end()?;
            let code = self.codes.get(&token).ok_or("the request token is unknown")?;
            let mut back: Url = code.redirect_uri.parse().map_err(|_| "the way back is no URL")?;
            back.query_pairs_mut()
                .append_pair("oauth_token", &token)
                .append_pair("oauth_verifier", "verifier_of_the_standin");
            self.count("authorize", seen);
            return Ok(Some(Answer::Redirect(back)));
        }
        if seen.is_at(row.access_token_url.as_url()) {
            let header = seen.header("authorization").unwrap_or_default();
            let token = parts(header)?.remove("oauth_token").ok_or("it has no token")?;
            let code = self.codes.remove(&token).ok_or("the request token is unknown")?;
            let secret = code.challenge.unwrap_or_default();
            let wanted = [("oauth_verifier", Some("verifier_of_the_standin"))];
            signer(Some((&token, &secret))).check(seen, None, &wanted, now)?;
            let example = plan.example.as_ref();
            let access = plan.new_access().unwrap_or_else(|| self.fresh("access_token"));
            let secret = example.and_then(|example| example.secret.clone());
            let secret = secret.unwrap_or_else(|| self.fresh("token_secret"));
            self.grants.push(Grant {
                access: access.clone(),
                secret: Some(secret.clone()),
                refresh: None,
                expires_at: None,
                is_over: false,
            });
            self.count("token", seen);
            if let Some(Value::Object(given)) = example.and_then(|one| one.answer.clone()) {
                let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
                let pairs = given.into_iter().map(|(name, value)| (name, text(value)));
                return Ok(Some(Answer::Form(pairs.collect())));
            }
            let mut answer =
                vec![("oauth_token".into(), access), ("oauth_token_secret".into(), secret)];
            for (name, param) in &row.keep {
                if let Some(value) = plan.kept.get(name.as_str()) {
                    answer.push((param.clone(), value.clone()));
                }
            }
            return Ok(Some(Answer::Form(answer)));
        }
        Ok(None)
    }

    /// A call that is signed with the customer's token.
    pub(super) fn signed_by_oauth1(
        &self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Carried, Fault> {
        let row = plan.app().auth.oauth1.as_ref().ok_or("the row has no oauth1")?;
        let grant = self.current(now)?;
        let secret = grant.secret.as_deref().unwrap_or_default();
        let signer = Signer {
            key: &plan.client.id,
            secret: &plan.client.secret,
            token: Some((&grant.access, secret)),
            method: row.method,
        };
        signer.check(seen, None, &[], now)?;
        Ok(Carried::authorization(seen.header("authorization").unwrap_or_default().to_owned()))
    }
}
