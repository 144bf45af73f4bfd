//! Driving one scheme of one app, as a customer and a program of the company's do.

mod browser;

use crate::keys::{self, Keys};
use crate::report::{Driven, Outcome};
use crate::rows::{Example, Row};
use crate::standin::{Client, ExampleTokens, Phase, Plan, Standin};
use crate::world::{CALLBACK, Hand};
use bytes::Bytes;
use causeway_catalog::{ClientAuth, JwtAlgorithm, KeepPart, TokenAnswer};
use causeway_connect::{NewConnection, NewOAuthClient, ProxyCall};
use causeway_types::entity::{ConnectionOverview, ConnectionState, Scheme};
use causeway_types::{Clock as _, ConnectionId, SecretString};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What went wrong.
pub(crate) type Failed = String;

/// An app under way.
pub(crate) struct Drive<'a> {
    pub(crate) hand: &'a Hand,
    pub(crate) standin: &'a Standin,
    pub(crate) row: &'a Row,
    pub(crate) keys: &'a Arc<Keys>,
}

/// What a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Answers made from the row.
    Conformance,
    /// The vendor's own examples.
    Golden,
}

impl Drive<'_> {
    /// Drives a scheme through its whole life.
    pub(crate) async fn life(&self, scheme: Scheme) -> Driven {
        let mut driven = Driven::new(self.row.app.slug.as_str(), scheme.as_str());
        let Some(example) = self.row.examples.get(scheme.as_str()) else {
            driven.connect = Outcome::Failed("golden.yaml has no example of it".into());
            return driven;
        };
        let plan = Arc::new(self.plan(scheme, example, Purpose::Conformance));
        self.standin.expect(Arc::clone(&plan));
        let made = match self.connect(&plan).await {
            Ok(made) => made,
            Err(why) => {
                driven.connect = Outcome::Failed(self.why(why));
                return driven;
            }
        };
        driven.connect = Outcome::Passed;
        driven.verify = self.outcome(self.verified(&plan, made).await);
        if driven.verify != Outcome::Passed {
            return driven;
        }
        self.standin.enter(Phase::Calling);
        driven.call = self.outcome(self.call(&plan, made).await);
        if driven.call != Outcome::Passed {
            return driven;
        }
        driven.refresh = match self.after_expiry(&plan, made).await {
            Ok(true) => self.outcome(Ok(())),
            Ok(false) => Outcome::NotOffered,
            Err(why) => Outcome::Failed(self.why(why)),
        };
        if matches!(driven.refresh, Outcome::Failed(_)) {
            return driven;
        }
        self.standin.enter(Phase::Ending);
        driven.revoke = match self.delete(&plan, made).await {
            Ok(true) => self.outcome(Ok(())),
            Ok(false) if self.standin.faults().is_empty() => Outcome::NotOffered,
            Ok(false) => Outcome::Failed(self.standin.faults().join("; ")),
            Err(why) => Outcome::Failed(self.why(why)),
        };
        driven
    }

    /// What the stand-in is to expect.
    pub(crate) fn plan(&self, scheme: Scheme, example: &Example, purpose: Purpose) -> Plan {
        let (app, auth) = (&self.row.app, &self.row.app.auth);
        let mut typed = self.row.typed(example, keys::fields(app, scheme));
        let value = |name: &str| example.values.get(name).cloned();
        if scheme == Scheme::Basic {
            for name in ["username", "password"] {
                typed.insert(name.into(), value(name).unwrap_or_else(|| format!("the {name}")));
            }
        }
        if let (Scheme::Jwt, Some(row)) = (scheme, &auth.jwt)
            && let Some(pem) = self.keys.pem(row.algorithm)
        {
            typed.insert(row.key.to_string(), pem);
        }
        let pem = || self.keys.pem(JwtAlgorithm::RS256).unwrap_or_default();
        if let (Scheme::ClientCredentials, Some(row)) = (scheme, &auth.client_credentials)
            && row.client_auth == ClientAuth::PrivateKeyJwt
        {
            typed.insert("client_secret".into(), pem());
        }
        let (id, secret) = match purpose {
            Purpose::Conformance => ("client id".to_owned(), "s3cret+/=:%41&".to_owned()),
            Purpose::Golden => ("ca_123".to_owned(), "sk".to_owned()),
        };
        let by_key = scheme == Scheme::Installation
            || auth.oauth2.as_ref().is_some_and(|row| row.client_auth == ClientAuth::PrivateKeyJwt);
        let client = Client {
            id: id.replace(' ', "-"),
            secret: if by_key { pem() } else { secret },
            fields: self.row.typed(example, app.client_fields.iter()),
        };
        let scopes = match (scheme, &auth.oauth2) {
            (Scheme::Oauth2 | Scheme::Device, Some(row)) => row.scopes.default.clone(),
            (Scheme::Mcp, _) => crate::standin::MCP_SCOPES.map(str::to_owned).to_vec(),
            _ => Vec::new(),
        };
        let tokens = || ExampleTokens {
            access: value("oauth_access_token").unwrap_or_else(|| "token_123".into()),
            secret: value("oauth_access_token_secret"),
            answer: self.example_answer(scheme, example),
        };
        Plan {
            row: self.row.clone(),
            scheme,
            typed,
            kept: self.kept(scheme, example),
            client,
            keys: Arc::clone(self.keys),
            scopes,
            redirect_uri: CALLBACK.into(),
            call: example.request.clone(),
            example: (purpose == Purpose::Golden).then(tokens),
        }
    }

    /// The vendor's example of a token answer, with the stand-in's port in the hosts that are kept.
    fn example_answer(&self, scheme: Scheme, example: &Example) -> Option<Value> {
        let mut answer = example.token.as_ref()?.answer.clone()?;
        for keep in self.answer_of(scheme).into_iter().flat_map(|row| row.keep.values()) {
            let Some(value) = answer.pointer_mut(keep.at.as_str()) else { continue };
            if let (KeepPart::Host, Some(text)) = (keep.part, value.as_str()) {
                let mut url: Url = text.parse().unwrap();
                url.set_port(Some(self.row.port)).unwrap();
                *value = url.as_str().into();
            }
        }
        Some(answer)
    }

    pub(crate) fn answer_of(&self, scheme: Scheme) -> Option<&TokenAnswer> {
        let auth = &self.row.app.auth;
        match scheme {
            Scheme::Oauth2 | Scheme::Device => auth.oauth2.as_ref().map(|row| &row.answer),
            Scheme::ClientCredentials => auth.client_credentials.as_ref().map(|row| &row.answer),
            Scheme::Jwt => auth.jwt.as_ref()?.exchange.as_ref().map(|row| &row.answer),
            Scheme::TokenExchange => auth.token_exchange.as_ref().map(|row| &row.answer),
            Scheme::Installation => auth.installation.as_ref().map(|row| &row.answer),
            _ => None,
        }
    }

    /// What the answers of the app will give to be kept.
    fn kept(&self, scheme: Scheme, example: &Example) -> BTreeMap<String, String> {
        let auth = &self.row.app.auth;
        let of_answer = self.answer_of(scheme).into_iter().flat_map(|answer| answer.keep.keys());
        let of_callback = auth
            .oauth2
            .iter()
            .filter(|_| scheme == Scheme::Oauth2)
            .flat_map(|r| r.callback_keep.keys());
        let of_oauth1 =
            auth.oauth1.iter().filter(|_| scheme == Scheme::Oauth1).flat_map(|row| row.keep.keys());
        let mut kept = BTreeMap::new();
        for name in of_answer.chain(of_callback).chain(of_oauth1) {
            let value = example.values.get(name.as_str());
            let value = value.map_or_else(|| format!("kept-{name}"), Clone::clone);
            kept.insert(name.to_string(), self.row.driven(name.as_str(), &value));
        }
        if scheme == Scheme::Installation {
            let id = example.values.get("installation_id");
            let id = id.map_or(crate::standin::INSTALLATION, String::as_str);
            kept.insert("installation_id".into(), id.to_owned());
        }
        kept
    }

    /// Makes a connection.
    pub(crate) async fn connect(&self, plan: &Plan) -> Result<ConnectionId, Failed> {
        use Scheme::{Device, Installation, Mcp, Oauth1, Oauth2};
        if matches!(plan.scheme, Oauth2 | Device | Oauth1 | Installation) {
            self.set_client(plan).await?;
        }
        if matches!(plan.scheme, Oauth2 | Device | Oauth1 | Installation | Mcp) {
            return self.by_browser(plan).await;
        }
        let new = NewConnection {
            customer: format!("customer of {}", self.row.app.slug),
            app: self.row.app.slug.to_string(),
            name: None,
            scheme: plan.scheme,
            fields: secrets(&plan.typed),
        };
        let made = self.hand.connect.create_connection(&self.hand.permit(), new).await;
        Ok(made.map_err(said)?.id)
    }

    /// Sets the company's client, named after the scheme and what it is driven for.
    async fn set_client(&self, plan: &Plan) -> Result<(), Failed> {
        let new = NewOAuthClient {
            app: self.row.app.slug.to_string(),
            name: client_name(plan),
            client_id: plan.client.id.clone(),
            secret: Some(SecretString::new(plan.client.secret.clone())),
            fields: secrets(&plan.client.fields),
            ..NewOAuthClient::default()
        };
        self.hand.connect.set_oauth_client(&self.hand.permit(), new).await.map_err(said)?;
        Ok(())
    }

    /// Whether the connection is as the app's answers say.
    async fn verified(&self, plan: &Plan, made: ConnectionId) -> Result<(), Failed> {
        let shown = self.shown(made).await?;
        if self.standin.count("verify") != 1 {
            return Err(format!("verified {} times", self.standin.count("verify")));
        }
        if shown.state != ConnectionState::Healthy || shown.scheme != plan.scheme {
            return Err(format!("it is {} by {}", shown.state, shown.scheme));
        }
        let (id, name) = plan.account_read();
        if (&shown.account_id, &shown.account_name) != (&id, &name) {
            return Err(format!(
                "the account is {:?} {:?} and not {id:?} {name:?}",
                shown.account_id, shown.account_name
            ));
        }
        let expires = match (self.standin.expires_at(), self.own_lifetime(plan)) {
            // A token that Causeway has signed itself; it may begin a little ago.
            (None, Some(lifetime)) => shown.expires_at.is_some_and(|end| {
                let now = self.hand.clock.now();
                now < end && end <= now.plus(lifetime)
            }),
            (end, _) => shown.expires_at == end,
        };
        if !expires {
            return Err(format!("it expires at {:?}", shown.expires_at.map(|at| at.to_string())));
        }
        Ok(())
    }

    /// How long the tokens live that Causeway signs itself; `None` if it signs none.
    fn own_lifetime(&self, plan: &Plan) -> Option<Duration> {
        let row = self.row.app.auth.jwt.as_ref()?;
        (plan.scheme == Scheme::Jwt && row.exchange.is_none())
            .then(|| Duration::from_secs(row.lifetime.into()))
    }

    pub(crate) async fn shown(&self, made: ConnectionId) -> Result<ConnectionOverview, Failed> {
        self.hand.connect.connection(&self.hand.permit(), made).await.map_err(said)
    }

    /// Makes the example's call through the proxy.
    pub(crate) async fn call(&self, plan: &Plan, made: ConnectionId) -> Result<(), Failed> {
        let before = self.standin.count("call");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&plan.call.query)
            .finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let call = ProxyCall {
            method: Method::from_bytes(plan.call.method.as_bytes()).map_err(said_plainly)?,
            target: format!("{}{mark}{query}", plan.target()),
            headers: HeaderMap::new(),
            body: Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync(),
        };
        let answer = self.hand.connect.proxy(&self.hand.permit(), &made.to_string(), call).await;
        let answer = answer.map_err(said)?;
        let status = answer.status;
        let body = answer.body.collect().await.map_err(said_plainly)?.to_bytes();
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
        }
        if self.standin.count("call") != before + 1 {
            return Err("the call did not arrive".into());
        }
        Ok(())
    }

    /// Calls again after the token has expired; `false` if it does not, or cannot be renewed.
    async fn after_expiry(&self, plan: &Plan, made: ConnectionId) -> Result<bool, Failed> {
        let own = self.own_lifetime(plan);
        let end = match (self.standin.expires_at(), own) {
            (Some(end), _) => end,
            (None, Some(lifetime)) => self.hand.clock.now().plus(lifetime),
            (None, None) => return Ok(false),
        };
        let tokens = self.standin.count("token") + self.standin.count("refresh");
        self.hand.clock.advance(end.since(self.hand.clock.now()) + Duration::from_secs(1));
        self.call(plan, made).await?;
        let asked = self.standin.count("token") + self.standin.count("refresh") - tokens;
        if asked != u32::from(own.is_none()) {
            return Err(format!("asked for a token {asked} times"));
        }
        // A second call needs no second token.
        self.call(plan, made).await?;
        let again = self.standin.count("token") + self.standin.count("refresh") - tokens;
        if again != asked {
            return Err("the new token was not kept".into());
        }
        Ok(true)
    }

    /// Deletes the connection; `false` if the row knows no way to give its grant back.
    async fn delete(&self, plan: &Plan, made: ConnectionId) -> Result<bool, Failed> {
        let permit = self.hand.permit();
        self.hand.connect.delete_connection(&permit, made).await.map_err(said)?;
        if self.hand.connect.connection(&self.hand.permit(), made).await.is_ok() {
            return Err("the connection is still there".into());
        }
        let auth = &self.row.app.auth;
        let offered = match plan.scheme {
            Scheme::Oauth2 | Scheme::Device => {
                auth.oauth2.as_ref().is_some_and(|row| row.revoke.is_some())
            }
            Scheme::Mcp => true,
            _ => false,
        };
        let asked = self.standin.count("revoke");
        if asked != u32::from(offered) || (offered && !self.standin.is_revoked()) {
            return Err(format!("asked the app {asked} times to end the grant"));
        }
        Ok(offered)
    }

    /// Passed, if nothing was refused meanwhile.
    fn outcome(&self, done: Result<(), Failed>) -> Outcome {
        match done {
            Ok(()) if self.standin.faults().is_empty() => Outcome::Passed,
            Ok(()) => Outcome::Failed(self.standin.faults().join("; ")),
            Err(why) => Outcome::Failed(self.why(why)),
        }
    }

    /// What went wrong, and what the stand-in says of it.
    pub(crate) fn why(&self, why: Failed) -> Failed {
        let faults = self.standin.faults();
        if faults.is_empty() { why } else { format!("{why} [{}]", faults.join("; ")) }
    }
}

pub(crate) fn client_name(plan: &Plan) -> String {
    let purpose = if plan.example.is_some() { "golden" } else { "driven" };
    format!("{purpose}-{}", plan.scheme)
}

pub(crate) fn secrets(values: &BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    let secret =
        |(name, value): (&String, &String)| (name.clone(), SecretString::new(value.clone()));
    values.iter().map(secret).collect()
}

/// What a coded error says, inside and outside.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
pub(crate) fn said(error: impl causeway_types::Coded) -> Failed {
    format!("{} ({})", error.public(), causeway_types::chain(&error))
}

pub(crate) fn said_plainly(error: impl std::fmt::Display) -> Failed {
    error.to_string()
}
