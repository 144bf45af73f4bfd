//! The bounds of what a caller may make large.

/// Endpoints of one environment: each message is written once for each of them.
pub(crate) const ENDPOINTS: i64 = 50;
/// The longest URL of an endpoint, in bytes.
pub(crate) const URL: usize = 2048;
/// The longest description of an endpoint, in characters.
pub(crate) const DESCRIPTION: usize = 200;
/// Deliveries that one call replays.
pub(crate) const REPLAYED: i64 = 10_000;
/// What is kept of an endpoint's answer, in bytes.
pub(crate) const ANSWER: usize = 1024;
