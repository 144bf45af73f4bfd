//! The proxy: calls to an app's API with a connection's credential, which the caller never sees.
//!
//! A *call* names a connection, a method and a *target*: a path below the app's base URL, or a URL
//! at one of the app's hosts. The credential is put on it here, after everything that the caller
//! sent, so that no header of the caller can stand in its place. Bodies are passed on while they
//! arrive. Redirects are answers: nothing follows them, so no credential goes where they lead.
//!
//! An answer of 401 means that the app did not take the token: it is renewed once, and the call
//! made again if its body is still at hand. Nothing else is sent twice, except what has not been
//! sent at all, and reads whose connection broke before an answer began.

mod budget;
mod error;
mod headers;
mod policy;
mod remembered;
mod target;
mod usage;

pub use error::ProxyError;
pub use policy::{CallPolicy, CallRate, PolicyError};

pub(crate) use budget::Budgets;
pub(crate) use headers::add_filled;
pub(crate) use remembered::Remembered;
pub(crate) use usage::Usage;

use crate::apply::{self, Outgoing};
use crate::broker::Swaps;
use crate::refresh::{Open, Purpose};
use crate::{Connect, Inner};
use bytes::Bytes;
use causeway_catalog::App;
use causeway_identity::{Permit, action};
use causeway_net::{
    HttpClient, HttpError, RequestBody, ResponseBody, StreamLimits, StreamedResponse, Upgrade,
};
use causeway_types::entity::{Connection, UsageKind};
use causeway_types::{ConnectionId, SecretString, Tenant};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Something must move within this time; how much comes is the caller's affair.
const STREAMED: StreamLimits =
    StreamLimits { idle: Duration::from_secs(30), max_response_bytes: None };
/// The largest body that is kept in order to send it again, in bytes; larger ones are streamed.
const KEPT_BODY: u64 = 256 * 1024;
/// The largest body of a call that is signed over its body, in bytes.
const SIGNED_BODY: u64 = 16 * 1024 * 1024;

/// A call to an app.
pub struct ProxyCall {
    /// Its method.
    pub method: Method,
    /// A path that begins with `/`, or an absolute URL; with its query.
    pub target: String,
    /// What the caller sends along.
    pub headers: HeaderMap,
    /// Its body.
    pub body: RequestBody,
}

/// What the app answered.
pub struct ProxyAnswer {
    /// The connection that was used.
    pub connection: ConnectionId,
    /// The status.
    pub status: StatusCode,
    /// The headers that are passed on.
    pub headers: HeaderMap,
    /// The body, while it arrives.
    pub body: ResponseBody,
}

/// A call as it is made, as often as it may be.
pub(crate) struct Attempt {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Kept,
    pub(crate) placement: Placement,
    /// The protocol to go on with.
    pub(crate) upgrade: Option<Upgrade>,
    /// The caller's own client, if not everybody's.
    pub(crate) own: Option<HttpClient>,
}

/// How the credential comes onto a call.
pub(crate) enum Placement {
    /// As the app's row says.
    Row,
    /// In place of the placeholders that code sent.
    Swapped(Swaps),
    /// Not at all.
    Nothing,
}

/// A body.
pub(crate) enum Kept {
    /// At hand, to be sent as often as needed.
    Whole(Bytes),
    /// Passed on while it arrives, once.
    Stream(Option<RequestBody>),
}

impl Connect {
    /// Calls an app with a connection's credential.
    ///
    /// # Errors
    /// [`ProxyError`]. An answer of the app is none, whatever its status.
    pub async fn proxy(
        &self,
        permit: &Permit<action::UseProxy>,
        connection: &str,
        call: ProxyCall,
    ) -> Result<ProxyAnswer, ProxyError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let open = inner.opened_lately(tenant, connection).await?;
        let id = open.connection.id;
        let app = &*inner.row_of(&open)?;
        permit.covers_app(app.slug.as_str())?;
        let values = open.values();
        let url = target::resolve(app, |name| values.get(name), &call.target)?;
        permit.covers_request(call.method.as_str(), url.path())?;
        inner.admit(tenant, app, &open.connection, &call.method, url.path()).await?;
        let headers = headers::outward(&call.headers, app, values)?;
        let is_signed = apply::needs_whole_body(app, open.connection.scheme, &headers);
        let body = keep(call.body, &call.headers, is_signed).await?;
        let placement = Placement::Row;
        let attempt = Attempt {
            headers,
            method: call.method,
            url,
            body,
            placement,
            upgrade: None,
            own: None,
        };
        let (answer, _) = inner.call(tenant, open, attempt).await?;
        Ok(ProxyAnswer {
            connection: id,
            status: answer.status,
            headers: headers::inward(&answer.headers),
            body: answer.body,
        })
    }
}

