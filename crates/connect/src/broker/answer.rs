//! Answers of apps, with the credential masked where they echo it.

use bytes::Bytes;
use causeway_net::{Duplex, ResponseBody, StreamedResponse};
use causeway_vault::{MaskedStream, Masks};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a few bytes that a credential may begin with are kept back.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes read at once of another protocol.
const BUFFER: usize = 16 << 10;

/// The body of an app's answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// What an app answered.
pub struct BrokeredAnswer {
    /// The answer, its body still to come.
    pub response: http::Response<AnswerBody>,
    /// The connection, if the app goes on with another protocol (status 101).
    pub upgraded: Option<Box<dyn Duplex>>,
}

/// An answer to a request that carried no credential.
pub(super) fn plain(answer: StreamedResponse) -> BrokeredAnswer {
    let body = answer.body.map_err(Into::into).boxed_unsync();
    BrokeredAnswer {
        response: respond(answer.status, answer.headers, body),
        upgraded: answer.upgraded,
    }
}

/// An answer in which the credential is masked: in headers, body and trailers, and in what comes
/// over a connection that goes on with another protocol.
pub(super) fn masked(answer: StreamedResponse, masks: &Arc<Masks>) -> BrokeredAnswer {
    if masks.is_empty() {
        return plain(answer);
    }
    let mut headers = answer.headers;
    mask_headers(&mut headers, masks);
    let body = MaskedBody {
        body: answer.body,
        masks: Arc::clone(masks),
        stream: masks.stream(),
        pause: None,
        trailers: None,
        ended: false,
    };
    let upgraded = answer.upgraded.map(|socket| {
        let masked = MaskedDuplex {
            socket,
            stream: masks.stream(),
            ready: Vec::new(),
            at: 0,
            pause: None,
            ended: false,
        };
        let boxed: Box<dyn Duplex> = Box::new(masked);
        boxed
    });
    BrokeredAnswer { response: respond(answer.status, headers, body.boxed_unsync()), upgraded }
}

fn respond(status: StatusCode, headers: HeaderMap, body: AnswerBody) -> http::Response<AnswerBody> {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn mask_headers(headers: &mut HeaderMap, masks: &Masks) {
    for value in headers.values_mut() {
        if let Some(masked) = masks.mask(value.as_bytes()) {
            // Fillers are as good in a header as what they stand for.
            *value = HeaderValue::from_bytes(&masked).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

/// Asks for a look at what is kept back, after a moment; true when that has passed.
fn has_waited(
    stream: &MaskedStream,
    pause: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> bool {
    if !stream.holds_little() {
        *pause = None;
        return false;
    }
    let pause = pause.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + PATIENCE)));
    pause.as_mut().poll(cx).is_ready()
}

struct MaskedBody {
    body: ResponseBody,
    masks: Arc<Masks>,
    stream: MaskedStream,
    pause: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Body for MaskedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(this.trailers.take().map(|all| Ok(Frame::trailers(all))));
            }
            let passed = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => this.stream.push(&piece),
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        mask_headers(&mut trailers, &this.masks);
                        this.trailers = Some(trailers);
                        continue;
                    }
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => {
                    this.ended = true;
                    this.stream.release()
                }
                Poll::Pending if has_waited(&this.stream, &mut this.pause, cx) => {
                    this.stream.release()
                }
                Poll::Pending => return Poll::Pending,
            };
            this.pause = None;
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_empty()
            && self.trailers.is_none()
            && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        // Masking changes no length, but what is kept back has left the inner body already.
        if self.stream.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

struct MaskedDuplex {
    socket: Box<dyn Duplex>,
    stream: MaskedStream,
    ready: Vec<u8>,
    at: usize,
    pause: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl AsyncRead for MaskedDuplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let rest = this.ready.get(this.at..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.remaining());
                buffer.put_slice(rest.get(..count).unwrap_or_default());
                this.at += count;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut space = vec![0_u8; BUFFER];
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut this.socket).poll_read(cx, &mut read) {
                Poll::Ready(done) => {
                    done?;
                    this.ended = read.filled().is_empty();
                    this.ready = if this.ended {
                        this.stream.release()
                    } else {
                        this.stream.push(read.filled())
                    };
                }
                Poll::Pending if has_waited(&this.stream, &mut this.pause, cx) => {
                    this.ready = this.stream.release();
                }
                Poll::Pending => return Poll::Pending,
            }
            this.pause = None;
            this.at = 0;
        }
    }
}

impl AsyncWrite for MaskedDuplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
