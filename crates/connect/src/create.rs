//! Making a connection, or giving one a new credential, in one transaction.

use crate::apply::{Values, needs_client};
use crate::client::Client;
use crate::credential::Stored;
use crate::error::InvalidInput;
use crate::mint::MintError;
use crate::news::{Herald, News, NewsError};
use crate::refresh::pace;
use crate::verify::{Account, VerifyError};
use crate::{Connect, Inner, form, limits};
use causeway_catalog::App;
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Connection, ConnectionOverview, ConnectionState, Customer, Scheme};
use causeway_types::place::Sealed;
use causeway_types::{
    Code, Coded, ConnectionId, CustomerId, OAuthClientId, Place, SecretString, Tenant, Timestamp,
};
use causeway_vault::VaultError;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A connection from what the company holds already, made without a link: keys, a client, an
/// account's user name and password, or nothing.
pub struct NewConnection {
    /// The company's own id for the customer; made if it is new.
    pub customer: String,
    /// The app's slug.
    pub app: String,
    /// The connection's name; made up if `None`.
    pub name: Option<String>,
    /// One for which the customer types something or nothing: not those that lead through the
    /// app's own pages.
    pub scheme: Scheme,
    /// The fields that the app and the scheme ask for: those of the app's row, or `username` and
    /// `password`.
    pub fields: BTreeMap<String, SecretString>,
}

