//! The installation's providers, for whoever needs no permit: who holds the claim link, because
//! nobody owns the installation yet, and who has the machine.

use super::rows::{
    MAX_CLIENT_ID, NewProvider, ProviderError, ProviderView, bounded, check_secret, checked_issuer,
    insert, set_event,
};
use crate::sign_in::SignIn;
use causeway_store::{Audit, Store, db};
use causeway_types::{Actor, Clock, INSTALLATION, Place, ProviderId, Randomness};
use causeway_vault::Vault;
use std::net::IpAddr;

impl SignIn {
    /// Sets a provider of an installation that has no owner yet: the claim link's token is the
    /// proof. Where one has its name, its client is replaced: a typing error can be mended.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn set_claim_provider(
        &self,
        token: &str,
        address: IpAddr,
        new: NewProvider,
    ) -> Result<ProviderView, ProviderError> {
        self.check_claim(token, address).await.map_err(Box::new)?;
        let inner = &self.inner;
        let (clock, random) = (&*inner.clock, &*inner.random);
        set(&inner.store, &inner.vault, clock, random, Actor::Anonymous, new).await
    }
}

/// Sets a provider of the installation, for whoever has the machine. Where one has its name, its
/// client is replaced.
///
/// # Errors
/// See [`ProviderError`]; [`ProviderError::Taken`] if the one of that name is of another kind or
/// issuer, which knows other people by the same subjects.
pub async fn set_installation_provider(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    random: &dyn Randomness,
    new: NewProvider,
) -> Result<ProviderView, ProviderError> {
    set(store, vault, clock, random, Actor::Machine, new).await
}

/// The installation's own providers, oldest first.
///
/// # Errors
/// [`ProviderError::Store`].
pub async fn installation_providers(store: &Store) -> Result<Vec<ProviderView>, ProviderError> {
    let mut conn = store.read().await?;
    Ok(db!(conn, provider::list(INSTALLATION))?.iter().map(ProviderView::of).collect())
}

/// Deletes a provider of the installation with the identities that it gave and the sessions that
/// it opened, for whoever has the machine.
///
/// # Errors
/// [`ProviderError::Unknown`], [`ProviderError::Store`].
pub async fn delete_installation_provider(
    store: &Store,
    clock: &dyn Clock,
    id: ProviderId,
) -> Result<(), ProviderError> {
    let mut tx = store.write(Actor::Machine).await?;
    if !db!(tx, provider::delete(INSTALLATION, id))? {
        return Err(ProviderError::Unknown(id));
    }
    let event = Audit::IdentityProviderDeleted { provider: id };
    Ok(tx.commit(INSTALLATION, clock.now(), event).await?)
}

async fn set(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    random: &dyn Randomness,
    actor: Actor,
    new: NewProvider,
) -> Result<ProviderView, ProviderError> {
    let now = clock.now();
    let mut conn = store.read().await?;
    let known = db!(conn, provider::list(INSTALLATION))?;
    drop(conn);
    let Some(mut row) = known.into_iter().find(|row| row.name == new.name) else {
        return insert(store, vault, random, (INSTALLATION, now, actor), new).await;
    };
    if row.kind != new.kind || row.issuer != checked_issuer(new.kind, new.issuer)? {
        return Err(ProviderError::Taken);
    }
    check_secret(&new.client_secret)?;
    let place = Place::ProviderSecret(row.id);
    row.client_id = bounded("client_id", new.client_id, MAX_CLIENT_ID)?;
    row.secret = vault.seal(INSTALLATION, &place, new.client_secret.expose().as_bytes()).await?;
    row.updated_at = now;
    let mut tx = store.write(actor).await?;
    if !db!(tx, provider::update(&row))? {
        return Err(ProviderError::Unknown(row.id));
    }
    tx.commit(INSTALLATION, now, set_event(&row)).await?;
    Ok(ProviderView::of(&row))
}
