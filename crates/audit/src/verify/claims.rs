//! What is claimed about a chain: the database's checkpoints and those kept elsewhere, in the order
//! of their rows.

use super::{Chain, Stop};
use crate::statement::Unproven;
use crate::{Broken, Checkpoint, PAGE};
use causeway_identity::OwnKeys;
use causeway_store::db;
use std::collections::VecDeque;

/// A checkpoint that a walk compares.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    /// Whether it comes from elsewhere.
    pub(super) kept: bool,
    checkpoint: Checkpoint,
}

impl Claim {
    pub(super) fn of(checkpoint: Checkpoint, kept: bool) -> Self {
        let hash = checkpoint.hash_bytes().unwrap_or_default();
        Self { seq: checkpoint.seq, hash, kept, checkpoint }
    }

    /// Whether the installation signed it.
    pub(super) fn check(&self, keys: &OwnKeys) -> Result<(), Broken> {
        let (seq, kept) = (self.seq, self.kept);
        self.checkpoint.check(keys).map_err(|unproven| match unproven {
            Unproven::Signature => Broken::Signature { seq, kept },
            Unproven::Key(key) => Broken::Key { seq, key, kept },
        })
    }
}

/// Claims in the order of their rows; of one row, the database's comes first.
pub(super) struct Claims<'a> {
    chain: Chain<'a>,
    kept: VecDeque<Claim>,
    stored: VecDeque<Claim>,
    /// The last row whose stored checkpoint was read; None once there are no more.
    after: Option<i64>,
}

impl<'a> Claims<'a> {
    pub(super) fn new(chain: Chain<'a>, kept: &[Checkpoint]) -> Self {
        let mut kept: Vec<Claim> = kept
            .iter()
            .filter(|one| one.workspace_id == chain.workspace)
            .map(|one| Claim::of(one.clone(), true))
            .collect();
        kept.sort_by_key(|claim| claim.seq);
        Self { chain, kept: kept.into(), stored: VecDeque::new(), after: Some(i64::MIN) }
    }

    /// The next claim, if its row is not after this one.
    pub(super) async fn take_through(&mut self, seq: i64) -> Result<Option<Claim>, Stop> {
        if self.stored.is_empty() {
            self.read().await?;
        }
        let stored = self.stored.front().map(|claim| claim.seq);
        let kept = self.kept.front().map(|claim| claim.seq);
        let from_stored = match (stored, kept) {
            (Some(stored), Some(kept)) => stored <= kept,
            (stored, _) => stored.is_some(),
        };
        let next = if from_stored { &mut self.stored } else { &mut self.kept };
        if next.front().is_none_or(|claim| claim.seq > seq) {
            return Ok(None);
        }
        Ok(next.pop_front())
    }

    async fn read(&mut self) -> Result<(), Stop> {
        let Some(after) = self.after else { return Ok(()) };
        let mut conn = self.chain.store.read().await?;
        let page = db!(conn, audit::checkpoints(self.chain.workspace, after, PAGE))?;
        self.after = page.last().map(|one| one.seq);
        self.stored = page.into_iter().map(|one| Claim::of(one.into(), false)).collect();
        Ok(())
    }
}