/// A connection cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The catalogue has no such app.
    #[error("making a connection: unknown app")]
    UnknownApp,
    /// The app does not offer this way to connect.
    #[error("making a connection to {app} by {scheme}")]
    UnsupportedScheme {
        /// The app's slug.
        app: String,
        /// What was asked for.
        scheme: Scheme,
    },
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The name is taken.
    #[error("naming a connection `{name}`, which is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The connection to renew is gone.
    #[error("renewing {0}, which is gone")]
    Gone(ConnectionId),
    /// The session was used up meanwhile.
    #[error("using up the connect session")]
    SessionUsed,
    /// The app gives no token for the credential.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The app does not take the credential.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Nobody could be told of it.
    #[error(transparent)]
    News(#[from] NewsError),
    /// The credential could not be sealed.
    #[error("sealing the credential")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("writing the connection")]
    Store(#[from] causeway_store::Error),
}

impl Coded for CreateError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownApp => Code::UnknownApp,
            Self::UnsupportedScheme { .. } => Code::UnsupportedScheme,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::NameTaken { .. } => Code::ConnectionNameTaken,
            Self::Gone(_) => Code::NotFound,
            Self::SessionUsed => Code::ConnectLinkSpent,
            Self::Mint(source) => source.code(),
            Self::Verify(source) => source.code(),
            Self::News(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownApp => {
                "The catalogue has no app of this slug. `GET /api/v1/apps` lists them.".into()
            }
            Self::UnsupportedScheme { app, scheme } if needs_browser(*scheme) => format!(
                "A connection to `{app}` by `{scheme}` needs its customer: make a connect session and send them its link."
            )
            .into(),
            Self::UnsupportedScheme { app, scheme } => {
                format!("`{app}` cannot be connected by `{scheme}`. `GET /api/v1/apps` shows how it can.").into()
            }
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::NameTaken { name } => format!(
                "Another connection of this environment is called `{name}`. Choose another name, or renew that connection with `reconnect_id`."
            )
            .into(),
            Self::Gone(id) => format!("The connection {id} has been deleted meanwhile.").into(),
            Self::SessionUsed => "This link has been used. Ask for a new one.".into(),
            Self::Mint(source) => source.public(),
            Self::Verify(source) => source.public(),
            Self::News(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// A credential that has been verified, on its way into the store.
pub(crate) struct Verified {
    pub(crate) scheme: Scheme,
    pub(crate) oauth_client: Option<OAuthClientId>,
    pub(crate) stored: Stored,
    pub(crate) scopes: String,
    pub(crate) account: Account,
}

/// Where it goes.
pub(crate) enum Target {
    New { customer: CustomerId, app: String, name: String },
    Renew(ConnectionId),
}

/// A credential that is sealed for its connection, ready to be written.
pub(crate) struct Prepared {
    connection: Connection,
    renew: bool,
}

/// A connection that was written in a transaction, before anybody is told of it.
pub(crate) struct Written {
    connection: Connection,
    news: Option<News>,
    audit: Audit,
}

impl Written {
    /// Tells of it, after the transaction's last change. It commits with the event returned.
    pub(crate) async fn announce(
        self,
        tx: &mut WriteTx,
        herald: &Herald,
        now: Timestamp,
    ) -> Result<Audit, NewsError> {
        if let Some(news) = self.news {
            herald.announce(tx, &self.connection, news, now).await?;
        }
        Ok(self.audit)
    }
}

impl Connect {
    /// Makes a connection from a credential that the company holds already. The app is asked
    /// first whether it takes it.
    pub async fn create_connection(
        &self,
        permit: &Permit<action::WriteConnections>,
        new: NewConnection,
    ) -> Result<ConnectionOverview, CreateError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let app = &*inner.catalog.get(&new.app).ok_or(CreateError::UnknownApp)?;
        permit.covers_app(&new.app)?;
        limits::external_id(&new.customer)?;
        let now = inner.clock.now();
        let name = new.name.unwrap_or_else(|| inner.made_up_name(&new.app, now));
        limits::connection_name(&name)?;
        let verified = inner.typed(tenant, app, new.scheme, new.fields).await?;

        let customer = inner.new_customer(tenant, &new.customer, now);
        let target = Target::New { customer: customer.id, app: new.app.clone(), name };
        let mut prepared = inner.prepare(tenant, app, target, verified).await?;
        let herald = inner.herald(tenant).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        prepared.connection.customer_id = have_customer(&mut tx, tenant, &customer).await?;
        let written = inner.write(&mut tx, tenant, &prepared).await?;
        let event = written.announce(&mut tx, &herald, now).await?;
        tx.commit(tenant.workspace, now, event).await?;
        Ok(prepared.overview(new.customer))
    }
}

impl Inner {
    /// Takes what was typed for a scheme, gets a token for it if it has one, and tries it.
    pub(crate) async fn typed(
        &self,
        tenant: Tenant,
        app: &App,
        scheme: Scheme,
        given: BTreeMap<String, SecretString>,
    ) -> Result<Verified, CreateError> {
        let stored = Stored::of_fields(read_fields(app, scheme, given)?);
        let client = self.usual_client(tenant, app, scheme).await?;
        let stored = self.mint(app, scheme, stored, client.as_ref()).await?;
        let values = Values { stored: &stored, client: client.as_ref() };
        let account = self.verify(app, scheme, values).await?;
        Ok(Verified { scheme, oauth_client: None, stored, scopes: String::new(), account })
    }

    /// The company's usual client at an app, if the app's calls need something of it.
    async fn usual_client(
        &self,
        tenant: Tenant,
        app: &App,
        scheme: Scheme,
    ) -> Result<Option<Client>, CreateError> {
        if !needs_client(app, scheme) {
            return Ok(None);
        }
        let mut conn = self.store.read().await?;
        let row = db!(conn, oauth_client::usual(tenant, app.slug.as_str()))?;
        drop(conn);
        match row {
            Some(row) => Ok(Some(self.open_client(&row).await?)),
            None => Ok(None),
        }
    }

    /// The record of a customer, in case that there is none yet.
    pub(crate) fn new_customer(
        &self,
        tenant: Tenant,
        external_id: &str,
        now: Timestamp,
    ) -> Customer {
        Customer {
            id: CustomerId::generate(now, &*self.random),
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            external_id: external_id.to_owned(),
            created_at: now,
        }
    }

    /// A name for a connection that was given none: the app's slug and some random characters.
    pub(crate) fn made_up_name(&self, app: &str, now: Timestamp) -> String {
        let id = ConnectionId::generate(now, &*self.random).to_string();
        let tail = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
        format!("{app}-{tail}")
    }

    /// Seals a credential for its connection, outside of any transaction.
    pub(crate) async fn prepare(
        &self,
        tenant: Tenant,
        row: &App,
        target: Target,
        verified: Verified,
    ) -> Result<Prepared, CreateError> {
        let now = self.clock.now();
        let (id, renew) = match &target {
            Target::New { .. } => (ConnectionId::generate(now, &*self.random), false),
            Target::Renew(id) => (*id, true),
        };
        let place = Place::ConnectionCredential(id);
        let bytes = verified.stored.to_bytes();
        let credential: Sealed = self.vault.seal(tenant.workspace, &place, &bytes).await?;
        let (expires_at, refresh_at) =
            pace::schedule(verified.scheme, &verified.stored, &*self.random);
        let hosts = own_hosts(row, &verified.stored);
        let (customer_id, app, name) = match target {
            Target::New { customer, app, name } => (customer, app, name),
            // Read from the row in the transaction that writes it.
            Target::Renew(_) => (CustomerId::lowest(), String::new(), String::new()),
        };
        let connection = Connection {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            customer_id,
            app,
            name,
            scheme: verified.scheme,
            oauth_client_id: verified.oauth_client,
            state: ConnectionState::Healthy,
            state_reason: None,
            credential,
            scopes: verified.scopes,
            hosts,
            account_id: verified.account.id,
            account_name: verified.account.name,
            policy: None,
            expires_at,
            refresh_at,
            refreshed_at: None,
            used_at: None,
            fence: 0,
            created_at: now,
            updated_at: now,
        };
        Ok(Prepared { connection, renew })
    }

    /// Writes it in the caller's transaction.
    pub(crate) async fn write(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        prepared: &Prepared,
    ) -> Result<Written, CreateError> {
        let new = &prepared.connection;
        if !prepared.renew {
            db!(tx, connection::insert(new)).map_err(|error| match error {
                causeway_store::Error::Conflict { .. } => {
                    CreateError::NameTaken { name: new.name.clone() }
                }
                other => other.into(),
            })?;
            let audit = Audit::ConnectionCreated {
                connection: new.id,
                customer: new.customer_id,
                app: new.app.clone(),
            };
            return Ok(Written { connection: new.clone(), news: Some(News::Created), audit });
        }
        // First, so that no refresh of the old credential can end between here and the commit.
        db!(tx, connection_refresh::supersede(tenant.workspace, new.id))?;
        db!(tx, dialect::hold_connection(tenant, new.id))?;
        let present = db!(tx, connection::get(tenant, new.id))?
            .filter(|present| present.state != ConnectionState::Revoked)
            .ok_or(CreateError::Gone(new.id))?;
        let renewed = Connection {
            fence: present.fence,
            customer_id: present.customer_id,
            app: present.app,
            name: present.name,
            ..new.clone()
        };
        if !db!(tx, connection::update_credential(&renewed))? {
            return Err(CreateError::Gone(new.id));
        }
        let news = (present.state != ConnectionState::Healthy).then_some(News::Recovered);
        let audit = Audit::ConnectionReconnected { connection: new.id };
        Ok(Written { connection: renewed, news, audit })
    }
}

impl Prepared {
    /// Says whose connection it becomes.
    pub(crate) fn belong_to(&mut self, customer: CustomerId) {
        self.connection.customer_id = customer;
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.connection.id
    }

    fn overview(self, customer: String) -> ConnectionOverview {
        let made = self.connection;
        ConnectionOverview {
            id: made.id,
            customer,
            app: made.app,
            name: made.name,
            scheme: made.scheme,
            state: made.state,
            state_reason: made.state_reason,
            scopes: made.scopes,
            account_id: made.account_id,
            account_name: made.account_name,
            policy: made.policy,
            expires_at: made.expires_at,
            refresh_at: made.refresh_at,
            refreshed_at: made.refreshed_at,
            used_at: made.used_at,
            created_at: made.created_at,
            updated_at: made.updated_at,
        }
    }
}

/// The hosts of this account that may receive its credential, beside those that the row names for
/// everybody.
pub(crate) fn own_hosts(app: &App, stored: &Stored) -> String {
    let own = app.hosts.iter().filter(|host| host.fields().next().is_some());
    let filled = own.filter_map(|host| host.fill(|name| stored.value(name)));
    filled.map(|host| host.to_string()).collect::<Vec<_>>().join(" ")
}

/// Adds the customer unless there is one of this external id, and says which it is.
pub(crate) async fn have_customer(
    tx: &mut WriteTx,
    tenant: Tenant,
    customer: &Customer,
) -> causeway_store::Result<CustomerId> {
    db!(tx, customer::insert(customer))?;
    let found = db!(tx, customer::by_external_id(tenant, &customer.external_id))?;
    Ok(found.map_or(customer.id, |found| found.id))
}

/// Whether a scheme leads the customer through the app's own pages.
fn needs_browser(scheme: Scheme) -> bool {
    use Scheme::{Device, Installation, Mcp, Oauth1, Oauth2};
    matches!(scheme, Oauth2 | Device | Oauth1 | Installation | Mcp)
}

/// Reads what a customer typed for a scheme that asks for no more.
///
/// # Errors
/// The app does not offer the scheme, or it is not one of those; or a field is wrong.
fn read_fields(
    app: &App,
    scheme: Scheme,
    given: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, CreateError> {
    if needs_browser(scheme) || !app.schemes().contains(&scheme.as_str()) {
        return Err(CreateError::UnsupportedScheme { app: app.slug.to_string(), scheme });
    }
    Ok(form::read(app, scheme, given)?)
}
