//! Identity providers: the services that tell who somebody is. No answer here holds a secret.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use crate::Api;
use causeway_identity::ProviderView;
use causeway_types::entity::ProviderKind;
use causeway_types::{ProviderId, Timestamp, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// An identity provider, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityProvider)]
pub(crate) struct IdentityProviderBody {
    /// Its id.
    id: ProviderId,
    /// The workspace that it belongs to. The installation's own may be used by every workspace.
    workspace_id: WorkspaceId,
    /// How it is spoken to.
    kind: ProviderKind,
    /// What the button on the sign-in page says.
    name: String,
    /// Its issuer: the base address of its discovery document, or of GitHub.
    issuer: String,
    /// Causeway's client id there.
    client_id: String,
    /// The redirect URI to register there.
    redirect_uri: String,
    /// When it was added.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

impl IdentityProviderBody {
    fn of(api: &Api, provider: ProviderView) -> Self {
        Self {
            id: provider.id,
            workspace_id: provider.workspace,
            kind: provider.kind,
            name: provider.name,
            issuer: provider.issuer,
            client_id: provider.client_id,
            redirect_uri: api.sign_in().callback_url(provider.workspace).to_string(),
            created_at: provider.created_at,
            updated_at: provider.updated_at,
        }
    }
}
