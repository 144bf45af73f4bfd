//! Making connections by key, or giving one new keys.

use super::Whose;
use crate::create::{CreateError, Target, have_customer};
use crate::error::InvalidInput;
use crate::form;
use crate::link::{How, LinkError, schemes};
use crate::overrides::FilledError;
use crate::sessions::tenant_of;
use crate::{Connect, Inner, limits};
use causeway_catalog::App;
use causeway_identity::Denied;
use causeway_identity::action::WriteConnections;
use causeway_store::db;
use causeway_types::entity::{ConnectSession, ConnectionOverview, Scheme};
use causeway_types::{AppOverrideId, Code, Coded, ConnectionId, SecretString, Tenant};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest name of an account, in characters.
const NAME: usize = 100;

/// A connection to make by key.
#[derive(Default)]
pub struct NewAccount {
    /// The company's own id for the customer; made if it is new. Whoever holds a token need not say
    /// it.
    pub customer: Option<String>,
    /// The app's slug.
    pub app: String,
    /// What people call the account; what the app says if `None`.
    pub name: Option<String>,
    /// The fields of the app and of one of its schemes. Which scheme it is follows from their
    /// names.
    pub fields: BTreeMap<String, SecretString>,
    /// The token of a session of this customer, which is used up by it: `cwl_…`.
    pub token: Option<SecretString>,
    /// The connection to give the keys to, instead of making another.
    pub reconnect: Option<ConnectionId>,
    /// The override that fills fields in.
    pub app_override: Option<AppOverrideId>,
}

