//! Connect sessions: what the company asks for when a customer shall connect an app.

use crate::create::have_customer;
use crate::error::InvalidInput;
use crate::{Connect, limits};
use causeway_identity::token::{Link, Plain};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{ConnectSession, Connection, ConnectionState};
use causeway_types::{
    Code, Coded, ConnectSessionId, ConnectionId, CustomerId, SecretString, Tenant, Timestamp,
};
use std::borrow::Cow;
use std::time::Duration;

/// How long a link works if nothing else is said.
const LIFETIME: Duration = Duration::from_mins(30);
/// The shortest and longest time that may be asked for.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_mins(1)..=Duration::from_hours(24);

/// What a customer shall connect.
#[derive(Debug, Clone, Default)]
pub struct NewSession {
    /// The company's own id for the customer; made if it is new.
    pub customer: String,
    /// The app's slug.
    pub app: String,
    /// The name that the connection gets; made up if `None`.
    pub name: Option<String>,
    /// Where the customer is sent afterwards.
    pub return_url: Option<String>,
    /// The connection to renew instead of making another. Its customer and app must be those
    /// named here.
    pub reconnect: Option<ConnectionId>,
    /// How long the link works: a minute to a day; 30 minutes if `None`.
    pub lifetime: Option<Duration>,
}

/// A session that was made. The token is nowhere else.
pub struct SessionCreated {
    /// The session.
    pub id: ConnectSessionId,
    /// The token of its link: `cwl_…`, good for one connection in one browser.
    pub token: SecretString,
    /// When the link stops working.
    pub expires_at: Timestamp,
}

/// How a session is.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The session.
    pub id: ConnectSessionId,
    /// The app's slug.
    pub app: String,
    /// The name that the connection gets or got.
    pub name: String,
    /// When the link stops working.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub used_at: Option<Timestamp>,
    /// The connection that came of it.
    pub connection: Option<ConnectionId>,
}

/// A connect session cannot be made or shown.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The catalogue has no such app.
    #[error("making a connect session: unknown app")]
    UnknownApp,
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The app connects by OAuth only, and the company has set no client for it.
    #[error("making a connect session for {app} without an OAuth client")]
    MissingOAuthClient {
        /// The app's slug.
        app: String,
    },
    /// The name is taken.
    #[error("naming a connection `{name}`, which is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no such connection of this customer at this app.
    #[error("finding the connection to renew")]
    UnknownConnection,
    /// There is no such session.
    #[error("finding the connect session")]
    Unknown,
    /// The store failed.
    #[error("writing the connect session")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SessionError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownApp => Code::UnknownApp,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::MissingOAuthClient { .. } => Code::MissingOAuthClient,
            Self::NameTaken { .. } => Code::ConnectionNameTaken,
            Self::UnknownConnection | Self::Unknown => Code::NotFound,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownApp => {
                "The catalogue has no app of this slug. `GET /api/v1/apps` lists them.".into()
            }
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::MissingOAuthClient { app } => format!(
                "`{app}` connects by OAuth, and no OAuth client is set for it in this environment. Make one at the app and set it with `PUT /api/v1/oauth-clients`."
            )
            .into(),
            Self::NameTaken { name } => format!(
                "Another connection of this environment is called `{name}`. Choose another name, or renew that connection with `reconnect_id`."
            )
            .into(),
            Self::UnknownConnection => {
                "The connection to renew does not exist, or is not this customer's at this app.".into()
            }
            Self::Unknown => "There is no such connect session in this environment.".into(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// Makes a session, and its customer if there is none of this id.
    pub async fn create_session(
        &self,
        permit: &Permit<action::WriteConnections>,
        new: NewSession,
    ) -> Result<SessionCreated, SessionError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let app = inner.catalog.get(&new.app).ok_or(SessionError::UnknownApp)?;
        permit.covers_app(&new.app)?;
        let lifetime = check(&new)?;
        let now = inner.clock.now();
        let customer = inner.new_customer(tenant, &new.customer, now);
        let token = Plain::<Link>::generate(&*inner.random);

        let mut tx = inner.store.write(permit.actor()).await?;
        let only_oauth = app.auth.api_key.is_none() && app.auth.basic.is_none();
        if only_oauth && db!(tx, connection::oauth_client(tenant, &new.app))?.is_none() {
            return Err(SessionError::MissingOAuthClient { app: new.app });
        }
        let customer_id = have_customer(&mut tx, tenant, &customer).await?;
        let connection_name = if let Some(id) = new.reconnect {
            let present = db!(tx, connection::get(tenant, id))?;
            renewable(present, customer_id, &new.app).ok_or(SessionError::UnknownConnection)?
        } else {
            let name = new.name.unwrap_or_else(|| inner.made_up_name(&new.app, now));
            limits::connection_name(&name)?;
            if db!(tx, connection::by_name(tenant, &name))?.is_some() {
                return Err(SessionError::NameTaken { name });
            }
            name
        };
        let session = ConnectSession {
            id: ConnectSessionId::generate(now, &*inner.random),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            customer_id,
            app: new.app.clone(),
            connection_name,
            reconnect_id: new.reconnect,
            token_digest: token.digest().to_vec(),
            browser_digest: None,
            return_url: new.return_url,
            expires_at: now.plus(lifetime),
            used_at: None,
            connection_id: None,
            created_at: now,
        };
        db!(tx, connect_session::insert(&session))?;
        let event = Audit::ConnectSessionCreated {
            session: session.id,
            customer: customer_id,
            app: new.app,
        };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(SessionCreated { id: session.id, token: token.reveal(), expires_at: session.expires_at })
    }

    /// How a session is: what a program asks that waits for its customer.
    pub async fn session(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectSessionId,
    ) -> Result<SessionView, SessionError> {
        let mut conn = self.inner.store.read().await?;
        let session = db!(conn, connect_session::get_in(permit.tenant(), id))?
            .filter(|session| permit.shows_app(&session.app))
            .ok_or(SessionError::Unknown)?;
        Ok(SessionView {
            id: session.id,
            app: session.app,
            name: session.connection_name,
            expires_at: session.expires_at,
            used_at: session.used_at,
            connection: session.connection_id,
        })
    }
}

fn check(new: &NewSession) -> Result<Duration, InvalidInput> {
    limits::external_id(&new.customer)?;
    if let Some(url) = &new.return_url {
        limits::return_url(url)?;
    }
    if new.reconnect.is_some() && new.name.is_some() {
        return Err(InvalidInput::new(
            "name",
            "a connection that is renewed keeps its name; send either `name` or `reconnect_id`",
        ));
    }
    let lifetime = new.lifetime.unwrap_or(LIFETIME);
    if !LIFETIMES.contains(&lifetime) {
        return Err(InvalidInput::new("expires_in", "a link works for 60 to 86,400 seconds"));
    }
    Ok(lifetime)
}

/// The name of a connection that this customer may renew at this app.
fn renewable(present: Option<Connection>, customer: CustomerId, app: &str) -> Option<String> {
    present
        .filter(|one| one.customer_id == customer && one.app == app)
        .filter(|one| one.state != ConnectionState::Revoked)
        .map(|one| one.name)
}

/// The environment that a session is in.
pub(crate) fn tenant_of(session: &ConnectSession) -> Tenant {
    Tenant {
        workspace: session.workspace_id,
        project: session.project_id,
        environment: session.environment_id,
    }
}
