//! What others hear of connections: the webhooks that tell of their changes.

use crate::Inner;
use causeway_store::{WriteTx, db};
use causeway_types::entity::Connection;
use causeway_types::{Code, Coded, Tenant, Timestamp};
use causeway_vault::VaultError;
use causeway_webhooks::{ConnectionSubject, EnqueueError, Event, Outbox, Report};
use std::borrow::Cow;

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// A customer has connected an account.
    Created,
    /// It works no more until its customer connects again.
    NeedsReauth,
    /// It needed its customer, or failed, and works again.
    Recovered,
    /// It was given up.
    Revoked,
}

/// A change of a connection cannot be told, and is not made then.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// The keys that seal what is told cannot be had.
    #[error("fetching the keys for news of a connection")]
    Keys(#[source] VaultError),
    /// The webhook could not be made.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// The store failed.
    #[error("reading whose connection has changed")]
    Store(#[from] causeway_store::Error),
}

impl Coded for NewsError {
    fn code(&self) -> Code {
        match self {
            Self::Keys(source) => source.code(),
            Self::Enqueue(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Keys(source) => source.public(),
            Self::Enqueue(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// Tells of the connections of one environment: the one place from which news of them go out.
/// Made before a transaction begins, because it holds keys that may have to be fetched.
pub(crate) struct Herald {
    tenant: Tenant,
    outbox: Outbox,
}

impl Inner {
    /// Who tells of an environment's connections, in one transaction that is about to begin.
    pub(crate) async fn herald(&self, tenant: Tenant) -> Result<Herald, NewsError> {
        let outbox = self.webhooks.outbox(tenant.workspace).await.map_err(NewsError::Keys)?;
        Ok(Herald { tenant, outbox })
    }
}

impl Herald {
    /// The environment.
    pub(crate) fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// Reports how a connect session came out, in the same way.
    pub(crate) async fn report(
        &self,
        tx: &mut WriteTx,
        report: &Report,
        now: Timestamp,
    ) -> Result<(), NewsError> {
        Ok(self.outbox.report(tx, self.tenant, report, now).await?)
    }

    /// Tells of a connection in the transaction that changes it: after the changes, and before its
    /// first audit event. `connection` is as it is afterwards.
    pub(crate) async fn announce(
        &self,
        tx: &mut WriteTx,
        connection: &Connection,
        news: News,
        now: Timestamp,
    ) -> Result<(), NewsError> {
        let customer = db!(tx, customer::get(self.tenant, connection.customer_id))?;
        let event = news.of(
            ConnectionSubject {
                id: connection.id,
                name: connection.name.clone(),
                app: connection.app.clone(),
                customer_id: connection.customer_id,
                // The row of a connection refers to its customer's.
                customer: customer.map(|customer| customer.external_id).unwrap_or_default(),
            },
            connection.state_reason.as_deref(),
        );
        tracing::info!(
            event = %event.kind(),
            connection = %connection.id,
            app = %connection.app,
            name = %connection.name,
            reason = connection.state_reason.as_deref(),
            "a connection changes"
        );
        Ok(self.outbox.enqueue(tx, self.tenant, &event, now).await?)
    }
}

impl News {
    fn of(self, connection: ConnectionSubject, reason: Option<&str>) -> Event {
        match self {
            Self::Created => Event::ConnectionCreated(connection),
            Self::NeedsReauth => Event::ConnectionNeedsReauth {
                connection,
                reason: reason.unwrap_or_default().to_owned(),
            },
            Self::Recovered => Event::ConnectionRecovered(connection),
            Self::Revoked => Event::ConnectionRevoked(connection),
        }
    }
}
