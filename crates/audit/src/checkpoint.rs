//! Checkpoints, as they are stored, handed out and read back.

use crate::statement::{Statement, Unproven};
use causeway_identity::OwnKeys;
use causeway_types::entity::{AuditCheckpoint, AuditHead};
use causeway_types::{SigningKeyId, Timestamp, WorkspaceId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A signed statement that a chain reached a row, in the form in which it leaves the database: the
/// server's log has it so, and so it can be kept elsewhere and compared later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The row's number.
    pub seq: i64,
    /// The row's hash, in lower-case hex.
    pub hash: String,
    /// When it was signed. A text, because the signature is over this very text.
    pub time: String,
    /// The key that signed it.
    pub signing_key: SigningKeyId,
    /// Ed25519 (RFC 8032), in lower-case hex.
    pub signature: String,
}

impl From<AuditCheckpoint> for Checkpoint {
    fn from(stored: AuditCheckpoint) -> Self {
        Self {
            workspace_id: stored.workspace_id,
            seq: stored.seq,
            hash: HEXLOWER.encode(&stored.hash),
            time: stored.at.to_string(),
            signing_key: stored.signing_key_id,
            signature: HEXLOWER.encode(&stored.signature),
        }
    }
}

impl Checkpoint {
    /// Reads checkpoints from a file's text, a JSON document a line: checkpoints as they were
    /// listed or exported, or the server's log, whose other lines are passed over.
    pub fn read_lines(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::read_line).collect()
    }

    fn read_line(line: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
        if let Some(logged) = value.pointer("/fields/checkpoint").and_then(|one| one.as_str()) {
            return serde_json::from_str(logged).ok();
        }
        serde_json::from_value(value).ok()
    }

    /// The hash's bytes; none if it is not 32 bytes in lower-case hex.
    pub(crate) fn hash_bytes(&self) -> Option<Vec<u8>> {
        HEXLOWER.decode(self.hash.as_bytes()).ok().filter(|hash| hash.len() == 32)
    }

    /// Whether one of the installation's keys signed it.
    pub(crate) fn check(&self, keys: &OwnKeys) -> Result<(), Unproven> {
        let Self { workspace_id, seq, hash, time, signing_key, signature } = self;
        let statement = Statement::checkpoint(*workspace_id, *seq, hash, time, *signing_key);
        let signature = HEXLOWER.decode(signature.as_bytes()).map_err(|_| Unproven::Signature)?;
        // What was signed had a hash of this form; nothing else may pass for one.
        self.hash_bytes().ok_or(Unproven::Signature)?;
        statement.check(keys, &signature)
    }
}

/// Signs how far a chain has come.
pub(crate) fn sign(
    keys: &OwnKeys,
    workspace: WorkspaceId,
    reached: AuditHead,
    now: Timestamp,
) -> AuditCheckpoint {
    let (signer, hash) = (keys.audit(), HEXLOWER.encode(&reached.hash));
    let statement =
        Statement::checkpoint(workspace, reached.seq, &hash, &now.to_string(), signer.id());
    AuditCheckpoint {
        workspace_id: workspace,
        seq: reached.seq,
        hash: reached.hash,
        at: now,
        signing_key_id: signer.id(),
        signature: statement.sign(&signer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_found_in_lists_and_in_the_servers_log() {
        let one = Checkpoint {
            workspace_id: WorkspaceId::lowest(),
            seq: 7,
            hash: "00".repeat(32),
            time: Timestamp::from_micros(0).to_string(),
            signing_key: SigningKeyId::lowest(),
            signature: "00".repeat(64),
        };
        let listed = serde_json::to_string(&one).unwrap();
        let logged = serde_json::json!({
            "timestamp": "2026-01-01T00:00:00Z", "level": "INFO",
            "fields": { "message": "signed an audit checkpoint", "checkpoint": listed },
        });
        let text =
            format!("{listed}\n\nnot JSON\n{{\"level\":\"INFO\",\"fields\":{{}}}}\n{logged}\n");
        assert_eq!(Checkpoint::read_lines(&text), [one.clone(), one]);
    }
}
