//! How often Causeway's own API may be called: by key, by workspace and by address.
//!
//! - Before anybody is known, the *address* counts, and how often that address was refused lately
//!   ([`layer`]). An IPv6 address counts as its /64, which is what one customer gets.
//! - Once the caller is known, the *key* counts and the *workspace* ([`charge`]). A key is an API
//!   key, a program's OAuth client, or a person, however many sessions he has.
//! - A *client* that obtains and revokes tokens counts once it has proved itself
//!   ([`charge_client`]): its id is no secret, so nobody else may use its quota up.
//!
//! The triggers, `/healthz`, `/readyz` and `/metrics` are not limited by this: queues bound the
//! first, and the others are for whoever operates the server.
//!
//! Answers say where the caller stands in `RateLimit-Policy` and `RateLimit`, as
//! draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4 write them.

mod bucket;

pub use bucket::{Quota, Standing};

use crate::client_address::ClientAddress;
use crate::{Api, Problem};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bucket::Buckets;
use causeway_identity::Caller;
use causeway_types::{Actor, Code, MachineClientId, Timestamp, WorkspaceId};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Requests a minute, unless the operator says otherwise: far more than a program needs that
/// does not go round in circles.
const KEY: u32 = 6_000;
const WORKSPACE: u32 = 30_000;
const ADDRESS: u32 = 12_000;
/// Tokens a minute that one OAuth client obtains or revokes. One lasts for an hour.
const CLIENT: u32 = 600;
/// Refused requests a minute from one address.
const REFUSED: u32 = 300;
/// Reports of vulnerabilities an hour from one address.
const REPORTS: u32 = 10;

/// The quotas. None: not limited.
#[derive(Debug, Clone)]
pub struct RateLimitConfig {
    /// Of one API key, program or person.
    pub key: Option<Quota>,
    /// Of all callers in one workspace together.
    pub workspace: Option<Quota>,
    /// Of one address, whoever calls from there.
    pub address: Option<Quota>,
    /// Of one OAuth client, for obtaining and revoking tokens.
    pub client: Option<Quota>,
    /// Of one address for requests that are refused because nobody knows the caller.
    pub refused: Option<Quota>,
    /// Of one address for reports of vulnerabilities.
    pub reports: Option<Quota>,
}

impl Quota {
    /// So many in a minute; none for zero.
    pub fn per_minute(requests: u32) -> Option<Self> {
        Self::per(requests, Duration::from_mins(1))
    }

    /// So many in an hour; none for zero.
    pub fn per_hour(requests: u32) -> Option<Self> {
        Self::per(requests, Duration::from_hours(1))
    }

    fn per(requests: u32, window: Duration) -> Option<Self> {
        Some(Self { requests: NonZeroU32::new(requests)?, window })
    }
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            key: Quota::per_minute(KEY),
            workspace: Quota::per_minute(WORKSPACE),
            address: Quota::per_minute(ADDRESS),
            client: Quota::per_minute(CLIENT),
            refused: Quota::per_minute(REFUSED),
            reports: Quota::per_hour(REPORTS),
        }
    }
}

impl RateLimitConfig {
    /// Without any limit.
    pub fn unlimited() -> Self {
        Self {
            key: None,
            workspace: None,
            address: None,
            client: None,
            refused: None,
            reports: None,
        }
    }
}

/// Who called how often. What it keeps is in memory, bounded, and counts for this process.
pub struct RateLimits {
    key: Option<Buckets<(u8, [u8; 16])>>,
    workspace: Option<Buckets<WorkspaceId>>,
    address: Option<Buckets<IpAddr>>,
    client: Option<Buckets<MachineClientId>>,
    refused: Option<Buckets<IpAddr>>,
    reports: Option<Buckets<IpAddr>>,
}

