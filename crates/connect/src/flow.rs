//! Flows: the round trip to an app and back, and the form for keys.
//!
//! What may come back is decided here: the state is signed, single-use and bound to the session
//! and the browser (see [`state`](crate::state)); PKCE S256 (RFC 7636) ties the code to the flow
//! that asked for it; `iss` (RFC 9207) tells one authorization server from another. What a flow
//! has to remember lies sealed in its row, so any node can end it, also after a restart.

mod conclude;
mod context;
mod device;
mod error;
mod installation;
pub(crate) mod mcp;
mod oauth1;
mod oauth2;
mod progress;
mod scopes;

pub use device::DevicePrompt;
pub use error::FlowError;
pub use mcp::DiscoveryError;
pub use progress::Progress;

pub(crate) use mcp::FIELDS as MCP_FIELDS;

use crate::client::Client;
use crate::form;
use crate::link::{LinkError, Opened};
use crate::overrides::fill;
use crate::state::{self, Binding, FlowSecret};
use crate::{Connect, Inner};
use causeway_catalog::App;
use causeway_identity::token::{Browser, Plain};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{ConnectSession, Connection, OAuthClient, OAuthFlow, Scheme};
use causeway_types::{
    Actor, ConnectionId, OAuthClientId, OAuthFlowId, Place, SecretString, Tenant, Timestamp,
};
use context::Context;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a customer may take at the app.
const LIFETIME: Duration = Duration::from_mins(15);
/// Longest value of the way back that is kept with a credential, in bytes.
const KEPT: usize = 1024;

/// How a customer wants to connect.
#[derive(Default)]
pub struct Choice {
    /// The app's slug, if the link leaves it open.
    pub app: Option<String>,
    /// Which of the app's ways.
    pub scheme: Option<Scheme>,
    /// What the customer typed: the fields of the app and of the scheme.
    pub fields: BTreeMap<String, SecretString>,
    /// Whether the customer goes to the app in a window of its own: it then ends with a page that
    /// says so, and the page that opened it asks for the [`Progress`] and leads on.
    pub popup: bool,
}

/// What the customer does next.
pub enum Started {
    /// Goes to this URL in the browser.
    Browser(Url),
    /// Types a code at the app, on any device.
    Device(DevicePrompt),
}

/// What the app sent the browser back with.
#[derive(Default)]
pub struct Callback {
    /// The state.
    pub state: String,
    /// The code, if the app granted access (RFC 6749, section 4.1.2).
    pub code: Option<SecretString>,
    /// The error's code, if it did not.
    pub error: Option<String>,
    /// The error in its own words.
    pub error_description: Option<String>,
    /// Who it is (RFC 9207).
    pub iss: Option<String>,
    /// The query's other parameters: OAuth 1.0a's token and verifier, an installation's id, and
    /// what a row keeps.
    pub others: BTreeMap<String, SecretString>,
}

/// A connection that a customer has made or renewed.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// The app's slug.
    pub app: String,
    /// The app's name for people.
    pub app_name: String,
    /// What people call the account at the app, as far as it is known.
    pub account: Option<String>,
    /// Where the customer goes now.
    pub return_url: Option<String>,
    /// Whether this is a window of its own; see [`Choice::popup`].
    pub popup: bool,
    /// What the customer, or the app, left out of what was asked for.
    pub missing: MissingScopes,
}

/// Scopes that were asked for and are not among those granted, as far as the app names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingScopes(pub Vec<String>);

/// The company's client that a flow uses.
struct OwnClient {
    row: OAuthClient,
    opened: Client,
}

/// A flow that is about to begin.
struct NewFlow {
    id: OAuthFlowId,
    secret: FlowSecret,
    /// What the way back carries.
    state: String,
}

/// A flow whose answer has come, to the browser that it was begun in.
struct Matched {
    session: ConnectSession,
    flow: OAuthFlow,
    secret: FlowSecret,
    context: Context,
}

impl Connect {
    /// Begins a flow. Those that the session began before can no longer be finished.
    ///
    /// # Errors
    /// [`FlowError`]; its texts are for the customer.
    pub async fn start(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        choice: Choice,
    ) -> Result<Started, FlowError> {
        let inner = &self.inner;
        let opened = inner.opened(token, browser, choice.app.as_deref()).await?;
        let begun = inner.begin_flow(&opened, choice).await;
        if let Err(error) = &begun
            && error.is_of_app()
        {
            inner.keep_failure((opened.tenant.workspace, opened.session.id), None, error).await;
        }
        begun
    }

    /// Ends a flow with what the browser brought back: gets the credential, tries it, seals it,
    /// and makes or renews the connection. Whatever comes of it, the state is used up.
    ///
    /// # Errors
    /// [`FlowError`]; its texts are for the customer.
    pub async fn finish(
        &self,
        callback: Callback,
        browser: &Plain<Browser>,
    ) -> Result<Finished, FlowError> {
        let inner = &self.inner;
        let matched = inner.matched(&callback.state, browser).await?;
        let flow = matched.flow.clone();
        let finished = inner.finish_matched(matched, callback).await;
        if let Err(error) = &finished {
            let of = (flow.workspace_id, flow.connect_session_id);
            inner.keep_failure(of, Some(flow.id), error).await;
        }
        finished
    }

