//! The one way out: every socket that Causeway opens to somebody else's machine is opened here.
//!
//! - The [`Guard`] turns a host name into a TCP connection. It resolves the name once, checks
//!   *every* address of the answer against the list of addresses that are not the public
//!   Internet ([`Special`]), and connects to an address that it has checked, never to the name.
//! - The [`HttpClient`] speaks HTTP over connections of the guard, with limits on time, size and
//!   redirects. Each redirect is a new request to the guard, without the credentials if it leads
//!   to another origin (scheme, host and port).
//! - The [`Dialer`] connects for other protocols, with TLS or without.
//! - An [`AllowedRange`] is the operator's exception for a network of his own.

mod address;
mod allow;
mod client;
mod connector;
mod guard;
mod hop;
mod host;
mod http_error;
mod redirect;
mod resolve;
mod response;
mod roots;
mod stream;
mod tls;

pub use address::Special;
pub use allow::{AllowedRange, ParseAllowedRangeError};
pub use client::{HttpClient, HttpConfig, RequestLimits};
pub use guard::{Guard, GuardConfig, GuardError};
pub use hop::{named_by_connection, remove_hop_by_hop};
pub use http_error::HttpError;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use response::Response;
pub use roots::RootsError;
pub use stream::{
    BodyError, Duplex, RequestBody, ResponseBody, StreamLimits, StreamedResponse, Upgrade,
};
pub use tls::{DialError, Dialer};