impl Inner {
    pub(crate) fn row_of(&self, open: &Open) -> Result<Arc<App>, ProxyError> {
        let slug = &open.connection.app;
        self.catalog.get(slug).ok_or_else(|| ProxyError::UnknownApp { app: slug.clone() })
    }

    /// Whether a call may be made now: by the connection's policy and every budget.
    pub(crate) async fn admit(
        &self,
        tenant: Tenant,
        app: &App,
        connection: &Connection,
        method: &Method,
        path: &str,
    ) -> Result<(), ProxyError> {
        let policy = policy::of(connection)?;
        policy.check(method, path)?;
        self.budgets.admit(self, tenant, app, connection, policy.rate).await
    }

    /// A connection that can be used now, opened for this call or a moment ago.
    pub(crate) async fn opened_lately(
        self: &Arc<Self>,
        tenant: Tenant,
        named: &str,
    ) -> Result<Arc<Open>, ProxyError> {
        let now = self.clock.now();
        if let Some(open) = self.remembered.get(tenant, named, now)
            && open.stored.tokens.as_ref().is_none_or(|tokens| tokens.is_fresh(now))
        {
            self.count_use(tenant.workspace, open.connection.id, Purpose::Use).await;
            return Ok(open);
        }
        let id = self.named(tenant, named).await?;
        let open = Arc::new(*self.usable(tenant, id).await?);
        self.remembered.keep(tenant, named, &open, now);
        Ok(open)
    }

    /// Makes the call, again after a renewal if the app does not take the token. With the answer
    /// comes the connection as it was used at last.
    pub(crate) async fn call(
        self: &Arc<Self>,
        tenant: Tenant,
        open: Arc<Open>,
        mut attempt: Attempt,
    ) -> Result<(StreamedResponse, Arc<Open>), ProxyError> {
        self.usage.count(tenant, UsageKind::ProxyCall, self.clock.now());
        let id = open.connection.id;
        let app = &*self.row_of(&open)?;
        let answer = self.send(app, &open, &mut attempt).await?;
        let said = (answer.status, &answer.headers);
        self.budgets.learn(self, tenant, app, &open.connection, said).await;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok((answer, open));
        }
        let Some(token) = open.stored.tokens.as_ref().map(|tokens| copy(&tokens.access)) else {
            // Keys cannot be renewed, but they can be tried.
            self.doubt(tenant, &open.connection).await;
            return Ok((answer, open));
        };
        let outcome = self.renew_now(tenant, id, &token).await;
        // Whatever came of it: the next call shall see the connection as it is now.
        self.remembered.forget(tenant, id);
        let renewed = match outcome {
            Ok(Some(renewed)) => renewed,
            // Nothing to renew with; the app's own words say it best.
            Ok(None) => return Ok((answer, open)),
            Err(error) => {
                tracing::info!(connection = %id, error = %error, "no new token after a 401");
                return Ok((answer, open));
            }
        };
        if !attempt.body.is_at_hand() {
            return Ok((answer, open));
        }
        let renewed: Arc<Open> = renewed.into();
        let app = &*self.row_of(&renewed)?;
        let answer = self.send(app, &renewed, &mut attempt).await?;
        let said = (answer.status, &answer.headers);
        self.budgets.learn(self, tenant, app, &renewed.connection, said).await;
        Ok((answer, renewed))
    }

    /// Sends a call that needs no credential, once.
    pub(crate) async fn send_bare(
        &self,
        app: &str,
        attempt: Attempt,
    ) -> Result<StreamedResponse, ProxyError> {
        let Attempt { method, url, headers, body, upgrade, own, .. } = attempt;
        let body = match body {
            Kept::Whole(bytes) => whole(bytes),
            Kept::Stream(stream) => stream.ok_or(ProxyError::BodyBroken)?,
        };
        let request = request(method, &url, headers, body, upgrade)
            .ok_or_else(|| ProxyError::Unsendable { app: app.to_owned() })?;
        let failed = |source| ProxyError::Http { app: app.to_owned(), source };
        own.as_ref().unwrap_or(&self.http).stream(request, STREAMED).await.map_err(failed)
    }

    /// Sends the call; once more if that is safe.
    async fn send(
        &self,
        app: &App,
        open: &Open,
        attempt: &mut Attempt,
    ) -> Result<StreamedResponse, ProxyError> {
        let failed = |source| ProxyError::Http { app: app.name.clone(), source };
        let request = self.dressed(app, open, attempt)?;
        let http = attempt.own.clone();
        let http = http.as_ref().unwrap_or(&self.http);
        match http.stream(request, STREAMED).await {
            Err(error) if attempt.may_repeat_after(&error) => {
                let request = self.dressed(app, open, attempt)?;
                http.stream(request, STREAMED).await.map_err(failed)
            }
            done => done.map_err(failed),
        }
    }

    /// The request with the credential on it.
    fn dressed(
        &self,
        app: &App,
        open: &Open,
        attempt: &mut Attempt,
    ) -> Result<http::Request<RequestBody>, ProxyError> {
        let unsendable = || ProxyError::Unsendable { app: app.name.clone() };
        let (mut url, mut headers) = (attempt.url.clone(), attempt.headers.clone());
        let mut whole = match &attempt.body {
            Kept::Whole(bytes) => Some(bytes.to_vec()),
            Kept::Stream(_) => None,
        };
        let mut outgoing = Outgoing {
            method: &attempt.method,
            url: &mut url,
            headers: &mut headers,
            body: whole.as_mut(),
        };
        let values = open.values();
        match &attempt.placement {
            Placement::Row => self.apply(app, open.connection.scheme, values, &mut outgoing)?,
            Placement::Swapped(swaps) => swaps.put_on(values, &mut outgoing)?,
            Placement::Nothing => {}
        }
        // Asked again at the last moment: nothing above may have led elsewhere.
        if !app.may_receive(&url, |name| values.get(name)) {
            return Err(ProxyError::Target(target::TargetError::Host {
                host: url.host_str().unwrap_or_default().to_owned(),
            }));
        }
        let body = match (&mut attempt.body, whole) {
            (Kept::Whole(_), Some(bytes)) => {
                headers.remove(CONTENT_LENGTH);
                self::whole(Bytes::from(bytes))
            }
            (Kept::Stream(stream), _) => stream.take().ok_or_else(unsendable)?,
            (Kept::Whole(_), None) => return Err(unsendable()),
        };
        request(attempt.method.clone(), &url, headers, body, attempt.upgrade.clone())
            .ok_or_else(unsendable)
    }
}

