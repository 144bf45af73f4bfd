//! Flows: the round trip to an app's authorization server, and the form for keys.
//!
//! What may come back is decided here: the state is signed, single-use and bound to the session
//! and the browser (see [`state`](crate::state)); PKCE S256 (RFC 7636) ties the code to the flow
//! that asked for it; `iss` (RFC 9207) tells one authorization server from another.

mod error;

pub use error::FlowError;

use crate::create::{CreateError, Target, Verified, check_fields};
use crate::credential::{Stored, Tokens};
use crate::limits::shown;
use crate::link::{LinkError, Opened};
use crate::sessions::tenant_of;
use crate::state::{self, Binding, FlowSecret};
use crate::token_endpoint::{self, Client, Grant, Granted};
use crate::{Connect, Inner};
use causeway_catalog::{App, OAuth2, Pkce};
use causeway_identity::token::{Browser, Plain};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{ConnectSession, OAuthClient, OAuthFlow, Scheme};
use causeway_types::{Actor, ConnectionId, OAuthFlowId, Place, SecretString, Tenant};
use causeway_vault::VaultError;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// How long a customer may take at the authorization server.
const LIFETIME: Duration = Duration::from_mins(15);

/// What the authorization server sent the browser back with (RFC 6749 section 4.1.2).
#[derive(Default)]
pub struct Callback {
    /// The state.
    pub state: String,
    /// The code, if it granted access.
    pub code: Option<SecretString>,
    /// The error's code, if it did not.
    pub error: Option<String>,
    /// The error in its own words.
    pub error_description: Option<String>,
    /// Who it is (RFC 9207).
    pub iss: Option<String>,
}

/// A connection that a customer has made or renewed.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// The app's name for people.
    pub app_name: String,
    /// Where the customer goes now.
    pub return_url: Option<String>,
    /// What the customer, or the app, left out of what was asked for.
    pub missing: MissingScopes,
}

/// Scopes that were asked for and are not among those granted, as far as the app names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingScopes(pub Vec<String>);

/// What a flow needs of the company's client.
struct OwnClient {
    row: OAuthClient,
    opened: Client,
}

