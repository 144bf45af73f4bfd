//! What others hear of connections.

use causeway_store::{WriteTx, db};
use causeway_types::Tenant;
use causeway_types::entity::Connection;

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

impl News {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "connection.created",
            Self::NeedsReauth => "connection.needs_reauth",
            Self::Recovered => "connection.recovered",
            Self::Revoked => "connection.revoked",
        }
    }
}

/// Tells of a connection, in the transaction that changes it: the one place from which news of
/// connections go out. `connection` is as it is afterwards.
pub(crate) async fn announce(
    tx: &mut WriteTx,
    tenant: Tenant,
    connection: &Connection,
    news: News,
) -> causeway_store::Result<()> {
    let customer = db!(tx, customer::get(tenant, connection.customer_id))?;
    tracing::info!(
        event = news.name(),
        connection = %connection.id,
        app = %connection.app,
        name = %connection.name,
        customer = customer.as_ref().map(|customer| customer.external_id.as_str()),
        reason = connection.state_reason.as_deref(),
        "a connection changed"
    );
    Ok(())
}
