//! The audit chain of the workspace.

pub(crate) mod checkpoints;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod set_retention;
pub(crate) mod show_retention;
pub(crate) mod verify;

use crate::Problem;
use causeway_audit::{Checkpoint, Verified, read_time};
use causeway_types::entity::AuditRow;
use causeway_types::{Code, SigningKeyId, Timestamp, WorkspaceId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something that was done, tried or used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct AuditEventBody {
    /// Its number in the workspace's chain, from 1.
    seq: i64,
    /// When.
    time: Timestamp,
    /// Who: an id, or `machine` for the command line on the server's machine, or `anonymous`. A
    /// member of the staff has two, the person's and the request's for access.
    actor: String,
    /// What, such as `api_key_created`.
    action: String,
    /// The ids and names that belong to it.
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
    /// From where it came; null for what Causeway does by itself.
    via: Option<AuditVia>,
    /// The row's hash in hex, which covers that of the row before it.
    hash: String,
}

/// From where something was done.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditVia {
    /// The id of the request.
    request: Option<String>,
    /// The address that it came from.
    address: Option<String>,
}

impl From<AuditRow> for AuditEventBody {
    fn from(row: AuditRow) -> Self {
        let mut detail: Map<String, Value> = serde_json::from_str(&row.detail).unwrap_or_default();
        detail.remove("action");
        let via = detail.remove("via").map(serde_json::from_value).transpose().unwrap_or_default();
        Self {
            seq: row.seq,
            time: row.at,
            actor: row.actor,
            action: row.action,
            detail,
            via,
            hash: HEXLOWER.encode(&row.hash),
        }
    }
}

/// A signed statement that the chain reached a row. Kept elsewhere, it proves later that nothing up
/// to this row was changed or taken away.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditCheckpoint)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointBody {
    /// The workspace.
    workspace_id: WorkspaceId,
    /// The row's number.
    seq: i64,
    /// The row's hash in lower-case hex.
    hash: String,
    /// When it was signed, exactly as it was signed.
    time: String,
    /// The key that signed it.
    signing_key: SigningKeyId,
    /// The signature (Ed25519) in lower-case hex, over the text that docs/audit.md shows.
    signature: String,
}

impl From<Checkpoint> for CheckpointBody {
    fn from(one: Checkpoint) -> Self {
        let Checkpoint { workspace_id, seq, hash, time, signing_key, signature } = one;
        Self { workspace_id, seq, hash, time, signing_key, signature }
    }
}

impl From<CheckpointBody> for Checkpoint {
    fn from(body: CheckpointBody) -> Self {
        let CheckpointBody { workspace_id, seq, hash, time, signing_key, signature } = body;
        Self { workspace_id, seq, hash, time, signing_key, signature }
    }
}

/// A chain that holds, and what that was found by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditVerified)]
pub(crate) struct VerifiedBody {
    /// The workspace.
    workspace_id: WorkspaceId,
    /// Rows checked.
    rows: i64,
    /// The first of them; 0 if there is none. What was before it was pruned.
    first: i64,
    /// The last of them; 0 if there is none.
    last: i64,
    /// The last row's hash in hex.
    hash: String,
    /// The last row that a checkpoint proves; 0 without a checkpoint.
    proven: i64,
    /// Checkpoints of the database that were compared.
    checkpoints: i64,
    /// Checkpoints of the request that were compared.
    kept: i64,
    /// Checkpoints of the request that are signed rightly, and whose rows are pruned or too new.
    kept_out_of_reach: i64,
}

impl From<Verified> for VerifiedBody {
    fn from(verified: Verified) -> Self {
        Self {
            workspace_id: verified.workspace_id,
            rows: verified.rows,
            first: verified.first,
            last: verified.last,
            hash: verified.hash,
            proven: verified.proven,
            checkpoints: verified.checkpoints,
            kept: verified.kept,
            kept_out_of_reach: verified.kept_out_of_reach,
        }
    }
}

/// How long events are kept.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditRetention)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionBody {
    /// Days, 30 to 36,500; null is for ever.
    #[schema(minimum = 30, required)]
    #[serde(deserialize_with = "Option::deserialize")]
    days: Option<i64>,
}

/// A moment that a request names.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| {
        read_time(text).ok_or_else(|| {
            Problem::new(
                Code::InvalidRequest,
                format!("`{name}` is a time such as 2026-08-01T00:00:00Z (RFC 3339)."),
            )
        })
    })
    .transpose()
}
