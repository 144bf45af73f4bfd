//! App overrides: what the company fills in for its customers when they connect an app, and the
//! client that it connects them with. What that does to a form is in [`fill`].

pub(crate) mod fill;

pub use fill::FilledError;

use crate::error::InvalidInput;
use crate::form::{self, FieldView};
use crate::limits;
use crate::listing::{Listed, Window, window};
use crate::{Connect, Inner};
use causeway_catalog::App;
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{AppOverride, Scheme};
use causeway_types::{
    AppOverrideId, Code, Coded, OAuthClientId, Place, SecretString, Tenant, Timestamp,
};
use causeway_vault::VaultError;
use fill::{Filled, known_fields};
use std::borrow::Cow;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Longest name of an override, in characters.
const NAME: usize = 100;

/// An override as somebody wants it.
#[derive(Default)]
pub struct NewAppOverride {
    /// The app's slug.
    pub app: String,
    /// What people call it.
    pub name: String,
    /// The company's client to connect with, if not the app's usual one.
    pub oauth_client: Option<OAuthClientId>,
    /// The values by the names of their fields: those of the app, or of one of its schemes. `None`
    /// as a value keeps the one that is there.
    pub fields: BTreeMap<String, Option<SecretString>>,
}

/// An override. Its secret values are not shown.
#[derive(Debug, Clone)]
pub struct AppOverrideView {
    /// Its id.
    pub id: AppOverrideId,
    /// The app's slug.
    pub app: String,
    /// What people call it.
    pub name: String,
    /// The company's client that it connects with.
    pub oauth_client: Option<OAuthClientId>,
    /// The values by the names of their fields; `None` for one that is secret.
    pub fields: BTreeMap<String, Option<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An override cannot be made, read, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum AppOverrideError {
    /// There is no such override in this environment.
    #[error("finding the app override")]
    Unknown,
    /// The catalogue has no such app.
    #[error("making an app override: unknown app")]
    UnknownApp,
    /// The environment has no such client of the app.
    #[error("making an app override: unknown OAuth client")]
    UnknownOAuthClient,
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// What is stored does not read: a defect.
    #[error(transparent)]
    Filled(#[from] FilledError),
    /// The values could not be sealed.
    #[error("sealing the fields of an app override")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing app overrides")]
    Store(#[from] causeway_store::Error),
}

impl Coded for AppOverrideError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::UnknownOAuthClient => Code::NotFound,
            Self::UnknownApp => Code::UnknownApp,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Filled(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "There is no such app override in this environment.".into(),
            Self::UnknownApp => "The catalogue has no app of this slug or id.".into(),
            Self::UnknownOAuthClient => {
                "This environment has no such OAuth client for the app.".into()
            }
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Filled(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// A window of the environment's overrides.
    ///
    /// # Errors
    /// [`AppOverrideError`].
    pub async fn app_overrides(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        window: Window<AppOverrideId>,
    ) -> Result<Listed<AppOverrideView>, AppOverrideError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let apps = inner.confined_to(|slug| permit.shows_app(slug));
        let apps = apps.as_deref();
        let mut conn = inner.store.read().await?;
        let lowest = AppOverrideId::lowest();
        let rows =
            window!(conn, window, lowest, app_override::[page_after, page_before](tenant, apps))?;
        let total = db!(conn, app_override::count(tenant, apps))?;
        drop(conn);
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            items.push(inner.override_view(row).await?);
        }
        Ok(Listed { items, total })
    }

    /// One override.
    ///
    /// # Errors
    /// [`AppOverrideError::Unknown`].
    pub async fn app_override(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: AppOverrideId,
    ) -> Result<AppOverrideView, AppOverrideError> {
        let row = self.inner.override_of(permit, id).await?;
        self.inner.override_view(row).await
    }

    /// Makes an override.
    ///
    /// # Errors
    /// [`AppOverrideError`].
    pub async fn create_app_override(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        new: NewAppOverride,
    ) -> Result<AppOverrideView, AppOverrideError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let id = AppOverrideId::generate(now, &*inner.random);
        let made = inner.sealed_override(permit, (id, now), new, None).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, app_override::insert(&made))?;
        let event = Audit::AppOverrideSet { app_override: id, app: made.app.clone() };
        tx.commit(made.workspace_id, now, event).await?;
        inner.override_view(made).await
    }

    /// Replaces an override. What is left out of its fields is gone; a field that is named without
    /// a value keeps the one that it has.
    ///
    /// # Errors
    /// [`AppOverrideError`].
    pub async fn set_app_override(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: AppOverrideId,
        new: NewAppOverride,
    ) -> Result<AppOverrideView, AppOverrideError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let present = inner.override_of(permit, id).await?;
        let changed = inner.sealed_override(permit, (id, now), new, Some(&present)).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        if !db!(tx, app_override::update(&changed))? {
            return Err(AppOverrideError::Unknown);
        }
        let event = Audit::AppOverrideSet { app_override: id, app: changed.app.clone() };
        tx.commit(changed.workspace_id, now, event).await?;
        inner.override_view(changed).await
    }

    /// Deletes an override. Connections that were made with it stay as they are.
    ///
    /// # Errors
    /// [`AppOverrideError::Unknown`].
    pub async fn delete_app_override(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: AppOverrideId,
    ) -> Result<(), AppOverrideError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let present = inner.override_of(permit, id).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        if !db!(tx, app_override::delete(tenant, id))? {
            return Err(AppOverrideError::Unknown);
        }
        let event = Audit::AppOverrideDeleted { app_override: id, app: present.app };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        Ok(())
    }
}

