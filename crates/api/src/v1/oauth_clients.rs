//! The company's own OAuth clients at apps.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod set;

use causeway_connect::OAuthClientView;
use causeway_types::{OAuthClientId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Your OAuth client at an app, without its secrets. Consumer keys and GitHub Apps are such too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthClient)]
pub(crate) struct OAuthClientBody {
    /// Its id in Causeway.
    id: OAuthClientId,
    /// The app.
    app: String,
    /// Which of the app's clients it is; empty for the usual one. One that Causeway registered by
    /// itself has the name of its authorization server.
    name: String,
    /// What it is for, in your own words.
    description: String,
    /// The client id that the app gave you.
    client_id: String,
    /// The scopes to ask for; empty for the app's usual ones.
    scopes: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl From<OAuthClientView> for OAuthClientBody {
    fn from(client: OAuthClientView) -> Self {
        Self {
            id: client.id,
            app: client.app,
            name: client.name,
            description: client.description,
            client_id: client.client_id,
            scopes: client.scopes,
            created_at: client.created_at,
            updated_at: client.updated_at,
        }
    }
}
