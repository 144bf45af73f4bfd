//! An answer whose body is read within the request's limits.

use crate::http_error::HttpError;
use bytes::{Bytes, BytesMut};
use causeway_types::RedactedUrl;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// An answer: the head is here, the body comes in chunks.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    url: Url,
    body: Incoming,
    bounds: Bounds,
}

/// The limits of one call, and what is left of them.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) within: Duration,
    pub(crate) deadline: Instant,
    pub(crate) max_bytes: u64,
    pub(crate) left_bytes: u64,
}

impl Response {
    pub(crate) fn new(
        answer: http::Response<Incoming>,
        url: Url,
        bounds: Bounds,
    ) -> Result<Self, HttpError> {
        let (head, body) = answer.into_parts();
        let response = Self { status: head.status, headers: head.headers, url, body, bounds };
        // What is announced as too large need not be read to know it.
        if response.body.size_hint().lower() > bounds.max_bytes {
            return Err(response.too_large());
        }
        Ok(response)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The URL that answered: the last one, if there were redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`], [`HttpError::Timeout`] (the call's total time covers the body),
    /// [`HttpError::Exchange`] for a body that breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame =
                timeout_at(self.bounds.deadline, self.body.frame()).await.map_err(|_| {
                    HttpError::Timeout {
                        url: Box::new(self.redacted()),
                        within: self.bounds.within,
                    }
                })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|source| HttpError::Exchange {
                url: Box::new(self.redacted()),
                source: source.into(),
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.bounds.left_bytes =
                self.bounds.left_bytes.checked_sub(size).ok_or_else(|| self.too_large())?;
            return Ok(Some(data));
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub async fn bytes(mut self) -> Result<Bytes, HttpError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::from(first);
        while let Some(more) = self.chunk().await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }

    fn too_large(&self) -> HttpError {
        HttpError::TooLarge { url: Box::new(self.redacted()), limit: self.bounds.max_bytes }
    }

    fn redacted(&self) -> RedactedUrl {
        RedactedUrl::new(self.url.clone())
    }
}
