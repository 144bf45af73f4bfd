//! OAuth 2.0, authorization code (RFC 6749, section 4.1).

use super::context::Context;
use super::{
    Callback, Finished, FlowError, LIFETIME, Matched, MissingScopes, NewFlow, OwnClient, plain,
    scopes, unsupported,
};
use crate::Inner;
use crate::apply::{Moment, Values};
use crate::create::{CreateError, Verified};
use crate::credential::Stored;
use crate::link::Opened;
use crate::sessions::tenant_of;
use crate::state::FlowSecret;
use crate::token_endpoint::{self, Asker, Grant};
use causeway_catalog::{App, OAuth2, Pkce};
use causeway_types::SecretString;
use causeway_types::entity::{OAuthClient, Scheme};
use std::sync::Arc;
use url::Url;

/// A flow whose way back was checked, ready for its code to be exchanged.
pub(super) struct Exchange<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) row: &'a OAuth2,
    pub(super) scheme: Scheme,
    pub(super) client: &'a OwnClient,
    pub(super) secret: &'a FlowSecret,
    pub(super) code: &'a SecretString,
    /// What the connection has beside its tokens.
    pub(super) stored: Stored,
    pub(super) asked: &'a [String],
}

/// The row's `oauth2`.
pub(super) fn row_of(app: &App) -> Result<&OAuth2, FlowError> {
    app.auth.oauth2.as_ref().ok_or_else(|| unsupported(app, Scheme::Oauth2))
}

/// The scopes of the company's client, or of the row.
pub(super) fn usual(row: &OAuth2, client: &OAuthClient) -> Vec<String> {
    let own: Vec<String> = client.scopes.split_whitespace().map(str::to_owned).collect();
    if own.is_empty() { row.scopes.default.clone() } else { own }
}

impl Inner {
    /// Begins a flow: the URL to which the customer's browser goes.
    pub(super) async fn begin_oauth2(
        &self,
        opened: &Opened,
        mut context: Context,
    ) -> Result<Url, FlowError> {
        let row = row_of(&opened.app)?;
        let client = self.own_client(opened).await?;
        context.client = Some(client.row.id);
        context.asked = self.asked_for(opened, row, &client.row).await?;
        let new = self.new_flow(opened);
        let url = self.authorization_url(&opened.app, row, &client, &context, &new)?;
        let until = self.clock.now().plus(LIFETIME);
        self.keep_flow(opened, Scheme::Oauth2, &new, &context, (until, None)).await?;
        Ok(url)
    }

    /// The scopes to ask for in a session.
    pub(super) async fn asked_for(
        &self,
        opened: &Opened,
        row: &OAuth2,
        client: &OAuthClient,
    ) -> Result<Vec<String>, FlowError> {
        let renewed = self.renewed_by(opened.tenant, &opened.session).await?;
        let renewed = renewed.filter(|one| matches!(one.scheme, Scheme::Oauth2 | Scheme::Device));
        let profiles = &row.scopes.profiles;
        Ok(scopes::asked(&usual(row, client), profiles, &opened.session, renewed.as_ref()))
    }

    /// The authorization request (RFC 6749, section 4.1.1).
    pub(super) fn authorization_url(
        &self,
        app: &App,
        row: &OAuth2,
        client: &OwnClient,
        context: &Context,
        new: &NewFlow,
    ) -> Result<Url, FlowError> {
        let value = |name: &str| match name {
            "redirect_uri" => Some(self.callback_url.as_str()),
            _ => context.value(&client.opened, name),
        };
        let mut url = row.authorization_url.fill(value).ok_or_else(|| FlowError::Unconfigured {
            app: app.name.clone(),
            what: "value that its address needs",
        })?;
        let mut query = url.query_pairs_mut();
        for (name, template) in &row.authorization_params {
            // One that names a field that was left empty is left out.
            if let Some(text) = template.fill(value) {
                query.append_pair(name, &text);
            }
        }
        query.append_pair("response_type", "code");
        query.append_pair(&row.client_id_param, &client.row.client_id);
        query.append_pair("redirect_uri", self.callback_url.as_str());
        query.append_pair("state", &new.state);
        let scopes = context.asked.join(&row.scopes.separator);
        if !scopes.is_empty() && !row.scopes.param.is_empty() {
            query.append_pair(&row.scopes.param, &scopes);
        }
        if row.pkce != Pkce::Forbidden {
            query.append_pair("code_challenge", &new.secret.challenge());
            query.append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url)
    }