impl Inner {
    /// An override that the caller may touch.
    async fn override_of(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: AppOverrideId,
    ) -> Result<AppOverride, AppOverrideError> {
        let mut conn = self.store.read().await?;
        db!(conn, app_override::get(permit.tenant(), id))?
            .filter(|one| permit.covers_app(&one.app).is_ok())
            .ok_or(AppOverrideError::Unknown)
    }

    /// The record of an override, new or in place of `present`.
    async fn sealed_override(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        (id, now): (AppOverrideId, Timestamp),
        new: NewAppOverride,
        present: Option<&AppOverride>,
    ) -> Result<AppOverride, AppOverrideError> {
        let tenant = permit.tenant();
        permit.covers_app(&new.app)?;
        let app = &*self.catalog.get(&new.app).ok_or(AppOverrideError::UnknownApp)?;
        limits::line("name", &new.name, NAME)?;
        if let Some(client) = new.oauth_client {
            self.client_of_app(tenant, client, &new.app).await?;
        }
        let kept = match present.filter(|one| one.app == new.app) {
            Some(present) => self.filled_in(present).await?,
            None => Filled::new(),
        };
        let fields = read_fields(app, new.fields, kept)?;
        let place = Place::AppOverrideFields(id);
        let fields = self.vault.seal(tenant.workspace, &place, &to_bytes(&fields)).await?;
        Ok(AppOverride {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            app: new.app,
            name: new.name,
            oauth_client_id: new.oauth_client,
            fields,
            created_at: present.map_or(now, |one| one.created_at),
            updated_at: now,
        })
    }

    async fn client_of_app(
        &self,
        tenant: Tenant,
        id: OAuthClientId,
        app: &str,
    ) -> Result<(), AppOverrideError> {
        let mut conn = self.store.read().await?;
        db!(conn, oauth_client::get(tenant, id))?
            .filter(|client| client.app == app)
            .map(|_| ())
            .ok_or(AppOverrideError::UnknownOAuthClient)
    }

    async fn override_view(&self, row: AppOverride) -> Result<AppOverrideView, AppOverrideError> {
        let filled = self.filled_in(&row).await?;
        let app = self.catalog.get(&row.app);
        let shown = |name: &str, value: &SecretString| {
            let known = app.as_deref().map(known_fields).unwrap_or_default();
            let public = known.get(name).is_some_and(|field| !field.secret);
            public.then(|| value.expose().clone())
        };
        Ok(AppOverrideView {
            id: row.id,
            fields: filled.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect(),
            app: row.app,
            name: row.name,
            oauth_client: row.oauth_client_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a customer types to connect an app: the fields of the app, and, if it is connected by key
/// only, those of its best way to.
pub fn custom_fields(app: &App) -> Vec<FieldView> {
    let in_browser = |scheme: &Scheme| {
        use Scheme::{Device, Installation, Mcp, Oauth1, Oauth2};
        matches!(scheme, Oauth2 | Device | Oauth1 | Installation | Mcp)
    };
    let offered: Vec<Scheme> =
        app.schemes().into_iter().filter_map(|name| name.parse().ok()).collect();
    let mut fields = form::of_app(app);
    if !offered.iter().any(in_browser)
        && let Some(scheme) = offered.first()
    {
        fields.extend(form::of_scheme(app, *scheme));
    }
    fields
}

/// The values as somebody wants them, checked as a customer's own would be. One that is empty fills
/// nothing in; `None` keeps the one of `kept`.
fn read_fields(
    app: &App,
    given: BTreeMap<String, Option<SecretString>>,
    mut kept: Filled,
) -> Result<Filled, InvalidInput> {
    let known = known_fields(app);
    let mut fields = Filled::new();
    for (name, value) in given {
        let Some(field) = known.get(&name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("there is an unknown field; the fields are: {names}");
            return Err(InvalidInput::new("cfmap", message));
        };
        let value = match value {
            Some(value) if value.expose().is_empty() => continue,
            Some(value) => {
                form::check_any(app, field, value.expose())?;
                value
            }
            None => match kept.remove(&name) {
                Some(value) => value,
                None => return Err(InvalidInput::new(&name, "there is no value to keep")),
            },
        };
        fields.insert(name, value);
    }
    match fill::open_host(app, &fields) {
        Some(host) => Err(InvalidInput::new(
            &host,
            "say which host it is: otherwise a customer could have the secrets that you fill in sent to a host of their own",
        )),
        None => Ok(fields),
    }
}

fn to_bytes(fields: &Filled) -> Zeroizing<Vec<u8>> {
    let shown: BTreeMap<&str, &str> =
        fields.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    let size: usize = shown.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    // Large enough at once that growing leaves no copies: an escape makes six bytes of one.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size * 6 + 64));
    // Writing texts into memory cannot fail.
    let _ = serde_json::to_writer(&mut *bytes, &shown);
    bytes
}
