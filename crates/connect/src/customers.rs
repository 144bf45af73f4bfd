//! Customers: listing and deleting them.

use crate::connections::{ConnectionError, Ending};
use crate::listing::{Listed, Window, window};
use crate::{Connect, Inner};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::Customer;
use causeway_types::{Actor, Code, Coded, ConnectionId, CustomerId, Tenant};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Connections of one customer that are ended at once.
const AT_ONCE: usize = 8;

/// A customer cannot be listed or deleted, or the connections to an app cannot be.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// There is no such customer in this environment.
    #[error("finding the customer")]
    Unknown,
    /// The caller is confined to some apps, and a customer may have connected any.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A connection of his could not be ended yet.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Another connection of his was made meanwhile.
    #[error("deleting a customer who connects at the same time")]
    Busy,
    /// The store failed.
    #[error("reading or writing customers")]
    Store(#[from] causeway_store::Error),
}

impl Coded for CustomerError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Denied(source) => source.code(),
            Self::Connection(source) => source.code(),
            Self::Busy => Code::StoreUnavailable,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no such customer in this environment.".into(),
            Self::Denied(source) => source.public(),
            Self::Connection(source) => source.public(),
            Self::Busy => {
                "The customer connects an app at this moment. Delete the customer again in a few seconds.".into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// A window of the environment's customers.
    ///
    /// # Errors
    /// [`CustomerError::Store`].
    pub async fn customers(
        &self,
        permit: &Permit<action::ReadConnections>,
        window: Window<CustomerId>,
    ) -> Result<Listed<Customer>, CustomerError> {
        let tenant = permit.tenant();
        let mut conn = self.inner.store.read().await?;
        let lowest = CustomerId::lowest();
        let items = window!(conn, window, lowest, customer::[page_after, page_before](tenant))?;
        let total = db!(conn, customer::count(tenant))?;
        Ok(Listed { items, total })
    }

    /// Deletes a customer for good: his links, his connections, which are given back at their apps,
    /// and his record. A process that dies at it leaves a customer whose connections nobody can
    /// use; the same call goes on.
    ///
    /// # Errors
    /// [`CustomerError`].
    pub async fn delete_customer(
        &self,
        permit: &Permit<action::WriteConnections>,
        external_id: &str,
    ) -> Result<(), CustomerError> {
        permit.covers_every_app()?;
        let (inner, tenant, actor) = (&self.inner, permit.tenant(), permit.actor());
        let mut conn = inner.store.read().await?;
        let customer = db!(conn, customer::by_external_id(tenant, external_id))?
            .ok_or(CustomerError::Unknown)?;
        drop(conn);
        let connections = inner.shut_out(tenant, actor, customer.id).await?;
        // Not cut off if the caller goes away.
        let own = Arc::clone(inner);
        let task = inner.tasks.spawn(async move {
            own.end_all(tenant, actor, &connections).await?;
            own.forget(tenant, actor, customer.id, connections.len()).await
        });
        let stopped =
            |_| CustomerError::Connection(ConnectionError::Stopped(ConnectionId::lowest()));
        task.await.map_err(stopped)?
    }
}

impl Inner {
    /// Ends a customer's sessions and gives all his connections up, in one transaction.
    async fn shut_out(
        &self,
        tenant: Tenant,
        actor: Actor,
        id: CustomerId,
    ) -> Result<Vec<ConnectionId>, CustomerError> {
        let herald = self.herald(tenant).await.map_err(ConnectionError::News)?;
        let mut tx = self.store.write(actor).await?;
        db!(tx, customer::delete_sessions(tenant, id))?;
        let connections = db!(tx, customer::connections(tenant, id))?;
        // Without any, only sessions end here; the end of the customer is written down below.
        self.give_up(tx, &herald, &connections).await?;
        Ok(connections)
    }

    /// Ends connections that were given up. The first that cannot be ended yet is told; the others
    /// are ended all the same.
    async fn end_all(
        self: &Arc<Self>,
        tenant: Tenant,
        actor: Actor,
        connections: &[ConnectionId],
    ) -> Result<(), CustomerError> {
        let mut running = JoinSet::new();
        let mut ended = Ok(());
        for id in connections.iter().copied() {
            if running.len() >= AT_ONCE {
                ended = ended.and(outcome(running.join_next().await, id));
            }
            let own = Arc::clone(self);
            running.spawn(async move { own.end(tenant, actor, id, Ending::Delete).await });
        }
        while let Some(done) = running.join_next().await {
            ended = ended.and(outcome(Some(done), ConnectionId::lowest()));
        }
        ended
    }

    /// Deletes the record of a customer who has nothing any more.
    async fn forget(
        &self,
        tenant: Tenant,
        actor: Actor,
        id: CustomerId,
        connections: usize,
    ) -> Result<(), CustomerError> {
        let now = self.clock.now();
        let mut tx = self.store.write(actor).await?;
        db!(tx, customer::delete_sessions(tenant, id))?;
        let deleted = db!(tx, customer::delete(tenant, id)).map_err(|error| match error {
            causeway_store::Error::Conflict { .. } => CustomerError::Busy,
            other => other.into(),
        })?;
        if !deleted {
            // Somebody else was quicker.
            return Ok(());
        }
        let event = Audit::CustomerDeleted { customer: id, connections };
        Ok(tx.commit(tenant.workspace, now, event).await?)
    }
}

fn outcome(
    done: Option<Result<Result<(), ConnectionError>, tokio::task::JoinError>>,
    id: ConnectionId,
) -> Result<(), CustomerError> {
    match done {
        None => Ok(()),
        Some(Ok(ended)) => Ok(ended?),
        Some(Err(_)) => Err(ConnectionError::Stopped(id).into()),
    }
}
