//! One run of a rotation: its passes, page by page.

use super::column::{Column, Row};
use super::{RotationOutcome, RotationProgress};
use crate::{Keyring, Vault, VaultError};
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::KeyRotation;
use causeway_types::place::Sealed;
use causeway_types::{Actor, Timestamp};
use std::sync::Arc;

/// PostgreSQL's `lock_not_available`: the transaction gave way.
const GAVE_WAY: &str = "55P03";

pub(super) struct Run<'a> {
    vault: &'a Vault,
    ring: Arc<Keyring>,
    rotation: KeyRotation,
    actor: Actor,
    began: Timestamp,
    resealed: i64,
    on_progress: &'a mut (dyn FnMut(RotationProgress) + Send + Sync),
}

/// Where a pass begins.
struct Start {
    column: usize,
    after: String,
}

/// What a pass left behind.
#[derive(Default)]
struct Left {
    unopened: u64,
    held: u64,
}

/// A seal and what shall stand in its place.
struct Exchange {
    record: String,
    old: Sealed,
    new: Sealed,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        vault: &'a Vault,
        ring: Arc<Keyring>,
        rotation: KeyRotation,
        actor: Actor,
        on_progress: &'a mut (dyn FnMut(RotationProgress) + Send + Sync),
    ) -> Self {
        let began = vault.now();
        Self { vault, ring, rotation, actor, began, resealed: 0, on_progress }
    }

    /// Seals again what was there at the start, from where an earlier run stopped.
    pub(super) async fn first_pass(&mut self) -> Result<(), VaultError> {
        let reached = Column::ALL.iter().position(|column| column.kind() == self.rotation.at_kind);
        let start = match reached {
            Some(column) => Start { column, after: self.rotation.at_record.clone() },
            None => Start { column: 0, after: String::new() },
        };
        self.pass(start).await?;
        self.settle().await
    }

    /// Looks through everything once more and ends the rotation if nothing is left.
    pub(super) async fn last_pass(mut self) -> Result<RotationOutcome, VaultError> {
        let left = self.pass(Start { column: 0, after: String::new() }).await?;
        if left.held > 0 {
            self.settle().await?;
            return Err(VaultError::RecordsHeld { rotation: self.rotation.id, records: left.held });
        }
        let (workspace, id, now) = (self.rotation.workspace_id, self.rotation.id, self.vault.now());
        let mut tx = self.vault.store().write(self.actor).await?;
        let ended = db!(tx, data_key::finish_rotation(workspace, id, now))?;
        let records = db!(tx, data_key::rotation(workspace, id))?
            .ok_or(VaultError::UnknownRotation(id))?
            .done;
        // Another run may have ended it first; then that one's audit event stands.
        if ended == 1 {
            tx.commit(workspace, now, Audit::RotationFinished { rotation: id, records }).await?;
        }
        Ok(RotationOutcome::Finished { records, unopened: left.unopened })
    }

    async fn pass(&mut self, start: Start) -> Result<Left, VaultError> {
        let mut left = Left::default();
        let mut after = start.after;
        for column in Column::ALL.into_iter().skip(start.column) {
            loop {
                let mut conn = self.vault.store().read().await?;
                let (workspace, key) = (self.rotation.workspace_id, self.rotation.data_key_id);
                let rows = column.page(&mut conn, workspace, &after, key).await?;
                drop(conn);
                let Some(last) = rows.last() else { break };
                after.clone_from(&last.record);
                let exchanges = self.seal_again(column, rows, &mut left);
                left.held += self.exchange(column, &exchanges, &after).await?;
            }
            after.clear();
        }
        Ok(left)
    }

    /// Seals a page again. What does not open is left, and named in the log: it cannot be made
    /// whole here, and must not keep every other record under the old key.
    fn seal_again(&self, column: Column, rows: Vec<Row>, left: &mut Left) -> Vec<Exchange> {
        let mut exchanges = Vec::with_capacity(rows.len());
        for row in rows {
            let new = row.place.and_then(|place| {
                let plaintext = self.ring.open(&place, &row.sealed).ok()?;
                self.ring.seal(&place, plaintext.expose()).ok()
            });
            if let Some(new) = new {
                exchanges.push(Exchange { record: row.record, old: row.sealed, new });
            } else {
                left.unopened += 1;
                tracing::error!(
                    workspace.id = %self.rotation.workspace_id,
                    record.kind = column.kind(),
                    record.id = row.record,
                    "a seal did not open during a key rotation and was left as it is"
                );
            }
        }
        exchanges
    }

    /// Stores a page, and how far it brings the rotation; returns how many records others held.
    async fn exchange(
        &mut self,
        column: Column,
        exchanges: &[Exchange],
        reached: &str,
    ) -> Result<u64, VaultError> {
        match self.store(column, exchanges, reached).await {
            Ok(()) => return Ok(0),
            Err(error) if gave_way(&error) => {}
            Err(error) => return Err(error.into()),
        }
        // Somebody holds a row of the page: one transaction for each, and leave that one.
        let mut held = 0;
        for exchange in exchanges {
            match self.store(column, std::slice::from_ref(exchange), &exchange.record).await {
                Ok(()) => {}
                Err(error) if gave_way(&error) => held += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(held)
    }

    /// One transaction: the exchanges of seals that have not changed, and the place reached.
    async fn store(
        &mut self,
        column: Column,
        exchanges: &[Exchange],
        reached: &str,
    ) -> causeway_store::Result<()> {
        let mut tx = self.begin().await?;
        let mut replaced = 0;
        for Exchange { record, old, new } in exchanges {
            let done =
                column.replace(&mut tx, self.rotation.workspace_id, record, old, new).await?;
            replaced += i64::from(done);
        }
        self.reach(tx, column.kind(), reached, replaced).await
    }

    async fn begin(&self) -> causeway_store::Result<WriteTx> {
        let mut tx = self.vault.store().write(self.actor).await?;
        db!(tx, dialect::give_way())?;
        Ok(tx)
    }

    /// Commits what was done, with the place that the rotation has reached.
    async fn reach(
        &mut self,
        mut tx: WriteTx,
        kind: &str,
        record: &str,
        replaced: i64,
    ) -> causeway_store::Result<()> {
        let now = self.vault.now();
        let (workspace, id) = (self.rotation.workspace_id, self.rotation.id);
        db!(tx, data_key::advance_rotation(workspace, id, kind, record, replaced, now))?;
        tx.commit_bookkeeping(Bookkeeping::Rotation).await?;
        self.resealed += replaced;
        (self.on_progress)(RotationProgress {
            done: self.rotation.done + self.resealed,
            total: self.rotation.total,
            per_second: rate(self.resealed, now.since(self.began)),
        });
        Ok(())
    }

    /// Notes that nothing is left to do until other nodes' keys have expired.
    async fn settle(&mut self) -> Result<(), VaultError> {
        let tx = self.begin().await?;
        Ok(self.reach(tx, KeyRotation::SETTLING, "", 0).await?)
    }
}

fn gave_way(error: &causeway_store::Error) -> bool {
    let causeway_store::Error::Query(source) = error else { return false };
    let Some(database) = source.as_database_error() else { return false };
    database.code().is_some_and(|code| code == GAVE_WAY)
}

/// Records a second; 0 before any time has passed.
fn rate(records: i64, elapsed: std::time::Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    let records = f64::from(u32::try_from(records).unwrap_or(u32::MAX));
    if seconds > 0.0 { records / seconds } else { 0.0 }
}
