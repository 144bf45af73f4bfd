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
    /// Which of the app's clients it is; empty for the one that is used if none is named.
    pub name: String,
    /// What it is for, in the company's own words.
    pub description: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The `client_secret` that the app gave, with the values of the row's `client_fields`,
    /// sealed; empty for a public client.
    pub secret: Sealed,
    /// The scopes to ask for, separated by spaces; empty for those of the app's row.
    pub scopes: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
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
    /// How a connection proves itself to the app; the names are those of the catalogue's rows.
    Scheme {
        /// OAuth 2.0 authorization code.
        Oauth2 = "oauth2",
        /// OAuth 2.0 device authorization.
        Device = "device",
        /// OAuth 2.0 client credentials of the customer.
        ClientCredentials = "client_credentials",
        /// A token signed with the customer's key.
        Jwt = "jwt",
        /// OAuth 1.0a.
        Oauth1 = "oauth1",
        /// An API key.
        ApiKey = "api_key",
        /// User name and password.
        Basic = "basic",
        /// A token that is got for the customer's keys.
        TokenExchange = "token_exchange",
        /// Each request is signed with the customer's key.
        Signature = "signature",
        /// The company's app, installed in the customer's account.
        Installation = "installation",
        /// OAuth of the Model Context Protocol.
        Mcp = "mcp",
        /// Nothing.
        None = "none",
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
    /// The hosts of this account that may receive the credential, beside those that the row
    /// names for everybody, separated by spaces.
    pub hosts: String,
    /// The account's id at the app.
    pub account_id: Option<String>,
    /// What people call the account.
    pub account_name: Option<String>,
    /// What may be done with it through the proxy, as JSON; everything if none.
    pub policy: Option<String>,
    /// When the access token expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When the background refresh looks at it next, if ever.
    pub refresh_at: Option<Timestamp>,
    /// When its token was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// When its credential was last used, to the hour.
    pub used_at: Option<Timestamp>,
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
    /// The account's id at the app.
    pub account_id: Option<String>,
    /// What people call the account.
    pub account_name: Option<String>,
    /// What may be done with it through the proxy, as JSON; everything if none.
    pub policy: Option<String>,
    /// When the access token expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When the background looks at it next.
    pub refresh_at: Option<Timestamp>,
    /// When its token was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// When its credential was last used, to the hour.
    pub used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which connections; those to which all of it applies, and every one if nothing is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionFilter {
    /// Those of the customer with this external id.
    pub customer: Option<String>,
    /// Those to the app of this slug.
    pub app: Option<String>,
    /// The one of this name.
    pub name: Option<String>,
    /// Those made before then.
    pub created_before: Option<Timestamp>,
    /// Those that nobody has used since then; one that was never used counts from when it was made.
    pub unused_since: Option<Timestamp>,
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
    /// The app's slug; `None` if the customer chooses.
    pub app: Option<String>,
    /// The name that the connection gets; made up if `None`.
    pub connection_name: Option<String>,
    /// The connection to renew instead of making another.
    pub reconnect_id: Option<ConnectionId>,
    /// The company's client to use, if not the app's usual one.
    pub oauth_client_id: Option<OAuthClientId>,
    /// The set of scopes of the app's row to ask for instead of the usual ones.
    pub scope_profile: Option<String>,
    /// Scopes to ask for beside those, separated by spaces.
    pub scopes: String,
    /// SHA-256 of the link's token.
    pub token_digest: Vec<u8>,
    /// SHA-256 of the cookie of the browser that opened the link first; no other browser may go on.
    pub browser_digest: Option<Vec<u8>>,
    /// The origins of the pages that may embed the connect page, separated by spaces.
    pub allowed_origins: String,
    /// Where the customer is sent afterwards.
    pub return_url: Option<String>,
    /// Where the customer is sent if it did not work, if elsewhere.
    pub error_url: Option<String>,
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
    /// The app's slug.
    pub app: String,
    /// By which scheme.
    pub scheme: Scheme,
    /// SHA-256 of the cookie of the browser that it was started in.
    pub browser_digest: Vec<u8>,
    /// The secrets that verify the answer, and what else the flow has to remember, sealed.
    pub verifier: Sealed,
    /// When it can no longer be finished.
    pub expires_at: Timestamp,
    /// When its answer came; a second answer is refused.
    pub used_at: Option<Timestamp>,
    /// Why nothing came of it, if so: a problem's code, a line feed and a sentence for the
    /// customer.
    pub outcome: Option<String>,
    /// When the app may be asked next whether the customer has agreed on another device.
    pub poll_at: Option<Timestamp>,
    /// Seconds between such questions.
    pub poll_seconds: Option<i64>,
}

/// How connect pages of an environment look, and where they may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSettings {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The company's name for its customers; empty for the project's.
    pub company: String,
    /// Where customers get help; may be empty.
    pub support_email: String,
    /// Colours and logo, as JSON.
    pub theme: String,
    /// The origins to which customers may be sent back, separated by spaces.
    pub return_origins: String,
    /// 1 if credentials may be exported.
    pub credential_export: i64,
    /// When they last changed.
    pub updated_at: Timestamp,
}
