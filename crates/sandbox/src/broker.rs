//! The broker's transport: it ends the TLS of connections to apps' hosts and reads the requests.
//!
//! It has no secret but the key of the sandbox's own [`Authority`], and puts no credential on
//! anything: each request is read whole as HTTP, checked to be for the host that the code
//! connected to, and handed to the step's [`Apps`], which sends a request made anew. So nothing
//! that two parsers read in two ways reaches an app.

mod answer;
mod authority;
mod counted;
mod inside;
mod request;

pub(crate) use authority::Authority;
pub(crate) use inside::Inside;

use crate::apps::{AnswerBody, AppAnswer, AppRefused, AppRequest, Claim};
use crate::egress::{Decision, RequestNote, Shared};
use answer::problem;
use causeway_net::Duplex;
use counted::Counted;
use http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::timeout;

/// How long the code's client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MOST_HEAD: usize = 64 << 10;
/// Requests at once on one connection of HTTP/2.
const MOST_STREAMS: u32 = 100;
/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// In lower case, without a trailing dot.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) in_clear: bool,
}

/// One connection of the code to an app's host.
struct Connection {
    site: Site,
    shared: Arc<Shared>,
    secure: bool,
    /// The host that the client named in the handshake.
    sni: Option<String>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(mut inside: Inside, site: Site, shared: Arc<Shared>) {
    let Ok(first) = inside.first_byte().await else { return };
    if first != Some(TLS_HANDSHAKE) {
        let connection = Connection { site, shared, secure: false, sni: None };
        return connection.http1(inside).await;
    }
    let note = |code| shared.log.refused(&site.host, site.port, code);
    let Some(acceptor) = shared.authority.acceptor(&site.host) else {
        return note("certificate_failed");
    };
    // What the client makes of the certificate, its own error says.
    let Ok(Ok(tls)) = timeout(HANDSHAKE, acceptor.accept(inside)).await else {
        return note("tls_handshake_failed");
    };
    let session = tls.get_ref().1;
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    let sni = session.server_name().map(str::to_ascii_lowercase);
    let connection = Connection { site, shared, secure: true, sni };
    if is_h2 { connection.http2(tls).await } else { connection.http1(tls).await }
}

impl Connection {
    async fn http1(self, socket: impl Duplex + 'static) {
        let this = Arc::new(self);
        let service = service_fn(move |request| Arc::clone(&this).answer(request));
        // A client that breaks off is the code's own affair.
        let _ = hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .max_buf_size(MOST_HEAD)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
            .await;
    }

    async fn http2(self, socket: impl Duplex + 'static) {
        let this = Arc::new(self);
        let service = service_fn(move |request| Arc::clone(&this).answer(request));
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(u32::try_from(MOST_HEAD).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(socket), service)
            .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let method = request.method().clone();
        let mut note = RequestNote {
            host: self.site.host.clone(),
            port: self.site.port,
            method: method.as_str().to_owned(),
            sent: Arc::new(AtomicU64::new(0)),
            received: Arc::new(AtomicU64::new(0)),
        };
        match self.forward(request, &mut note).await {
            Ok(response) => {
                let decision = Decision::Brokered { status: response.status().as_u16() };
                self.shared.log.request(note, decision);
                Ok(response)
            }
            Err(refused) => {
                self.shared.log.request(note, Decision::Refused { code: refused.code.to_owned() });
                Ok(problem(&refused))
            }
        }
    }

    async fn forward(
        &self,
        mut request: http::Request<Incoming>,
        note: &mut RequestNote,
    ) -> Result<Response<AnswerBody>, AppRefused> {
        request::check(&request, &self.site, self.sni.as_deref(), self.secure)?;
        let Some(running) = self.shared.running() else {
            return Err(answer::refused(
                403,
                "no_step_runs",
                "no step runs in this sandbox".into(),
            ));
        };
        // Asked anew for each request: the connection may be older than the step.
        let apps = running.apps.filter(|apps| {
            matches!(apps.claim(&self.site.host, self.site.port), Claim::Brokered { .. })
        });
        let Some(apps) = apps else { return Err(answer::not_linked(&self.site)) };
        let upgrade = request::upgrade_of(&request);
        let going_on = upgrade.as_ref().map(|_| hyper::upgrade::on(&mut request));
        let (is_listed, http1) =
            (running.program.egress.allow(&self.site.host), request.version() < Version::HTTP_2);
        let outward = request::outward(request, &self.site, self.secure, &note.sent)?;
        let AppAnswer { mut response, upgraded } =
            apps.send(AppRequest { request: outward, upgrade, is_listed }).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(app), Some(code), true) = (upgraded, going_on, http1) else {
                let why = "the app went on with a protocol that nobody asked for";
                return Err(answer::refused(502, "upstream_failed", why.into()));
            };
            let (sent, received) = (Arc::clone(&note.sent), Arc::clone(&note.received));
            let ended = running.ended.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = go_on(code, app, &sent, &received) => {}
                }
            });
        }
        let received = Arc::clone(&note.received);
        request::remove_length_of_nothing(&mut response);
        Ok(response.map(|body| Counted::boxed(body, received)))
    }
}

/// Passes the bytes of another protocol, both ways, until either side ends.
async fn go_on(
    code: hyper::upgrade::OnUpgrade,
    mut app: Box<dyn Duplex>,
    sent: &AtomicU64,
    received: &AtomicU64,
) {
    let Ok(code) = code.await else { return };
    let mut code = TokioIo::new(code);
    if let Ok((out, back)) = tokio::io::copy_bidirectional(&mut code, &mut app).await {
        sent.fetch_add(out, std::sync::atomic::Ordering::Relaxed);
        received.fetch_add(back, std::sync::atomic::Ordering::Relaxed);
    }
}