/// A body that is at hand.
fn whole(bytes: Bytes) -> RequestBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// `None` if the URL is longer than one may be.
fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: RequestBody,
    upgrade: Option<Upgrade>,
) -> Option<http::Request<RequestBody>> {
    let mut request = http::Request::builder().method(method).uri(url.as_str()).body(body).ok()?;
    *request.headers_mut() = headers;
    if let Some(upgrade) = upgrade {
        request.extensions_mut().insert(upgrade);
    }
    Some(request)
}

impl Attempt {
    /// Whether the same may be sent again after this: always if not a byte of it was, and a read
    /// whose connection broke before an answer began.
    fn may_repeat_after(&self, error: &HttpError) -> bool {
        let broke = matches!(error, HttpError::Exchange { .. });
        let reads = self.method.is_safe();
        self.body.is_at_hand() && (!error.may_have_been_sent() || (broke && reads))
    }
}

impl Kept {
    fn is_at_hand(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Stream(stream) => stream.is_some(),
        }
    }
}

fn copy(token: &SecretString) -> SecretString {
    SecretString::new(token.expose().clone())
}

/// Keeps a body that is announced as small, or that has to be whole; streams others.
pub(crate) async fn keep(
    body: RequestBody,
    headers: &HeaderMap,
    has_to_be: bool,
) -> Result<Kept, ProxyError> {
    use http_body::Body as _;
    let announced = body
        .size_hint()
        .exact()
        .or_else(|| headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok());
    let most = if has_to_be { SIGNED_BODY } else { KEPT_BODY };
    if !has_to_be && announced.is_none_or(|size| size > most) {
        return Ok(Kept::Stream(Some(body)));
    }
    let limited = http_body_util::Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX));
    match limited.collect().await {
        Ok(whole) => Ok(Kept::Whole(whole.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ProxyError::BodyTooLarge { limit: most })
        }
        Err(_) => Err(ProxyError::BodyBroken),
    }
}
