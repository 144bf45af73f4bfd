//! The company's own OAuth clients at apps: consumer keys, GitHub Apps and the like among them.

use crate::client::Client;
use crate::error::InvalidInput;
use crate::form::{self, FieldView};
use crate::jws::SigningKey;
use crate::{Connect, Inner, Page, limits};
use causeway_catalog::{App, ClientAuth, McpRegistration};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::OAuthClient;
use causeway_types::{Code, Coded, OAuthClientId, Place, SecretString, Tenant, Timestamp};
use causeway_vault::VaultError;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest description of a client, in characters.
const DESCRIPTION: usize = 300;

/// A client as the app's console shows it.
#[derive(Default)]
pub struct NewOAuthClient {
    /// The app's slug.
    pub app: String,
    /// Which of the app's clients it is; empty for the usual one.
    pub name: String,
    /// What it is for, in the company's own words.
    pub description: String,
    /// The `client_id` that the app gave; a consumer key; the id of a GitHub App.
    pub client_id: String,
    /// The `client_secret` that the app gave, or the private key in PEM where the app takes a
    /// signature; `None` for a public client.
    pub secret: Option<SecretString>,
    /// What the row asks for in `client_fields`.
    pub fields: BTreeMap<String, SecretString>,
    /// The scopes to ask for; empty for those of the app's row.
    pub scopes: Vec<String>,
}

/// A client without its secrets, which are never shown again.
#[derive(Debug, Clone)]
pub struct OAuthClientView {
    /// Its id in Causeway.
    pub id: OAuthClientId,
    /// The app's slug.
    pub app: String,
    /// Which of the app's clients it is; empty for the usual one. One that Causeway registered by
    /// itself is named by its authorization server.
    pub name: String,
    /// What it is for, in the company's own words.
    pub description: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The scopes to ask for; empty for those of the app's row.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An OAuth client cannot be set, listed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum OAuthClientError {
    /// The catalogue has no such app.
    #[error("setting an OAuth client: unknown app")]
    UnknownApp,
    /// The app has no use for a client of the company's.
    #[error("setting an OAuth client for {app}, which has no use for one")]
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
                format!("`{app}` is not connected by a client of yours, so it needs none.").into()
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
    /// Sets a client of an app in the permit's environment, or replaces its secret, fields, scopes
    /// and description. The app and the name say which client it is.
    ///
    /// # Errors
    /// [`OAuthClientError::InUse`] if connections were made with another `client_id`.
    pub async fn set_oauth_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        new: NewOAuthClient,
    ) -> Result<OAuthClientView, OAuthClientError> {
        let row = &*self.inner.catalog.get(&new.app).ok_or(OAuthClientError::UnknownApp)?;
        permit.covers_app(&new.app)?;
        if !takes_client(row) {
            return Err(OAuthClientError::NoOAuth { app: new.app });
        }
        let new = check(row, new)?;
        match self.write_oauth_client(permit, &new).await {
            // Somebody set the client for the first time at the same moment: now there is one to
            // change.
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
        let mut conn = inner.store.read().await?;
        let present = db!(conn, oauth_client::named(tenant, &new.app, &new.name))?;
        drop(conn);
        let client = inner.sealed_client(tenant, new, present.as_ref()).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        match present {
            Some(old) => {
                let other = old.client_id != client.client_id;
                if other && db!(tx, oauth_client::in_use(tenant, old.id))? {
                    return Err(OAuthClientError::InUse { client: old.id });
                }
                if !db!(tx, oauth_client::update(&client))? {
                    return Err(OAuthClientError::Unknown);
                }
            }
            None => db!(tx, oauth_client::insert(&client))?,
        }
        let event = Audit::OauthClientSet { client: client.id, app: client.app.clone() };
        tx.commit(tenant.workspace, client.updated_at, event).await?;
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
        let rows = db!(conn, oauth_client::page(permit.tenant(), after, more))?;
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
        let client = db!(tx, oauth_client::get(tenant, id))?
            .filter(|client| permit.covers_app(&client.app).is_ok())
            .ok_or(OAuthClientError::Unknown)?;
        if db!(tx, oauth_client::in_use(tenant, id))? {
            return Err(OAuthClientError::InUse { client: id });
        }
        db!(tx, oauth_client::delete(tenant, id)).map_err(|error| match error {
            // A connection was made with it since the question.
            causeway_store::Error::Conflict { .. } => OAuthClientError::InUse { client: id },
            other => other.into(),
        })?;
        let event = Audit::OauthClientDeleted { client: id, app: client.app };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        Ok(())
    }
}