    /// Ends a flow: exchanges the code, tries the tokens, and makes or renews the connection.
    pub(super) async fn finish_oauth2(
        &self,
        app: &Arc<App>,
        matched: Matched,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let Matched { session, flow, secret, context } = matched;
        let row = row_of(app)?;
        let client = self.client_by_id(tenant_of(&session), app, context.client).await?;
        let mut stored = Stored::of_fields(context.fields);
        let own = {
            let values = Values { stored: &stored, client: Some(&client.opened) };
            row.authorization_url.fill(|name| values.get(name)).map(|url| url.origin())
        };
        // Rows name no issuer, but an issuer is an https URL of its authorization server (RFC 8414
        // section 2), and a server that mixes answers up is one at another origin.
        let fits = |iss: &str| Url::parse(iss).is_ok_and(|iss| own == Some(iss.origin()));
        if callback.iss.as_deref().is_some_and(|iss| !fits(iss)) {
            return Err(FlowError::Issuer { app: app.name.clone() });
        }
        for (name, param) in &row.callback_keep {
            if let Some(value) = plain(&callback, param) {
                stored.fields.insert(name.to_string(), SecretString::new(value.to_owned()));
            }
        }
        let code = granted_code(app, callback)?;
        let exchange = Exchange {
            app,
            row,
            scheme: Scheme::Oauth2,
            client: &client,
            secret: &secret,
            code: &code,
            stored,
            asked: &context.asked,
        };
        self.conclude_exchange(session, flow.id, exchange).await
    }

    /// Exchanges a code and tries the tokens. Those that the app then does not take are given back.
    pub(super) async fn exchange(
        &self,
        exchange: Exchange<'_>,
    ) -> Result<(Verified, MissingScopes), FlowError> {
        let Exchange { app, row, scheme, client, secret, code, stored, asked } = exchange;
        let pkce = (row.pkce != Pkce::Forbidden).then(|| secret.verifier());
        let grant =
            Grant::Code { code, redirect_uri: self.callback_url.as_str(), verifier: pkce.as_ref() };
        let failed = |source| FlowError::TokenRequest { app: app.name.clone(), source };
        let request = {
            let values = Values { stored: &stored, client: Some(&client.opened) };
            let moment = Moment { now: self.clock.now(), random: &*self.random };
            let asker = Asker { app, scheme, client: &client.opened, values, moment };
            asker.prepare(row, grant).map_err(failed)?
        };
        let answer =
            token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)?;
        self.accept(app, row, scheme, client, (stored, asked), &answer).await
    }

    /// Takes a token endpoint's answer to a code, and tries the tokens.
    pub(super) async fn accept(
        &self,
        app: &App,
        row: &OAuth2,
        scheme: Scheme,
        client: &OwnClient,
        (stored, asked): (Stored, &[String]),
        answer: &token_endpoint::RawAnswer,
    ) -> Result<(Verified, MissingScopes), FlowError> {
        let refused = |refused: token_endpoint::Refused| FlowError::TokenRefused {
            app: app.name.clone(),
            sentence: refused.sentence(),
        };
        let granted = answer.read(&row.answer, true).map_err(refused)?;
        let (scopes, mut missing) = scopes::compare(asked, granted.scope.as_deref());
        if granted.refresh.is_some() {
            // What it asks for is the refresh token (OpenID Connect Core, section 11); Microsoft
            // never names it among those granted.
            missing.0.retain(|scope| scope != "offline_access");
        }
        let mut stored =
            token_endpoint::stored(app, stored, granted, answer.status, false).map_err(refused)?;
        // A refresh token that the row has no use for is not kept.
        if let Some(tokens) = stored.tokens.as_mut().filter(|_| row.refresh.is_none()) {
            tokens.refresh = None;
        }
        let values = Values { stored: &stored, client: Some(&client.opened) };
        let account = match self.verify(app, scheme, values).await {
            Ok(account) => account,
            Err(refused) => {
                // Nobody will hold these tokens, so the app should not honour them either.
                let outcome = self.revoke(app, row, &client.opened, values).await;
                tracing::info!(app = %app.slug, %outcome, "gave unverified tokens back");
                return Err(CreateError::from(refused).into());
            }
        };
        let verified = Verified {
            scheme,
            oauth_client: Some(client.row.id),
            stored,
            scopes: scopes.join(" "),
            account,
        };
        Ok((verified, missing))
    }
}

/// The code of an answer, after the checks that come before it is used.
pub(super) fn granted_code(app: &App, callback: Callback) -> Result<SecretString, FlowError> {
    if callback.error.is_some() {
        return Err(FlowError::denied(app, &callback));
    }
    let code = callback.code.filter(|code| !code.expose().is_empty());
    code.ok_or_else(|| FlowError::Denied {
        app: app.name.clone(),
        error: "no_code".into(),
        description: Some("the answer holds neither a code nor an error".into()),
    })
}
