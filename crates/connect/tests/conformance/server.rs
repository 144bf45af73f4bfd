//! A stand-in's server: HTTP/1.1 over TLS, whole requests, whole answers.

use crate::seen::Seen;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What answers.
pub(crate) trait Answers: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, seen: Seen) -> Response<Bytes>;
}

/// A server that ends when this is dropped.
pub(crate) struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Answers at a listener.
    pub(crate) fn start(
        listener: TcpListener,
        tls: TlsAcceptor,
        answers: Arc<impl Answers>,
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let Ok((tcp, _)) = listener.accept().await else { return };
                let (tls, answers) = (tls.clone(), Arc::clone(&answers));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(tcp).await else { return };
                    let service = service_fn(move |request| respond(Arc::clone(&answers), request));
                    // A client that goes away is none of the server's business.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        }))
    }
}

async fn respond(
    answers: Arc<impl Answers>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::builder().status(400).body(Full::default()).unwrap());
    };
    let answer = match Seen::new(head, body.to_bytes()) {
        Ok(seen) => answers.answer(seen),
        Err(fault) => Response::builder().status(400).body(Bytes::from(fault)).unwrap(),
    };
    Ok(answer.map(Full::new))
}
