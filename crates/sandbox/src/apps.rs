//! The apps whose accounts a step is linked to, as the sandbox sees them.

use bytes::Bytes;
use causeway_net::{Duplex, RequestBody};
use http_body_util::combinators::UnsyncBoxBody;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a host is to the accounts that a step is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the program's own rules decide.
    None,
    /// Its requests are the broker's: they are read here and sent by [`Apps::send`].
    Brokered {
        /// Whether the app takes them without TLS, as one on this machine may.
        in_clear: bool,
    },
    /// It is the host of an account whose credential the code itself has: the connection is the
    /// code's, end to end.
    Exposed,
    /// It is an app's host, which takes requests at another port.
    OtherPort {
        /// That port.
        port: u16,
    },
}

/// The apps of one step. An implementation knows the step's linked accounts and puts their
/// credentials on requests; the sandbox, which reads what the code sends, never has them.
pub trait Apps: Send + Sync {
    /// What a host is. It comes in lower case, without a trailing dot.
    fn claim(&self, host: &str, port: u16) -> Claim;

    /// Sends a request of the step's code to a host that is [`Claim::Brokered`].
    fn send(self: Arc<Self>, request: AppRequest) -> AppFuture;
}

/// A request that code sends to an app. Its URI is absolute and names the host that the code
/// connected to; `Host` is not among its headers, nor is anything that concerns one hop only. Its
/// version is the one that the code speaks.
pub struct AppRequest {
    /// The request.
    pub request: http::Request<RequestBody>,
    /// The protocol that the code wants to go on with, like `websocket`.
    pub upgrade: Option<String>,
    /// Whether the program's own rules name the host.
    pub is_listed: bool,
}

/// The body of an app's answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// What an app answered.
pub struct AppAnswer {
    /// The answer, its body still to come.
    pub response: http::Response<AnswerBody>,
    /// The connection, if the app goes on with another protocol (status 101).
    pub upgraded: Option<Box<dyn Duplex>>,
}

/// A request that was not sent, or has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AppRefused {
    /// A stable word.
    pub code: &'static str,
    /// What the code is answered: a status of 400 or more.
    pub status: u16,
    /// For the author of the code.
    pub message: String,
    /// When it can be tried again, if that is known.
    pub retry_after: Option<Duration>,
}

/// What [`Apps::send`] gives.
pub type AppFuture = Pin<Box<dyn Future<Output = Result<AppAnswer, AppRefused>> + Send>>;
