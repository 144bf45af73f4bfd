//! Causeway's HTTP interfaces. Handlers translate; the rules live in the engines behind them.
//!
//! - `/api/v1` is the native API, one endpoint a file under [`v1`]. Its document is made from the
//!   code ([`openapi`]).
//! - `/v1/oauth/…` and two of `/.well-known/…` are the authorization server for programs
//!   ([`oauth_server`]).
//! - `/v1/connect/…` is the Pipedream Connect contract ([`pipedream`]).
//! - `/t/…` takes the requests that start workflows ([`ingress`]).
//! - `/resume/…` and `/cancel/…` end the wait of those that wait for somebody ([`suspended`]).
//! - `/connect/…` is the page on which a customer adds a connection ([`connect_page`]), and what a
//!   page with a script asks for the same ([`connect_json`]).
//! - `/scim/v2` is for the company's directory ([`scim`]).
//! - `/auth/…` and `/account` are the pages on which people come in ([`auth`]).
//! - `/security/…` and `/.well-known/security.txt` take reports of vulnerabilities ([`security`]).
//! - `/problems/…` explains every problem's code ([`problem_pages`]).
//! - `/healthz`, `/readyz`, `/metrics` are for whoever operates the server ([`ops`]).
//!
//! [`routes`] says which of them a listener answers. A handler under `/api/v1` takes an
//! [`extract::Authorized`] permit: naming its action is how a route says which permission it needs.

mod auth;
mod client_address;
mod connect_json;
mod connect_page;
mod connect_shell;
mod console;
mod cookies;
mod cross_site;
mod denials;
mod extract;
mod harden;
mod html;
mod idempotency;
mod ingress;
mod oauth_server;
mod ops;
mod page;
mod pipedream;
mod problem;
mod problem_pages;
mod rate_limit;
mod request_id;
mod routes;
mod scim;
mod security;
mod suspended;
mod v1;

pub use client_address::{ForwardedBy, TrustedProxies, UnknownHeader};
pub use ops::install_metrics;
pub use pipedream::connection_event;
pub use problem::Problem;
pub use rate_limit::{Quota, RateLimitConfig, RateLimits, Standing};
pub use routes::{Routers, Split, openapi};
pub use security::REPORT_BODY_LIMIT;

use causeway_audit::AuditLog;
use causeway_catalog::Catalog;
use causeway_connect::Connect;
use causeway_disclosure::Disclosure;
use causeway_flow::Flow;
use causeway_identity::scim::Scim;
use causeway_identity::{Authenticator, Denials, MachineAccess, Members, SignIn, StaffAccess};
use causeway_store::Store;
use causeway_types::{Clock, Randomness};
use causeway_vault::Vault;
use causeway_webhooks::Webhooks;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// The largest body of a request to the API, in bytes.
pub const API_BODY_LIMIT: usize = 1 << 20;
/// The largest body of a deployment, in bytes: its files in base64 and a little more.
pub const DEPLOY_BODY_LIMIT: usize = 24 << 20;
/// The largest body of a request to a trigger, in bytes.
pub const TRIGGER_BODY_LIMIT: usize = 1 << 20;
/// The largest form that a page sends, in bytes.
pub const FORM_BODY_LIMIT: usize = 64 << 10;
/// How long the caller of a trigger waits for what its workflow answers.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the interfaces stand on.
pub struct ApiParts {
    /// Workflows.
    pub flow: Flow,
    /// Connections.
    pub connect: Connect,
    /// Webhooks out.
    pub webhooks: Webhooks,
    /// Keys.
    pub vault: Vault,
    /// Apps.
    pub catalog: Arc<Catalog>,
    /// The database, for the API's own bookkeeping.
    pub store: Store,
    /// Who calls.
    pub authenticator: Authenticator,
    /// API keys, machine clients and their tokens.
    pub machine: MachineAccess,
    /// Signs people in, and knows their sessions.
    pub sign_in: SignIn,
    /// The audit chains.
    pub audit: AuditLog,
    /// The staff's requests for access.
    pub staff: StaffAccess,
    /// Writes down who was denied what.
    pub denials: Denials,
    /// Members, groups, roles, invitations, workspaces and projects.
    pub members: Members,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of requests and the browser cookie of the connect page.
    pub random: Arc<dyn Randomness>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Takes reports of vulnerabilities.
    pub disclosure: Disclosure,
    /// Whose word counts about where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// How often the API may be called.
    pub rate_limits: RateLimits,
    /// The address under which the world reaches this server, without a trailing slash in its
    /// printed form.
    pub public_url: Url,
}

/// The interfaces' shared state.
#[derive(Clone)]
pub struct Api {
    parts: Arc<ApiParts>,
}

impl Api {
    /// Puts the parts together.
    pub fn new(parts: ApiParts) -> Self {
        if !console::is_built() {
            tracing::warn!(
                "this binary was built without the console: customers get the plain connect page; `make build` builds both"
            );
        }
        Self { parts: Arc::new(parts) }
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.parts.flow
    }

    pub(crate) fn connect(&self) -> &Connect {
        &self.parts.connect
    }

    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.parts.webhooks
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.parts.catalog
    }

    pub(crate) fn store(&self) -> &Store {
        &self.parts.store
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.parts.authenticator
    }

    pub(crate) fn machine(&self) -> &MachineAccess {
        &self.parts.machine
    }

    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.parts.sign_in
    }

    pub(crate) fn audit(&self) -> &AuditLog {
        &self.parts.audit
    }

    pub(crate) fn denials(&self) -> &Denials {
        &self.parts.denials
    }

    pub(crate) fn staff(&self) -> &StaffAccess {
        &self.parts.staff
    }

    pub(crate) fn members(&self) -> &Members {
        &self.parts.members
    }

    /// Members and groups, for the company's directory.
    pub(crate) fn scim(&self) -> Scim {
        Scim::new(self.members().clone())
    }

    pub(crate) fn disclosure(&self) -> &Disclosure {
        &self.parts.disclosure
    }

    pub(crate) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.parts.trusted_proxies
    }

    pub(crate) fn rate_limits(&self) -> &RateLimits {
        &self.parts.rate_limits
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.parts.clock
    }

    pub(crate) fn random(&self) -> &dyn Randomness {
        &*self.parts.random
    }

    pub(crate) fn metrics(&self) -> &PrometheusHandle {
        &self.parts.metrics
    }

    /// An address of this server, for the world.
    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.parts.public_url.as_str().trim_end_matches('/'))
    }

    /// A path of this server, for browsers that are there already: the public URL may have a path
    /// of its own.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.parts.public_url.path().trim_end_matches('/'))
    }

    /// What browsers call pages of this server (RFC 6454 section 6.2).
    pub(crate) fn origin(&self) -> String {
        self.parts.public_url.origin().ascii_serialization()
    }

    /// The port in the public URL, if it is not the usual one of its scheme.
    pub(crate) fn port(&self) -> Option<u16> {
        self.parts.public_url.port()
    }

    /// Whether people may sign in: their cookie travels over TLS, or stays on this machine.
    pub(crate) fn keeps_sessions(&self) -> bool {
        let loopback = match self.parts.public_url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            // RFC 6761 section 6.3: the name never leads off the machine.
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        };
        self.is_https() || loopback
    }

    /// Whether the world reaches this server over TLS, so that cookies may demand it.
    pub(crate) fn is_https(&self) -> bool {
        self.parts.public_url.scheme() == "https"
    }
}