    /// Where the customer is sent after a flow that failed, if the company has said so: the
    /// `error_url` of the session that this state and browser belong to, with the problem's code.
    pub async fn error_url(
        &self,
        state: &str,
        browser: &Plain<Browser>,
        error: &FlowError,
    ) -> Option<Url> {
        let inner = &self.inner;
        let (session, _, (_, context)) = inner.signed(state, browser).await.ok()?;
        if context.popup {
            return None;
        }
        inner.after_failure(&session, error).await
    }
}

impl Inner {
    /// Begins a flow with a link that is this browser's.
    async fn begin_flow(&self, opened: &Opened, choice: Choice) -> Result<Started, FlowError> {
        let scheme = choice.scheme.unwrap_or(Scheme::Oauth2);
        let unsupported = || unsupported(&opened.app, scheme);
        if !opened.app.schemes().contains(&scheme.as_str()) {
            return Err(unsupported());
        }
        let filled =
            self.filled_for(&opened.session, &opened.app).await.map_err(LinkError::from)?;
        let fields = fill::over(&opened.app, scheme, choice.fields, &filled);
        let context = Context {
            fields: form::read(&opened.app, scheme, fields).map_err(|wrong| {
                fill::unfit(&wrong, &filled)
                    .map_or(FlowError::Invalid(wrong), |unfit| LinkError::from(unfit).into())
            })?,
            popup: choice.popup,
            ..Context::default()
        };
        match scheme {
            Scheme::Oauth2 => self.begin_oauth2(opened, context).await.map(Started::Browser),
            Scheme::Oauth1 => self.begin_oauth1(opened, context).await.map(Started::Browser),
            Scheme::Installation => {
                self.begin_installation(opened, context).await.map(Started::Browser)
            }
            Scheme::Mcp => self.begin_mcp(opened, context).await.map(Started::Browser),
            Scheme::Device => self.begin_device(opened, context).await.map(Started::Device),
            _ => Err(unsupported()),
        }
    }

    /// Ends a flow whose state was checked.
    async fn finish_matched(
        &self,
        matched: Matched,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let now = self.clock.now();
        if matched.flow.expires_at <= now {
            return Err(FlowError::Expired);
        }
        self.still_open(&matched.session)?;
        let app = self.app_of_flow(&matched.flow.app)?;
        let popup = matched.context.popup;
        let mut finished = match matched.flow.scheme {
            Scheme::Oauth2 => self.finish_oauth2(&app, matched, callback).await?,
            Scheme::Oauth1 => self.finish_oauth1(&app, matched, callback).await?,
            Scheme::Installation => self.finish_installation(&app, matched, callback).await?,
            Scheme::Mcp => self.finish_mcp(&app, matched, callback).await?,
            // A device's answer does not come through the browser.
            _ => return Err(mismatch("a flow without a way back")),
        };
        finished.popup = popup;
        Ok(finished)
    }

    /// The app of a flow.
    fn app_of_flow(&self, slug: &str) -> Result<Arc<App>, FlowError> {
        let gone = || LinkError::UnknownApp { app: slug.to_owned() };
        Ok(self.catalog.get(slug).ok_or_else(gone)?)
    }

    /// Secrets for a flow, and the state that they sign.
    fn new_flow(&self, opened: &Opened) -> NewFlow {
        let id = OAuthFlowId::generate(self.clock.now(), &*self.random);
        let secret = FlowSecret::generate(&*self.random);
        let binding = Binding {
            flow: id,
            workspace: opened.tenant.workspace,
            session: opened.session.id,
            browser: &opened.browser,
        };
        let state = secret.sign(binding);
        NewFlow { id, secret, state }
    }

    /// Writes a flow down. It takes the place of those that its session began before. `poll` are
    /// the seconds between questions to the app, if it has to be asked.
    async fn keep_flow(
        &self,
        opened: &Opened,
        scheme: Scheme,
        new: &NewFlow,
        context: &Context,
        (expires_at, poll): (Timestamp, Option<u32>),
    ) -> Result<(), FlowError> {
        let (workspace, session) = (opened.tenant.workspace, opened.session.id);
        let now = self.clock.now();
        let place = Place::OAuthFlowVerifier(new.id);
        let plain = new.secret.to_seal(&context.to_bytes());
        let flow = OAuthFlow {
            id: new.id,
            workspace_id: workspace,
            connect_session_id: session,
            app: opened.app.slug.to_string(),
            scheme,
            browser_digest: opened.browser.clone(),
            verifier: self.vault.seal(workspace, &place, &plain).await?,
            expires_at,
            used_at: None,
            outcome: None,
            poll_at: poll.map(|seconds| now.plus(Duration::from_secs(seconds.into()))),
            poll_seconds: poll.map(i64::from),
        };
        let mut tx = self.store.write(Actor::Customer(session)).await?;
        db!(tx, connect_session::void_flows(workspace, session, now))?;
        db!(tx, connect_session::insert_flow(&flow))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        Ok(())
    }

