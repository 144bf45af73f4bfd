//! Connections in the contract's shape, where they are called accounts.

use super::app::App;
use super::ids;
use causeway_catalog::Catalog;
use causeway_types::Timestamp;
use causeway_types::entity::{ConnectionOverview, ConnectionState};
use serde::Serialize;
use serde_json::value::RawValue;

/// An account.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    id: String,
    name: String,
    /// The company's own id for the customer.
    external_id: String,
    healthy: bool,
    /// Whether it works no more until its customer connects again.
    dead: bool,
    app: App,
    created_at: Timestamp,
    updated_at: Timestamp,
    authorized_scopes: Vec<String>,
    /// The credential in clear, if it was asked for and may be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Box<RawValue>>,
    expires_at: Option<Timestamp>,
    error: Option<String>,
    last_refreshed_at: Option<Timestamp>,
    next_refresh_at: Option<Timestamp>,
}

impl Account {
    pub(super) fn of(catalog: &Catalog, one: ConnectionOverview) -> Self {
        let healthy = one.state == ConnectionState::Healthy;
        Self {
            id: ids::account(one.id),
            name: one.account_name.unwrap_or(one.name),
            external_id: one.customer,
            healthy,
            dead: matches!(one.state, ConnectionState::NeedsReauth | ConnectionState::Revoked),
            app: App::of_slug(catalog, &one.app),
            created_at: one.created_at,
            updated_at: one.updated_at,
            authorized_scopes: one.scopes.split_whitespace().map(str::to_owned).collect(),
            credentials: None,
            expires_at: one.expires_at,
            error: one.state_reason.filter(|_| !healthy),
            last_refreshed_at: one.refreshed_at,
            next_refresh_at: one.refresh_at.filter(|_| one.expires_at.is_some()),
        }
    }

    /// The same with its credential.
    pub(super) fn with_credentials(self, credentials: Option<Box<RawValue>>) -> Self {
        Self { credentials, ..self }
    }
}
