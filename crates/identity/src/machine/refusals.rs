//! Refused proofs of machine clients go into their workspace's audit chain. A client's id is no
//! secret, so anybody can cause refusals: of one client and reason, one a minute is written.

use super::{Inner, grant::GrantError};
use causeway_store::Audit;
use causeway_types::entity::MachineClient;
use causeway_types::{Actor, MachineClientId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often the same refusal is written.
const EVERY: Duration = Duration::from_mins(1);
/// Refusals remembered at most.
const REMEMBERED: usize = 1000;

/// When which refusal was written last.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    written: Mutex<HashMap<(MachineClientId, &'static str), Timestamp>>,
}

impl Refusals {
    fn is_due(&self, client: MachineClientId, reason: &'static str, now: Timestamp) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&(client, reason)).is_some_and(|last| now.since(*last) < EVERY) {
            return false;
        }
        if written.len() >= REMEMBERED {
            written.retain(|_, last| now.since(*last) < EVERY);
        }
        if written.len() >= REMEMBERED {
            written.clear();
        }
        written.insert((client, reason), now);
        true
    }
}

impl Inner {
    /// Writes a refusal down, if it was not written a moment ago.
    pub(super) async fn refuse(
        &self,
        client: &MachineClient,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<(), GrantError> {
        if !self.refusals.is_due(client.id, reason, now) {
            return Ok(());
        }
        let tx = self.store.write(Actor::Anonymous).await?;
        let event =
            Audit::MachineAuthenticationRefused { client: client.id, reason: reason.to_owned() };
        Ok(tx.commit(client.workspace_id, now, event).await?)
    }
}
