//! Connect sessions: what the company asks for when a customer shall connect an app.

use crate::create::have_customer;
use crate::error::InvalidInput;
use crate::{Connect, Inner, limits, link, settings};
use causeway_catalog::App;
use causeway_identity::token::{Link, Plain};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{ConnectSession, Connection, ConnectionState, OAuthClient};
use causeway_types::{
    Code, Coded, ConnectSessionId, ConnectionId, CustomerId, OAuthClientId, SecretString, Tenant,
    Timestamp,
};
use causeway_vault::VaultError;
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
    /// The app's slug; `None` lets the customer choose.
    pub app: Option<String>,
    /// The name that the connection gets; made up if `None`.
    pub name: Option<String>,
    /// Where the customer is sent afterwards.
    pub return_url: Option<String>,
    /// Where the customer is sent if it did not work; they stay on the page if `None`.
    pub error_url: Option<String>,
    /// Where the outcome is reported to.
    pub webhook_url: Option<String>,
    /// The connection to renew instead of making another. Its customer and app must be those
    /// named here.
    pub reconnect: Option<ConnectionId>,
    /// The company's client to use, by its name or id, if not the app's usual one.
    pub oauth_client: Option<String>,
    /// The set of scopes of the app's row to ask for instead of the usual ones.
    pub scope_profile: Option<String>,
    /// Scopes to ask for beside those.
    pub scopes: Vec<String>,
    /// The origins of the pages that may embed the connect page.
    pub allowed_origins: Vec<String>,
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
    /// The app's slug; `None` if the customer chooses.
    pub app: Option<String>,
    /// The name that the connection gets or got; `None` if it is still to be made up.
    pub name: Option<String>,
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
    /// The app connects by the company's client only, and the company has set none for it.
    #[error("making a connect session for {app} without an OAuth client")]
    MissingOAuthClient {
        /// The app's slug.
        app: String,
    },
    /// The environment has no such client, or it is another app's.
    #[error("finding the OAuth client of a connect session")]
    UnknownOAuthClient,
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
    /// What its reports need could not be sealed.
    #[error("sealing the token of a connect session")]
    Vault(#[from] VaultError),
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
            Self::UnknownConnection | Self::UnknownOAuthClient | Self::Unknown => Code::NotFound,
            Self::Vault(source) => source.code(),
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
                "`{app}` connects by an OAuth client of yours, and none is set for it in this environment. Make one at the app and set it with `PUT /api/v1/oauth-clients`."
            )
            .into(),
            Self::UnknownOAuthClient => {
                "This environment has no OAuth client of this name or id for the app. `GET /api/v1/oauth-clients` lists them.".into()
            }
            Self::NameTaken { name } => format!(
                "Another connection of this environment is called `{name}`. Choose another name, or renew that connection with `reconnect_id`."
            )
            .into(),
            Self::UnknownConnection => {
                "The connection to renew does not exist, or is not this customer's at this app.".into()
            }
            Self::Unknown => "There is no such connect session in this environment.".into(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// What a session is for, after its checks.
struct Purpose {
    app: Option<String>,
    name: Option<String>,
    client: Option<OAuthClientId>,
}

impl Connect {
    /// Makes a session, and its customer if there is none of this id. A caller that is confined to
    /// some apps has to name one of them.
    pub async fn create_session(
        &self,
        permit: &Permit<action::WriteConnections>,
        new: NewSession,
    ) -> Result<SessionCreated, SessionError> {
        self.make_session(permit, new, None).await
    }

    /// Makes a session. With a scope, its token is good for calls of the API.
    pub(crate) async fn make_session(
        &self,
        permit: &Permit<action::WriteConnections>,
        new: NewSession,
        scope: Option<&str>,
    ) -> Result<SessionCreated, SessionError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let lifetime = check(&new)?;
        let own = inner.settings_of(tenant).await?;
        for (field, url) in [("return_url", &new.return_url), ("error_url", &new.error_url)] {
            if let Some(url) = url {
                settings::may_return(&own, field, url)?;
            }
        }
        let now = inner.clock.now();
        let customer = inner.new_customer(tenant, &new.customer, now);
        let id = ConnectSessionId::generate(now, &*inner.random);
        let token = Plain::<Link>::generate(&*inner.random);
        let digest = token.digest().to_vec();
        let token = token.reveal();
        // The token is kept only where the outcome is reported: the reports name it.
        let to_project = scope.is_some() && inner.webhooks.has_project_webhook(tenant).await?;
        let url = new.webhook_url.as_deref();
        let kept = if url.is_some() || to_project {
            Some(inner.keep_for_reports(tenant.workspace, id, (&token, url)).await?)
        } else {
            None
        };

        let mut tx = inner.store.write(permit.actor()).await?;
        let customer_id = have_customer(&mut tx, tenant, &customer).await?;
        let purpose = inner.purpose(&mut tx, permit, customer_id, &new).await?;
        let session = ConnectSession {
            id,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            customer_id,
            app: purpose.app.clone(),
            connection_name: purpose.name,
            reconnect_id: new.reconnect,
            oauth_client_id: purpose.client,
            scope_profile: new.scope_profile,
            scopes: new.scopes.join(" "),
            allowed_origins: new.allowed_origins.join(" "),
            token_digest: digest,
            browser_digest: None,
            return_url: new.return_url,
            error_url: new.error_url,
            expires_at: now.plus(lifetime),
            used_at: None,
            connection_id: None,
            created_at: now,
        };
        db!(tx, connect_session::insert(&session))?;
        if scope.is_some() || kept.is_some() {
            db!(tx, connect_token::make(tenant.workspace, id, scope, kept.as_ref()))?;
        }
        let event = Audit::ConnectSessionCreated {
            session: session.id,
            customer: customer_id,
            // Empty: the customer chooses.
            app: purpose.app.unwrap_or_default(),
        };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(SessionCreated { id, token, expires_at: session.expires_at })
    }

    /// How a session is: what a program asks that waits for its customer.
    pub async fn session(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectSessionId,
    ) -> Result<SessionView, SessionError> {
        let mut conn = self.inner.store.read().await?;
        let session = db!(conn, connect_session::get_in(permit.tenant(), id))?
            .filter(|session| session.app.as_ref().is_none_or(|app| permit.covers_app(app).is_ok()))
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

impl Inner {
    /// Finds out what a new session is for, and whether it can be had.
    async fn purpose(
        &self,
        tx: &mut WriteTx,
        permit: &Permit<action::WriteConnections>,
        customer: CustomerId,
        new: &NewSession,
    ) -> Result<Purpose, SessionError> {
        let tenant = permit.tenant();
        let client = match &new.oauth_client {
            Some(named) => Some(
                client_of(tx, tenant, new.app.as_deref(), named)
                    .await?
                    .ok_or(SessionError::UnknownOAuthClient)?,
            ),
            None => None,
        };
        let present = match new.reconnect {
            Some(id) => db!(tx, connection::get(tenant, id))?,
            None => None,
        };
        // Who names a client or a connection has named the app.
        let named = new.app.as_deref();
        let app = named
            .or(client.as_ref().map(|client| client.app.as_str()))
            .or(present.as_ref().map(|present| present.app.as_str()));
        let Some(slug) = app else {
            permit.covers_every_app()?;
            if new.reconnect.is_some() {
                return Err(SessionError::UnknownConnection);
            }
            let name = self.free_name(tx, tenant, new.name.clone()).await?;
            return Ok(Purpose { app: None, name, client: None });
        };
        let row = &*self.catalog.get(slug).ok_or(SessionError::UnknownApp)?;
        permit.covers_app(slug)?;
        check_scopes(row, new)?;
        if client.as_ref().is_some_and(|client| client.app != slug) {
            return Err(SessionError::UnknownOAuthClient);
        }
        let has_client = client.is_some() || db!(tx, oauth_client::usual(tenant, slug))?.is_some();
        if link::schemes(row, has_client, self.is_https()).is_empty() {
            return Err(SessionError::MissingOAuthClient { app: slug.to_owned() });
        }
        let name = if new.reconnect.is_some() {
            Some(
                renewable(present.as_ref(), customer, slug)
                    .ok_or(SessionError::UnknownConnection)?,
            )
        } else {
            let name = new.name.clone();
            let name = name.unwrap_or_else(|| self.made_up_name(slug, self.clock.now()));
            self.free_name(tx, tenant, Some(name)).await?
        };
        Ok(Purpose { app: Some(slug.to_owned()), name, client: client.map(|client| client.id) })
    }

    /// The name, if it may be given to a connection.
    async fn free_name(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        name: Option<String>,
    ) -> Result<Option<String>, SessionError> {
        let Some(name) = name else { return Ok(None) };
        limits::connection_name(&name)?;
        if db!(tx, connection::by_name(tenant, &name))?.is_some() {
            return Err(SessionError::NameTaken { name });
        }
        Ok(Some(name))
    }
}

/// A client by its id, or by its name at an app.
async fn client_of(
    tx: &mut WriteTx,
    tenant: Tenant,
    app: Option<&str>,
    named: &str,
) -> Result<Option<OAuthClient>, SessionError> {
    if let Ok(id) = named.parse::<OAuthClientId>() {
        return Ok(db!(tx, oauth_client::get(tenant, id))?);
    }
    let app = app.ok_or_else(|| {
        InvalidInput::new(
            "oauth_client",
            "a client is named at an app; send `app` too, or the client's id",
        )
    })?;
    Ok(db!(tx, oauth_client::named(tenant, app, named))?)
}

fn check(new: &NewSession) -> Result<Duration, InvalidInput> {
    limits::external_id(&new.customer)?;
    for (field, url) in [
        ("return_url", &new.return_url),
        ("error_url", &new.error_url),
        ("webhook_url", &new.webhook_url),
    ] {
        if let Some(url) = url {
            limits::web_url(field, url)?;
        }
    }
    limits::scopes(&new.scopes)?;
    limits::origins("allowed_origins", &new.allowed_origins)?;
    if let Some(name) = &new.scope_profile {
        limits::profile(name)?;
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

/// Whether the app has what is asked of its scopes.
fn check_scopes(app: &App, new: &NewSession) -> Result<(), InvalidInput> {
    let Some(wanted) = &new.scope_profile else { return Ok(()) };
    let profiles = app.auth.oauth2.iter().flat_map(|row| &row.scopes.profiles);
    let names: Vec<&str> = profiles.map(|profile| profile.name.as_str()).collect();
    if names.contains(&wanted.as_str()) {
        return Ok(());
    }
    Err(InvalidInput::new(
        "scope_profile",
        if names.is_empty() {
            format!("`{}` has no sets of scopes; name them in `scopes`", app.slug)
        } else {
            format!("`{}` has the sets {}", app.slug, names.join(", "))
        },
    ))
}

/// The name of a connection that this customer may renew at this app.
fn renewable(present: Option<&Connection>, customer: CustomerId, app: &str) -> Option<String> {
    present
        .filter(|one| one.customer_id == customer && one.app == app)
        .filter(|one| one.state != ConnectionState::Revoked)
        .map(|one| one.name.clone())
}

/// The environment that a session is in.
pub(crate) fn tenant_of(session: &ConnectSession) -> Tenant {
    Tenant {
        workspace: session.workspace_id,
        project: session.project_id,
        environment: session.environment_id,
    }
}
