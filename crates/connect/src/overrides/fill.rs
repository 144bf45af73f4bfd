//! What an override does to the form of a customer who connects with it: the fields that the company
//! fills in are not asked for, and what stands in them is the company's, whatever is sent.
//!
//! Which override it is comes with the token, and a customer holds that. So an override gives
//! something and confines nobody, and what it gives must not leave: where it fills in a secret, a
//! customer may not choose the host that gets it.

use crate::Inner;
use crate::error::InvalidInput;
use crate::form::{self, FieldView};
use crate::link::AppView;
use crate::sessions::tenant_of;
use causeway_catalog::{App, FieldFormat};
use causeway_store::db;
use causeway_types::entity::{AppOverride, ConnectSession, Scheme};
use causeway_types::{AppOverrideId, Code, Coded, Place, SecretString};
use causeway_vault::VaultError;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The values of an override by the names of their fields.
pub(crate) type Filled = BTreeMap<String, SecretString>;

#[derive(Deserialize)]
#[serde(transparent)]
struct Stored(Filled);

/// What an override fills in cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilledError {
    /// What is stored does not read: a defect.
    #[error("reading the fields of {0}")]
    Corrupt(AppOverrideId),
    /// The app's row, or the override, was changed since, so that one does not fit the other.
    #[error("filling in `{field}` of an app from its override")]
    Unfit {
        /// The field, or `app`.
        field: String,
    },
    /// It did not open.
    #[error("opening the fields of an app override")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading an app override")]
    Store(#[from] causeway_store::Error),
}

impl Coded for FilledError {
    fn code(&self) -> Code {
        match self {
            Self::Corrupt(_) => Code::Internal,
            Self::Unfit { .. } => Code::InvalidRequest,
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Corrupt(_) => {
                "What is kept of the app override cannot be used. Make it anew.".into()
            }
            Self::Unfit { field } => format!(
                "What is filled in for you does not fit this app any more (`{field}`). Tell whoever sent you the link: they can change it."
            )
            .into(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Inner {
    /// What an override fills in.
    pub(crate) async fn filled_in(&self, one: &AppOverride) -> Result<Filled, FilledError> {
        let place = Place::AppOverrideFields(one.id);
        let opened = self.vault.open(one.workspace_id, &place, &one.fields).await?;
        let read = serde_json::from_slice::<Stored>(opened.expose()).ok();
        read.map(|stored| stored.0).ok_or(FilledError::Corrupt(one.id))
    }

    /// The same, for a connection to this app that is about to be made.
    pub(crate) async fn fitting(
        &self,
        app: &App,
        one: &AppOverride,
    ) -> Result<Filled, FilledError> {
        if one.app != app.slug.as_str() {
            return Err(FilledError::Unfit { field: "app".to_owned() });
        }
        let filled = self.filled_in(one).await?;
        match open_host(app, &filled) {
            Some(field) => Err(FilledError::Unfit { field }),
            None => Ok(filled),
        }
    }

    /// What the override of a session fills in; nothing if it has none.
    pub(crate) async fn filled_for(
        &self,
        session: &ConnectSession,
        app: &App,
    ) -> Result<Filled, FilledError> {
        let tenant = tenant_of(session);
        let mut conn = self.store.read().await?;
        let token = db!(conn, connect_token::get(tenant.workspace, session.id))?;
        let Some(id) = token.and_then(|token| token.override_id) else { return Ok(Filled::new()) };
        let found = db!(conn, app_override::get(tenant, id))?;
        drop(conn);
        match found {
            Some(one) => self.fitting(app, &one).await,
            None => Ok(Filled::new()),
        }
    }
}

/// Takes the fields that are filled in from what a customer is shown.
pub(crate) fn hide(view: &mut AppView, filled: &Filled) {
    let asked = |field: &FieldView| !filled.contains_key(&field.name);
    view.fields.retain(asked);
    for way in &mut view.schemes {
        way.fields.retain(asked);
    }
}

/// What a customer sent for a scheme, with what is filled in above it.
pub(crate) fn over(
    app: &App,
    scheme: Scheme,
    mut given: BTreeMap<String, SecretString>,
    filled: &Filled,
) -> BTreeMap<String, SecretString> {
    for field in form::of_app(app).into_iter().chain(form::of_scheme(app, scheme)) {
        if let Some(value) = filled.get(&field.name) {
            given.insert(field.name, SecretString::new(value.expose().clone()));
        }
    }
    given
}

/// What is wrong with a form, told of a field that its customer cannot see.
pub(crate) fn unfit(wrong: &InvalidInput, filled: &Filled) -> Option<FilledError> {
    let field = filled.contains_key(&wrong.field).then(|| wrong.field.clone())?;
    Some(FilledError::Unfit { field })
}

/// The fields of an app and of all its schemes. One that is secret anywhere is secret.
pub(super) fn known_fields(app: &App) -> BTreeMap<String, FieldView> {
    let of_schemes = Scheme::ALL.iter().flat_map(|scheme| form::of_scheme(app, *scheme));
    let mut known: BTreeMap<String, FieldView> = BTreeMap::new();
    for mut field in form::of_app(app).into_iter().chain(of_schemes) {
        field.secret |= known.get(&field.name).is_some_and(|other| other.secret);
        known.insert(field.name.clone(), field);
    }
    known
}

/// A field that lets the customer name a whole host, which secrets that are filled in would go to.
pub(super) fn open_host(app: &App, filled: &Filled) -> Option<String> {
    let known = known_fields(app);
    let fills_secret = filled.keys().any(|name| known.get(name).is_none_or(|field| field.secret));
    let is_open =
        |field: &&FieldView| field.format == FieldFormat::Host && !filled.contains_key(&field.name);
    known.values().find(is_open).filter(|_| fills_secret).map(|field| field.name.clone())
}
