//! Looking at a chain: its events and its checkpoints, in pages.

use crate::{AuditError, AuditLog, Checkpoint};
use causeway_identity::{Permit, action};
use causeway_store::db;
use causeway_types::Timestamp;
use causeway_types::entity::{AuditFilter, AuditRow};

/// The shortest and the longest text of an id: a prefix, an underscore, 26 characters.
const ID: std::ops::RangeInclusive<usize> = 29..=32;

/// A page of events, newest first.
#[derive(Debug, Clone)]
pub struct Events {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// Where the next page begins; None at the end.
    pub next: Option<i64>,
}

/// A page of checkpoints, oldest first.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// The checkpoints.
    pub checkpoints: Vec<Checkpoint>,
    /// Where the next page begins; None at the end.
    pub next: Option<i64>,
}

impl AuditLog {
    /// A page of the workspace's events before a row, newest first.
    ///
    /// # Errors
    /// [`AuditError::About`] if the filter asks for what is not an id.
    pub async fn events(
        &self,
        permit: &Permit<action::ReadAudit>,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Events, AuditError> {
        if filter.about.as_deref().is_some_and(|about| !is_id(about)) {
            return Err(AuditError::About);
        }
        let (before, limit_and_one) = (before.unwrap_or(i64::MAX), i64::from(limit) + 1);
        let mut conn = self.store.read().await?;
        let mut rows =
            db!(conn, audit::filtered(permit.workspace(), filter, before, limit_and_one))?;
        let next = cut(&mut rows, limit).map(|row| row.seq);
        Ok(Events { rows, next })
    }

    /// A page of the workspace's checkpoints after a row, oldest first. Keep them elsewhere, and
    /// the chain can be compared with them later.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn checkpoints(
        &self,
        permit: &Permit<action::ReadAudit>,
        after: Option<i64>,
        limit: u16,
    ) -> Result<Checkpoints, AuditError> {
        let mut conn = self.store.read().await?;
        let (after, limit_and_one) = (after.unwrap_or(i64::MIN), i64::from(limit) + 1);
        let mut found = db!(conn, audit::checkpoints(permit.workspace(), after, limit_and_one))?;
        let next = cut(&mut found, limit).map(|one| one.seq);
        Ok(Checkpoints { checkpoints: found.into_iter().map(Checkpoint::from).collect(), next })
    }
}

/// Reads a moment (RFC 3339); None if it is none.
pub fn read_time(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(moment.as_microsecond()))
}

/// Cuts a page of which one more was read, and gives its last record if there are more.
fn cut<T>(records: &mut Vec<T>, limit: u16) -> Option<&T> {
    let limit = usize::from(limit);
    let more = records.len() > limit;
    records.truncate(limit);
    records.last().filter(|_| more)
}

/// Whether a text has the form of an id.
fn is_id(text: &str) -> bool {
    let (prefix, body) = text.split_once('_').unwrap_or_default();
    ID.contains(&text.len())
        && body.len() == 26
        && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
        && body.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{ConnectionId, MachineClientId, RoleGrantId};

    #[test]
    fn moments_are_read_as_they_are_printed() {
        let moment = Timestamp::from_micros(1_790_000_000_123_456);
        assert_eq!(read_time(&moment.to_string()), Some(moment));
        let later = read_time("2026-08-01T02:00:00+02:00");
        assert_eq!(later, read_time("2026-08-01T00:00:00Z"));
        for text in ["", "yesterday", "2026-08-01", "2026-13-01T00:00:00Z", "2026-08-01T00:00:00"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }

    #[test]
    fn only_whole_ids_can_be_looked_for() {
        for id in [
            ConnectionId::lowest().to_string(),
            MachineClientId::highest().to_string(),
            RoleGrantId::lowest().to_string(),
        ] {
            assert!(is_id(&id), "{id}");
        }
        for text in ["", "%", "_", "conn_", "conn_%", "key", "conn_0000000000000000000000000%"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
