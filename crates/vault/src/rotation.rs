//! Rotation of a workspace's data key: a new key becomes active, and every seal is made again
//! under it.
//!
//! 1. *Start*: one transaction retires the old key, stores the new one and the rotation.
//! 2. *Passes*: each kind of seal is walked through in pages. A page is read, sealed again in
//!    memory and written in one transaction, together with the place that the rotation has
//!    reached; so whoever takes it up after a crash goes on from there. A seal is replaced only
//!    if it is still the one that was read: what a writer stored meanwhile is never overwritten.
//! 3. *Settling*: other nodes go on sealing under the old key until theirs expires. When the last
//!    of them has, one more pass catches what they sealed, and the rotation ends, audited.
//!
//! The transactions of a rotation never wait long for a row that another holds: they give way,
//! and the last pass comes back to it. So a rotation is in nobody's way and in no deadlock.

mod column;
mod run;

use crate::{Keyring, Vault, VaultError};
use causeway_store::{Audit, db};
use causeway_types::entity::{KeyRotation, RotationState};
use causeway_types::{Actor, RotationId, Timestamp, WorkspaceId};
use run::Run;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than a key's lifetime somebody may take between sealing a value and storing
/// it.
const GRACE: Duration = Duration::from_secs(30);

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotationProgress {
    /// Records sealed again.
    pub done: i64,
    /// Records that there were at the start.
    pub total: i64,
    /// Records a second, since this run began.
    pub per_second: f64,
}

/// Where a run of a rotation left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationOutcome {
    /// No record is left under an old key, but for those that do not open.
    Finished {
        /// Records sealed again.
        records: i64,
        /// Records that did not open and were left as they are; the log names them.
        unopened: u64,
    },
    /// Every record was sealed again. Another run after this moment looks for what other nodes
    /// sealed under the old key meanwhile, and ends the rotation.
    Settling {
        /// The moment when the last of their keys has expired.
        until: Timestamp,
    },
}

impl Vault {
    /// Begins a rotation: from here on this node seals under a new key.
    pub async fn start_rotation(
        &self,
        workspace: WorkspaceId,
        actor: Actor,
    ) -> Result<KeyRotation, VaultError> {
        if self.rotation(workspace).await?.is_some_and(|last| last.state == RotationState::Running)
        {
            return Err(VaultError::RotationActive(workspace));
        }
        let now = self.now();
        let key = self.new_data_key(workspace, now).await?;
        let mut tx = self.store().write(actor).await?;
        if db!(tx, data_key::retire(workspace))? == 0 {
            // Either somebody else began a rotation just now, or there never was a key.
            let raced = db!(tx, data_key::newest_rotation(workspace))?
                .is_some_and(|last| last.state == RotationState::Running);
            return Err(if raced {
                VaultError::RotationActive(workspace)
            } else {
                VaultError::NoDataKey(workspace)
            });
        }
        db!(tx, data_key::insert(&key)).map_err(|error| lost_race(workspace, error))?;
        let rotation = KeyRotation {
            id: RotationId::generate(now, self.random()),
            workspace_id: workspace,
            data_key_id: key.id,
            state: RotationState::Running,
            at_kind: String::new(),
            at_record: String::new(),
            done: 0,
            total: db!(tx, reseal::count(workspace, &key.id.to_bytes()))?,
            started_at: now,
            updated_at: now,
            finished_at: None,
        };
        db!(tx, data_key::insert_rotation(&rotation))
            .map_err(|error| lost_race(workspace, error))?;
        let event = Audit::RotationStarted { rotation: rotation.id, key: key.id };
        tx.commit(workspace, now, event).await?;
        self.forget(workspace);
        Ok(rotation)
    }

    /// The workspace's newest rotation, if there was one.
    pub async fn rotation(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<KeyRotation>, VaultError> {
        let mut conn = self.store().read().await?;
        Ok(db!(conn, data_key::newest_rotation(workspace))?)
    }

    /// Works on a rotation until it has ended or has to settle. May be dropped at any moment and
    /// run again, also by another node, also by two at once.
    pub async fn run_rotation(
        &self,
        workspace: WorkspaceId,
        id: RotationId,
        actor: Actor,
        on_progress: &mut (dyn FnMut(RotationProgress) + Send + Sync),
    ) -> Result<RotationOutcome, VaultError> {
        let rotation = self.find(workspace, id).await?;
        if rotation.state == RotationState::Done {
            return Ok(RotationOutcome::Finished { records: rotation.done, unopened: 0 });
        }
        let until = self.settled_at(&rotation);
        let passed = rotation.is_settling();
        let ring = self.ring_of(&rotation).await?;
        let mut run = Run::new(self, ring, rotation, actor, on_progress);
        if !passed {
            run.first_pass().await?;
        }
        if self.now() < until {
            return Ok(RotationOutcome::Settling { until });
        }
        run.last_pass().await
    }

    /// Works on every unfinished rotation: at the start of a server, and every minute or so.
    /// A rotation that fails does not keep the others back; the first failure is returned.
    pub async fn resume_rotations(
        &self,
        actor: Actor,
    ) -> Result<Vec<(RotationId, RotationOutcome)>, VaultError> {
        let mut conn = self.store().read().await?;
        let running = db!(conn, data_key::running_rotations())?;
        drop(conn);
        let (mut outcomes, mut failure) = (Vec::new(), None);
        for rotation in running {
            let mut unseen = |_| {};
            let run = self.run_rotation(rotation.workspace_id, rotation.id, actor, &mut unseen);
            match Box::pin(run).await {
                Ok(outcome) => outcomes.push((rotation.id, outcome)),
                Err(error) => {
                    let chain: &dyn std::error::Error = &error;
                    tracing::warn!(
                        rotation.id = %rotation.id,
                        error = chain,
                        "a key rotation did not end; it will be taken up again"
                    );
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(outcomes), Err)
    }

    async fn find(
        &self,
        workspace: WorkspaceId,
        id: RotationId,
    ) -> Result<KeyRotation, VaultError> {
        let mut conn = self.store().read().await?;
        db!(conn, data_key::rotation(workspace, id))?.ok_or(VaultError::UnknownRotation(id))
    }

    /// The workspace's keys, loaded again if those in memory are from before the rotation.
    async fn ring_of(&self, rotation: &KeyRotation) -> Result<Arc<Keyring>, VaultError> {
        let ring = self.keyring(rotation.workspace_id).await?;
        if ring.active() == rotation.data_key_id {
            return Ok(ring);
        }
        self.forget(rotation.workspace_id);
        self.keyring(rotation.workspace_id).await
    }

    fn settled_at(&self, rotation: &KeyRotation) -> Timestamp {
        let lifetime = self.key_lifetime();
        rotation.started_at.plus(lifetime).plus(lifetime.min(GRACE))
    }
}

/// Two who start at once meet at the indexes that allow one active key and one running rotation.
fn lost_race(workspace: WorkspaceId, error: causeway_store::Error) -> VaultError {
    match error {
        causeway_store::Error::Conflict { .. } => VaultError::RotationActive(workspace),
        other => VaultError::Store(other),
    }
}
