//! API keys: made, listed, rotated and revoked.

use super::{
    MAX_LIFETIME, MAX_NAME, MAX_OVERLAP, MIN_LIFETIME, MachineAccess, MachineError, OVERLAP, bounds,
};
use crate::action;
use crate::permit::{Caller, Permit};
use crate::scope::Scopes;
use crate::token::{self, Plain};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::ApiKey;
use causeway_types::{Actor, ApiKeyId, SecretString, Tenant, Timestamp};
use std::time::Duration;

/// A key that somebody asks for.
#[derive(Debug, Clone, Default)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// How long it works: a minute to five years; for ever if `None`.
    pub lifetime: Option<Duration>,
}

/// How a key is rotated.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// How long the old key goes on working: up to 30 days; a day if `None`.
    pub overlap: Option<Duration>,
    /// How long the new key works; if `None`, as long as the old one was made for.
    pub lifetime: Option<Duration>,
}

/// A key that has been rotated.
pub struct RotatedApiKey {
    /// The new key's record.
    pub key: ApiKeyView,
    /// The new key. It is nowhere else.
    pub secret: SecretString,
    /// Until when the old one works.
    pub old_until: Timestamp,
}

/// A key, as it is shown.
#[derive(Debug, Clone)]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Who made it, as the audit chain names him.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to a minute; known a minute later.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl MachineAccess {
    /// Makes a key. The text is shown this once.
    ///
    /// # Errors
    /// [`MachineError`], if the caller may not give what is asked for among others.
    pub async fn create_key(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        new: NewApiKey,
    ) -> Result<(ApiKeyView, SecretString), MachineError> {
        check_name(&new.name)?;
        let scopes = bounds::granted(caller, &new.scopes)?;
        let mut tx = self.inner.store.write(permit.actor()).await?;
        let made = self.insert_key(&mut tx, permit, &new.name, scopes, new.lifetime).await?;
        let event = Audit::ApiKeyCreated { key: made.0.id, name: new.name };
        tx.commit(permit.workspace(), made.0.created_at, event).await?;
        Ok(made)
    }

    /// A page of the environment's keys, oldest first, from after `after`: one more than `limit`
    /// if there is a next page. Revoked and expired ones are among them.
    ///
    /// # Errors
    /// [`MachineError::Store`], [`MachineError::Damaged`].
    pub async fn keys(
        &self,
        permit: &Permit<action::ReadMachineAccess>,
        after: ApiKeyId,
        limit: i64,
    ) -> Result<Vec<ApiKeyView>, MachineError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, api_key::page(permit.tenant(), after, limit + 1))?;
        found.into_iter().map(ApiKeyView::read).collect()
    }

    /// One key.
    ///
    /// # Errors
    /// [`MachineError::UnknownKey`], [`MachineError::Store`], [`MachineError::Damaged`].
    pub async fn key(
        &self,
        permit: &Permit<action::ReadMachineAccess>,
        id: ApiKeyId,
    ) -> Result<ApiKeyView, MachineError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, api_key::get(permit.tenant(), id))?;
        ApiKeyView::read(found.ok_or(MachineError::UnknownKey)?)
    }

    /// Makes another key like this one, and lets this one end after the overlap.
    ///
    /// # Errors
    /// [`MachineError`], if the caller has not all that the key may do among others.
    pub async fn rotate_key(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        caller: &Caller,
        id: ApiKeyId,
        rotation: Rotation,
    ) -> Result<RotatedApiKey, MachineError> {
        let (tenant, now) = (permit.tenant(), self.inner.clock.now());
        let overlap = rotation.overlap.unwrap_or(OVERLAP);
        if overlap > MAX_OVERLAP {
            return Err(MachineError::Overlap);
        }
        let mut tx = self.inner.store.write(permit.actor()).await?;
        let old = db!(tx, api_key::get(tenant, id))?.ok_or(MachineError::UnknownKey)?;
        if old.revoked_at.is_some() || old.expires_at.is_some_and(|end| end <= now) {
            return Err(MachineError::KeyEnded);
        }
        let scopes = Scopes::from_text(&old.scopes).map_err(MachineError::Damaged)?;
        bounds::within(caller, &scopes)?;
        let before = old.expires_at.map(|end| end.since(old.created_at).max(MIN_LIFETIME));
        let lifetime = rotation.lifetime.or(before);
        let (key, secret) = self.insert_key(&mut tx, permit, &old.name, scopes, lifetime).await?;
        let end = now.plus(overlap);
        let old_until = old.expires_at.map_or(end, |before| before.min(end));
        if !db!(tx, api_key::end_at(tenant, id, end))? {
            return Err(MachineError::KeyEnded);
        }
        tx.access_changed(tenant.workspace).await?;
        let event = Audit::ApiKeyRotated { key: id, successor: key.id, old_until };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(RotatedApiKey { key, secret, old_until })
    }

    /// Revokes a key: it stops working at once, on every node. One that was revoked before stays
    /// as it is.
    ///
    /// # Errors
    /// [`MachineError::UnknownKey`], [`MachineError::Store`].
    pub async fn revoke_key(
        &self,
        permit: &Permit<action::ManageMachineAccess>,
        id: ApiKeyId,
    ) -> Result<(), MachineError> {
        let (tenant, now) = (permit.tenant(), self.inner.clock.now());
        let mut tx = self.inner.store.write(permit.actor()).await?;
        if !db!(tx, api_key::revoke(tenant, id, now))? {
            let there = db!(tx, api_key::get(tenant, id))?.is_some();
            return if there { Ok(()) } else { Err(MachineError::UnknownKey) };
        }
        tx.access_changed(tenant.workspace).await?;
        tx.commit(tenant.workspace, now, Audit::ApiKeyRevoked { key: id }).await?;
        Ok(())
    }

    async fn insert_key(
        &self,
        tx: &mut WriteTx,
        permit: &Permit<action::ManageMachineAccess>,
        name: &str,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<(ApiKeyView, SecretString), MachineError> {
        if lifetime.is_some_and(|life| !(MIN_LIFETIME..=MAX_LIFETIME).contains(&life)) {
            return Err(MachineError::Lifetime);
        }
        let (inner, tenant) = (&self.inner, permit.tenant());
        let now = inner.clock.now();
        let asked = lifetime.map(|life| now.plus(life));
        // What a key makes does not outlive it.
        let bound = makers_end(tx, permit.actor(), tenant).await?;
        let expires_at = match (asked, bound) {
            (Some(asked), Some(bound)) => Some(asked.min(bound)),
            (asked, bound) => asked.or(bound),
        };
        let plain = Plain::<token::ApiKey>::generate(&*inner.random);
        let key = ApiKey {
            id: ApiKeyId::generate(now, &*inner.random),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            name: name.to_owned(),
            hint: plain.hint(),
            digest: plain.keyed_digest(inner.keys.token()).to_vec(),
            scopes: scopes.to_text(),
            created_by: permit.actor().to_string(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        db!(tx, api_key::insert(&key))?;
        Ok((ApiKeyView::of(key, scopes), plain.reveal()))
    }
}

/// When the key ends that makes another, if a key makes it and ends.
pub(super) async fn makers_end(
    tx: &mut WriteTx,
    maker: Actor,
    tenant: Tenant,
) -> Result<Option<Timestamp>, MachineError> {
    let Actor::ApiKey(id) = maker else { return Ok(None) };
    let key = db!(tx, api_key::get(tenant, id))?.ok_or(MachineError::UnknownKey)?;
    Ok(key.expires_at)
}

/// Refuses names that cannot be shown.
pub(super) fn check_name(name: &str) -> Result<(), MachineError> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    if fits && !name.contains(char::is_control) && name.trim() == name {
        return Ok(());
    }
    Err(MachineError::Name)
}

impl ApiKeyView {
    fn read(key: ApiKey) -> Result<Self, MachineError> {
        let scopes = Scopes::from_text(&key.scopes).map_err(MachineError::Damaged)?;
        Ok(Self::of(key, scopes))
    }

    fn of(key: ApiKey, scopes: Scopes) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            scopes,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}
