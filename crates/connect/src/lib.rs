//! Connections: how they are made, kept alive, used and given up.
//!
//! - An *OAuth client* is the company's own client at an app. A *customer* is whoever a
//!   *connection*, a credential at an app, belongs to.
//! - A *connect session* lets one customer add one connection. Its *link* carries a *token*,
//!   shown once; the first browser that goes on from the link's page is the only one that can.
//! - A *flow* is one round trip of that browser to the app's authorization server. Its *state*
//!   ties the answer to the session, the browser and the flow.
//! - A *refresh* exchanges a connection's refresh token. Of a connection there is one refresh at
//!   a time on all nodes; see [`refresh`](mod@refresh) for how it survives a crash at any point.
//!
//! Everything here takes a [`Permit`](causeway_identity::Permit), or the token of a link.

mod accounts;
mod apply;
mod background;
mod broker;
mod check;
mod client;
mod client_records;
mod connections;
mod crash;
mod create;
mod credential;
mod customers;
mod encoding;
mod error;
mod export;
mod figures;
mod flow;
mod form;
mod framing;
mod holder;
mod jws;
mod limits;
mod link;
mod listing;
mod mint;
mod news;
mod oauth_clients;
mod overrides;
mod projects;
mod proxy;
pub mod refresh;
mod report;
mod revocations;
mod revoke;
mod sessions;
mod settings;
mod state;
mod token_endpoint;
mod token_view;
mod uses;
mod verify;

pub use accounts::{AccountError, AccountsOf, NewAccount, Whose};
pub use apply::ApplyError;
pub use broker::{
    AnswerBody, Broker, BrokerError, BrokeredAnswer, BrokeredCall, Exposure, HostClaim, Link, Seed,
};
pub use check::Tested;
pub use client_records::{LabelledClient, OAuthClientChange};
pub use connections::ConnectionError;
pub use crash::{CrashPoint, CrashPoints, NoCrash};
pub use create::{CreateError, NewConnection};
pub use customers::CustomerError;
pub use error::{CredentialError, InvalidInput};
pub use export::{ExportError, Exported};
pub use figures::SelfLimitError;
pub use flow::{
    Callback, Choice, DevicePrompt, DiscoveryError, Finished, FlowError, MissingScopes, Progress,
    Started,
};
pub use form::FieldView;
pub use framing::Framing;
pub use holder::{Holder, NewToken, TOKEN_LIFETIME, TokenError};
pub use link::{AppChoice, AppView, How, LinkError, LinkView, Reconnect, SchemeView};
pub use listing::{Edge, Listed, Window};
pub use mint::MintError;
pub use news::NewsError;
pub use oauth_clients::{NewOAuthClient, OAuthClientError, OAuthClientView, client_fields};
pub use overrides::{
    AppOverrideError, AppOverrideView, FilledError, NewAppOverride, custom_fields,
};
pub use projects::{ConnectProject, MAX_LOGO, ProjectChange, ProjectError};
pub use proxy::{CallPolicy, CallRate, PolicyError, ProxyAnswer, ProxyCall, ProxyError};
pub use report::{Outcome, Report, Words};
pub use revocations::{RevocationError, RevocationProgress};
pub use sessions::{NewSession, SessionCreated, SessionError, SessionView};
pub use settings::{Appearance, Settings, SettingsError, Theme};
pub use token_view::{TokenAsk, TokenView};
pub use verify::VerifyError;

pub use causeway_net::BodyError;
pub use causeway_types::entity::ConnectionFilter;

use causeway_catalog::{Catalog, HostPattern};
use causeway_net::HttpClient;
use causeway_store::Store;
use causeway_types::entity::Connection;
use causeway_types::{Clock, NodeId, Randomness, chain};
use causeway_vault::Vault;
use causeway_webhooks::Webhooks;
use refresh::Flights;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use url::Url;
use uses::Uses;

/// What connections are made of.
pub struct ConnectParts {
    /// Keeps them.
    pub store: Store,
    /// Seals their credentials.
    pub vault: Vault,
    /// Reaches the apps.
    pub http: HttpClient,
    /// Tells the company what happens to connections.
    pub webhooks: Webhooks,
    /// Puts the outcomes of connect sessions into words.
    pub words: Arc<Words>,
    /// Knows the apps.
    pub catalog: Arc<Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids, tokens and the spread of refreshes.
    pub random: Arc<dyn Randomness>,
    /// Where apps send browsers back to: the `redirect_uri` of every flow.
    pub callback_url: Url,
    /// Where a test stops the process; [`NoCrash`] otherwise.
    pub crash: Arc<dyn CrashPoints>,
}

/// Everything about connections. Cheap to clone; clones share the refreshes under way.
#[derive(Clone)]
pub struct Connect {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    http: HttpClient,
    webhooks: Webhooks,
    words: Arc<Words>,
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    callback_url: Url,
    crash: Arc<dyn CrashPoints>,
    /// Holder of the leases taken here, and actor of what Causeway does by itself.
    node: NodeId,
    flights: Flights,
    /// Openings of credentials, for the audit chain.
    uses: Uses,
    /// Whose keys were doubted lately.
    doubts: check::Doubts,
    /// How many calls apps still take.
    budgets: proxy::Budgets,
    /// Connections that were opened a moment ago, for the proxy.
    remembered: proxy::Remembered,
    /// Wakes whoever revokes connections.
    revocations: Notify,
    /// How many calls were made.
    usage: proxy::Usage,
    /// What must not be cut off because its caller went away: refreshes and deletions.
    tasks: TaskTracker,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T, I> {
    /// The records.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<I>,
}

impl Connect {
    /// Puts the parts together. Nothing runs yet; see [`Connect::run_background`].
    pub fn new(parts: ConnectParts) -> Self {
        let ConnectParts {
            store,
            vault,
            http,
            webhooks,
            words,
            catalog,
            clock,
            random,
            callback_url,
            crash,
        } = parts;
        let node = NodeId::generate(clock.now(), &*random);
        let inner = Inner {
            store,
            vault,
            http,
            webhooks,
            words,
            catalog,
            clock,
            random,
            callback_url,
            crash,
            node,
            flights: Flights::default(),
            uses: Uses::default(),
            doubts: check::Doubts::default(),
            budgets: proxy::Budgets::default(),
            remembered: proxy::Remembered::default(),
            revocations: Notify::new(),
            usage: proxy::Usage::default(),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The hosts that may receive a connection's credential: those of the app's row, filled with
    /// the account's own values. None if the row is gone.
    pub fn hosts(&self, connection: &Connection) -> Vec<HostPattern> {
        let Some(app) = self.inner.catalog.get(&connection.app) else { return Vec::new() };
        let own = connection.hosts.split(' ').filter_map(|host| host.parse().ok());
        app.hosts(|_| None).into_iter().chain(own).collect()
    }

    /// Waits for the refreshes and deletions under way: their answers must not be lost to a
    /// shutdown. Each is bounded by the time limit of its requests. Then writes which credentials
    /// were opened. Call it after nobody asks for credentials any more.
    pub async fn close(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        if let Err(error) = self.write_uses(true).await {
            tracing::warn!(error = chain(&error), "the last use of credentials is not audited");
        }
        if let Err(error) = self.write_counts().await {
            tracing::warn!(error = chain(&error), "the last number of calls is not written");
        }
    }
}
