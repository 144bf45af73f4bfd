//! The broker: requests that a step's own code makes to the apps of its linked accounts.
//!
//! Code gets a *placeholder* for each secret of a linked connection (see [`Link`]). It sends them
//! as it would send the secrets, and the broker, outside of the sandbox, puts the secrets in
//! their stead: only at hosts of that connection's app, and only in the *places* where the app's
//! row says that the credential belongs. Anywhere else an app might keep what it is sent, or show
//! it to others, so a placeholder there is refused and audited. What an app echoes is masked.
//!
//! Policies, budgets, usage and renewal are the proxy's.

mod answer;
mod error;
mod find;
mod link;
mod place;
mod placeholder;
mod report;
mod scan;
mod swap;

pub use answer::{AnswerBody, BrokeredAnswer};
pub use error::BrokerError;
pub use link::{Exposure, Link, Seed};

pub(crate) use swap::Swaps;

use crate::proxy::{self, Attempt, Kept, Placement};
use crate::refresh::Open;
use crate::{Connect, Inner};
use causeway_identity::{Permit, action};
use causeway_net::{RequestBody, Upgrade};
use causeway_types::entity::Scheme;
use causeway_types::{InvocationId, Tenant};
use causeway_vault::Masks;
use find::{Finder, Sighting};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
use place::Places;
use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// Sends the requests of one step.
pub struct Broker {
    inner: Arc<Inner>,
    tenant: Tenant,
    invocation: InvocationId,
    step: String,
    links: Vec<Arc<Link>>,
    finder: Arc<Finder>,
    /// How many audit events were written.
    reported: AtomicUsize,
    /// The masks of the credentials in use, by link.
    masks: Mutex<HashMap<usize, KnownMasks>>,
}

/// The masks of a credential, and that credential: a renewed one has others.
type KnownMasks = (Arc<Open>, Arc<Masks>);

/// A request of a step's code.
pub struct BrokeredCall {
    /// The request; its URI is absolute.
    pub request: http::Request<RequestBody>,
    /// The protocol to go on with, like `websocket`.
    pub upgrade: Option<String>,
    /// Whether the workflow's own `egress` names the host.
    pub is_listed: bool,
}

/// What a host is to the accounts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostClaim {
    /// It is no host of theirs.
    None,
    /// The broker sends its requests.
    Brokered {
        /// Whether without TLS too: the app is on this machine.
        in_clear: bool,
    },
    /// It is the host of an account whose credential the code has itself.
    Exposed,
    /// It is a host of theirs, which takes requests at another port.
    OtherPort {
        /// That port.
        port: u16,
    },
}

impl Connect {
    /// The broker of one step, for the connections that it is linked to.
    pub fn broker(
        &self,
        permit: &Permit<action::UseConnections>,
        invocation: InvocationId,
        step: &str,
        links: Vec<Arc<Link>>,
    ) -> Broker {
        Broker {
            inner: Arc::clone(&self.inner),
            tenant: permit.tenant(),
            invocation,
            step: step.to_owned(),
            finder: Arc::new(Finder::new(&links)),
            links,
            reported: AtomicUsize::new(0),
            masks: Mutex::default(),
        }
    }
}

impl Broker {
    /// What a host is to the step's accounts: a name in lower case, or an address.
    pub fn claim(&self, host: &str, port: u16) -> HostClaim {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let Ok(url) = Url::parse(&format!("https://{host}:{port}/")) else {
            return HostClaim::None;
        };
        let mut claim = HostClaim::None;
        for link in &self.links {
            if link.covers(&url) && !link.is_exposed() {
                return HostClaim::Brokered { in_clear: place::is_loopback(&url) };
            }
            if link.covers(&url) {
                claim = HostClaim::Exposed;
            } else if let (HostClaim::None, Some(port)) = (claim, link.port_at(&host)) {
                claim = HostClaim::OtherPort { port };
            }
        }
        claim
    }

