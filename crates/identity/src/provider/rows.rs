//! The records of providers: made, changed, listed, deleted.

use crate::action;
use crate::permit::Permit;
use crate::sign_in::{SignIn, SignInError};
use causeway_store::{Audit, Store, db};
use causeway_types::entity::{IdentityProvider, ProviderKind};
use causeway_types::{
    Actor, Code, Coded, Place, ProviderId, Randomness, SecretString, Timestamp, WorkspaceId,
};
use causeway_vault::{Vault, VaultError};
use std::borrow::Cow;
use url::Url;

/// The most providers of one workspace.
const MAX_PROVIDERS: usize = 20;
/// The longest name of a provider, in characters.
const MAX_NAME: usize = 64;
/// The longest issuer, in bytes.
const MAX_ISSUER: usize = 1024;
/// The longest client id, in characters.
pub(super) const MAX_CLIENT_ID: usize = 512;
/// The longest client secret, in bytes.
const MAX_SECRET: usize = 4096;
/// Where Google's issuer is (developers.google.com/identity/openid-connect/openid-connect).
const GOOGLE: &str = "https://accounts.google.com";
/// Where GitHub is.
const GITHUB: &str = "https://github.com";

/// A provider to be added.
pub struct NewProvider {
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// What the button says.
    pub name: String,
    /// Its issuer. None: Google's or GitHub's own; an `oidc` provider has to name one. A GitHub
    /// Enterprise server is named by its base address.
    pub issuer: Option<String>,
    /// Causeway's client id there.
    pub client_id: String,
    /// Causeway's client secret there.
    pub client_secret: SecretString,
}

/// What changes of a provider. Kind and issuer never do: the people whom one issuer knows by a
/// subject are not those whom another one does.
#[derive(Default)]
pub struct ProviderChange {
    /// The new name.
    pub name: Option<String>,
    /// The new client id.
    pub client_id: Option<String>,
    /// The new client secret.
    pub client_secret: Option<SecretString>,
}

/// A provider as administrators see it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderView {
    /// Its id.
    pub id: ProviderId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// What the button says.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// Causeway's client id there.
    pub client_id: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A provider as somebody sees it who is about to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its id.
    pub id: ProviderId,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// What the button says.
    pub name: String,
}

