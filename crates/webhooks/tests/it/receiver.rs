//! A receiver that does as it is told, and remembers what it got.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

/// A request that it got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The name of the connection that it tells of.
    pub(crate) fn name(&self) -> String {
        self.json()["data"]["connection"]["name"].as_str().unwrap().to_owned()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, Vec<(&'static str, String)>, String),
    /// This status, once the test releases it.
    Held(u16),
    /// Headers at once, a body that never ends.
    Endless(u16),
}

struct State {
    replies: Mutex<(VecDeque<Reply>, Reply)>,
    release: Semaphore,
    got: mpsc::UnboundedSender<Received>,
}

pub(crate) struct Receiver {
    state: Arc<State>,
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Received>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that answers 204.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, got) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            replies: Mutex::new((VecDeque::new(), Reply::Status(204))),
            release: Semaphore::new(0),
            got: sender,
        });
        let server = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let state = Arc::clone(&state);
                    tokio::spawn(async move {
                        let service = hyper::service::service_fn(move |request| {
                            answer(Arc::clone(&state), request)
                        });
                        // A sender that goes away is part of some tests.
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            }
        });
        Self { state, address, got, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers so from now on.
    pub(crate) fn reply(&self, reply: Reply) {
        let mut replies = self.state.replies.lock().unwrap();
        replies.0.clear();
        replies.1 = reply;
    }

    /// Answers so once, after what was told before.
    pub(crate) fn once(&self, reply: Reply) {
        self.state.replies.lock().unwrap().0.push_back(reply);
    }

    /// Lets so many held answers go.
    pub(crate) fn release(&self, count: usize) {
        self.state.release.add_permits(count);
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Received {
        self.got.recv().await.unwrap()
    }

    /// The requests that have come since somebody looked.
    pub(crate) fn received(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.got.try_recv().ok()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let received = Received {
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reply = {
        let mut replies = state.replies.lock().unwrap();
        let told = replies.0.pop_front();
        told.unwrap_or_else(|| replies.1.clone())
    };
    // The test may have ended.
    let _ = state.got.send(received);
    let full = |status: u16, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    Ok(match reply {
        Reply::Status(status) => full(status, String::new()),
        Reply::With(status, headers, text) => {
            let mut response = full(status, text);
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Held(status) => {
            state.release.acquire().await.unwrap().forget();
            full(status, String::new())
        }
        Reply::Endless(status) => {
            let mut response = Response::new(Endless.boxed());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        }
    })
}

/// A body of which only the first piece ever comes.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}
