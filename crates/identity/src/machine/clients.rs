//! Machine clients: made, listed, given new secrets and revoked.

use super::api_keys::{check_name, makers_end};
use super::jwk::PublicKeys;
use super::{MachineAccess, MachineError, bounds};
use crate::action;
use crate::permit::{Caller, Permit};
use crate::scope::Scopes;
use crate::token::{self, Plain};
use causeway_store::{Audit, db};
use causeway_types::entity::MachineClient;
use causeway_types::{MachineClientId, SecretString, Timestamp};

/// A client that somebody asks for. It has a secret, public keys, or both.
#[derive(Debug, Clone, Default)]
pub struct NewMachineClient {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Whether it gets a secret.
    pub secret: bool,
    /// Its public keys as a JWK Set (RFC 7517 section 5), if it signs assertions.
    pub public_keys: Option<serde_json::Value>,
}

/// A client, as it is shown.
#[derive(Debug, Clone)]
pub struct MachineClientView {
    /// Its id, which is also the OAuth `client_id`.
    pub id: MachineClientId,
    /// What people call it.
    pub name: String,
    /// Whether it has a secret.
    pub secret: bool,
    /// Its public keys as a JWK Set, if it signs assertions.
    pub public_keys: Option<serde_json::Value>,
    /// What it may do.
    pub scopes: Scopes,
    /// Who made it, as the audit chain names him.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it obtained a token last.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl MachineAccess {
    /// Makes a client. Its secret, if it has one, is shown this once.
    ///
    /// # Errors
    /// [`MachineError`], if the caller may not give what is asked for among others.
    pub async fn create_client(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        new: NewMachineClient,
    ) -> Result<(MachineClientView, Option<SecretString>), MachineError> {
        check_name(&new.name)?;
        if !new.secret && new.public_keys.is_none() {
            return Err(MachineError::NoProof);
        }
        let keys = new.public_keys.as_ref().map(PublicKeys::check).transpose();
        let keys = keys.map_err(MachineError::Keys)?;
        let scopes = bounds::granted(caller, &new.scopes)?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut tx = inner.store.write(permit.actor()).await?;
        if makers_end(&mut tx, permit.actor(), tenant).await?.is_some() {
            return Err(MachineError::Outlives);
        }
        let plain = new.secret.then(|| Plain::<token::ClientSecret>::generate(&*inner.random));
        let client = MachineClient {
            id: MachineClientId::generate(now, &*inner.random),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            name: new.name.clone(),
            digest: plain.as_ref().map(|one| one.keyed_digest(inner.keys.token()).to_vec()),
            public_keys: keys.as_ref().map(PublicKeys::to_text),
            scopes: scopes.to_text(),
            created_by: permit.actor().to_string(),
            created_at: now,
            last_used_at: None,
            revoked_at: None,
        };
        db!(tx, machine_client::insert(&client))?;
        let environment = tenant.environment;
        let event = Audit::MachineClientCreated { client: client.id, name: new.name, environment };
        tx.commit(tenant.workspace, now, event).await?;
        Ok((MachineClientView::read(client)?, plain.map(Plain::reveal)))
    }

    /// A page of the environment's clients, oldest first, from after `after`: one more than
    /// `limit` if there is a next page. Revoked ones are among them.
    ///
    /// # Errors
    /// [`MachineError::Store`], [`MachineError::Damaged`].
    pub async fn clients(
        &self,
        permit: &Permit<action::ReadMachineAccess>,
        after: MachineClientId,
        limit: i64,
    ) -> Result<Vec<MachineClientView>, MachineError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, machine_client::page(permit.tenant(), after, limit + 1))?;
        found.into_iter().map(MachineClientView::read).collect()
    }

    /// One client.
    ///
    /// # Errors
    /// [`MachineError::UnknownClient`], [`MachineError::Store`], [`MachineError::Damaged`].
    pub async fn client(
        &self,
        permit: &Permit<action::ReadMachineAccess>,
        id: MachineClientId,
    ) -> Result<MachineClientView, MachineError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, machine_client::get(permit.tenant(), id))?;
        MachineClientView::read(found.ok_or(MachineError::UnknownClient)?)
    }

    /// Gives a client a new secret in the place of the one it has, if it has one. The old secret
    /// obtains nothing from now on; tokens that it obtained work until they expire.
    ///
    /// # Errors
    /// [`MachineError`], if the caller has not all that the client may do among others.
    pub async fn rotate_client_secret(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        id: MachineClientId,
    ) -> Result<(MachineClientView, SecretString), MachineError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut tx = inner.store.write(permit.actor()).await?;
        let found = db!(tx, machine_client::get(tenant, id))?;
        let mut client = found.ok_or(MachineError::UnknownClient)?;
        let scopes = Scopes::from_text(&client.scopes).map_err(MachineError::Damaged)?;
        // Whoever sees the new secret can do what the client can.
        bounds::within(caller, &scopes)?;
        if makers_end(&mut tx, permit.actor(), tenant).await?.is_some() {
            return Err(MachineError::Outlives);
        }
        let plain = Plain::<token::ClientSecret>::generate(&*inner.random);
        let digest = plain.keyed_digest(inner.keys.token()).to_vec();
        if !db!(tx, machine_client::set_digest(tenant, id, &digest))? {
            return Err(MachineError::ClientRevoked);
        }
        client.digest = Some(digest);
        let event = Audit::MachineClientSecretRotated { client: id };
        tx.commit(tenant.workspace, now, event).await?;
        Ok((MachineClientView::read(client)?, plain.reveal()))
    }

    /// Revokes a client: it obtains no more tokens, and those that it has stop working at once, on
    /// every node. One that was revoked before stays as it is.
    ///
    /// # Errors
    /// [`MachineError::UnknownClient`], [`MachineError::Store`].
    pub async fn revoke_client(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        id: MachineClientId,
    ) -> Result<(), MachineError> {
        let (tenant, now) = (permit.tenant(), self.inner.clock.now());
        let mut tx = self.inner.store.write(permit.actor()).await?;
        if !db!(tx, machine_client::revoke(tenant, id, now))? {
            let there = db!(tx, machine_client::get(tenant, id))?.is_some();
            return if there { Ok(()) } else { Err(MachineError::UnknownClient) };
        }
        tx.access_changed(tenant.workspace).await?;
        tx.commit(tenant.workspace, now, Audit::MachineClientRevoked { client: id }).await?;
        Ok(())
    }
}

impl MachineClientView {
    fn read(client: MachineClient) -> Result<Self, MachineError> {
        let keys = client.public_keys.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: client.id,
            name: client.name,
            secret: client.digest.is_some(),
            public_keys: keys.map_err(MachineError::Damaged)?,
            scopes: Scopes::from_text(&client.scopes).map_err(MachineError::Damaged)?,
            created_by: client.created_by,
            created_at: client.created_at,
            last_used_at: client.last_used_at,
            revoked_at: client.revoked_at,
        })
    }
}
