//! The record of placeholders that were sent where they do not belong.

use super::Broker;
use super::find::Sighting;
use causeway_store::Audit;
use causeway_types::{Actor, chain};
use std::sync::atomic::Ordering;

/// Audit events of one step; hostile code must not fill the chain.
const MOST: usize = 10;

impl Broker {
    /// Records a placeholder that was refused: whose it is and where it stood, never what it is.
    pub(super) async fn report(&self, sighting: &Sighting) {
        let Some(link) = self.links.get(sighting.link) else { return };
        tracing::warn!(
            invocation.id = %self.invocation,
            connection.id = %link.connection(),
            host = sighting.host,
            place = %sighting.place,
            "refused a request: the placeholder of a linked account stands where none belongs"
        );
        if self.reported.fetch_add(1, Ordering::Relaxed) >= MOST {
            return;
        }
        if let Err(error) = self.write(sighting).await {
            tracing::error!(
                invocation.id = %self.invocation,
                error = chain(&error),
                "a refused placeholder is not in the audit chain"
            );
        }
    }

    async fn write(&self, sighting: &Sighting) -> causeway_store::Result<()> {
        let Some(link) = self.links.get(sighting.link) else { return Ok(()) };
        let inner = &self.inner;
        let tx = inner.store.write(Actor::Node(inner.node)).await?;
        let event = Audit::PlaceholderRefused {
            invocation: self.invocation,
            step: self.step.clone(),
            connection: link.connection(),
            field: sighting.field(link).to_owned(),
            host: sighting.host.clone(),
            place: sighting.place.to_string(),
        };
        tx.commit(self.tenant.workspace, inner.clock.now(), event).await
    }
}