impl Connect {
    /// Begins a flow: the URL to which the customer's browser goes. Flows that the session began
    /// before can no longer be finished.
    pub async fn start_oauth(
        &self,
        token: &str,
        browser: &Plain<Browser>,
    ) -> Result<Url, FlowError> {
        let inner = &self.inner;
        let opened = inner.opened(token, browser).await?;
        let oauth = oauth_of(opened.app)?;
        let client = inner.own_client(opened.tenant, opened.app).await?;
        let (workspace, session) = (opened.tenant.workspace, opened.session.id);
        let now = inner.clock.now();
        let id = OAuthFlowId::generate(now, &*inner.random);
        let secret = FlowSecret::generate(&*inner.random);
        let place = Place::OAuthFlowVerifier(id);
        let flow = OAuthFlow {
            id,
            workspace_id: workspace,
            connect_session_id: session,
            browser_digest: opened.browser,
            verifier: inner.vault.seal(workspace, &place, secret.to_seal()).await?,
            expires_at: now.plus(LIFETIME),
            used_at: None,
        };
        let mut tx = inner.store.write(Actor::Customer(session)).await?;
        db!(tx, connect_session::void_flows(workspace, session, now))?;
        db!(tx, connect_session::insert_flow(&flow))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;

        let binding = Binding { flow: id, workspace, session, browser: &flow.browser_digest };
        let scopes = asked_for(oauth, &client.row).join(&oauth.scopes.separator);
        let mut url = oauth.authorization_url.as_url().clone();
        let mut query = url.query_pairs_mut();
        for (name, value) in &oauth.authorization_params {
            query.append_pair(name, value);
        }
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &client.row.client_id);
        query.append_pair("redirect_uri", inner.callback_url.as_str());
        query.append_pair("state", &secret.sign(binding));
        if !scopes.is_empty() {
            query.append_pair(&oauth.scopes.param, &scopes);
        }
        if oauth.pkce != Pkce::Forbidden {
            query.append_pair("code_challenge", &secret.challenge());
            query.append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url)
    }

    /// Ends a flow: exchanges the code, tries the tokens, seals them, and makes or renews the
    /// connection. Whatever comes of it, the state is used up.
    pub async fn finish_oauth(
        &self,
        callback: Callback,
        browser: &Plain<Browser>,
    ) -> Result<Finished, FlowError> {
        let inner = &self.inner;
        let (session, secret) = inner.matched(&callback.state, browser).await?;
        inner.still_open(&session)?;
        let tenant = tenant_of(&session);
        let app = inner
            .catalog
            .get(&session.app)
            .ok_or_else(|| LinkError::UnknownApp { app: session.app.clone() })?;
        let oauth = oauth_of(app)?;
        let code = granted_code(app, oauth, callback)?;
        let client = inner.own_client(tenant, app).await?;
        let pkce = (oauth.pkce != Pkce::Forbidden).then(|| secret.verifier());
        let grant = Grant::Code {
            code: &code,
            redirect_uri: inner.callback_url.as_str(),
            verifier: pkce.as_ref(),
        };
        let failed = |source| FlowError::TokenRequest { app: app.name.clone(), source };
        let request = token_endpoint::prepare(oauth, &client.opened, grant).map_err(failed)?;
        let answer = token_endpoint::send(&inner.http, request, || inner.clock.now())
            .await
            .map_err(failed)?;
        let received_at = answer.received_at;
        let granted = answer.read(oauth, true).map_err(|refused| FlowError::TokenRefused {
            app: app.name.clone(),
            sentence: refused.sentence(),
        })?;
        let asked = asked_for(oauth, &client.row);
        let (scopes, missing) = compare(&asked, granted.scope.as_deref());
        let Granted { access, refresh, expires_at, .. } = granted;
        // A refresh token that the row has no use for is not kept.
        let refresh = refresh.filter(|_| oauth.refresh.is_some());
        let tokens = Tokens { access, refresh, obtained_at: received_at, expires_at };
        let stored = Stored::OAuth2(tokens);
        if let Err(refused) = inner.verify(app, Scheme::Oauth2, &stored).await {
            // Nobody will hold these tokens, so the app should not honour them either.
            if let Stored::OAuth2(tokens) = &stored {
                let outcome = inner.revoke(app, oauth, &client.opened, tokens).await;
                tracing::info!(session = %session.id, %outcome, "gave unverified tokens back");
            }
            return Err(CreateError::from(refused).into());
        }
        let verified = Verified {
            scheme: Scheme::Oauth2,
            oauth_client: Some(client.row.id),
            stored,
            scopes: scopes.join(" "),
        };
        let opened = Opened { session, tenant, app, browser: Vec::new() };
        let mut finished = inner.conclude(opened, verified).await?;
        finished.missing = missing;
        Ok(finished)
    }

    /// Makes or renews the link's connection with keys that the customer typed, after the app
    /// took them.
    pub async fn submit_key(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        scheme: Scheme,
        fields: BTreeMap<String, SecretString>,
    ) -> Result<Finished, FlowError> {
        let opened = self.inner.opened(token, browser).await?;
        check_fields(opened.app, scheme, &fields)?;
        let stored = Stored::Fields(fields);
        self.inner.verify(opened.app, scheme, &stored).await.map_err(CreateError::from)?;
        let verified = Verified { scheme, oauth_client: None, stored, scopes: String::new() };
        self.inner.conclude(opened, verified).await
    }
}

impl Inner {
    /// Finds the flow of a state, checks that it is this browser's, and uses it up before
    /// anything is done with the answer.
    async fn matched(
        &self,
        state: &str,
        browser: &Plain<Browser>,
    ) -> Result<(ConnectSession, FlowSecret), FlowError> {
        let mismatch = |why| FlowError::State { why };
        let received = state::read(state).ok_or(mismatch("the state does not read"))?;
        let (workspace, id) = (received.workspace, received.flow);
        let mut conn = self.store.read().await?;
        let flow =
            db!(conn, connect_session::flow(workspace, id))?.ok_or(mismatch("no such flow"))?;
        let session = db!(conn, connect_session::get(workspace, flow.connect_session_id))?
            .ok_or(mismatch("no such session"))?;
        drop(conn);
        let place = Place::OAuthFlowVerifier(id);
        let opened = self.vault.open(workspace, &place, &flow.verifier).await?;
        let secret = FlowSecret::from_opened(opened).ok_or(mismatch("corrupt secret"))?;
        let browser = browser.digest();
        let binding =
            Binding { flow: id, workspace, session: session.id, browser: browser.as_bytes() };
        if !secret.verify(&received, binding) {
            return Err(mismatch("the signature is not of this browser and session"));
        }
        let now = self.clock.now();
        let mut tx = self.store.write(Actor::Customer(session.id)).await?;
        let first = db!(tx, connect_session::use_flow(workspace, id, now))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        if !first {
            return Err(mismatch("the state was answered before, or a newer flow was begun"));
        }
        if flow.expires_at <= now {
            return Err(FlowError::Expired);
        }
        Ok((session, secret))
    }

    /// The company's client at an app, opened.
    async fn own_client(&self, tenant: Tenant, app: &App) -> Result<OwnClient, FlowError> {
        let slug = app.slug.as_str();
        let mut conn = self.store.read().await?;
        let row = db!(conn, connection::oauth_client(tenant, slug))?
            .ok_or_else(|| FlowError::MissingOAuthClient { app: slug.to_owned() })?;
        drop(conn);
        let opened = self.open_client(&row).await?;
        Ok(OwnClient { row, opened })
    }

