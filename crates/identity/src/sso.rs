//! How people must sign in to a workspace.
//!
//! The *rules* of a workspace say which providers and which e-mail domains are believed, whether
//! more than one factor is needed, and how long a proof lasts. They are asked at every request,
//! so a change counts at once.

mod judge;
mod rules;

pub use judge::SsoRefused;
pub(crate) use judge::{Authentication, Proof, admits, judge};
pub use rules::{SsoError, SsoRules, reset_sso_rules};
