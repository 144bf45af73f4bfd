//! Many connections revoked in one go.

pub(crate) mod create;
pub(crate) mod failures;
pub(crate) mod show;

use causeway_connect::RevocationProgress;
use causeway_types::{ConnectionRevocationId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a revocation is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevocationState {
    /// Not all its connections are marked yet; those that are can no longer be used.
    Marking,
    /// None of its connections can be used; the apps are being asked.
    Revoking,
    /// Every app has been asked.
    Done,
}

/// A revocation of many connections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectionRevocation)]
pub(crate) struct RevocationBody {
    /// Its id.
    id: ConnectionRevocationId,
    /// How far it is.
    state: RevocationState,
    /// How many connections were found and marked.
    found: i64,
    /// How many apps are still to be asked.
    pending: i64,
    /// How many connections their apps have revoked; they are deleted.
    revoked: i64,
    /// How many are deleted whose apps have no way to revoke them: a key works there until somebody
    /// replaces it.
    not_offered: i64,
    /// How many their apps did not confirm to be revoked. Nobody can use them here, and they are
    /// kept, so that a further revocation can ask again.
    failed: i64,
    /// How many a later revocation has gone on with; it has their outcomes.
    taken_over: i64,
    /// When it began.
    created_at: Timestamp,
    /// When every app had been asked.
    ended_at: Option<Timestamp>,
}

impl From<RevocationProgress> for RevocationBody {
    fn from(progress: RevocationProgress) -> Self {
        let RevocationProgress { revocation, pending, revoked, not_offered, failed } = progress;
        let state = match (revocation.marked_at, revocation.ended_at) {
            (None, _) => RevocationState::Marking,
            (Some(_), None) => RevocationState::Revoking,
            (Some(_), Some(_)) => RevocationState::Done,
        };
        let here = pending + revoked + not_offered + failed;
        Self {
            id: revocation.id,
            state,
            found: revocation.found,
            pending,
            revoked,
            not_offered,
            failed,
            taken_over: (revocation.found - here).max(0),
            created_at: revocation.created_at,
            ended_at: revocation.ended_at,
        }
    }
}