/// A connection cannot be made by key.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form, or is missing.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The app cannot be connected by key.
    #[error("making a connection to {app} by key, which it does not offer")]
    NoKeys {
        /// The app's slug.
        app: String,
    },
    /// There is no such override of the app.
    #[error("finding the app override of a new connection")]
    UnknownOverride,
    /// There is no such connection of this customer at this app.
    #[error("finding the connection to renew")]
    UnknownConnection,
    /// The session is over, or another browser's.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The token is of another customer or app.
    #[error("making a connection with the token of another customer or app")]
    OtherToken,
    /// The override cannot be used.
    #[error(transparent)]
    Filled(#[from] FilledError),
    /// It could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The store failed.
    #[error("writing the connection")]
    Store(#[from] causeway_store::Error),
}

impl Coded for AccountError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::NoKeys { .. } => Code::UnsupportedScheme,
            Self::UnknownOverride | Self::UnknownConnection => Code::NotFound,
            Self::Link(source) => source.code(),
            Self::OtherToken => Code::ConnectLinkSpent,
            Self::Filled(source) => source.code(),
            Self::Create(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::NoKeys { app } => format!(
                "`{app}` is connected in its customer's browser, not by key. Make a connect token and send the customer its link."
            )
            .into(),
            Self::UnknownOverride => {
                "This environment has no such app override for the app.".into()
            }
            Self::UnknownConnection => {
                "The account does not exist, or is not this customer's at this app.".into()
            }
            Self::Link(source) => source.public(),
            Self::OtherToken => {
                "The connect token is of another customer, or for another app. Make one for this customer.".into()
            }
            Self::Filled(source) => source.public(),
            Self::Create(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// Makes a connection by key, or gives one new keys, after the app took them. With a token, its
    /// session is used up in the same transaction.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn create_account(
        &self,
        whose: &Whose<'_, WriteConnections>,
        new: NewAccount,
    ) -> Result<ConnectionOverview, AccountError> {
        let (inner, tenant) = (&self.inner, whose.tenant());
        let app = &*inner.catalog.get(&new.app).ok_or(CreateError::UnknownApp)?;
        if let Whose::All(permit) = whose {
            permit.covers_app(&new.app)?;
        }
        if let Some(name) = &new.name {
            limits::line("name", name, NAME)?;
        }
        let session = inner.session_for(whose, &new).await?;
        let external_id = inner.customer_for(whose, &new, session.as_ref()).await?;
        limits::external_id(&external_id)?;
        let fields = inner.with_override(app, tenant, &new, session.as_ref()).await?;
        let target = inner.target_for(tenant, &new, session.as_ref(), &external_id).await?;
        let scheme = key_scheme(app, &fields, inner.is_https())?;

        let mut verified = inner.typed(tenant, app, scheme, fields).await?;
        if new.name.is_some() {
            verified.account.name = new.name;
        }
        let mut prepared = inner.prepare(tenant, app, target, verified).await?;
        let now = inner.clock.now();
        let customer = inner.new_customer(tenant, &external_id, now);
        let reported = match &session {
            Some(session) => inner.reported(session).await.map_err(CreateError::News)?,
            None => None,
        };
        let herald = inner.herald(tenant).await.map_err(CreateError::News)?;
        let mut tx = inner.store.write(whose.actor()).await?;
        prepared.belong_to(have_customer(&mut tx, tenant, &customer).await?);
        let written = inner.write(&mut tx, tenant, &prepared).await?;
        if let Some(session) = &session {
            let (workspace, id) = (tenant.workspace, prepared.id());
            if !db!(tx, connect_session::use_up(workspace, session.id, id, now))? {
                return Err(CreateError::SessionUsed.into());
            }
        }
        let event = written.announce(&mut tx, &herald, now).await.map_err(CreateError::News)?;
        inner
            .report_connection(&mut tx, &herald, reported, prepared.id(), now)
            .await
            .map_err(CreateError::News)?;
        tx.commit(tenant.workspace, now, event).await?;
        let mut conn = inner.store.read().await?;
        let made = db!(conn, connection::overview(tenant, prepared.id()))?;
        Ok(made.ok_or(CreateError::Gone(prepared.id()))?)
    }
}

impl Inner {
    /// The session that is used up: that of the holder, or that of the token that is named.
    async fn session_for(
        &self,
        whose: &Whose<'_, WriteConnections>,
        new: &NewAccount,
    ) -> Result<Option<ConnectSession>, AccountError> {
        let tenant = whose.tenant();
        let id = match (&new.token, whose) {
            (None, Whose::All(_)) => return Ok(None),
            (None, Whose::Own(holder)) => holder.session(),
            (Some(token), _) => {
                let session = self.session_of(token.expose()).await?;
                let own = match whose {
                    Whose::All(_) => tenant_of(&session) == tenant,
                    Whose::Own(holder) => session.id == holder.session(),
                };
                if !own {
                    return Err(AccountError::OtherToken);
                }
                session.id
            }
        };
        let session = self.unbound_session(tenant, id).await?;
        if session.app.as_ref().is_some_and(|app| *app != new.app) {
            return Err(AccountError::OtherToken);
        }
        Ok(Some(session))
    }

    /// The external id of the customer whose connection it becomes.
    async fn customer_for(
        &self,
        whose: &Whose<'_, WriteConnections>,
        new: &NewAccount,
        session: Option<&ConnectSession>,
    ) -> Result<String, AccountError> {
        let own = match (whose, session) {
            (Whose::Own(holder), _) => Some(holder.customer().to_owned()),
            (Whose::All(_), Some(session)) => {
                let mut conn = self.store.read().await?;
                let (tenant, id) = (tenant_of(session), session.customer_id);
                db!(conn, customer::get(tenant, id))?.map(|found| found.external_id)
            }
            (Whose::All(_), None) => None,
        };
        match (own, &new.customer) {
            (Some(own), Some(named)) if own != *named => Err(AccountError::OtherToken),
            (Some(own), _) => Ok(own),
            (None, Some(named)) => Ok(named.clone()),
            (None, None) => Err(InvalidInput::new(
                "external_user_id",
                "say whose account it is, or send a connect token",
            )
            .into()),
        }
    }

    /// The fields, with those that an override fills in. What the company fills in stands above
    /// what was typed.
    async fn with_override(
        &self,
        app: &App,
        tenant: Tenant,
        new: &NewAccount,
        session: Option<&ConnectSession>,
    ) -> Result<BTreeMap<String, SecretString>, AccountError> {
        let copied = |value: &SecretString| SecretString::new(value.expose().clone());
        let mut fields: BTreeMap<String, SecretString> =
            new.fields.iter().map(|(name, value)| (name.clone(), copied(value))).collect();
        let mut conn = self.store.read().await?;
        let of_session = match session {
            Some(session) => db!(conn, connect_token::get(tenant.workspace, session.id))?,
            None => None,
        };
        let id = new.app_override.or(of_session.and_then(|token| token.override_id));
        let Some(id) = id else { return Ok(fields) };
        let found = db!(conn, app_override::get(tenant, id))?
            .filter(|one| one.app == new.app)
            .ok_or(AccountError::UnknownOverride)?;
        drop(conn);
        fields.extend(self.fitting(app, &found).await?);
        Ok(fields)
    }

    /// Where the keys go: to another connection, or to one of this customer's at this app.
    async fn target_for(
        &self,
        tenant: Tenant,
        new: &NewAccount,
        session: Option<&ConnectSession>,
        customer: &str,
    ) -> Result<Target, AccountError> {
        let of_session = session.and_then(|session| session.reconnect_id);
        let Some(id) = new.reconnect.or(of_session) else {
            let now = self.clock.now();
            let named = session.and_then(|session| session.connection_name.clone());
            let name = named.unwrap_or_else(|| self.made_up_name(&new.app, now));
            let customer = self.new_customer(tenant, customer, now).id;
            return Ok(Target::New { customer, app: new.app.clone(), name });
        };
        let mut conn = self.store.read().await?;
        db!(conn, connection::overview(tenant, id))?
            .filter(|one| one.customer == customer && one.app == new.app)
            .map(|one| Target::Renew(one.id))
            .ok_or(AccountError::UnknownConnection)
    }
}

/// The best scheme of an app whose form these fields fill: none is missing, and none is left over.
fn key_scheme(
    app: &App,
    fields: &BTreeMap<String, SecretString>,
    is_https: bool,
) -> Result<Scheme, AccountError> {
    let by_key: Vec<Scheme> = schemes(app, false, is_https)
        .into_iter()
        .filter(|view| matches!(view.how, How::Keys | How::Nothing))
        .map(|view| view.scheme)
        .collect();
    let fits = |scheme: &&Scheme| {
        let wanted: Vec<_> =
            form::of_app(app).into_iter().chain(form::of_scheme(app, **scheme)).collect();
        let known = fields.keys().all(|name| wanted.iter().any(|field| field.name == *name));
        let whole = wanted.iter().all(|field| {
            field.optional || field.default.is_some() || fields.contains_key(&field.name)
        });
        known && whole
    };
    let found = by_key.iter().find(fits);
    // Nothing fits: the best one says what is wrong with the fields.
    found
        .or(by_key.first())
        .copied()
        .ok_or_else(|| AccountError::NoKeys { app: app.slug.to_string() })
}
