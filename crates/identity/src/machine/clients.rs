//! Machine clients: made, listed, given new secrets and keys, and revoked.

use super::api_keys::{check_name, makers_end};
use super::jwk::PublicKeys;
use super::{MAX_OVERLAP, MachineAccess, MachineError, OVERLAP, bounds};
use crate::action;
use crate::permit::{Caller, Permit};
use crate::scope::Scopes;
use crate::token::{self, Plain};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::MachineClient;
use causeway_types::{MachineClientId, SecretString, Timestamp};
use serde_json::Value;
use std::time::Duration;

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
    pub public_keys: Option<Value>,
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
    /// Until when the secret before works, if it still does.
    pub old_secret_until: Option<Timestamp>,
    /// Its public keys as a JWK Set, if it signs assertions.
    pub public_keys: Option<Value>,
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
            old_digest: None,
            old_until: None,
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
        Ok((MachineClientView::read(client, now)?, plain.map(Plain::reveal)))
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
        let now = self.inner.clock.now();
        found.into_iter().map(|client| MachineClientView::read(client, now)).collect()
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
        MachineClientView::read(found.ok_or(MachineError::UnknownClient)?, self.inner.clock.now())
    }

    /// Gives a client a new secret in the place of the one it has, if it has one. The old secret
    /// goes on working for the overlap: up to 30 days, a day if `None`; one that was rotated
    /// before and still works ends now. Tokens that either obtained work until they expire.
    ///
    /// # Errors
    /// [`MachineError`], if the caller has not all that the client may do among others.
    pub async fn rotate_client_secret(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        id: MachineClientId,
        overlap: Option<Duration>,
    ) -> Result<(MachineClientView, SecretString), MachineError> {
        let overlap = overlap.unwrap_or(OVERLAP);
        if overlap > MAX_OVERLAP {
            return Err(MachineError::Overlap);
        }
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut tx = inner.store.write(permit.actor()).await?;
        let mut client = to_be_proven_anew(&mut tx, permit, caller, id).await?;
        let plain = Plain::<token::ClientSecret>::generate(&*inner.random);
        client.old_digest = client.digest.replace(plain.keyed_digest(inner.keys.token()).to_vec());
        client.old_until = client.old_digest.is_some().then(|| now.plus(overlap));
        db!(tx, machine_client::set_proofs(&client))?;
        let event = Audit::MachineClientSecretRotated { client: id, old_until: client.old_until };
        tx.commit(tenant.workspace, now, event).await?;
        Ok((MachineClientView::read(client, now)?, plain.reveal()))
    }

    /// Gives a client other public keys, or with `None` takes those that it has. What is signed
    /// with another key obtains nothing from now on; tokens work until they expire.
    ///
    /// # Errors
    /// [`MachineError`], if the caller has not all that the client may do among others, or if the
    /// client could not prove itself any more.
    pub async fn set_client_keys(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        id: MachineClientId,
        keys: Option<&Value>,
    ) -> Result<MachineClientView, MachineError> {
        let keys = keys.map(PublicKeys::check).transpose().map_err(MachineError::Keys)?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let mut tx = inner.store.write(permit.actor()).await?;
        let mut client = to_be_proven_anew(&mut tx, permit, caller, id).await?;
        if client.digest.is_none() && keys.is_none() {
            return Err(MachineError::NoProof);
        }
        client.public_keys = keys.as_ref().map(PublicKeys::to_text);
        db!(tx, machine_client::set_proofs(&client))?;
        let keys = keys.as_ref().map(PublicKeys::thumbprints).unwrap_or_default();
        let event = Audit::MachineClientKeysChanged { client: id, keys };
        tx.commit(tenant.workspace, now, event).await?;
        MachineClientView::read(client, now)
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

/// A client that is to prove itself in another way. Whoever gives it that way can do what the
/// client can, so they must be able to give it as much.
async fn to_be_proven_anew(
    tx: &mut WriteTx,
    permit: &Permit<action::ManageMachineAccess>,
    caller: &Caller,
    id: MachineClientId,
) -> Result<MachineClient, MachineError> {
    let tenant = permit.tenant();
    // One change of a client at a time, so that none undoes the other.
    db!(tx, machine_client::lock(tenant, id))?;
    let found = db!(tx, machine_client::get(tenant, id))?;
    let client = found.ok_or(MachineError::UnknownClient)?;
    let scopes = Scopes::from_text(&client.scopes).map_err(MachineError::Damaged)?;
    bounds::within(caller, &scopes)?;
    if makers_end(tx, permit.actor(), tenant).await?.is_some() {
        return Err(MachineError::Outlives);
    }
    if client.revoked_at.is_some() {
        return Err(MachineError::ClientRevoked);
    }
    Ok(client)
}

impl MachineClientView {
    fn read(client: MachineClient, now: Timestamp) -> Result<Self, MachineError> {
        let keys = client.public_keys.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: client.id,
            name: client.name,
            secret: client.digest.is_some(),
            old_secret_until: client.old_until.filter(|end| now < *end),
            public_keys: keys.map_err(MachineError::Damaged)?,
            scopes: Scopes::from_text(&client.scopes).map_err(MachineError::Damaged)?,
            created_by: client.created_by,
            created_at: client.created_at,
            last_used_at: client.last_used_at,
            revoked_at: client.revoked_at,
        })
    }
}
