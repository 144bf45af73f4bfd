//! Connections of customers, for the company's programs and for customers themselves: listing them,
//! giving them up, calling apps with them. Making them by key is in [`accounts/create`](create).

mod component;
mod create;

pub use create::{AccountError, NewAccount};

use crate::connections::ConnectionError;
use crate::customers::CustomerError;
use crate::error::CredentialError;
use crate::holder::Holder;
use crate::listing::{Edge, Listed, Window, window};
use crate::news::{Herald, News};
use crate::proxy::{ProxyAnswer, ProxyCall, ProxyError};
use crate::{Connect, Inner};
use causeway_identity::action::{
    Action, CustomerAction, ReadConnections, UseProxy, WriteConnections,
};
use causeway_identity::{Denied, Permit};
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::{AccountFilter, Connection, ConnectionOverview, ConnectionState};
use causeway_types::{Actor, ConnectionId, OAuthClientId, Tenant};

/// The most connections of one customer that are shown without pages.
const OF_CUSTOMER: u16 = 1000;
/// Connections that are given up in one transaction.
const TOGETHER: i64 = 100;

/// On whose connections somebody acts.
pub enum Whose<'a, A: Action<Within = Tenant>> {
    /// All of an environment: a program or a person of the company.
    All(&'a Permit<A>),
    /// His own: the customer who holds a token.
    Own(&'a Holder),
}

/// Which connections to list.
#[derive(Debug, Clone, Default)]
pub struct AccountsOf {
    /// Those of the customer with this external id.
    pub customer: Option<String>,
    /// Those to the app of this slug.
    pub app: Option<String>,
    /// Those that were made with this client of the company's.
    pub oauth_client: Option<OAuthClientId>,
}

impl<'a, A: CustomerAction<Within = Tenant>> Whose<'a, A> {
    /// A holder's own.
    ///
    /// # Errors
    /// [`Denied`] if his token is not for this.
    pub fn own(holder: &'a Holder) -> Result<Self, Denied> {
        holder.covers::<A>()?;
        Ok(Self::Own(holder))
    }

    /// The environment.
    pub fn tenant(&self) -> Tenant {
        match self {
            Self::All(permit) => permit.tenant(),
            Self::Own(holder) => holder.tenant(),
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::All(permit) => permit.actor(),
            Self::Own(holder) => holder.actor(),
        }
    }

    /// Whether what concerns this app belongs into a list.
    pub fn shows_app(&self, slug: &str) -> bool {
        match self {
            Self::All(permit) => permit.shows_app(slug),
            Self::Own(_) => true,
        }
    }

    /// The customer whose connections they are, if there is but one.
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::All(_) => None,
            Self::Own(holder) => Some(holder.customer()),
        }
    }

    /// The permit of whoever it is, for what was seen to be his.
    fn permit(&self) -> Permit<A> {
        match self {
            Self::All(permit) => (*permit).clone(),
            Self::Own(holder) => holder.permit(),
        }
    }
}

impl Connect {
    /// A window of connections. Those that are being deleted are not among them.
    ///
    /// # Errors
    /// [`ConnectionError::Store`].
    pub async fn accounts(
        &self,
        whose: &Whose<'_, ReadConnections>,
        of: &AccountsOf,
        window: Window<ConnectionId>,
    ) -> Result<Listed<ConnectionOverview>, ConnectionError> {
        let (inner, tenant) = (&self.inner, whose.tenant());
        if is_anothers(whose, of.customer.as_deref()) {
            return Ok(Listed { items: Vec::new(), total: 0 });
        }
        let apps = inner.confined_to(|slug| whose.shows_app(slug));
        let filter = AccountFilter {
            customer: whose.customer().or(of.customer.as_deref()),
            app: of.app.as_deref(),
            oauth_client: of.oauth_client,
            apps: apps.as_deref(),
        };
        let mut conn = inner.store.read().await?;
        let lowest = ConnectionId::lowest();
        let items =
            window!(conn, window, lowest, account::[page_after, page_before](tenant, filter))?;
        let total = db!(conn, account::count(tenant, filter))?;
        Ok(Listed { items, total })
    }

    /// The connections of one customer, oldest first: at most 1,000.
    ///
    /// # Errors
    /// [`ConnectionError::Store`].
    pub async fn accounts_of_customer(
        &self,
        whose: &Whose<'_, ReadConnections>,
        customer: &str,
        app: Option<String>,
    ) -> Result<Vec<ConnectionOverview>, ConnectionError> {
        let of = AccountsOf { customer: Some(customer.to_owned()), app, oauth_client: None };
        let window = Window { edge: Edge::Beginning, limit: OF_CUSTOMER };
        Ok(self.accounts(whose, &of, window).await?.items)
    }

