//! What programs come in with, and the keys that Causeway itself signs with.

use crate::column::words;
use crate::place::Sealed;
use crate::{
    ApiKeyId, EnvironmentId, MachineClientId, ProjectId, SigningKeyId, Tenant, Timestamp,
    WorkspaceId,
};

/// An API key. The key itself is not stored, only its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The workspace that it opens.
    pub workspace_id: WorkspaceId,
    /// The project that it opens.
    pub project_id: ProjectId,
    /// The environment that it opens.
    pub environment_id: EnvironmentId,
    /// What people call it.
    pub name: String,
    /// The key's first characters, by which people tell it from others.
    pub hint: String,
    /// HMAC-SHA256 of the key.
    pub digest: Vec<u8>,
    /// What it may do, as JSON: `causeway_identity::Scopes`.
    pub scopes: String,
    /// Who made it, as the audit chain names him.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// What it opens.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// A machine's OAuth client for Causeway's own API. It proves itself with a secret, of which only
/// the digest is stored, or by signing with a key whose public half is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineClient {
    /// Its id, which is also the OAuth `client_id`.
    pub id: MachineClientId,
    /// The workspace that it opens.
    pub workspace_id: WorkspaceId,
    /// The project that it opens.
    pub project_id: ProjectId,
    /// The environment that it opens.
    pub environment_id: EnvironmentId,
    /// What people call it.
    pub name: String,
    /// HMAC-SHA256 of the secret, if it has one.
    pub digest: Option<Vec<u8>>,
    /// HMAC-SHA256 of the secret before, if there was one.
    pub old_digest: Option<Vec<u8>>,
    /// Until when the secret before works.
    pub old_until: Option<Timestamp>,
    /// Its public keys as a JWK Set (RFC 7517 section 5), if it signs assertions.
    pub public_keys: Option<String>,
    /// What it may do, as JSON: `causeway_identity::Scopes`.
    pub scopes: String,
    /// Who made it, as the audit chain names him.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it obtained a token last.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl MachineClient {
    /// What it opens.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

words! {
    /// What a key of Causeway's own is for.
    KeyPurpose {
        /// Signs the access tokens of OAuth clients: Ed25519.
        AccessToken = "access_token",
        /// Signs the checkpoints of audit chains: Ed25519.
        Audit = "audit",
        /// Keys the digests of tokens: 32 random bytes for HMAC-SHA256. Never retired, since what
        /// is stored could not be computed again.
        TokenDigest = "token_digest",
    }
}

/// A key of Causeway's own, sealed for the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id, which is also the `kid` of what it signs.
    pub id: SigningKeyId,
    /// The installation.
    pub workspace_id: WorkspaceId,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// The public half, 32 bytes; empty where there is none.
    pub public_key: Vec<u8>,
    /// The secret half, sealed.
    pub secret: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it signs nothing any more. What it signed is still checked with it.
    pub retired_at: Option<Timestamp>,
}
