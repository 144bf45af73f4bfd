//! The browser that asks for a page.

use crate::Api;
use crate::client_address::ClientAddress;
use crate::cookies::{self, Brought, SIGN_IN, SessionCookie, Visitor};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use causeway_identity::{Caller, Recorder, Visit};
use std::convert::Infallible;
use std::net::IpAddr;

/// A browser with what it brought.
pub(crate) struct Visiting {
    visitor: Visitor,
    session: Option<SessionCookie>,
    address: IpAddr,
    user_agent: Option<String>,
    recorder: Option<Recorder>,
}

impl Visiting {
    /// The session's cookie, if there is one that can be read.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_ref().map(SessionCookie::text)
    }

    /// Where it comes from.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whoever the session belongs to, so that what they are denied is written down.
    pub(crate) fn recorded(&self, caller: Caller) -> Caller {
        match &self.recorder {
            Some(recorder) => caller.recorded_by(recorder.clone()),
            None => caller,
        }
    }

    /// They were refused what they wanted to do, on a page and not in a problem.
    pub(crate) fn refused(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.refused();
        }
    }

    /// What the engine wants to know.
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit {
            browser: &self.visitor.browser,
            session: self.session(),
            address: self.address,
            user_agent: self.user_agent.as_deref(),
        }
    }

    /// Gives the browser the cookie by which it is known again, if it has none.
    pub(crate) fn attach(self, response: Response) -> Response {
        self.visitor.attach(response)
    }
}

impl FromRequestParts<Api> for Visiting {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        let session = match cookies::session(api, &parts.headers) {
            Brought::Session(cookie) => Some(cookie),
            Brought::Nothing | Brought::Unusable => None,
        };
        let user_agent = parts.headers.get(header::USER_AGENT);
        Ok(Self {
            visitor: Visitor::of(api, &parts.headers, SIGN_IN, None),
            session,
            address: ClientAddress::of(&parts.extensions),
            user_agent: user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned),
            recorder: parts.extensions.get().cloned(),
        })
    }
}
