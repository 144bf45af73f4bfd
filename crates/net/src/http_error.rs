//! Why an HTTP request has no usable answer.

use crate::connector::ConnectError;
use crate::guard::GuardError;
use causeway_types::RedactedUrl;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A request failed. The texts hold neither query values nor bodies.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request's URL is not an absolute http or https URL without user info.
    #[error("the URL to call must be http or https with a host and without user info")]
    InvalidUrl,
    /// The guard refused, or could not connect.
    #[error("calling {url}: {failure}")]
    Connect {
        /// The hop that failed.
        url: Box<RedactedUrl>,
        /// Whether an earlier hop has already answered.
        redirected: bool,
        /// Why. Its text is public and stands in this one's; the guard has logged what is not.
        failure: GuardError,
    },
    /// The other side's TLS is not acceptable.
    #[error("calling {url}: {}", tls_reason(source))]
    Tls {
        /// The hop that failed.
        url: Box<RedactedUrl>,
        /// Whether an earlier hop has already answered.
        redirected: bool,
        /// What the TLS library found.
        #[source]
        source: Arc<io::Error>,
    },
    /// The connection broke, or what came over it was not HTTP.
    #[error("calling {url}: the connection ended without a whole HTTP answer; try again later")]
    Exchange {
        /// The hop that failed.
        url: Box<RedactedUrl>,
        /// What broke.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The time for the whole call, body included, ran out.
    #[error("calling {url}: no whole answer within {} ms; try again later", within.as_millis())]
    Timeout {
        /// The hop that was under way.
        url: Box<RedactedUrl>,
        /// The limit.
        within: Duration,
    },
    /// The answer's body is larger than the caller accepts.
    #[error("calling {url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The hop that answered.
        url: Box<RedactedUrl>,
        /// The limit in bytes.
        limit: u64,
    },
    /// More redirects than the caller accepts.
    #[error("calling {url}: more than {limit} redirects; call the final URL")]
    TooManyRedirects {
        /// The hop that redirected once too often.
        url: Box<RedactedUrl>,
        /// The limit.
        limit: u8,
    },
    /// A redirect that is not followed.
    #[error("calling {url}: {why}")]
    Redirect {
        /// The hop that answered with it.
        url: Box<RedactedUrl>,
        /// Why not.
        why: &'static str,
    },
}

impl HttpError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl => "egress_invalid_url",
            Self::Connect { failure, .. } => failure.code(),
            Self::Tls { .. } => "egress_tls",
            Self::Exchange { .. } => "egress_exchange",
            Self::Timeout { .. } => "egress_timeout",
            Self::TooLarge { .. } => "egress_answer_too_large",
            Self::TooManyRedirects { .. } => "egress_too_many_redirects",
            Self::Redirect { .. } => "egress_redirect",
        }
    }

    /// Whether the app may have received the request. `false` is a promise: not a byte of it was
    /// sent, so sending it again, even a rotating refresh token, spends nothing twice.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::InvalidUrl => false,
            Self::Connect { redirected, .. } | Self::Tls { redirected, .. } => *redirected,
            _ => true,
        }
    }

    /// From the client library's error.
    pub(crate) fn from_client(
        failed: hyper_util::client::legacy::Error,
        url: Box<RedactedUrl>,
        redirected: bool,
    ) -> Self {
        if !failed.is_connect() {
            return Self::Exchange { url, source: failed.into() };
        }
        match failed.source().and_then(|source| source.downcast_ref::<ConnectError>()) {
            Some(ConnectError::Guard(failure)) => {
                Self::Connect { url, redirected, failure: failure.clone() }
            }
            Some(ConnectError::Tls { source, .. }) => {
                Self::Tls { url, redirected, source: source.clone() }
            }
            None => Self::Exchange { url, source: failed.into() },
        }
    }
}

/// What the reader can do about it.
fn tls_reason(source: &io::Error) -> &'static str {
    match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "its TLS certificate is not valid for this name or not signed by a trusted root; a company's own root belongs in `net.extra_roots`"
        }
        _ => "it does not speak TLS 1.2 or 1.3",
    }
}
