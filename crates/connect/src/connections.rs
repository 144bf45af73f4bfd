//! Listing, showing and deleting connections.

use crate::apply::Values;
use crate::flow::mcp;
use crate::news::{News, NewsError};
use crate::refresh::Purpose;
use crate::refresh::lease::Taken;
use crate::revoke::Revocation;
use crate::{Connect, Inner, Page};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{
    Connection, ConnectionFilter, ConnectionOverview, ConnectionState, RefreshPhase,
    RevocationOutcome, Scheme,
};
use causeway_types::{Actor, Code, Coded, ConnectionId, Tenant};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// When the background goes on with a deletion that whoever began it has not ended.
const TAKEN_UP_AFTER: Duration = Duration::from_mins(2);

/// What becomes of a connection whose app does not confirm that the grant has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its record is deleted all the same: whoever deletes one wants it gone.
    Delete,
    /// It stays, revoked, so that the app can be asked again.
    Contain,
}

/// A connection cannot be listed, shown or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// There is no such connection in this environment.
    #[error("finding the connection")]
    Unknown,
    /// A refresh under way on another node does not end; the background deletes it afterwards.
    #[error("deleting {0} during a refresh on another node")]
    Busy(ConnectionId),
    /// The process is ending; another node or the next start goes on.
    #[error("deleting {0} while the process ends")]
    Stopped(ConnectionId),
    /// Nobody could be told of it, so that it was left as it is.
    #[error(transparent)]
    News(#[from] NewsError),
    /// The store failed.
    #[error("reading or writing the connection")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ConnectionError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Busy(_) => Code::StoreUnavailable,
            Self::Stopped(_) => Code::ShuttingDown,
            Self::News(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no such connection in this environment.".into(),
            Self::Busy(id) | Self::Stopped(id) => format!(
                "The connection {id} can no longer be used. It is deleted in the background within a few minutes."
            )
            .into(),
            Self::News(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// A page of the environment's connections, newest first, from before `before`. Those being
    /// deleted are among them, as `revoked`. Those to apps that the caller may not touch are left
    /// out, so that a page may have fewer than `limit`.
    pub async fn connections(
        &self,
        permit: &Permit<action::ReadConnections>,
        filter: &ConnectionFilter,
        before: Option<ConnectionId>,
        limit: u16,
    ) -> Result<Page<ConnectionOverview, ConnectionId>, ConnectionError> {
        let before = before.unwrap_or(ConnectionId::highest());
        let more = i64::from(limit) + 1;
        let mut conn = self.inner.store.read().await?;
        let mut items = db!(conn, connection::page(permit.tenant(), filter, before, more))?;
        let full = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if full { items.last().map(|one| one.id) } else { None };
        items.retain(|one| permit.shows_app(&one.app));
        Ok(Page { items, next })
    }

    /// One connection.
    pub async fn connection(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectionId,
    ) -> Result<ConnectionOverview, ConnectionError> {
        let mut conn = self.inner.store.read().await?;
        db!(conn, connection::overview(permit.tenant(), id))?
            .filter(|one| permit.covers_app(&one.app).is_ok())
            .ok_or(ConnectionError::Unknown)
    }

    /// Gives a connection up: nobody can use it from now on, the app is asked to end the grant,
    /// and its record is deleted for good. The audit chain says whether the app did.
    pub async fn delete_connection(
        &self,
        permit: &Permit<action::WriteConnections>,
        id: ConnectionId,
    ) -> Result<(), ConnectionError> {
        let (inner, tenant, actor) = (&self.inner, permit.tenant(), permit.actor());
        let now = inner.clock.now();
        let herald = inner.herald(tenant).await?;
        let mut tx = inner.store.write(actor).await?;
        db!(tx, dialect::hold_connection(tenant, id))?;
        let present = db!(tx, connection::get(tenant, id))?
            .filter(|one| permit.covers_app(&one.app).is_ok())
            .ok_or(ConnectionError::Unknown)?;
        if !db!(tx, connection::mark_revoked(tenant, id, Some(now.plus(TAKEN_UP_AFTER))))? {
            return Err(ConnectionError::Unknown);
        }
        if present.state != ConnectionState::Revoked {
            let revoked =
                Connection { state: ConnectionState::Revoked, state_reason: None, ..present };
            herald.announce(&mut tx, &revoked, News::Revoked, now).await?;
        }
        let event = Audit::ConnectionStateChanged {
            connection: id,
            state: "revoked".into(),
            reason: "deleted".into(),
        };
        tx.commit(tenant.workspace, now, event).await?;
        inner.remembered.forget(tenant, id);
        // Not cut off if the caller goes away.
        let own = Arc::clone(inner);
        let task =
            inner.tasks.spawn(async move { own.end(tenant, actor, id, Ending::Delete).await });
        task.await.map_err(|_| ConnectionError::Stopped(id))?
    }
}

impl Inner {
    /// Ends a connection that is marked as revoked. A refresh under way ends first, so that it
    /// is the newest grant that the app takes back.
    pub(crate) async fn end(
        &self,
        tenant: Tenant,
        actor: Actor,
        id: ConnectionId,
        ending: Ending,
    ) -> Result<(), ConnectionError> {
        let _flight = self.flights.enter(id).await;
        let mut held = None;
        let connection = match self.take_lease_in_time(tenant, id).await? {
            Taken::Lease(lease, connection) if lease.phase == RefreshPhase::Answered => {
                let applied = self.apply_kept(tenant, &lease, *connection).await;
                if let Err(error) = applied {
                    tracing::warn!(connection = %id, error = %error, "revoking the older grant");
                }
                let mut conn = self.store.read().await?;
                let read = db!(conn, connection::get(tenant, id))?;
                read.ok_or(ConnectionError::Unknown)?
            }
            Taken::Lease(lease, connection) => {
                held = Some(lease);
                *connection
            }
            Taken::Held => return Err(ConnectionError::Busy(id)),
            // Another node was quicker.
            Taken::Gone => return Ok(()),
        };
        let outcome = self.give_back(tenant, &connection).await;
        let (settled, reason) = match &outcome {
            Revocation::Done => (RevocationOutcome::Revoked, None),
            Revocation::NotOffered => (RevocationOutcome::NotOffered, None),
            Revocation::Failed(why) => (RevocationOutcome::Failed, Some(why.as_str())),
        };
        let now = self.clock.now();
        let mut tx = self.store.write(actor).await?;
        if let (Ending::Contain, Some(why)) = (ending, reason) {
            if !db!(tx, connection_revocation::settle(tenant, id, settled, reason))? {
                return Ok(());
            }
            // Whoever asks again need not wait for the end of the lease.
            if let Some(lease) = held {
                let (fence, failures) = (lease.fence, lease.failures);
                let workspace = tenant.workspace;
                db!(
                    tx,
                    connection_refresh::settle(workspace, id, fence, lease.unanswered, failures)
                )?;
            }
            let event = Audit::ConnectionNotRevoked {
                connection: id,
                app: connection.app,
                reason: why.to_owned(),
            };
            return Ok(tx.commit(tenant.workspace, now, event).await?);
        }
        if !db!(tx, connection::delete(tenant, id))? {
            return Ok(());
        }
        // After the connection, which whoever marks many locks first too.
        db!(tx, connection_revocation::settle(tenant, id, settled, reason))?;
        let event = Audit::ConnectionDeleted {
            connection: id,
            app: connection.app,
            revoked_upstream: outcome.to_string(),
        };
        tx.commit(tenant.workspace, now, event).await?;
        if ending == Ending::Contain {
            // Whoever contains many does it once for all.
            return Ok(());
        }
        if let Err(error) = self.store.forget_deleted().await {
            // The row is gone; the write-ahead log is overwritten with the next checkpoint.
            tracing::warn!(connection = %id, error = %error, "emptying the write-ahead log");
        }
        Ok(())
    }

    /// Asks the app to end the grant of a connection, if it has one.
    async fn give_back(&self, tenant: Tenant, connection: &Connection) -> Revocation {
        let unreadable = |what: &str| Revocation::Failed(format!("{what} cannot be read"));
        let Some(app) = self.catalog.get(&connection.app) else {
            return Revocation::Failed("the app's row is gone".into());
        };
        let app = &*app;
        if !matches!(connection.scheme, Scheme::Oauth2 | Scheme::Device | Scheme::Mcp) {
            return Revocation::NotOffered;
        }
        let Ok(client) = self.client_of(tenant, connection).await else {
            return unreadable("the OAuth client");
        };
        let Ok(stored) = self.open_stored(tenant, connection, Purpose::Upkeep).await else {
            return unreadable("the credential");
        };
        let row = match connection.scheme {
            Scheme::Mcp => mcp::row_of(&stored).map(Cow::Owned),
            _ => app.auth.oauth2.as_ref().map(Cow::Borrowed),
        };
        match (row, &client) {
            (Some(row), Some(client)) => {
                let values = Values { stored: &stored, client: Some(client) };
                self.revoke(app, &row, client, values).await
            }
            _ => Revocation::NotOffered,
        }
    }
}
