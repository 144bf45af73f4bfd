//! The form that proves itself: `docs/audit.md` tells how it is checked, and has a program that
//! does it.

use crate::checkpoint::Checkpoint;
use causeway_identity::OwnKeys;
use causeway_types::entity::{AuditCheckpoint, AuditRow};
use causeway_types::{SigningKeyId, Timestamp, WorkspaceId};
use data_encoding::HEXLOWER;
use serde::Serialize;

/// The version of this form.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    /// What follows: the rows `first` to `last`, of which the first covers `previous_hash`.
    Chain {
        version: u32,
        workspace_id: WorkspaceId,
        first: i64,
        last: i64,
        previous_hash: Option<String>,
    },
    /// A key that signs, or signed, checkpoints.
    Key {
        signing_key: SigningKeyId,
        algorithm: &'static str,
        public_key: String,
    },
    /// A row. `at_us` and `detail` are exactly what the hash covers.
    Event {
        seq: i64,
        time: Timestamp,
        at_us: i64,
        actor: &'a str,
        action: &'a str,
        detail: &'a str,
        hash: String,
    },
    Checkpoint(Checkpoint),
    /// Nothing is missing at the end.
    End {
        rows: i64,
    },
}

impl Line<'_> {
    fn write(&self, text: &mut String) {
        if let Ok(line) = serde_json::to_string(self) {
            text.push_str(&line);
            text.push('\n');
        }
    }
}

pub(super) fn header(
    workspace_id: WorkspaceId,
    (first, last): (i64, i64),
    previous: Option<&[u8]>,
) -> String {
    let mut text = String::new();
    let previous_hash = previous.map(|hash| HEXLOWER.encode(hash));
    Line::Chain { version: VERSION, workspace_id, first, last, previous_hash }.write(&mut text);
    text
}

pub(super) fn keys(keys: &OwnKeys) -> String {
    let mut text = String::new();
    for key in keys.audit_verifiers() {
        let public_key = HEXLOWER.encode(key.public_key());
        Line::Key { signing_key: key.id(), algorithm: "Ed25519", public_key }.write(&mut text);
    }
    text
}

/// Rows, each with the checkpoint of it after it.
pub(super) fn rows(rows: Vec<AuditRow>, checkpoints: Vec<AuditCheckpoint>) -> String {
    let mut text = String::new();
    let mut checkpoints = checkpoints.into_iter().peekable();
    for row in rows {
        let AuditRow { seq, at, actor, action, detail, hash } = &row;
        let hash = HEXLOWER.encode(hash);
        let at_us = at.as_micros();
        Line::Event { seq: *seq, time: *at, at_us, actor, action, detail, hash }.write(&mut text);
        while let Some(checkpoint) = checkpoints.next_if(|one| one.seq <= *seq) {
            Line::Checkpoint(checkpoint.into()).write(&mut text);
        }
    }
    text
}

pub(super) fn end(rows: i64) -> String {
    let mut text = String::new();
    Line::End { rows }.write(&mut text);
    text
}
