//! Pruning: events that are older than the workspace keeps them go, in such a way that the rest is
//! still provable.
//!
//! The rows up to a checkpoint are deleted, and in the same transaction an event says so. It carries
//! a signed statement, so that a front that somebody else cut off cannot be passed off as pruned.
//! The checkpoint stays: the walk of a check begins at it. Nothing is pruned from a chain that does
//! not hold.

use crate::statement::Statement;
use crate::verify::{Chain, VerifyError, verify};
use causeway_store::{Audit, db};
use causeway_types::entity::AuditCheckpoint;
use causeway_types::{Actor, Timestamp, WorkspaceId};
use data_encoding::HEXLOWER;
use std::time::Duration;

/// Rows deleted by one transaction, about: more wait for the next, so that others get to write.
const STEP: i64 = 20_000;
const DAY: Duration = Duration::from_hours(24);

/// Old events could not be pruned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PruneError {
    #[error("pruning the audit chain of {0}")]
    Store(WorkspaceId, #[source] causeway_store::Error),
    #[error("checking the audit chain before pruning it")]
    Chain(#[source] VerifyError),
    #[error(
        "pruning the audit chain of {workspace}: the database says {} days, and no signed event does: the number was changed by hand",
        .stored
    )]
    Retention { workspace: WorkspaceId, stored: i64 },
}

impl Chain<'_> {
    /// Prunes what is too old, and says how many rows went.
    pub(crate) async fn prune(&self, actor: Actor, now: Timestamp) -> Result<i64, PruneError> {
        let failed = |error| PruneError::Store(self.workspace, error);
        let Some(stored) = self.stored_retention().await.map_err(failed)? else { return Ok(0) };
        let days = u32::try_from(stored).unwrap_or(u32::MAX);
        let limit = now.minus(DAY.saturating_mul(days));
        if self.next_floor(limit).await.map_err(failed)?.is_none() {
            return Ok(0);
        }
        if self.signed_retention().await.map_err(failed)? != Some(stored) {
            return Err(PruneError::Retention { workspace: self.workspace, stored });
        }
        verify(self.store, self.keys, self.workspace, &[]).await.map_err(PruneError::Chain)?;
        let mut pruned = 0;
        while let Some(floor) = self.next_floor(limit).await.map_err(failed)? {
            let rows = self.prune_through(&floor, stored, actor, now).await.map_err(failed)?;
            if rows == 0 {
                break; // Another node was quicker.
            }
            pruned += rows;
        }
        Ok(pruned)
    }

    async fn stored_retention(&self) -> Result<Option<i64>, causeway_store::Error> {
        let mut conn = self.store.read().await?;
        db!(conn, audit::retention(self.workspace))
    }

    /// The checkpoint up to which the next step prunes: the newest that was signed before the limit
    /// and is not too far, or else the next one.
    async fn next_floor(
        &self,
        limit: Timestamp,
    ) -> Result<Option<AuditCheckpoint>, causeway_store::Error> {
        let Some(first) = self.first().await?.map(|row| row.seq) else { return Ok(None) };
        let mut conn = self.store.read().await?;
        let far = first.saturating_add(STEP);
        let near = db!(conn, audit::last_checkpoint(self.workspace, limit, far))?;
        if let Some(near) = near.filter(|one| one.seq >= first) {
            return Ok(Some(near));
        }
        let next = db!(conn, audit::checkpoints(self.workspace, first.saturating_sub(1), 1))?;
        Ok(next.into_iter().next().filter(|one| one.at < limit))
    }

    async fn prune_through(
        &self,
        floor: &AuditCheckpoint,
        days: i64,
        actor: Actor,
        now: Timestamp,
    ) -> Result<i64, causeway_store::Error> {
        let (signer, hash) = (self.keys.audit(), HEXLOWER.encode(&floor.hash));
        let mut tx = self.store.write(actor).await?;
        let rows = db!(tx, audit::prune(self.workspace, floor.seq))?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        if rows == 0 {
            return Ok(0);
        }
        db!(tx, audit::prune_checkpoints(self.workspace, floor.seq))?;
        let (through, key) = (floor.seq, signer.id());
        let statement = Statement::floor(self.workspace, (through, &hash), rows, days, now, key);
        let signature = statement.sign_hex(&signer);
        let event = Audit::AuditPruned { through, rows, hash, days, signing_key: key, signature };
        tx.commit(self.workspace, now, event).await?;
        Ok(rows)
    }
}
