//! OAuth 1.0a (RFC 5849, section 2).
//!
//! The state stands in the callback URL that the app is given (section 2.1), so that the answer is
//! bound to this browser and session as one of OAuth 2.0 is; the temporary token that comes back
//! must be the one of this flow, which defeats session fixation together with the verifier
//! (section 4.13 and <https://oauth.net/advisories/2009-1/>).

use super::context::{Context, Temporary};
use super::{
    Callback, Finished, FlowError, KEPT, LIFETIME, Matched, OwnClient, mismatch, plain, unsupported,
};
use crate::Inner;
use crate::apply::oauth1::Signer;
use crate::apply::{Moment, Values};
use crate::create::{CreateError, Verified};
use crate::credential::{Stored, Tokens};
use crate::limits::shown;
use crate::link::Opened;
use crate::sessions::tenant_of;
use crate::token_endpoint::{self, Ask, EndpointError, RawAnswer};
use causeway_catalog::{App, BodyForm, OAuth1};
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::{Url, form_urlencoded};

/// A question for a token.
struct Asked<'a> {
    url: &'a Url,
    /// The temporary token and its secret, when it is exchanged.
    token: Option<(&'a str, &'a str)>,
    /// More parameters of the protocol.
    more: &'a [(&'a str, &'a str)],
}

fn row_of(app: &App) -> Result<&OAuth1, FlowError> {
    app.auth.oauth1.as_ref().ok_or_else(|| unsupported(app, Scheme::Oauth1))
}

impl Inner {
    /// Begins a flow: gets a temporary token (section 2.1) and says where the browser goes
    /// (section 2.2).
    pub(super) async fn begin_oauth1(
        &self,
        opened: &Opened,
        mut context: Context,
    ) -> Result<Url, FlowError> {
        let row = row_of(&opened.app)?;
        let client = self.own_client(opened).await?;
        let new = self.new_flow(opened);
        let mut callback = self.callback_url.clone();
        callback.query_pairs_mut().append_pair("state", &new.state);
        let more = [("oauth_callback", callback.as_str())];
        let url = row.request_token_url.as_url();
        let asked = Asked { url, token: None, more: &more };
        let mut given = self.ask_oauth1(&opened.app, row, &client, asked).await?;
        let temporary = Temporary {
            token: taken(&opened.app, &mut given, "oauth_token")?,
            secret: taken(&opened.app, &mut given, "oauth_token_secret")?,
        };
        // Section 2.1: it says that the server is one of the revision that binds the verifier.
        if given.get("oauth_callback_confirmed").map(|it| it.expose().as_str()) != Some("true") {
            return Err(FlowError::TokenRefused {
                app: opened.app.name.clone(),
                sentence: "the app did not confirm the callback (RFC 5849, section 2.1)".into(),
            });
        }
        let mut url = row.authorization_url.as_url().clone();
        url.query_pairs_mut()
            .extend_pairs(&row.authorization_params)
            .append_pair("oauth_token", temporary.token.expose());
        context.client = Some(client.row.id);
        context.temporary = Some(temporary);
        let until = self.clock.now().plus(LIFETIME);
        self.keep_flow(opened, Scheme::Oauth1, &new, &context, (until, None)).await?;
        Ok(url)
    }

