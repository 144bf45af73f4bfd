//! Finding, listing and deleting components.

use super::definition::numbers;
use super::{ComponentError, Definition, version_of};
use crate::{Flow, Inner};
use causeway_connect::Whose;
use causeway_identity::action::RunComponents;
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{Component, ComponentSeals};
use causeway_types::{ComponentId, Place};
use std::collections::BTreeMap;

/// A component with what it says of itself.
#[derive(Debug, Clone)]
pub struct ComponentDetail {
    /// What stands in its columns.
    pub component: Component,
    /// The rest.
    pub definition: Definition,
}

impl Flow {
    /// Every version of every component, oldest first.
    ///
    /// # Errors
    /// [`ComponentError::Flow`] if the store fails.
    pub async fn components(
        &self,
        permit: &Permit<action::ReadWorkflows>,
    ) -> Result<Vec<Component>, ComponentError> {
        let mut conn = self.inner.store.read().await?;
        Ok(db!(conn, component::all(permit.tenant()))?)
    }

    /// The newest version of every component whose apps somebody may use, in the order in which these
    /// were published.
    ///
    /// # Errors
    /// [`ComponentError::Flow`] if the store fails.
    pub async fn newest_components(
        &self,
        whose: &Whose<'_, RunComponents>,
    ) -> Result<Vec<Component>, ComponentError> {
        let mut conn = self.inner.store.read().await?;
        let all = db!(conn, component::all(whose.tenant()))?;
        let mut newest: BTreeMap<String, Component> = BTreeMap::new();
        for one in all.into_iter().filter(|one| is_shown(one, whose)) {
            let is_newer = |known: &Component| numbers(&one.version) > numbers(&known.version);
            if newest.get(&one.key).is_none_or(is_newer) {
                newest.insert(one.key.clone(), one);
            }
        }
        let mut newest: Vec<Component> = newest.into_values().collect();
        newest.sort_by_key(|one| one.id);
        Ok(newest)
    }

    /// One component.
    ///
    /// # Errors
    /// [`ComponentError::Unknown`].
    pub async fn component(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        id: ComponentId,
    ) -> Result<ComponentDetail, ComponentError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, component::get(permit.tenant(), id))?;
        drop(conn);
        self.inner.detail(found.ok_or(ComponentError::Unknown)?).await
    }

    /// A component by its id or its key; of several versions the one that is named, or the newest.
    ///
    /// # Errors
    /// [`ComponentError::Unknown`].
    pub async fn component_named(
        &self,
        whose: &Whose<'_, RunComponents>,
        id_or_key: &str,
        version: Option<&str>,
    ) -> Result<ComponentDetail, ComponentError> {
        let found = self.inner.find_component(whose, id_or_key, version).await?;
        self.inner.detail(found).await
    }

    /// What components say of themselves, for a list of them.
    ///
    /// # Errors
    /// [`ComponentError::Flow`] if the store or the vault fails.
    pub async fn component_details(
        &self,
        components: Vec<Component>,
    ) -> Result<Vec<ComponentDetail>, ComponentError> {
        let mut details = Vec::with_capacity(components.len());
        for component in components {
            match self.inner.detail(component).await {
                Ok(detail) => details.push(detail),
                // It was deleted a moment ago.
                Err(ComponentError::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(details)
    }

    /// Deletes a version of a component, with its code.
    ///
    /// # Errors
    /// [`ComponentError::Unknown`].
    pub async fn delete_component(
        &self,
        permit: &Permit<action::Deploy>,
        id: ComponentId,
    ) -> Result<(), ComponentError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let mut tx = inner.store.write(permit.actor()).await?;
        let found = db!(tx, component::get(tenant, id))?.ok_or(ComponentError::Unknown)?;
        db!(tx, component::delete(tenant, id))?;
        let event =
            Audit::ComponentDeleted { component: id, key: found.key, version: found.version };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        inner.components.invalidate(&id).await;
        inner.pool.evict(version_of(id)).await;
        Ok(())
    }
}

/// Whether somebody may use every app of a component: to him who may not, it is not there.
fn is_shown(component: &Component, whose: &Whose<'_, RunComponents>) -> bool {
    component.apps.split_whitespace().all(|slug| whose.shows_app(slug))
}

impl Inner {
    pub(super) async fn find_component(
        &self,
        whose: &Whose<'_, RunComponents>,
        id_or_key: &str,
        version: Option<&str>,
    ) -> Result<Component, ComponentError> {
        let tenant = whose.tenant();
        let mut conn = self.store.read().await?;
        let found: Vec<Component> = match id_or_key.parse::<ComponentId>() {
            Ok(id) => db!(conn, component::get(tenant, id))?.into_iter().collect(),
            Err(_) => db!(conn, component::versions(tenant, id_or_key))?,
        };
        let wanted = |one: &Component| {
            version.is_none_or(|version| one.version == version) && is_shown(one, whose)
        };
        let newest = found.into_iter().filter(wanted).max_by_key(|one| numbers(&one.version));
        newest.ok_or(ComponentError::Unknown)
    }

    async fn detail(&self, component: Component) -> Result<ComponentDetail, ComponentError> {
        let mut conn = self.store.read().await?;
        let seals = db!(conn, component::seals(component.tenant(), component.id))?;
        drop(conn);
        let definition =
            self.definition(&component, &seals.ok_or(ComponentError::Unknown)?).await?;
        Ok(ComponentDetail { component, definition })
    }

    pub(super) async fn definition(
        &self,
        component: &Component,
        seals: &ComponentSeals,
    ) -> Result<Definition, ComponentError> {
        let place = Place::ComponentDefinition(component.id);
        let bytes = self.vault.open(component.workspace_id, &place, &seals.definition).await?;
        let definition = serde_json::from_slice(bytes.expose())
            .map_err(|source| crate::FlowError::Stored { what: "component", source })?;
        Ok(definition)
    }
}
