//! The lease on a connection's refresh.

use super::{LOOK_EVERY, PATIENCE};
use crate::Inner;
use crate::token_endpoint::TOKEN_TIMEOUT;
use causeway_store::{Bookkeeping, WriteTx, db};
use causeway_types::entity::{Connection, ConnectionRefresh};
use causeway_types::{Actor, ConnectionId, Tenant};
use std::time::Duration;
use tokio::time::Instant;

/// How long a lease holds: longer than a token request can take, and than what is done before
/// and after it.
pub(crate) const LEASE: Duration = TOKEN_TIMEOUT.saturating_add(Duration::from_secs(15));

/// What came of reaching for a lease.
pub(crate) enum Taken {
    /// It is held here. The connection was read under it.
    Lease(ConnectionRefresh, Box<Connection>),
    /// Another node holds it.
    Held,
    /// There is no such connection.
    Gone,
}

impl Inner {
    /// Takes the lease in the caller's transaction, if nobody holds it.
    pub(crate) async fn take_lease(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        id: ConnectionId,
    ) -> causeway_store::Result<Taken> {
        let (workspace, now) = (tenant.workspace, self.clock.now());
        // Before the lease, because its row refers to the connection, which another node may be
        // deleting.
        if !db!(tx, dialect::keep_connection(tenant, id))? {
            return Ok(Taken::Gone);
        }
        let until = now.plus(LEASE);
        let Some(lease) =
            db!(tx, connection_refresh::take_lease(workspace, id, self.node, now, until))?
        else {
            return Ok(Taken::Held);
        };
        // After the lease: whoever held it may have written new tokens while this one waited.
        match db!(tx, connection::get(tenant, id))? {
            Some(connection) => Ok(Taken::Lease(lease, Box::new(connection))),
            None => Ok(Taken::Gone),
        }
    }

    /// Takes the lease, waiting a bounded time for another node to end its refresh.
    pub(crate) async fn take_lease_in_time(
        &self,
        tenant: Tenant,
        id: ConnectionId,
    ) -> causeway_store::Result<Taken> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let mut tx = self.store.write(Actor::Node(self.node)).await?;
            let taken = self.take_lease(&mut tx, tenant, id).await?;
            match taken {
                Taken::Held if Instant::now() < give_up => {
                    drop(tx);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                taken => {
                    tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
                    return Ok(taken);
                }
            }
        }
    }
}