/// A quota that a request was counted against, by its name.
type Charged = (&'static str, Standing);

impl RateLimits {
    /// Nobody has called yet.
    pub fn new(config: &RateLimitConfig) -> Self {
        Self {
            key: config.key.map(Buckets::new),
            workspace: config.workspace.map(Buckets::new),
            address: config.address.map(Buckets::new),
            client: config.client.map(Buckets::new),
            refused: config.refused.map(Buckets::new),
            reports: config.reports.map(Buckets::new),
        }
    }

    /// Counts a request from an address, before its caller is known.
    pub fn arrives(&self, address: IpAddr, now: Timestamp) -> [Option<Charged>; 2] {
        let address = counted(address);
        let refused = self.refused.as_ref().map(|buckets| buckets.look(address, now));
        // Only news is told: a caller who is never refused need not know of this quota.
        let refused = refused.filter(|standing| standing.wait.is_some());
        let any = self.address.as_ref().map(|buckets| buckets.take(address, now));
        [refused.map(|standing| ("refused", standing)), any.map(|standing| ("address", standing))]
    }

    /// Counts a request that was refused because nobody knows its caller.
    pub fn refused(&self, address: IpAddr, now: Timestamp) {
        if let Some(buckets) = &self.refused {
            buckets.take(counted(address), now);
        }
    }

    /// Counts a request of a caller.
    pub fn calls(
        &self,
        actor: Actor,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> [Option<Charged>; 2] {
        let key = self.key.as_ref().zip(key_of(actor));
        let key = key.map(|(buckets, key)| ("key", buckets.take(key, now)));
        // Who has used up his own quota takes nothing of the others'.
        let allowed = key.is_none_or(|(_, standing)| standing.wait.is_none());
        let shared = self.workspace.as_ref().filter(|_| allowed);
        [key, shared.map(|buckets| ("workspace", buckets.take(workspace, now)))]
    }

    /// Counts a token that a client obtains or revokes.
    pub fn proves(&self, client: MachineClientId, now: Timestamp) -> [Option<Charged>; 2] {
        let standing = self.client.as_ref().map(|buckets| buckets.take(client, now));
        [standing.map(|standing| ("client", standing)), None]
    }

    /// Counts a report of a vulnerability.
    pub fn reports(&self, address: IpAddr, now: Timestamp) -> [Option<Charged>; 2] {
        let standing = self.reports.as_ref().map(|buckets| buckets.take(counted(address), now));
        [standing.map(|standing| ("reports", standing)), None]
    }
}

/// The part of an address that one customer of a network has: all of an IPv4 address, the first
/// 64 bits of an IPv6 address (RFC 6177 section 2).
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Whose quota it is. Causeway's own work has none.
fn key_of(actor: Actor) -> Option<(u8, [u8; 16])> {
    Some(match actor {
        Actor::ApiKey(id) => (0, id.to_bytes()),
        Actor::MachineClient(id) => (1, id.to_bytes()),
        Actor::User(id) | Actor::Staff(id, _) => (2, id.to_bytes()),
        Actor::Customer(id) => (3, id.to_bytes()),
        Actor::Anonymous | Actor::Node(_) | Actor::Machine => return None,
    })
}

/// What a request was counted against, gathered on its way for the headers of its answer.
#[derive(Clone, Default)]
struct Charges(Arc<Mutex<Vec<Charged>>>);

impl Charges {
    /// Takes note of where the caller stands, and refuses the request if that is too far.
    fn note(&self, charged: [Option<Charged>; 2]) -> Result<(), Problem> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Ok(());
        for (name, standing) in charged.into_iter().flatten() {
            if let Some(wait) = standing.wait {
                metrics::counter!("causeway_rate_limited_total", "quota" => name).increment(1);
                refused = Err(too_many(name, standing.quota, wait));
            }
            noted.push((name, standing));
        }
        refused
    }

    /// Tells the caller where he stands.
    fn write(&self, headers: &mut HeaderMap) {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_empty() {
            return;
        }
        let (mut policies, mut standings) = (String::new(), String::new());
        for (name, standing) in &*noted {
            let Quota { requests, window } = standing.quota;
            let comma = if policies.is_empty() { "" } else { ", " };
            let (left, reset) = (standing.remaining, standing.reset);
            // Writing to a `String` does not fail.
            let _ = write!(policies, "{comma}\"{name}\";q={requests};w={}", window.as_secs());
            let _ = write!(standings, "{comma}\"{name}\";r={left};t={reset}");
        }
        for (name, text) in [(POLICY, policies), (STANDING, standings)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
        if let Some(wait) = noted.iter().filter_map(|(_, standing)| standing.wait).max() {
            headers.insert(header::RETRY_AFTER, wait.into());
        }
    }
}

fn too_many(name: &str, quota: Quota, wait: u64) -> Problem {
    let (requests, window) = (quota.requests, quota.window.as_secs());
    let whose = match name {
        "key" => "with this credential",
        "workspace" => "in this workspace",
        "client" => "from this client for tokens",
        "refused" => "from this address whose caller is not known",
        "reports" => "from this address with a report",
        _ => "from this address",
    };
    Problem::new(
        Code::RateLimited,
        format!(
            "More than {requests} requests in {window} s came {whose}. Try again in {wait} s, and slower."
        ),
    )
}

/// Counts requests by their address, and tells every caller where he stands.
pub(crate) async fn layer(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let address = ClientAddress::of(request.extensions());
    let charges = Charges::default();
    let now = api.clock().now();
    let mut response = match charges.note(api.rate_limits().arrives(address, now)) {
        Ok(()) => {
            request.extensions_mut().insert(charges.clone());
            let response = next.run(request).await;
            if response.status() == StatusCode::UNAUTHORIZED {
                api.rate_limits().refused(address, now);
            }
            response
        }
        Err(problem) => problem.into_response(),
    };
    charges.write(response.headers_mut());
    response
}

/// Counts a request once its caller is known.
pub(crate) fn charge(parts: &Parts, api: &Api, caller: &Caller) -> Result<(), Problem> {
    let now = api.clock().now();
    charged(parts, api.rate_limits().calls(caller.actor(), caller.workspace(), now))
}

/// Counts a request of somebody who is known otherwise than as a caller.
pub(crate) fn charge_actor(
    parts: &Parts,
    api: &Api,
    actor: Actor,
    workspace: WorkspaceId,
) -> Result<(), Problem> {
    charged(parts, api.rate_limits().calls(actor, workspace, api.clock().now()))
}

/// Counts a request of an OAuth client that has proved itself.
pub(crate) fn charge_client(
    parts: &Parts,
    api: &Api,
    client: MachineClientId,
) -> Result<(), Problem> {
    charged(parts, api.rate_limits().proves(client, api.clock().now()))
}

/// Counts a report of a vulnerability.
pub(crate) fn charge_report(parts: &Parts, api: &Api) -> Result<(), Problem> {
    let address = ClientAddress::of(&parts.extensions);
    charged(parts, api.rate_limits().reports(address, api.clock().now()))
}

fn charged(parts: &Parts, quotas: [Option<Charged>; 2]) -> Result<(), Problem> {
    let charges = parts.extensions.get::<Charges>().cloned().unwrap_or_default();
    charges.note(quotas)
}