    /// Sends a request, with the credential in place of its placeholder.
    ///
    /// # Errors
    /// [`BrokerError`]. An answer of the app is none, whatever its status.
    pub async fn send(&self, call: BrokeredCall) -> Result<BrokeredAnswer, BrokerError> {
        let (mut head, body) = call.request.into_parts();
        let url: Url = head.uri.to_string().parse().map_err(|_| BrokerError::Unreadable)?;
        let mut seen = self.finder.in_head(&url, &head.headers);
        let body = proxy::keep(body, &head.headers, self.reads_body(&url)).await?;
        if let Kept::Whole(bytes) = &body {
            seen.extend(self.finder.in_body(&url, &head.headers, bytes));
        }
        let link = self.judge(&seen, &url, call.is_listed).await?;
        // What is compressed cannot be searched for an echo.
        if link.is_some() {
            head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            head.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
        let host = url.host_str().unwrap_or_default();
        let (body, noticed) = scan::watched(body, &self.finder, host);
        let mut attempt = Attempt {
            method: head.method,
            url,
            headers: head.headers,
            body,
            placement: Placement::Nothing,
            upgrade: call.upgrade.map(Upgrade),
        };
        let sent = match link {
            None => {
                let app = attempt.url.host_str().unwrap_or_default().to_owned();
                self.inner.send_bare(&app, attempt).await.map(answer::plain).map_err(Into::into)
            }
            Some((index, link)) => {
                attempt.placement = Placement::Swapped(Swaps::new(Arc::clone(link), &seen));
                self.send_linked(index, link, attempt).await
            }
        };
        match noticed.get() {
            // The request was broken off before its placeholder was sent.
            Some(sighting) => {
                self.report(sighting).await;
                Err(self.misplaced(sighting))
            }
            None => sent,
        }
    }

    async fn send_linked(
        &self,
        index: usize,
        link: &Link,
        mut attempt: Attempt,
    ) -> Result<BrokeredAnswer, BrokerError> {
        let (inner, tenant) = (&self.inner, self.tenant);
        let open = inner.opened_lately(tenant, &link.connection().to_string()).await?;
        let app = inner.row_of(&open)?;
        inner.admit(tenant, app, &open.connection, &attempt.method, attempt.url.path()).await?;
        proxy::add_filled(&mut attempt.headers, app, open.values())?;
        let (answer, open) = inner.call(tenant, open, attempt).await?;
        if let Some(encoding) = answer.headers.get(CONTENT_ENCODING)
            && encoding.as_bytes() != b"identity"
        {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(BrokerError::Encoded { app: link.app().to_owned(), encoding });
        }
        Ok(answer::masked(answer, &self.masks_of(index, &open)?))
    }

    /// Whether an account at this host may have its credential in a body.
    fn reads_body(&self, url: &Url) -> bool {
        let mut here = self.links.iter().filter(|link| link.brokers(url));
        here.any(|link| self.places(link).is_some_and(|places| places.in_body()))
    }

    fn places<'a>(&'a self, link: &Link) -> Option<Places<'a>> {
        Some(Places::new(self.inner.catalog.get(link.app())?, link.scheme()))
    }

    /// The account that a request is made with; `None` if it needs none. Each placeholder has to
    /// stand where it belongs.
    async fn judge(
        &self,
        seen: &[Sighting],
        url: &Url,
        is_listed: bool,
    ) -> Result<Option<(usize, &Arc<Link>)>, BrokerError> {
        let mut account = None;
        for sighting in seen {
            let Some(link) = self.links.get(sighting.link) else { continue };
            let places = self.places(link).filter(|_| link.brokers(url));
            if places.as_ref().is_some_and(Places::are_signed) {
                return Err(BrokerError::Signed { app: link.app().to_owned() });
            }
            if !places.is_some_and(|places| places.allow(sighting, link)) {
                self.report(sighting).await;
                return Err(self.misplaced(sighting));
            }
            if account.is_some_and(|(index, _)| index != sighting.link) {
                return Err(BrokerError::TwoAccounts);
            }
            account = Some((sighting.link, link));
        }
        if account.is_some() {
            return Ok(account);
        }
        let mut here = self.links.iter().enumerate().filter(|(_, link)| link.covers(url));
        if let Some(open) = here.clone().find(|(_, link)| link.scheme() == Scheme::None) {
            return Ok(Some(open));
        }
        if is_listed || here.clone().any(|(_, link)| link.is_exposed()) {
            return Ok(None);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        match here.next() {
            Some((_, link)) => {
                Err(BrokerError::NoCredential { host, account: link.name().to_owned() })
            }
            None => Err(BrokerError::Unreadable),
        }
    }

    fn misplaced(&self, sighting: &Sighting) -> BrokerError {
        let link = self.links.get(sighting.link);
        let belongs = link.and_then(|link| Some(self.places(link)?.of(sighting.field(link))));
        BrokerError::Misplaced {
            account: link.map(|link| link.name().to_owned()).unwrap_or_default(),
            host: sighting.host.clone(),
            place: sighting.place.to_string(),
            belongs: belongs.unwrap_or_default(),
        }
    }

    /// What an answer is searched for.
    fn masks_of(&self, index: usize, open: &Arc<Open>) -> Result<Arc<Masks>, BrokerError> {
        let mut known = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, masks)) = known.get(&index)
            && Arc::ptr_eq(of, open)
        {
            return Ok(Arc::clone(masks));
        }
        let app = self.inner.catalog.get(&open.connection.app);
        let secrets = open.stored.secrets(open.connection.scheme, app);
        let masks = Masks::new(secrets.iter().map(|secret| secret.expose().as_slice()));
        let masks = Arc::new(masks.map_err(|_| BrokerError::TooLarge)?);
        known.insert(index, (Arc::clone(open), Arc::clone(&masks)));
        Ok(masks)
    }
}
