//! Connections. No answer here holds a credential, but for the one audited export.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod policy;
pub(crate) mod revocations;
pub(crate) mod show;
pub(crate) mod test;

use causeway_types::entity::{ConnectionOverview, ConnectionState, Scheme};
use causeway_types::{ConnectionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A customer's connection to an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionBody {
    /// Its id.
    id: ConnectionId,
    /// Your own id of the customer that it belongs to.
    customer: String,
    /// The app.
    app: String,
    /// The name by which workflows refer to it.
    name: String,
    /// How it proves itself.
    scheme: Scheme,
    /// How it is.
    state: ConnectionState,
    /// Why it is not healthy.
    state_reason: Option<String>,
    /// The scopes that were granted, separated by spaces.
    scopes: String,
    /// The account's id at the app, if the app says.
    account_id: Option<String>,
    /// What people call the account, if the app says.
    account_name: Option<String>,
    /// When the access token expires, if it does. It is refreshed before.
    expires_at: Option<Timestamp>,
    /// When its token was last renewed.
    refreshed_at: Option<Timestamp>,
    /// When its credential was last used, to the hour.
    used_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl From<ConnectionOverview> for ConnectionBody {
    fn from(connection: ConnectionOverview) -> Self {
        Self {
            id: connection.id,
            customer: connection.customer,
            app: connection.app,
            name: connection.name,
            scheme: connection.scheme,
            state: connection.state,
            state_reason: connection.state_reason,
            scopes: connection.scopes,
            account_id: connection.account_id,
            account_name: connection.account_name,
            expires_at: connection.expires_at,
            refreshed_at: connection.refreshed_at,
            used_at: connection.used_at,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
        }
    }
}
