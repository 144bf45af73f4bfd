//! Signing in, on both databases: against npm's certified `oidc-provider`, against the stand-in of
//! GitHub, and against an issuer that signs whatever it is told to.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here fails the test")]
#![expect(clippy::panic, reason = "helpers of tests: a failure here fails the test")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests: a failure here fails the test")]

mod browser;
mod claims;
mod flows;
mod issuer;
mod members;
mod order;
mod providers;
mod rules;
mod sessions;
mod throttle;
mod tokens;
mod world;
