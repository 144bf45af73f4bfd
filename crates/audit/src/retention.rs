//! How long a workspace keeps its events.
//!
//! The number of days stands in the database twice: as a column, which says what holds now, and in
//! the event of its last change, signed. Only where both agree is anything pruned, so that nobody
//! who writes to the database makes Causeway throw events away.

use crate::statement::Statement;
use crate::verify::{Chain, Pruned};
use crate::{AuditError, AuditLog};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::AuditRow;
use causeway_types::{SigningKeyId, Timestamp};
use serde::Deserialize;

/// The fewest days that events are kept.
pub const MIN_DAYS: i64 = 30;
/// The most, which is a hundred years.
pub const MAX_DAYS: i64 = 36_500;

impl AuditLog {
    /// For how many days the workspace keeps its events; None is for ever.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn retention(
        &self,
        permit: &Permit<action::ReadAudit>,
    ) -> Result<Option<i64>, AuditError> {
        let mut conn = self.store.read().await?;
        Ok(db!(conn, audit::retention(permit.workspace()))?)
    }

    /// Keeps the workspace's events for [`MIN_DAYS`] to [`MAX_DAYS`] days, or with None for ever.
    /// What is older is pruned within the hour, up to a checkpoint.
    ///
    /// # Errors
    /// [`AuditError::Days`] if the number is out of bounds.
    pub async fn set_retention(
        &self,
        permit: &Permit<action::ManageAudit>,
        days: Option<i64>,
    ) -> Result<(), AuditError> {
        if let Some(wrong) = days.filter(|days| !(MIN_DAYS..=MAX_DAYS).contains(days)) {
            return Err(AuditError::Days(wrong));
        }
        let (workspace, signer, now) = (permit.workspace(), self.keys.audit(), self.clock.now());
        let statement = Statement::retention(workspace, days, now, signer.id());
        let event = Audit::AuditRetentionChanged {
            days,
            signing_key: signer.id(),
            signature: statement.sign_hex(&signer),
        };
        let mut tx = self.store.write(permit.actor()).await?;
        db!(tx, audit::set_retention(workspace, days))?;
        Ok(tx.commit(workspace, now, event).await?)
    }
}

/// The event of a change, as far as its statement goes.
#[derive(Debug, Deserialize)]
struct Changed {
    days: Option<i64>,
    signing_key: SigningKeyId,
    signature: String,
}

impl Changed {
    fn read(chain: &Chain<'_>, row: &AuditRow) -> Option<Self> {
        let event: Self = serde_json::from_str(&row.detail).ok()?;
        let statement =
            Statement::retention(chain.workspace, event.days, row.at, event.signing_key);
        statement.check_hex(chain.keys, &event.signature).then_some(event)
    }
}

impl Chain<'_> {
    /// What the newest signed statement says, which is that of a change, or that of a pruning once
    /// the change itself is pruned. An old statement written again is older by its own time.
    pub(crate) async fn signed_retention(&self) -> Result<Option<i64>, causeway_store::Error> {
        let mut newest: Option<(Timestamp, Option<i64>)> = None;
        for action in ["audit_retention_changed", "audit_pruned"] {
            let mut before = i64::MAX;
            loop {
                let rows = self.of_action(action, before).await?;
                let Some(last) = rows.last() else { break };
                before = last.seq;
                for row in &rows {
                    let days = match action {
                        "audit_pruned" => Pruned::read(self, row).map(|event| Some(event.days)),
                        _ => Changed::read(self, row).map(|event| event.days),
                    };
                    if let Some(days) = days
                        && newest.is_none_or(|(at, _)| at < row.at)
                    {
                        newest = Some((row.at, days));
                    }
                }
            }
        }
        Ok(newest.and_then(|(_, days)| days))
    }
}