    /// Matches a state to its flow and session, and uses it up. The state counts from then on as
    /// answered, whatever the answer is.
    async fn matched(&self, text: &str, browser: &Plain<Browser>) -> Result<Matched, FlowError> {
        let (session, flow, (secret, context)) = self.signed(text, browser).await?;
        let now = self.clock.now();
        let mut tx = self.store.write(Actor::Customer(session.id)).await?;
        let first = db!(tx, connect_session::use_flow(flow.workspace_id, flow.id, now))?;
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        if !first {
            return Err(mismatch("the state was answered before, or a newer flow was begun"));
        }
        Ok(Matched { session, flow, secret, context })
    }

    /// Finds the flow of a state, and checks that the state was signed for this browser.
    async fn signed(
        &self,
        text: &str,
        browser: &Plain<Browser>,
    ) -> Result<(ConnectSession, OAuthFlow, (FlowSecret, Context)), FlowError> {
        let received = state::read(text).ok_or(mismatch("no state of ours"))?;
        let (workspace, id) = (received.workspace, received.flow);
        let mut conn = self.store.read().await?;
        let flow =
            db!(conn, connect_session::flow(workspace, id))?.ok_or(mismatch("no such flow"))?;
        let session = db!(conn, connect_session::get(workspace, flow.connect_session_id))?
            .ok_or(mismatch("no such session"))?;
        drop(conn);
        let opened = self.open_flow(&flow).await?;
        let browser = browser.digest();
        let binding =
            Binding { flow: id, workspace, session: session.id, browser: browser.as_bytes() };
        if !opened.0.verify(&received, binding) {
            return Err(mismatch("the signature is not of this browser and session"));
        }
        Ok((session, flow, opened))
    }

    /// Opens what a flow remembers.
    async fn open_flow(&self, flow: &OAuthFlow) -> Result<(FlowSecret, Context), FlowError> {
        let place = Place::OAuthFlowVerifier(flow.id);
        let opened = self.vault.open(flow.workspace_id, &place, &flow.verifier).await?;
        let (secret, rest) = FlowSecret::from_opened(&opened).ok_or(mismatch("corrupt secret"))?;
        let context = Context::read(rest).ok_or(mismatch("corrupt context"))?;
        Ok((secret, context))
    }

    /// The company's client for a session: the one that it names, or the app's usual one.
    async fn own_client(&self, opened: &Opened) -> Result<OwnClient, FlowError> {
        let slug = opened.app.slug.as_str();
        let mut conn = self.store.read().await?;
        let found = match opened.session.oauth_client_id {
            Some(id) => db!(conn, oauth_client::get(opened.tenant, id))?,
            None => db!(conn, oauth_client::usual(opened.tenant, slug))?,
        };
        drop(conn);
        self.opened_client(slug, found).await
    }

    /// The client that a flow was begun with.
    async fn client_by_id(
        &self,
        tenant: Tenant,
        app: &App,
        id: Option<OAuthClientId>,
    ) -> Result<OwnClient, FlowError> {
        let mut conn = self.store.read().await?;
        let found = match id {
            Some(id) => db!(conn, oauth_client::get(tenant, id))?,
            // A flow of the first version, which had one client an app.
            None => db!(conn, oauth_client::usual(tenant, app.slug.as_str()))?,
        };
        drop(conn);
        self.opened_client(app.slug.as_str(), found).await
    }

    async fn opened_client(
        &self,
        slug: &str,
        found: Option<OAuthClient>,
    ) -> Result<OwnClient, FlowError> {
        let missing = || FlowError::MissingOAuthClient { app: slug.to_owned() };
        let row = found.filter(|client| client.app == slug).ok_or_else(missing)?;
        let opened = self.open_client(&row).await?;
        Ok(OwnClient { row, opened })
    }

    /// The connection that a session renews.
    async fn renewed_by(
        &self,
        tenant: Tenant,
        session: &ConnectSession,
    ) -> Result<Option<Connection>, FlowError> {
        let Some(id) = session.reconnect_id else { return Ok(None) };
        let mut conn = self.store.read().await?;
        Ok(db!(conn, connection::get(tenant, id))?)
    }
}

fn mismatch(why: &'static str) -> FlowError {
    FlowError::State { why }
}

fn unsupported(app: &App, scheme: Scheme) -> FlowError {
    FlowError::UnsupportedScheme { app: app.name.clone(), scheme }
}

/// The text of a secret value of the way back that is none: an id, an error's code.
fn plain<'a>(callback: &'a Callback, name: &str) -> Option<&'a str> {
    let text = callback.others.get(name)?.expose().as_str();
    (text.len() <= KEPT && !text.contains(char::is_control)).then_some(text)
}
