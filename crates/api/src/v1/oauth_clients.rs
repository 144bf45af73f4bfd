//! The company's own OAuth clients at apps.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod set;

use causeway_connect::OAuthClientView;
use causeway_types::{OAuthClientId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Your OAuth client at an app, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthClient)]
pub(crate) struct OAuthClientBody {
    /// Its id in Causeway.
    id: OAuthClientId,
    /// The app.
    app: String,
    /// The client id that the app gave you.
    client_id: String,
    /// The scopes to ask for; empty for the app's usual ones.
    scopes: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
}

impl From<OAuthClientView> for OAuthClientBody {
    fn from(client: OAuthClientView) -> Self {
        Self {
            id: client.id,
            app: client.app,
            client_id: client.client_id,
            scopes: client.scopes,
            created_at: client.created_at,
        }
    }
}
