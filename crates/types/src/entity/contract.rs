//! What the Pipedream contract keeps beside the records of connections.

use crate::place::Sealed;
use crate::{
    AppOverrideId, ConnectSessionId, ConnectionId, EnvironmentId, OAuthClientId, ProjectId,
    Timestamp, WorkspaceId,
};

/// Which connections a listing shows. What is missing does not narrow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountFilter<'a> {
    /// Those of the customer with this external id.
    pub customer: Option<&'a str>,
    /// Those to the app of this slug.
    pub app: Option<&'a str>,
    /// Those that were made with this client of the company's.
    pub oauth_client: Option<OAuthClientId>,
    /// Those to one of these apps: slugs, with a space before and after each.
    pub apps: Option<&'a str>,
}

/// What a connect session is beside a link: a token with which its customer calls the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectToken {
    /// The session.
    pub session_id: ConnectSessionId,
    /// What may be done with it, as words separated by spaces; `None` if the session is a link
    /// and nothing else.
    pub scope: Option<String>,
    /// The token itself, sealed, for the report of the outcome; `None` if nobody gets one.
    pub token: Option<Sealed>,
    /// The override that fills fields in.
    pub override_id: Option<AppOverrideId>,
}

/// What a connect session is narrowed to. What is missing stays open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NarrowedSession<'a> {
    /// The app's slug.
    pub app: Option<&'a str>,
    /// The connection to renew.
    pub reconnect: Option<ConnectionId>,
    /// The company's client to use.
    pub oauth_client: Option<OAuthClientId>,
    /// The set of scopes of the app's row to ask for.
    pub scope_profile: Option<&'a str>,
    /// The override that fills fields in.
    pub app_override: Option<AppOverrideId>,
}

/// The company's client at an app as listings show it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClientOverview {
    /// Its id in Causeway.
    pub id: OAuthClientId,
    /// The app's slug.
    pub app: String,
    /// Which of the app's clients it is; empty for the usual one.
    pub name: String,
    /// What people call it, if they have said so.
    pub label: Option<String>,
    /// What it is for, in the company's own words.
    pub description: String,
    /// The `client_id` that the app gave.
    pub client_id: String,
    /// The scopes to ask for, separated by spaces; empty for those of the app's row.
    pub scopes: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What the company fills in for its customers when they connect an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppOverride {
    /// Its id.
    pub id: AppOverrideId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The app's slug.
    pub app: String,
    /// What people call it.
    pub name: String,
    /// The company's client to connect with, if not the app's usual one.
    pub oauth_client_id: Option<OAuthClientId>,
    /// The values by the names of their fields, as JSON, sealed.
    pub fields: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The picture that a project's connect pages show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectLogo {
    /// The project.
    pub project_id: ProjectId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its media type.
    pub media_type: String,
    /// The picture.
    pub picture: Vec<u8>,
    /// When it was set.
    pub updated_at: Timestamp,
}
