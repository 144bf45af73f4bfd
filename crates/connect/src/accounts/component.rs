//! Accounts as components get them: somebody names one for a prop that wants an app's.

use super::Whose;
use crate::{Connect, CredentialError};
use causeway_identity::action::RunComponents;
use causeway_types::entity::UsageKind;
use causeway_types::{ConnectionId, Tenant};

impl Connect {
    /// The slug of the catalogue for an app that a component names, with `_` for `-` or without.
    pub fn app_of_component(&self, name: &str) -> Option<String> {
        let app = self.inner.catalog.get(&name.replace('_', "-"))?;
        Some(app.slug.to_string())
    }

    /// Makes sure that an account is the customer's, and one at this app.
    ///
    /// # Errors
    /// [`CredentialError::Unknown`] if not: whether there is such an account is not told.
    pub async fn check_account(
        &self,
        whose: &Whose<'_, RunComponents>,
        customer: &str,
        app: &str,
        id: ConnectionId,
    ) -> Result<(), CredentialError> {
        let found = self.inner.account_of(whose, id).await?.ok_or(CredentialError::Unknown)?;
        let is_his = found.customer == customer && found.app == app;
        // To ask is to try: a program that is confined to other apps is denied this one.
        let is_covered = is_his && whose.permit().covers_app(app).is_ok();
        if is_covered { Ok(()) } else { Err(CredentialError::Unknown) }
    }

    /// Counts a run of an action.
    pub fn count_action(&self, tenant: Tenant) {
        self.inner.usage.count(tenant, UsageKind::ActionRun, self.inner.clock.now());
    }
}