    /// One connection.
    ///
    /// # Errors
    /// [`ConnectionError::Unknown`].
    pub async fn account(
        &self,
        whose: &Whose<'_, ReadConnections>,
        id: ConnectionId,
    ) -> Result<ConnectionOverview, ConnectionError> {
        let found = self.inner.account_of(whose, id).await?.ok_or(ConnectionError::Unknown)?;
        if let Whose::All(permit) = whose {
            permit.covers_app(&found.app).map_err(|_| ConnectionError::Unknown)?;
        }
        Ok(found)
    }

    /// Gives a connection up, as [`Connect::delete_connection`] does.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn delete_account(
        &self,
        whose: &Whose<'_, WriteConnections>,
        id: ConnectionId,
    ) -> Result<(), ConnectionError> {
        self.inner.account_of(whose, id).await?.ok_or(ConnectionError::Unknown)?;
        self.delete_connection(&whose.permit(), id).await
    }

    /// Gives all connections to an app up: nobody can use them from now on. The background asks the
    /// app to end the grants and deletes the records. Says how many they were.
    ///
    /// # Errors
    /// [`CustomerError`]. Some may have been given up then; the same call goes on.
    pub async fn delete_accounts_of_app(
        &self,
        permit: &Permit<WriteConnections>,
        app: &str,
    ) -> Result<usize, CustomerError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        permit.covers_app(app)?;
        let mut given_up = 0;
        loop {
            let mut conn = inner.store.read().await?;
            let ids = db!(conn, account::ids_of_app(tenant, app, TOGETHER))?;
            drop(conn);
            if ids.is_empty() {
                return Ok(given_up);
            }
            let herald = inner.herald(tenant).await.map_err(ConnectionError::News)?;
            let tx = inner.store.write(permit.actor()).await?;
            given_up += inner.give_up(tx, &herald, &ids).await?;
        }
    }

    /// Calls an app with a connection's credential. `customer` has to be whose the connection is,
    /// if it is named.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn proxy_account(
        &self,
        whose: &Whose<'_, UseProxy>,
        customer: Option<&str>,
        id: ConnectionId,
        call: ProxyCall,
    ) -> Result<ProxyAnswer, ProxyError> {
        let unknown = || ProxyError::Credential(CredentialError::Unknown);
        let found = self.inner.account_of(whose, id).await?.ok_or_else(unknown)?;
        if customer.is_some_and(|customer| customer != found.customer) {
            return Err(unknown());
        }
        self.proxy(&whose.permit(), &id.to_string(), call).await
    }
}

/// Whether somebody asks for another customer than the one that he is.
fn is_anothers<A: CustomerAction<Within = Tenant>>(
    whose: &Whose<'_, A>,
    customer: Option<&str>,
) -> bool {
    whose.customer().zip(customer).is_some_and(|(own, asked)| own != asked)
}

impl Inner {
    /// A connection, if it is one of those that somebody acts on.
    pub(crate) async fn account_of<A: CustomerAction<Within = Tenant>>(
        &self,
        whose: &Whose<'_, A>,
        id: ConnectionId,
    ) -> causeway_store::Result<Option<ConnectionOverview>> {
        let filter = AccountFilter { customer: whose.customer(), ..AccountFilter::default() };
        let mut conn = self.store.read().await?;
        db!(conn, account::get(whose.tenant(), filter, id))
    }

    /// Gives connections up and commits: nobody uses them from now on, and the background ends them
    /// soon. Says how many had not been given up before.
    pub(crate) async fn give_up(
        &self,
        mut tx: WriteTx,
        herald: &Herald,
        ids: &[ConnectionId],
    ) -> Result<usize, ConnectionError> {
        let (tenant, now) = (herald.tenant(), self.clock.now());
        let mut revoked = Vec::new();
        for id in ids.iter().copied() {
            db!(tx, dialect::hold_connection(tenant, id))?;
            let present = db!(tx, connection::get(tenant, id))?
                .filter(|one| one.state != ConnectionState::Revoked);
            let Some(present) = present else { continue };
            db!(tx, connection::mark_revoked(tenant, id, Some(now)))?;
            revoked.push(Connection {
                state: ConnectionState::Revoked,
                state_reason: None,
                ..present
            });
        }
        // Changes, news, events of the chain: that is the order in which everybody locks.
        for connection in &revoked {
            herald.announce(&mut tx, connection, News::Revoked, now).await?;
        }
        let given_up = revoked.len();
        let event = |one: Connection| Audit::ConnectionStateChanged {
            connection: one.id,
            state: "revoked".into(),
            reason: "deleted".into(),
        };
        match revoked.pop() {
            None => tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?,
            Some(last) => {
                for one in revoked {
                    tx.record(tenant.workspace, now, event(one)).await?;
                }
                tx.commit(tenant.workspace, now, event(last)).await?;
            }
        }
        for id in ids {
            self.remembered.forget(tenant, *id);
        }
        Ok(given_up)
    }
}
