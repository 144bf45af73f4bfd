//! The company's OAuth clients by their ids, each with a name for people.

use crate::error::InvalidInput;
use crate::limits;
use crate::listing::{Listed, Window, window};
use crate::oauth_clients::{NewOAuthClient, OAuthClientError, check, takes_client};
use crate::{Connect, Inner};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{OAuthClient, OAuthClientOverview};
use causeway_types::{OAuthClientId, SecretString, Timestamp};

/// Longest name for people, in characters.
const LABEL: usize = 100;

/// A client with its name for people.
#[derive(Debug, Clone)]
pub struct LabelledClient {
    /// Its id in Causeway.
    pub id: OAuthClientId,
    /// The app's slug.
    pub app: String,
    /// What people call it, if they have said so.
    pub label: Option<String>,
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

/// What is to change of a client; what is missing stays.
#[derive(Default)]
pub struct OAuthClientChange {
    /// What people call it.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The `client_id` that the app gave.
    pub client_id: Option<String>,
    /// The secret.
    pub secret: Option<SecretString>,
    /// The scopes to ask for.
    pub scopes: Option<Vec<String>>,
}

impl Connect {
    /// A window of the environment's clients.
    ///
    /// # Errors
    /// [`OAuthClientError`].
    pub async fn labelled_clients(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        window: Window<OAuthClientId>,
    ) -> Result<Listed<LabelledClient>, OAuthClientError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let apps = inner.confined_to(|slug| permit.shows_app(slug));
        let apps = apps.as_deref();
        let mut conn = inner.store.read().await?;
        let lowest = OAuthClientId::lowest();
        let items =
            window!(conn, window, lowest, oauth_client::[page_after, page_before](tenant, apps))?;
        let total = db!(conn, oauth_client::count(tenant, apps))?;
        Ok(Listed { items, total }.map(view))
    }

    /// One client.
    ///
    /// # Errors
    /// [`OAuthClientError::Unknown`].
    pub async fn labelled_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: OAuthClientId,
    ) -> Result<LabelledClient, OAuthClientError> {
        let mut conn = self.inner.store.read().await?;
        db!(conn, oauth_client::overview(permit.tenant(), id))?
            .filter(|one| permit.covers_app(&one.app).is_ok())
            .map(view)
            .ok_or(OAuthClientError::Unknown)
    }

    /// Makes another client of an app. The app's first one is its usual one: that which is used if
    /// none is named.
    ///
    /// # Errors
    /// [`OAuthClientError`].
    pub async fn create_labelled_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        label: Option<String>,
        new: NewOAuthClient,
    ) -> Result<LabelledClient, OAuthClientError> {
        check_label(label.as_deref())?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let row = &*inner.catalog.get(&new.app).ok_or(OAuthClientError::UnknownApp)?;
        permit.covers_app(&new.app)?;
        if !takes_client(row) {
            return Err(OAuthClientError::NoOAuth { app: new.app });
        }
        let mut new = check(row, NewOAuthClient { name: String::new(), ..new })?;
        let mut conn = inner.store.read().await?;
        if db!(conn, oauth_client::usual(tenant, &new.app))?.is_some() {
            new.name = inner.other_name();
        }
        drop(conn);
        loop {
            let client = inner.sealed_client(tenant, &new, None).await?;
            let mut tx = inner.store.write(permit.actor()).await?;
            match db!(tx, oauth_client::insert(&client)) {
                Ok(()) => return inner.labelled(permit, tx, client, label).await,
                // Somebody made the usual one at the same moment.
                Err(causeway_store::Error::Conflict { .. }) if new.name.is_empty() => {
                    new.name = inner.other_name();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Changes a client.
    ///
    /// # Errors
    /// [`OAuthClientError`].
    pub async fn change_labelled_client(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        id: OAuthClientId,
        change: OAuthClientChange,
    ) -> Result<LabelledClient, OAuthClientError> {
        check_label(change.label.as_deref())?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let mut conn = inner.store.read().await?;
        let present = db!(conn, oauth_client::get(tenant, id))?
            .filter(|client| permit.covers_app(&client.app).is_ok())
            .ok_or(OAuthClientError::Unknown)?;
        let label = db!(conn, oauth_client::overview(tenant, id))?.and_then(|one| one.label);
        drop(conn);
        let opened = inner.open_client(&present).await?;
        let of_record = || present.scopes.split_whitespace().map(str::to_owned).collect();
        let secret = change.secret.or_else(|| {
            let kept = opened.secret.expose();
            (!kept.is_empty()).then(|| SecretString::new(kept.clone()))
        });
        let new = NewOAuthClient {
            app: present.app.clone(),
            name: present.name.clone(),
            description: change.description.unwrap_or_else(|| present.description.clone()),
            client_id: change.client_id.unwrap_or_else(|| present.client_id.clone()),
            secret,
            fields: opened.fields,
            scopes: change.scopes.unwrap_or_else(of_record),
        };
        let row = &*inner.catalog.get(&new.app).ok_or(OAuthClientError::UnknownApp)?;
        let client = inner.sealed_client(tenant, &check(row, new)?, Some(&present)).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        let other = present.client_id != client.client_id;
        if other && db!(tx, oauth_client::in_use(tenant, id))? {
            return Err(OAuthClientError::InUse { client: id });
        }
        if !db!(tx, oauth_client::update(&client))? {
            return Err(OAuthClientError::Unknown);
        }
        inner.labelled(permit, tx, client, change.label.or(label)).await
    }
}

impl Inner {
    /// A name for a client beside the usual one.
    fn other_name(&self) -> String {
        let id = OAuthClientId::generate(self.clock.now(), &*self.random).to_string();
        id.replace(OAuthClientId::PREFIX, "client")
    }

    /// Names a client for people and commits what was done to it.
    async fn labelled(
        &self,
        permit: &Permit<action::ManageOAuthClients>,
        mut tx: WriteTx,
        client: OAuthClient,
        label: Option<String>,
    ) -> Result<LabelledClient, OAuthClientError> {
        let tenant = permit.tenant();
        db!(tx, oauth_client::set_label(tenant, client.id, label.as_deref()))?;
        let event = Audit::OauthClientSet { client: client.id, app: client.app.clone() };
        tx.commit(tenant.workspace, client.updated_at, event).await?;
        Ok(LabelledClient {
            id: client.id,
            app: client.app,
            label,
            description: client.description,
            client_id: client.client_id,
            scopes: client.scopes.split_whitespace().map(str::to_owned).collect(),
            created_at: client.created_at,
            updated_at: client.updated_at,
        })
    }
}

fn check_label(label: Option<&str>) -> Result<(), InvalidInput> {
    label.map_or(Ok(()), |label| limits::line("name", label, LABEL))
}

fn view(row: OAuthClientOverview) -> LabelledClient {
    LabelledClient {
        id: row.id,
        app: row.app,
        label: row.label,
        description: row.description,
        client_id: row.client_id,
        scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