    /// Opens a client's secret.
    pub(crate) async fn open_client(&self, row: &OAuthClient) -> Result<Client, VaultError> {
        let place = Place::OAuthClientSecret(row.id);
        let opened = self.vault.open(row.workspace_id, &place, &row.secret).await?;
        // What was sealed was text; anything else proves nothing and is refused by the app.
        let secret = opened.into_text().unwrap_or_else(|| SecretString::new(String::new()));
        Ok(Client { client_id: row.client_id.clone(), secret })
    }

    /// Writes the connection and uses the session up, in one transaction.
    async fn conclude(
        &self,
        opened: Opened<'_>,
        verified: Verified,
    ) -> Result<Finished, FlowError> {
        let Opened { session, tenant, app, .. } = opened;
        let target = match session.reconnect_id {
            Some(id) => Target::Renew(id),
            None => Target::New {
                customer: session.customer_id,
                app: session.app.clone(),
                name: session.connection_name.clone(),
            },
        };
        let prepared = self.prepare(tenant, target, verified).await?;
        let now = self.clock.now();
        let mut tx = self.store.write(Actor::Customer(session.id)).await?;
        let event = self.write(&mut tx, tenant, &prepared).await?;
        let workspace = tenant.workspace;
        if !db!(tx, connect_session::use_up(workspace, session.id, prepared.id(), now))? {
            return Err(CreateError::SessionUsed.into());
        }
        tx.commit(workspace, now, event).await?;
        Ok(Finished {
            connection: prepared.id(),
            name: session.connection_name,
            app_name: app.name.clone(),
            return_url: session.return_url,
            missing: MissingScopes::default(),
        })
    }
}

fn oauth_of(app: &App) -> Result<&OAuth2, FlowError> {
    app.auth.oauth2.as_ref().ok_or_else(|| FlowError::NoOAuth { app: app.slug.to_string() })
}

/// The scopes of the company's client, or of the row.
fn asked_for(oauth: &OAuth2, client: &OAuthClient) -> Vec<String> {
    let own: Vec<String> = client.scopes.split_whitespace().map(str::to_owned).collect();
    if own.is_empty() { oauth.scopes.default.clone() } else { own }
}

/// The code of an answer, after the checks that come before it is used.
fn granted_code(app: &App, oauth: &OAuth2, callback: Callback) -> Result<SecretString, FlowError> {
    // Also for errors: RFC 9207 section 2.4.
    if callback.iss.as_deref().is_some_and(|iss| !issuer_fits(oauth, iss)) {
        return Err(FlowError::Issuer { app: app.name.clone() });
    }
    let denied = |error: &str, description: Option<&String>| FlowError::Denied {
        app: app.name.clone(),
        error: shown(error, 64),
        description: description.map(|text| shown(text, 300)),
    };
    if let Some(error) = &callback.error {
        return Err(denied(error, callback.error_description.as_ref()));
    }
    callback.code.filter(|code| !code.expose().is_empty()).ok_or_else(|| {
        denied("no_code", Some(&"the answer holds neither a code nor an error".into()))
    })
}

/// Whether an `iss` can be the row's authorization server. Rows name no issuer, but an issuer is
/// an https URL of its authorization server (RFC 8414 section 2), and a server that mixes
/// answers up is one at another origin.
fn issuer_fits(oauth: &OAuth2, iss: &str) -> bool {
    Url::parse(iss).is_ok_and(|iss| iss.origin() == oauth.authorization_url.as_url().origin())
}

/// What was granted, and what of that asked for was not. An app that names no scopes has granted
/// those asked for (RFC 6749 section 5.1). Some apps separate them by commas.
fn compare(asked: &[String], granted: Option<&str>) -> (Vec<String>, MissingScopes) {
    let Some(granted) = granted else { return (asked.to_vec(), MissingScopes::default()) };
    let granted: Vec<String> = granted
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .take(200)
        .map(|scope| shown(scope, 256))
        .collect();
    let missing = asked.iter().filter(|scope| !granted.contains(scope)).cloned().collect();
    (granted, MissingScopes(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_granted_is_named() {
        let asked = ["a".to_owned(), "b".to_owned()];
        assert_eq!(compare(&asked, None).1, MissingScopes::default());
        assert_eq!(compare(&asked, Some("b,a")).1, MissingScopes::default());
        let (granted, missing) = compare(&asked, Some("b c"));
        assert_eq!((granted, missing.0), (vec!["b".into(), "c".into()], vec!["a".into()]));
    }
}
