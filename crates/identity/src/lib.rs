//! Who may do what.
//!
//! - A *token* is an unguessable text that Causeway hands out once and stores as a digest only:
//!   an API key, a machine client's secret, a connect link, a browser's cookie ([`token`]).
//! - A *caller* is whoever a request's API key belongs to ([`Authenticator`]).
//! - A *permit* is the proof that a caller may do one kind of thing in one environment. What
//!   changes or reads a workspace's things demands it by type, and only this crate makes it
//!   ([`authorize`]).
//! - *Scopes* say what a program may do ([`Scopes`]); a *role* says what a member may ([`role`]).
//! - *Own keys* are those that Causeway signs with and digests tokens with ([`OwnKeys`]).
//! - *Bootstrap* makes the first workspace and the first key to it, on the machine itself.

pub mod action;
mod authenticate;
mod bootstrap;
mod own_keys;
mod permit;
pub mod role;
mod scope;
pub mod token;

pub use authenticate::{AuthenticateError, Authenticator};
pub use bootstrap::{Bootstrap, BootstrapError, Installation, bootstrap};
pub use own_keys::{OwnKeys, OwnKeysError, Signer, Verifier};
pub use permit::{Caller, Denied, DeniedReason, Permit, authorize};
pub use scope::{MAX_ENTRIES, ProxyRule, ScopeError, Scopes};