/// A provider could not be added, changed, listed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A field is empty or too long.
    #[error("`{field}` must have between 1 and {most} characters and no control characters")]
    Length {
        /// The field.
        field: &'static str,
        /// The most.
        most: usize,
    },
    /// The issuer is missing or no base address.
    #[error("reading the issuer: it must be an https address without query and fragment")]
    Issuer,
    /// There is no such provider in the workspace.
    #[error("finding the provider {0}")]
    Unknown(ProviderId),
    /// Another provider of the workspace has the name.
    #[error("adding a provider: another one has its name")]
    Taken,
    /// The workspace has [`MAX_PROVIDERS`].
    #[error("adding a provider: the workspace has {MAX_PROVIDERS} already")]
    TooMany,
    /// The claim link does not work, or there were too many tries.
    #[error(transparent)]
    Claim(#[from] Box<SignInError>),
    /// The vault failed.
    #[error("sealing the provider's client secret")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing a provider")]
    Store(#[source] causeway_store::Error),
}

impl Coded for ProviderError {
    fn code(&self) -> Code {
        match self {
            Self::Length { .. } | Self::Issuer | Self::TooMany => Code::InvalidRequest,
            Self::Unknown(_) => Code::NotFound,
            Self::Taken => Code::Taken,
            Self::Claim(source) => source.code(),
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Length { .. } => format!("{self}.").into(),
            Self::Issuer => "The issuer must be the provider's base address: https, without user, query and fragment.".into(),
            Self::Unknown(id) => format!("There is no provider `{id}` in this workspace.").into(),
            Self::Taken => "Another provider has this name. Choose another one.".into(),
            Self::TooMany => {
                format!("A workspace has {MAX_PROVIDERS} providers at most. Delete one first.").into()
            }
            Self::Claim(source) => source.public(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl From<causeway_store::Error> for ProviderError {
    fn from(source: causeway_store::Error) -> Self {
        match source {
            causeway_store::Error::Conflict { .. } => Self::Taken,
            other => Self::Store(other),
        }
    }
}

impl ProviderView {
    pub(super) fn of(row: &IdentityProvider) -> Self {
        Self {
            id: row.id,
            workspace: row.workspace_id,
            kind: row.kind,
            name: row.name.clone(),
            issuer: row.issuer.clone(),
            client_id: row.client_id.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl SignIn {
    /// Adds a provider to the workspace of the permit.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn add_provider(
        &self,
        permit: &Permit<action::ManageSso>,
        new: NewProvider,
    ) -> Result<ProviderView, ProviderError> {
        let inner = &self.inner;
        let within = (permit.workspace(), inner.clock.now(), permit.actor());
        insert(&inner.store, &inner.vault, &*inner.random, within, new).await
    }

    /// Changes a provider of the workspace.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn change_provider(
        &self,
        permit: &Permit<action::ManageSso>,
        id: ProviderId,
        change: ProviderChange,
    ) -> Result<ProviderView, ProviderError> {
        let inner = &self.inner;
        let (workspace, now) = (permit.workspace(), inner.clock.now());
        let secret = match change.client_secret {
            Some(secret) => {
                check_secret(&secret)?;
                let place = Place::ProviderSecret(id);
                Some(inner.vault.seal(workspace, &place, secret.expose().as_bytes()).await?)
            }
            None => None,
        };
        let mut tx = inner.store.write(permit.actor()).await?;
        let found = db!(tx, provider::get(workspace, id))?;
        let mut row = found.ok_or(ProviderError::Unknown(id))?;
        if let Some(name) = change.name {
            row.name = bounded("name", name, MAX_NAME)?;
        }
        if let Some(client_id) = change.client_id {
            row.client_id = bounded("client_id", client_id, MAX_CLIENT_ID)?;
        }
        if let Some(secret) = secret {
            row.secret = secret;
        }
        row.updated_at = now;
        db!(tx, provider::update(&row))?;
        tx.commit(workspace, now, set_event(&row)).await?;
        Ok(ProviderView::of(&row))
    }

    /// Deletes a provider of the workspace, with the identities that it gave and the sessions that
    /// it opened. Those who know no other way in are locked out.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`], [`ProviderError::Store`].
    pub async fn delete_provider(
        &self,
        permit: &Permit<action::ManageSso>,
        id: ProviderId,
    ) -> Result<(), ProviderError> {
        let (workspace, now) = (permit.workspace(), self.inner.clock.now());
        let mut tx = self.inner.store.write(permit.actor()).await?;
        if !db!(tx, provider::delete(workspace, id))? {
            return Err(ProviderError::Unknown(id));
        }
        let event = Audit::IdentityProviderDeleted { provider: id };
        Ok(tx.commit(workspace, now, event).await?)
    }

    /// The workspace's own providers, oldest first.
    ///
    /// # Errors
    /// [`ProviderError::Store`].
    pub async fn providers(
        &self,
        permit: &Permit<action::ReadSso>,
    ) -> Result<Vec<ProviderView>, ProviderError> {
        let mut conn = self.inner.store.read().await?;
        let rows = db!(conn, provider::list(permit.workspace()))?;
        Ok(rows.iter().map(ProviderView::of).collect())
    }
}

pub(super) async fn insert(
    store: &Store,
    vault: &Vault,
    random: &dyn Randomness,
    (workspace, now, actor): (WorkspaceId, Timestamp, Actor),
    new: NewProvider,
) -> Result<ProviderView, ProviderError> {
    let id = ProviderId::generate(now, random);
    check_secret(&new.client_secret)?;
    let place = Place::ProviderSecret(id);
    let row = IdentityProvider {
        id,
        workspace_id: workspace,
        kind: new.kind,
        name: bounded("name", new.name, MAX_NAME)?,
        issuer: checked_issuer(new.kind, new.issuer)?,
        client_id: bounded("client_id", new.client_id, MAX_CLIENT_ID)?,
        secret: vault.seal(workspace, &place, new.client_secret.expose().as_bytes()).await?,
        created_at: now,
        updated_at: now,
    };
    let mut tx = store.write(actor).await?;
    if db!(tx, provider::list(workspace))?.len() >= MAX_PROVIDERS {
        return Err(ProviderError::TooMany);
    }
    db!(tx, provider::insert(&row))?;
    tx.commit(workspace, now, set_event(&row)).await?;
    Ok(ProviderView::of(&row))
}

pub(super) fn set_event(row: &IdentityProvider) -> Audit {
    Audit::IdentityProviderSet {
        provider: row.id,
        kind: row.kind.to_string(),
        issuer: row.issuer.clone(),
    }
}

pub(super) fn bounded(
    field: &'static str,
    text: String,
    most: usize,
) -> Result<String, ProviderError> {
    let length = text.chars().count();
    if (1..=most).contains(&length) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(ProviderError::Length { field, most })
}

pub(super) fn check_secret(secret: &SecretString) -> Result<(), ProviderError> {
    if (1..=MAX_SECRET).contains(&secret.expose().len()) {
        return Ok(());
    }
    Err(ProviderError::Length { field: "client_secret", most: MAX_SECRET })
}

/// The issuer as it is compared with what the provider says: exactly (RFC 8414 section 3.3), so
/// nothing is normalized away here.
pub(super) fn checked_issuer(
    kind: ProviderKind,
    given: Option<String>,
) -> Result<String, ProviderError> {
    let issuer = match (given, kind) {
        (Some(issuer), _) => issuer,
        (None, ProviderKind::Google) => GOOGLE.to_owned(),
        (None, ProviderKind::Github) => GITHUB.to_owned(),
        (None, ProviderKind::Oidc) => return Err(ProviderError::Issuer),
    };
    let url = Url::parse(&issuer).map_err(|_| ProviderError::Issuer)?;
    // Plain http is for networks that the operator allows; the egress guard decides.
    let plain = matches!(url.scheme(), "https" | "http")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let clean = issuer.len() <= MAX_ISSUER && issuer.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && clean { Ok(issuer) } else { Err(ProviderError::Issuer) }
}
