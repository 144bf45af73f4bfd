//! What is signed: short texts of one form. The first line says what is stated and in which
//! version, each further line is a name, a space and a value, and every line ends with a line
//! feed. The signature is Ed25519 (RFC 8032) over these bytes.

use causeway_identity::{OwnKeys, Signer};
use causeway_types::{SigningKeyId, Timestamp, WorkspaceId};
use data_encoding::HEXLOWER;

/// That a chain reached a row: version 1.
const CHECKPOINT: &str = "causeway audit checkpoint v1";
/// That rows were pruned: version 1.
const FLOOR: &str = "causeway audit floor v1";
/// How long events are kept: version 1.
const RETENTION: &str = "causeway audit retention v1";

/// A text to sign or to check.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    key: SigningKeyId,
    text: String,
}

/// Why a statement is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// This installation has no such key for audit chains.
    Key(SigningKeyId),
    /// The key did not sign this.
    Signature,
}

impl Statement {
    /// That the chain of `workspace` reached row `seq` with this hash (lower-case hex).
    pub(crate) fn checkpoint(
        workspace: WorkspaceId,
        seq: i64,
        hash: &str,
        time: &str,
        key: SigningKeyId,
    ) -> Self {
        let text = format!(
            "{CHECKPOINT}\nworkspace {workspace}\nseq {seq}\nhash {hash}\ntime {time}\nkey {key}\n"
        );
        Self { key, text }
    }

    /// That rows were pruned from the front of the chain: `rows` of them, the last being `through`
    /// with this hash (lower-case hex), because events are kept for `days` days.
    pub(crate) fn floor(
        workspace: WorkspaceId,
        (through, hash): (i64, &str),
        rows: i64,
        days: i64,
        at: Timestamp,
        key: SigningKeyId,
    ) -> Self {
        let text = format!(
            "{FLOOR}\nworkspace {workspace}\nthrough {through}\nhash {hash}\nrows {rows}\ndays {days}\ntime {at}\nkey {key}\n"
        );
        Self { key, text }
    }

    /// That events are kept for so many days; None is for ever.
    pub(crate) fn retention(
        workspace: WorkspaceId,
        days: Option<i64>,
        at: Timestamp,
        key: SigningKeyId,
    ) -> Self {
        let days = days.map_or_else(|| "none".to_owned(), |days| days.to_string());
        let text =
            format!("{RETENTION}\nworkspace {workspace}\ndays {days}\ntime {at}\nkey {key}\n");
        Self { key, text }
    }

    /// The signature, 64 bytes.
    pub(crate) fn sign(&self, signer: &Signer) -> Vec<u8> {
        signer.sign(self.text.as_bytes())
    }

    /// The signature in lower-case hex, as events have it.
    pub(crate) fn sign_hex(&self, signer: &Signer) -> String {
        HEXLOWER.encode(&self.sign(signer))
    }

    /// Whether the key that it names signed it.
    pub(crate) fn check(&self, keys: &OwnKeys, signature: &[u8]) -> Result<(), Unproven> {
        let key = keys.audit_verifier(self.key).ok_or(Unproven::Key(self.key))?;
        if key.verifies(self.text.as_bytes(), signature) {
            Ok(())
        } else {
            Err(Unproven::Signature)
        }
    }

    /// The same for a signature in hex.
    pub(crate) fn check_hex(&self, keys: &OwnKeys, signature: &str) -> bool {
        HEXLOWER
            .decode(signature.as_bytes())
            .is_ok_and(|signature| self.check(keys, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms are a contract with whoever checks exports and kept checkpoints elsewhere.
    #[test]
    fn the_texts_are_what_the_docs_say() {
        let (workspace, key) = (WorkspaceId::lowest(), SigningKeyId::lowest());
        let at = Timestamp::from_micros(1);
        let zeros = "0".repeat(26);
        let checkpoint = Statement::checkpoint(workspace, 7, "ab", &at.to_string(), key).text;
        assert_eq!(
            checkpoint,
            format!(
                "causeway audit checkpoint v1\nworkspace ws_{zeros}\nseq 7\nhash ab\ntime 1970-01-01T00:00:00.000001Z\nkey sgn_{zeros}\n"
            )
        );
        let floor = Statement::floor(workspace, (7, "ab"), 7, 30, at, key).text;
        assert_eq!(
            floor,
            format!(
                "causeway audit floor v1\nworkspace ws_{zeros}\nthrough 7\nhash ab\nrows 7\ndays 30\ntime 1970-01-01T00:00:00.000001Z\nkey sgn_{zeros}\n"
            )
        );
        let kept = |days| Statement::retention(workspace, days, at, key).text;
        assert!(kept(Some(30)).contains("\ndays 30\n") && kept(None).contains("\ndays none\n"));
        let docs =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.md"));
        let docs = docs.unwrap();
        for text in [checkpoint, floor, kept(None)] {
            for line in text.lines() {
                let name = line.split(' ').next().unwrap();
                let shown = if name == "causeway" { line } else { &format!("\n{name} ") };
                assert!(docs.contains(shown), "docs/audit.md does not show `{line}`");
            }
        }
    }
}
