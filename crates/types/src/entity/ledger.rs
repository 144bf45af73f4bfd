//! The audit chain and the answers kept for repeated requests.

use crate::place::Sealed;
use crate::{SigningKeyId, Timestamp, WorkspaceId};

/// A row of the chain, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number in the workspace's chain, from 1.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The event as JSON.
    pub detail: String,
    /// SHA-256 over the previous hash and this row.
    pub hash: Vec<u8>,
}

/// The end of a workspace's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number in the workspace's chain, from 1.
    pub seq: i64,
    /// SHA-256 over the previous hash and this row.
    pub hash: Vec<u8>,
}

/// Which events of a chain to find. What is None lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of one actor, as the chain names it. A person's id also finds what they did as staff.
    pub actor: Option<String>,
    /// Those of one kind, such as `api_key_created`.
    pub action: Option<String>,
    /// Those in which this stands, as a whole text: an id.
    pub about: Option<String>,
    /// Those from this moment on.
    pub since: Timestamp,
    /// Those before this moment.
    pub until: Timestamp,
}

impl Default for AuditFilter {
    fn default() -> Self {
        let (since, until) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        Self { actor: None, action: None, about: None, since, until }
    }
}

/// A signed statement of how far a workspace's chain reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The number of the last row that it covers.
    pub seq: i64,
    /// That row's hash.
    pub hash: Vec<u8>,
    /// When it was signed.
    pub at: Timestamp,
    /// The key that signed it.
    pub signing_key_id: SigningKeyId,
    /// Ed25519 (RFC 8032), 64 bytes.
    pub signature: Vec<u8>,
}

/// What is known of a request that came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRequest {
    /// SHA-256 of the request that claimed the key.
    pub request_digest: Vec<u8>,
    /// The HTTP status that was answered, once it was.
    pub status: Option<i64>,
    /// The body that was answered, sealed.
    pub response: Option<Sealed>,
    /// When it was stored.
    pub created_at: Timestamp,
}
