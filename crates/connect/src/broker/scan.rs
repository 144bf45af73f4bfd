//! Bodies that are passed on while they arrive, and end where a placeholder begins.

use super::find::{Finder, Sighting};
use crate::proxy::Kept;
use bytes::{Bytes, BytesMut};
use causeway_net::{BodyError, RequestBody};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

/// A placeholder that came in a body.
pub(super) type Noticed = Arc<OnceLock<Sighting>>;

#[derive(Debug, thiserror::Error)]
#[error("a placeholder stands in the body")]
struct PlaceholderInBody;

/// Watches a body that is not at hand.
pub(super) fn watched(body: Kept, finder: &Arc<Finder>, host: &str) -> (Kept, Noticed) {
    let noticed = Noticed::default();
    let Kept::Stream(Some(body)) = body else { return (body, noticed) };
    let watched = Watched {
        body,
        finder: Arc::clone(finder),
        host: host.to_owned(),
        noticed: Arc::clone(&noticed),
        held: BytesMut::new(),
        ended: false,
    };
    (Kept::Stream(Some(watched.boxed_unsync())), noticed)
}

struct Watched {
    body: RequestBody,
    finder: Arc<Finder>,
    host: String,
    noticed: Noticed,
    /// What came and may be the beginning of a placeholder.
    held: BytesMut,
    ended: bool,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                this.ended = true;
                let rest = this.held.split().freeze();
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
            };
            // Trailers come last; what was held goes first, and they are left out.
            let Ok(piece) = frame?.into_data() else { continue };
            this.held.extend_from_slice(&piece);
            if let Some(sighting) = this.finder.in_piece(&this.held, &this.host) {
                this.ended = true;
                // Only the first counts, and there is no second.
                let _ = this.noticed.set(sighting);
                return Poll::Ready(Some(Err(BodyError::new(PlaceholderInBody))));
            }
            let passes = this.held.len() - this.finder.beginning(&this.held);
            if passes > 0 {
                return Poll::Ready(Some(Ok(Frame::data(this.held.split_to(passes).freeze()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.held.is_empty() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        match hint.exact() {
            Some(exact) => hint.set_exact(exact.saturating_add(held)),
            None => hint.set_lower(hint.lower().saturating_add(held)),
        }
        hint
    }
}
