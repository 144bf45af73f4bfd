//! Customers, their connections, and what it takes to make one.

use crate::column::words;
use crate::place::Sealed;
use crate::{
    ConnectSessionId, ConnectionId, CustomerId, EnvironmentId, NodeId, OAuthClientId, OAuthFlowId,
    ProjectId, Timestamp, WorkspaceId,
};

/// The company's own client at an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// Its id in Causeway.
    pub id: OAuthClientId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The app's slug.
    pub app: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The `client_secret` that the app gave, sealed; empty for a public client.
    pub secret: Sealed,
    /// The scopes to ask for, separated by spaces; empty for those of the app's row.
    pub scopes: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whoever connections belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id in Causeway.
    pub id: CustomerId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The company's own id for the customer.
    pub external_id: String,
    /// When it was made.
    pub created_at: Timestamp,
}

words! {
    /// How a connection is.
    ConnectionState {
        /// It works, as far as is known.
        Healthy = "healthy",
        /// The app denied it: the customer has to connect again.
        NeedsReauth = "needs_reauth",
        /// It fails for a reason that may pass.
        Failing = "failing",
        /// It was given up.
        Revoked = "revoked",
    }
}

words! {
    /// How a connection proves itself to the app.
    Scheme {
        /// OAuth 2.0 authorization code.
        Oauth2 = "oauth2",
        /// An API key.
        ApiKey = "api_key",
        /// User name and password.
        Basic = "basic",
    }
}

/// A customer's credential at an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The customer that it belongs to.
    pub customer_id: CustomerId,
    /// The app's slug.
    pub app: String,
    /// The name by which workflows refer to it, unique in the environment.
    pub name: String,
    /// How it proves itself.
    pub scheme: Scheme,
    /// The OAuth client that it was made with.
    pub oauth_client_id: Option<OAuthClientId>,
    /// How it is.
    pub state: ConnectionState,
    /// Why it is not healthy: a code and a sentence.
    pub state_reason: Option<String>,
    /// The credential, sealed.
    pub credential: Sealed,
    /// The scopes that were granted, separated by spaces.
    pub scopes: String,
    /// When the access token expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When the background refresh looks at it next, if ever.
    pub refresh_at: Option<Timestamp>,
    /// Grows with every change of the credential; a writer that holds an older value is refused.
    pub fence: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

words! {
    /// How far a refresh is.
    RefreshPhase {
        /// Nothing is under way.
        Idle = "idle",
        /// The token endpoint is about to be called, or was, and its answer is not here yet.
        Intent = "intent",
        /// The answer is stored, sealed, and not yet applied.
        Answered = "answered",
    }
}

/// A connection as listings show it: without its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOverview {
    /// Its id.
    pub id: ConnectionId,
    /// The company's own id for the customer that it belongs to.
    pub customer: String,
    /// The app's slug.
    pub app: String,
    /// The name by which workflows refer to it.
    pub name: String,
    /// How it proves itself.
    pub scheme: Scheme,
    /// How it is.
    pub state: ConnectionState,
    /// Why it is not healthy: a code and a sentence.
    pub state_reason: Option<String>,
    /// The scopes that were granted, separated by spaces.
    pub scopes: String,
    /// When the access token expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A connection that the background has something to do for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueConnection {
    /// Its id.
    pub id: ConnectionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// How it is: a revoked one waits to be deleted.
    pub state: ConnectionState,
}

/// The lease on a connection's refresh, and the record of how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRefresh {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The fence of this attempt; the next holder's is greater.
    pub fence: i64,
    /// The node that holds the lease.
    pub owner: NodeId,
    /// When another node may take over.
    pub lease_until: Timestamp,
    /// How far it is.
    pub phase: RefreshPhase,
    /// How often the token endpoint may have been called with the present refresh token without
    /// an answer arriving.
    pub unanswered: i64,
    /// Attempts in a row that ended without new tokens.
    pub failures: i64,
    /// The raw answer, sealed.
    pub answer: Option<Sealed>,
    /// When this attempt began.
    pub started_at: Timestamp,
}

/// A short-lived, single-use permission for a customer to add a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSession {
    /// Its id.
    pub id: ConnectSessionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The app's slug.
    pub app: String,
    /// The name that the connection gets.
    pub connection_name: String,
    /// The connection to renew instead of making another.
    pub reconnect_id: Option<ConnectionId>,
    /// SHA-256 of the link's token.
    pub token_digest: Vec<u8>,
    /// SHA-256 of the cookie of the browser that opened the link first; no other browser may go on.
    pub browser_digest: Option<Vec<u8>>,
    /// Where the customer is sent afterwards.
    pub return_url: Option<String>,
    /// When the link stops working.
    pub expires_at: Timestamp,
    /// When it was used up.
    pub used_at: Option<Timestamp>,
    /// What came of it.
    pub connection_id: Option<ConnectionId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One round trip to an app's authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthFlow {
    /// Its id, which the signed `state` carries.
    pub id: OAuthFlowId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The connect session that it serves.
    pub connect_session_id: ConnectSessionId,
    /// SHA-256 of the cookie of the browser that it was started in.
    pub browser_digest: Vec<u8>,
    /// The PKCE verifier, sealed.
    pub verifier: Sealed,
    /// When it can no longer be finished.
    pub expires_at: Timestamp,
    /// When its answer came; a second answer is refused.
    pub used_at: Option<Timestamp>,
}
