//! Stand-ins of third parties, for tests and the demo; never part of a release.
//!
//! [`DemoApp`] is a small CRM with an OAuth 2.0 authorization server: authorization code flow with
//! PKCE, rotating refresh tokens with reuse detection, revocation, userinfo, a CRM API. It counts
//! what it is asked, and fails on demand.
//!
//! [`GithubStandIn`] signs people in as GitHub's documentation says that GitHub does: the web
//! application flow, `GET /user` and `GET /user/emails`.

mod demo;
mod github;

pub use demo::counters::{Counters, TokenRequests};
pub use demo::faults::{Fault, Faults, Held};
pub use demo::{DemoApp, DemoOptions, StartError};
pub use github::{GithubAccount, GithubEmail, GithubOptions, GithubStandIn};
