//! What the demo app has been asked: the provider's side of "one refresh".

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Requests at the token endpoint, whatever came of them.
    pub token_requests: TokenRequests,
    /// Refresh tokens exchanged for new tokens.
    pub refreshes: u64,
    /// Refresh tokens that were used again after their replacement; each ends its grant.
    pub reuse_detections: u64,
    /// Grants ended at the revocation endpoint.
    pub revocations: u64,
    /// Requests at the introspection endpoint, whatever came of them.
    pub introspections: u64,
    /// Requests by method and route, like `GET /crm/contacts`.
    pub requests: BTreeMap<String, u64>,
}

/// Requests at the token endpoint by grant type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequests {
    /// Code exchanges.
    pub authorization_code: u64,
    /// Refreshes.
    pub refresh_token: u64,
    /// Anything else.
    pub other: u64,
}

impl TokenRequests {
    pub(crate) fn count(&mut self, grant_type: &str) {
        match grant_type {
            "authorization_code" => self.authorization_code += 1,
            "refresh_token" => self.refresh_token += 1,
            _ => self.other += 1,
        }
    }
}
