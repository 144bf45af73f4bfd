//! The company's own OAuth clients at apps, one an app and environment.

use crate::error::InvalidInput;
use crate::{Connect, Page, limits};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::OAuthClient;
use causeway_types::{Code, Coded, OAuthClientId, Place, SecretString, Timestamp};
use causeway_vault::VaultError;
use std::borrow::Cow;

/// A client as the app's console shows it.
pub struct NewOAuthClient {
    /// The app's slug.
    pub app: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The `client_secret` that the app gave; `None` for a public client.
    pub secret: Option<SecretString>,
    /// The scopes to ask for; empty for those of the app's row.
    pub scopes: Vec<String>,
}

/// A client without its secret, which is never shown again.
#[derive(Debug, Clone)]
pub struct OAuthClientView {
    /// Its id in Causeway.
    pub id: OAuthClientId,
    /// The app's slug.
    pub app: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The scopes to ask for; empty for those of the app's row.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An OAuth client cannot be set, listed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum OAuthClientError {
    /// The catalogue has no such app.
    #[error("setting an OAuth client: unknown app")]
    UnknownApp,
    /// The app does not do OAuth.
    #[error("setting an OAuth client for {app}, which does not do OAuth")]
    NoOAuth {
        /// The app's slug.
        app: String,
    },
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field has the wrong form.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// There is no such client.
    #[error("finding the OAuth client")]
    Unknown,
    /// Connections were made with it, and their refresh tokens work with it only.
    #[error("changing OAuth client {client}, with which connections were made")]
    InUse {
        /// The client.
        client: OAuthClientId,
    },
    /// The secret could not be sealed.
    #[error("sealing the client's secret")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("writing the OAuth client")]
    Store(#[from] causeway_store::Error),
}

impl Coded for OAuthClientError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownApp => Code::UnknownApp,
            Self::NoOAuth { .. } => Code::UnsupportedScheme,
            Self::Denied(source) => source.code(),
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Unknown => Code::NotFound,
            Self::InUse { .. } => Code::OAuthClientInUse,
            Self::Vault(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownApp => {
                "The catalogue has no app of this slug. `GET /api/v1/apps` lists them.".into()
            }
            Self::NoOAuth { app } => {
                format!("`{app}` does not connect by OAuth, so it needs no OAuth client.").into()
            }
            Self::Denied(source) => source.public(),
            Self::Invalid(source) => source.public(),
            Self::Unknown => "There is no such OAuth client in this environment.".into(),
            Self::InUse { client } => format!(
                "Connections were made with the OAuth client {client} and work with it only. Delete them first; a new secret for the same `client_id` can be set at any time."
            )
            .into(),
            Self::Vault(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Connect {
    /// Sets the client of an app in the permit's environment, or replaces its secret and scopes.
    ///
    /// # Errors
    /// [`OAuthClientError::InUse`] if connections were made with another `client_id`.
    pub async fn set_oauth_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        new: NewOAuthClient,
    ) -> Result<OAuthClientView, OAuthClientError> {
        let row = self.inner.catalog.get(&new.app).ok_or(OAuthClientError::UnknownApp)?;
        permit.covers_app(&new.app)?;
        if row.auth.oauth2.is_none() {
            return Err(OAuthClientError::NoOAuth { app: new.app });
        }
        limits::client_id(&new.client_id)?;
        limits::scopes(&new.scopes)?;
        if let Some(secret) = &new.secret {
            limits::secret("client_secret", secret)?;
        }
        match self.write_oauth_client(permit, &new).await {
            // Somebody set the app's first client at the same moment: now there is one to change.
            Err(OAuthClientError::Store(causeway_store::Error::Conflict { .. })) => {
                self.write_oauth_client(permit, &new).await
            }
            done => done,
        }
    }

    async fn write_oauth_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        new: &NewOAuthClient,
    ) -> Result<OAuthClientView, OAuthClientError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut conn = inner.store.read().await?;
        let present = db!(conn, connection::oauth_client(tenant, &new.app))?;
        drop(conn);
        // The seal is bound to the record, so the id has to be known before.
        let id = present
            .as_ref()
            .map_or_else(|| OAuthClientId::generate(now, &*inner.random), |client| client.id);
        let plain = new.secret.as_ref().map_or(&b""[..], |secret| secret.expose().as_bytes());
        let secret =
            inner.vault.seal(tenant.workspace, &Place::OAuthClientSecret(id), plain).await?;
        let client = OAuthClient {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            app: new.app.clone(),
            client_id: new.client_id.clone(),
            secret,
            scopes: new.scopes.join(" "),
            created_at: present.as_ref().map_or(now, |client| client.created_at),
        };
        let mut tx = inner.store.write(permit.actor()).await?;
        match present {
            Some(old) => {
                let other = old.client_id != client.client_id;
                if other && db!(tx, connection::oauth_client_in_use(tenant, id))? {
                    return Err(OAuthClientError::InUse { client: id });
                }
                if !db!(tx, connection::update_oauth_client(&client))? {
                    return Err(OAuthClientError::Unknown);
                }
            }
            None => db!(tx, connection::insert_oauth_client(&client))?,
        }
        let event = Audit::OauthClientSet { client: id, app: client.app.clone() };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(view(client))
    }

    /// A page of the environment's clients, oldest first, from after `after`. Those of apps that the
    /// caller may not touch are left out, so that a page may have fewer than `limit`.
    pub async fn oauth_clients(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        after: Option<OAuthClientId>,
        limit: u16,
    ) -> Result<Page<OAuthClientView, OAuthClientId>, OAuthClientError> {
        let after = after.unwrap_or(OAuthClientId::lowest());
        let mut conn = self.inner.store.read().await?;
        let more = i64::from(limit) + 1;
        let rows = db!(conn, connection::oauth_clients(permit.tenant(), after, more))?;
        let mut items: Vec<OAuthClientView> = rows.into_iter().map(view).collect();
        let full = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if full { items.last().map(|client| client.id) } else { None };
        items.retain(|client| permit.shows_app(&client.app));
        Ok(Page { items, next })
    }

    /// Deletes a client that no connection was made with.
    pub async fn delete_oauth_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: OAuthClientId,
    ) -> Result<(), OAuthClientError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let mut tx = inner.store.write(permit.actor()).await?;
        let client = db!(tx, connection::oauth_client_by_id(tenant, id))?
            .filter(|client| permit.shows_app(&client.app))
            .ok_or(OAuthClientError::Unknown)?;
        if db!(tx, connection::oauth_client_in_use(tenant, id))? {
            return Err(OAuthClientError::InUse { client: id });
        }
        db!(tx, connection::delete_oauth_client(tenant, id)).map_err(|error| match error {
            // A connection was made with it since the question.
            causeway_store::Error::Conflict { .. } => OAuthClientError::InUse { client: id },
            other => other.into(),
        })?;
        let event = Audit::OauthClientDeleted { client: id, app: client.app };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        Ok(())
    }
}

fn view(client: OAuthClient) -> OAuthClientView {
    OAuthClientView {
        id: client.id,
        app: client.app,
        client_id: client.client_id,
        scopes: client.scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: client.created_at,
    }
}