impl Inner {
    /// The record of a client, new or in place of `present`, with its secrets sealed.
    pub(crate) async fn sealed_client(
        &self,
        tenant: Tenant,
        new: &NewOAuthClient,
        present: Option<&OAuthClient>,
    ) -> Result<OAuthClient, VaultError> {
        let now = self.clock.now();
        // The seal is bound to the record, so the id has to be known before.
        let id =
            present.map_or_else(|| OAuthClientId::generate(now, &*self.random), |client| client.id);
        let plain = new.secret.as_ref().map_or("", |secret| secret.expose().as_str());
        let plain = Client::to_seal(plain, &new.fields);
        let secret =
            self.vault.seal(tenant.workspace, &Place::OAuthClientSecret(id), &plain).await?;
        Ok(OAuthClient {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            app: new.app.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            client_id: new.client_id.clone(),
            secret,
            scopes: new.scopes.join(" "),
            created_at: present.map_or(now, |client| client.created_at),
            updated_at: now,
        })
    }
}

/// Whether connections to the app are made with a client of the company's.
pub(crate) fn takes_client(app: &App) -> bool {
    let auth = &app.auth;
    auth.oauth2.is_some()
        || auth.oauth1.is_some()
        || auth.installation.is_some()
        || auth.mcp.as_ref().is_some_and(|row| row.registration.contains(&McpRegistration::Static))
}

/// What a client's secret is at an app.
#[derive(PartialEq, Eq)]
enum SecretKind {
    /// A text.
    Text,
    /// A private key.
    Key,
    /// Either, as it is at GitHub: an OAuth app has a text, a GitHub App a key.
    Either,
}

fn secret_kind(app: &App) -> SecretKind {
    let auth = &app.auth;
    let by_key = |auth: &ClientAuth| *auth == ClientAuth::PrivateKeyJwt;
    let oauth2 = auth.oauth2.as_ref().map(|row| by_key(&row.client_auth));
    match (auth.installation.is_some(), oauth2) {
        (true, None | Some(true)) | (false, Some(true)) => SecretKind::Key,
        (true, Some(false)) => SecretKind::Either,
        (false, _) => SecretKind::Text,
    }
}

/// What the app's row asks for beside id and secret of a client.
pub fn client_fields(app: &App) -> Vec<FieldView> {
    form::of_client(app)
}

pub(crate) fn check(row: &App, mut new: NewOAuthClient) -> Result<NewOAuthClient, InvalidInput> {
    limits::client_name(&new.name)?;
    limits::line("description", &new.description, DESCRIPTION)?;
    limits::client_id(&new.client_id)?;
    limits::scopes(&new.scopes)?;
    if let Some(secret) = &new.secret {
        check_secret(row, secret)?;
    }
    new.fields = form::read_client(row, new.fields)?;
    Ok(new)
}

/// A secret on one line, or a private key in PEM where one is taken.
fn check_secret(row: &App, secret: &SecretString) -> Result<(), InvalidInput> {
    let text = secret.expose();
    let is_pem = text.trim_start().starts_with("-----BEGIN ");
    let kind = secret_kind(row);
    if kind == SecretKind::Text || (kind == SecretKind::Either && !is_pem) {
        return limits::secret("client_secret", secret);
    }
    limits::value("client_secret", text, true)?;
    match SigningKey::of_pem(text) {
        Some(_) => Ok(()),
        None => Err(InvalidInput::new(
            "client_secret",
            "it is not a private key in PEM (RSA, P-256 or Ed25519, without a passphrase); paste the whole file",
        )),
    }
}

fn view(client: OAuthClient) -> OAuthClientView {
    OAuthClientView {
        id: client.id,
        app: client.app,
        name: client.name,
        description: client.description,
        client_id: client.client_id,
        scopes: client.scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: client.created_at,
        updated_at: client.updated_at,
    }
}