    /// Ends a flow (section 2.3).
    pub(super) async fn finish_oauth1(
        &self,
        app: &Arc<App>,
        matched: Matched,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let Matched { session, context, .. } = matched;
        let row = row_of(app)?;
        let temporary = context.temporary.ok_or(mismatch("a flow without a temporary token"))?;
        let client = self.client_by_id(tenant_of(&session), app, context.client).await?;
        // Apps that say no send `denied`, or nothing at all: developer.x.com, "Log in with X".
        let verifier = plain(&callback, "oauth_verifier").filter(|text| !text.is_empty());
        let Some(verifier) = verifier else {
            return Err(FlowError::denied(app, &callback));
        };
        if plain(&callback, "oauth_token") != Some(temporary.token.expose().as_str()) {
            return Err(mismatch("the temporary token of another flow"));
        }
        let token = (temporary.token.expose().as_str(), temporary.secret.expose().as_str());
        let more = [("oauth_verifier", verifier)];
        let url = row.access_token_url.as_url();
        let asked = Asked { url, token: Some(token), more: &more };
        let mut given = self.ask_oauth1(app, row, &client, asked).await?;
        let tokens = Tokens {
            access: taken(app, &mut given, "oauth_token")?,
            secret: Some(taken(app, &mut given, "oauth_token_secret")?),
            refresh: None,
            obtained_at: self.clock.now(),
            expires_at: None,
        };
        let mut fields = context.fields;
        for (name, param) in &row.keep {
            let kept = given.remove(param.as_str()).filter(|kept| {
                let text = kept.expose();
                text.len() <= KEPT && !text.contains(char::is_control)
            });
            if let Some(kept) = kept {
                fields.insert(name.to_string(), kept);
            }
        }
        let stored = Stored { fields, tokens: Some(tokens) };
        let values = Values { stored: &stored, client: Some(&client.opened) };
        let account = self.verify(app, Scheme::Oauth1, values).await.map_err(CreateError::from)?;
        let proven = Verified {
            scheme: Scheme::Oauth1,
            oauth_client: Some(client.row.id),
            stored,
            scopes: String::new(),
            account,
        };
        let opened = Opened {
            tenant: tenant_of(&session),
            session,
            app: Arc::clone(app),
            browser: Vec::new(),
        };
        self.conclude(opened, proven, None).await
    }

    /// Makes a signed request for a token, and reads the form that comes back.
    async fn ask_oauth1(
        &self,
        app: &App,
        row: &OAuth1,
        client: &OwnClient,
        Asked { url, token, more }: Asked<'_>,
    ) -> Result<BTreeMap<String, SecretString>, FlowError> {
        let failed = |source| FlowError::TokenRequest { app: app.name.clone(), source };
        let signer = Signer {
            consumer_key: &client.opened.client_id,
            consumer_secret: client.opened.secret.expose(),
            token,
            method: row.method,
            realm: None,
            more,
        };
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        let header = signer
            .header(&Method::POST, url, b"", moment)
            .map_err(|refused| failed(EndpointError::from(refused)))?;
        let mut ask = Ask::post(url.clone());
        ask.headers().insert(AUTHORIZATION, header);
        // The answer is a form, whatever else the app knows.
        ask.headers().insert(ACCEPT, HeaderValue::from_static("*/*"));
        let request = ask.ready(BodyForm::Form).map_err(failed)?;
        let answer =
            token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)?;
        if !(200..300).contains(&answer.status) {
            return Err(refused(app, &answer));
        }
        Ok(form_urlencoded::parse(answer.body.expose())
            .take(50)
            .map(|(name, value)| (name.into_owned(), SecretString::new(value.into_owned())))
            .collect())
    }
}

/// A token of an answer; it must fit into a header.
fn taken(
    app: &App,
    given: &mut BTreeMap<String, SecretString>,
    name: &str,
) -> Result<SecretString, FlowError> {
    let fits = |token: &SecretString| {
        let text = token.expose();
        !text.is_empty() && text.len() <= KEPT && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
    };
    given.remove(name).filter(fits).ok_or_else(|| FlowError::TokenRefused {
        app: app.name.clone(),
        sentence: format!("the app's answer has no `{name}`"),
    })
}

/// What an app said instead of giving a token. Each has its own way, so it is told as it is.
fn refused(app: &App, answer: &RawAnswer) -> FlowError {
    let words = String::from_utf8_lossy(answer.body.expose()).into_owned();
    let words = shown(&words, 200);
    let status = answer.status;
    let sentence = if words.is_empty() || words.starts_with('<') {
        format!("the app answered with status {status}")
    } else {
        format!("the app answered with status {status}: {words}")
    };
    FlowError::TokenRefused { app: app.name.clone(), sentence }
}
