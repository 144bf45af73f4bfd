//! The project webhook: where an environment's triggers report to, unless they say otherwise, and
//! the key that their reports are signed with (`x-pd-signature`).

use crate::error::InvalidInput;
use crate::{Connect, Inner, limits};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::ProjectWebhook;
use causeway_types::{
    Code, Coded, EnvironmentId, Place, Randomness, SecretString, Tenant, Timestamp,
};
use causeway_vault::VaultError;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of a signing key.
const KEY: usize = 32;
/// Room for the sealed form, so that it is not copied around while it is written.
const ROOM: usize = 8192;

/// An environment's project webhook.
#[derive(Debug, Clone)]
pub struct ProjectWebhookView {
    /// The environment, which has one.
    pub environment: EnvironmentId,
    /// Where reports go.
    pub url: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The project webhook cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectWebhookError {
    /// The environment has none.
    #[error("finding the project webhook")]
    Unknown,
    /// The caller is confined to some apps, and reports tell of all.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The URL has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// What is stored does not read: a defect.
    #[error("reading the project webhook")]
    Corrupt,
    /// It could not be sealed or opened.
    #[error("sealing or opening the project webhook")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("reading or writing the project webhook")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ProjectWebhookError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Corrupt => Code::Internal,
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => "This environment has no project webhook. Set one first.".into(),
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Corrupt => {
                "What is kept of the project webhook cannot be used. Delete it and set it again."
                    .into()
            }
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// Its sealed part.
#[derive(Deserialize)]
struct Target {
    url: String,
    key: SecretString,
}

#[derive(Serialize)]
struct Written<'a> {
    url: &'a str,
    key: &'a str,
}

impl Connect {
    /// The environment's project webhook, if it has one.
    ///
    /// # Errors
    /// [`ProjectWebhookError`].
    pub async fn project_webhook(
        &self,
        permit: &Permit<action::ReadWebhooks>,
    ) -> Result<Option<ProjectWebhookView>, ProjectWebhookError> {
        permit.covers_every_app()?;
        let found = self.inner.webhook_of(permit.tenant()).await?;
        Ok(found.map(|(row, target)| view(&row, target.url)))
    }

    /// Sets where reports go. The first time, it gets a key, which is returned this once.
    ///
    /// # Errors
    /// [`ProjectWebhookError`].
    pub async fn set_project_webhook(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        url: &str,
    ) -> Result<(ProjectWebhookView, Option<SecretString>), ProjectWebhookError> {
        permit.covers_every_app()?;
        limits::web_url("url", url)?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let present = inner.webhook_of(tenant).await?;
        let first = present.is_none();
        let (created_at, key) = match present {
            Some((row, target)) => (row.created_at, target.key),
            None => (inner.clock.now(), new_key(&*inner.random)),
        };
        let row = inner.sealed_webhook(tenant, created_at, url, &key).await?;
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, project_webhook::set(&row))?;
        let event = Audit::ProjectWebhookSet {
            environment: tenant.environment,
            host: host.unwrap_or_default(),
        };
        tx.commit(tenant.workspace, row.updated_at, event).await?;
        Ok((view(&row, url.to_owned()), first.then_some(key)))
    }

    /// Gives the project webhook another key, which is returned this once. The old one counts no
    /// more.
    ///
    /// # Errors
    /// [`ProjectWebhookError`].
    pub async fn renew_project_webhook_key(
        &self,
        permit: &Permit<action::ManageWebhooks>,
    ) -> Result<(ProjectWebhookView, SecretString), ProjectWebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let (present, target) =
            inner.webhook_of(tenant).await?.ok_or(ProjectWebhookError::Unknown)?;
        let key = new_key(&*inner.random);
        let row = inner.sealed_webhook(tenant, present.created_at, &target.url, &key).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, project_webhook::set(&row))?;
        let event = Audit::ProjectWebhookKeyRotated { environment: tenant.environment };
        tx.commit(tenant.workspace, row.updated_at, event).await?;
        Ok((view(&row, target.url), key))
    }

    /// Deletes the project webhook.
    ///
    /// # Errors
    /// [`ProjectWebhookError`].
    pub async fn delete_project_webhook(
        &self,
        permit: &Permit<action::ManageWebhooks>,
    ) -> Result<(), ProjectWebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let mut tx = inner.store.write(permit.actor()).await?;
        if !db!(tx, project_webhook::delete(tenant))? {
            return Err(ProjectWebhookError::Unknown);
        }
        let event = Audit::ProjectWebhookDeleted { environment: tenant.environment };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        Ok(())
    }
}

impl Inner {
    async fn webhook_of(
        &self,
        tenant: Tenant,
    ) -> Result<Option<(ProjectWebhook, Target)>, ProjectWebhookError> {
        let mut conn = self.store.read().await?;
        let Some(row) = db!(conn, project_webhook::get(tenant))? else { return Ok(None) };
        drop(conn);
        let place = Place::ProjectWebhook(row.environment_id);
        let opened = self.vault.open(row.workspace_id, &place, &row.target).await?;
        let target = serde_json::from_slice(opened.expose());
        Ok(Some((row, target.map_err(|_| ProjectWebhookError::Corrupt)?)))
    }

    async fn sealed_webhook(
        &self,
        tenant: Tenant,
        created_at: Timestamp,
        url: &str,
        key: &SecretString,
    ) -> Result<ProjectWebhook, ProjectWebhookError> {
        let place = Place::ProjectWebhook(tenant.environment);
        let mut plain = Zeroizing::new(Vec::with_capacity(ROOM));
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut *plain, &Written { url, key: key.expose() });
        Ok(ProjectWebhook {
            environment_id: tenant.environment,
            workspace_id: tenant.workspace,
            target: self.vault.seal(tenant.workspace, &place, &plain).await?,
            created_at,
            updated_at: self.clock.now(),
        })
    }
}

fn new_key(random: &dyn Randomness) -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; KEY]);
    random.fill(&mut *bytes);
    SecretString::new(HEXLOWER.encode(&*bytes))
}

fn view(row: &ProjectWebhook, url: String) -> ProjectWebhookView {
    ProjectWebhookView {
        environment: row.environment_id,
        url,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
