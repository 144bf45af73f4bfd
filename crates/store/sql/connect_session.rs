//! Connect sessions and the OAuth flows under way in them.

use crate::DbConn;
use causeway_types::entity::{ConnectSession, ConnectSettings, OAuthFlow};
use causeway_types::{
    ConnectSessionId, ConnectionId, EnvironmentId, OAuthFlowId, Tenant, Timestamp, WorkspaceId,
};

pub async fn insert(c: &mut DbConn, v: &ConnectSession) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connect_session (id, workspace_id, project_id, environment_id, customer_id,
           app, connection_name, reconnect_id, token_digest, browser_digest, return_url,
           expires_at_us, used_at_us, connection_id, created_at_us, oauth_client_id, scopes,
           allowed_origins, error_url, scope_profile)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
           $19, $20)",
        v.id as _,
        v.workspace_id as _,
        v.project_id as _,
        v.environment_id as _,
        v.customer_id as _,
        v.app,
        v.connection_name,
        v.reconnect_id as _,
        v.token_digest,
        v.browser_digest,
        v.return_url,
        v.expires_at as _,
        v.used_at as _,
        v.connection_id as _,
        v.created_at as _,
        v.oauth_client_id as _,
        v.scopes,
        v.allowed_origins,
        v.error_url,
        v.scope_profile
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Finds a session by the digest of its link's token: the look-up that comes before a tenant is
/// known.
pub async fn by_token(c: &mut DbConn, digest: &[u8]) -> sqlx::Result<Option<ConnectSession>> {
    sqlx::query_as!(
        ConnectSession,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", customer_id AS "customer_id: _", app,
             connection_name, reconnect_id AS "reconnect_id: _",
             oauth_client_id AS "oauth_client_id: _", scope_profile, scopes, token_digest,
             browser_digest, allowed_origins, return_url, error_url,
             expires_at_us AS "expires_at: _", used_at_us AS "used_at: _",
             connection_id AS "connection_id: _", created_at_us AS "created_at: _"
           FROM connect_session WHERE token_digest = $1"#,
        digest
    )
    .fetch_optional(c)
    .await
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ConnectSessionId,
) -> sqlx::Result<Option<ConnectSession>> {
    sqlx::query_as!(
        ConnectSession,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _", project_id AS "project_id: _",
             environment_id AS "environment_id: _", customer_id AS "customer_id: _", app,
             connection_name, reconnect_id AS "reconnect_id: _",
             oauth_client_id AS "oauth_client_id: _", scope_profile, scopes, token_digest,
             browser_digest, allowed_origins, return_url, error_url,
             expires_at_us AS "expires_at: _", used_at_us AS "used_at: _",
             connection_id AS "connection_id: _", created_at_us AS "created_at: _"
           FROM connect_session WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
}

/// A session of the caller's environment.
pub async fn get_in(
    c: &mut DbConn,
    tenant: Tenant,
    id: ConnectSessionId,
) -> sqlx::Result<Option<ConnectSession>> {
    Ok(get(c, tenant.workspace, id)
        .await?
        .filter(|session| session.environment_id == tenant.environment))
}

/// Binds a session to the browser that opened it first. False if it is bound to another.
pub async fn bind(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ConnectSessionId,
    browser: &[u8],
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connect_session SET browser_digest = $3
         WHERE workspace_id = $1 AND id = $2
           AND (browser_digest IS NULL OR browser_digest = $3)",
        workspace as _,
        id as _,
        browser
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Uses a session up. False if it was before.
pub async fn use_up(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: ConnectSessionId,
    connection: ConnectionId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connect_session SET used_at_us = $3, connection_id = $4
         WHERE workspace_id = $1 AND id = $2 AND used_at_us IS NULL",
        workspace as _,
        id as _,
        now as _,
        connection as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn insert_flow(c: &mut DbConn, v: &OAuthFlow) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO oauth_flow (id, workspace_id, connect_session_id, browser_digest, verifier,
           expires_at_us, used_at_us, app, scheme, outcome, poll_at_us, poll_seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        v.id as _,
        v.workspace_id as _,
        v.connect_session_id as _,
        v.browser_digest,
        v.verifier as _,
        v.expires_at as _,
        v.used_at as _,
        v.app,
        v.scheme as _,
        v.outcome,
        v.poll_at as _,
        v.poll_seconds
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Selects whole flows.
macro_rules! flows {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            OAuthFlow,
            "SELECT id AS \"id: _\", workspace_id AS \"workspace_id: _\", connect_session_id AS \"connect_session_id: _\", app, scheme AS \"scheme: _\", browser_digest, verifier AS \"verifier: _\", expires_at_us AS \"expires_at: _\", used_at_us AS \"used_at: _\", outcome, poll_at_us AS \"poll_at: _\", poll_seconds FROM oauth_flow "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn flow(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
) -> sqlx::Result<Option<OAuthFlow>> {
    flows!("WHERE workspace_id = $1 AND id = $2", workspace as _, id as _).fetch_optional(c).await
}

/// The flow that a session began last: the one that can be finished, or the one that was over last.
pub async fn last_flow(
    c: &mut DbConn,
    workspace: WorkspaceId,
    session: ConnectSessionId,
) -> sqlx::Result<Option<OAuthFlow>> {
    flows!(
        "WHERE workspace_id = $1 AND connect_session_id = $2 ORDER BY CASE WHEN used_at_us IS NULL THEN 0 ELSE 1 END, used_at_us DESC, id DESC LIMIT 1",
        workspace as _,
        session as _
    )
    .fetch_optional(c)
    .await
}

/// The flows whose app is to be asked whether their customers have agreed: for the node's own
/// work, never for a caller.
pub async fn due_flows(c: &mut DbConn, now: Timestamp, limit: i64) -> sqlx::Result<Vec<OAuthFlow>> {
    flows!(
        "WHERE poll_at_us <= $1 AND used_at_us IS NULL ORDER BY poll_at_us LIMIT $2",
        now as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Takes a flow's next question to its app, if its time has come. Nobody else can until `until`.
/// False if somebody else has it, or the flow is over.
pub async fn claim_poll(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
    now: Timestamp,
    until: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE oauth_flow SET poll_at_us = $4
         WHERE workspace_id = $1 AND id = $2 AND used_at_us IS NULL AND poll_at_us <= $3",
        workspace as _,
        id as _,
        now as _,
        until as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Says when the app may be asked next, and how often.
pub async fn set_poll(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
    at: Timestamp,
    seconds: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE oauth_flow SET poll_at_us = $3, poll_seconds = $4
         WHERE workspace_id = $1 AND id = $2 AND used_at_us IS NULL",
        workspace as _,
        id as _,
        at as _,
        seconds
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Keeps why nothing came of a flow.
pub async fn set_outcome(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
    outcome: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE oauth_flow SET outcome = $3 WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        id as _,
        outcome
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Marks a flow's answer as come. False if one came before.
pub async fn use_flow(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE oauth_flow SET used_at_us = $3
         WHERE workspace_id = $1 AND id = $2 AND used_at_us IS NULL",
        workspace as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Makes the flows void that a session began before: only its newest can be finished.
pub async fn void_flows(
    c: &mut DbConn,
    workspace: WorkspaceId,
    session: ConnectSessionId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE oauth_flow SET used_at_us = $3
         WHERE workspace_id = $1 AND connect_session_id = $2 AND used_at_us IS NULL",
        workspace as _,
        session as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Forgets the sessions that ended before `before`, with their flows.
pub async fn prune(c: &mut DbConn, before: Timestamp) -> sqlx::Result<u64> {
    sqlx::query!("DELETE FROM connect_session WHERE expires_at_us < $1", before as _)
        .execute(c)
        .await
        .map(|done| done.rows_affected())
}

pub async fn settings(c: &mut DbConn, tenant: Tenant) -> sqlx::Result<Option<ConnectSettings>> {
    sqlx::query_as!(
        ConnectSettings,
        r#"SELECT environment_id AS "environment_id: _", workspace_id AS "workspace_id: _", company,
             support_email, theme, return_origins, credential_export,
             updated_at_us AS "updated_at: _"
           FROM connect_settings WHERE workspace_id = $1 AND environment_id = $2"#,
        tenant.workspace as _,
        tenant.environment as _
    )
    .fetch_optional(c)
    .await
}

pub async fn set_settings(c: &mut DbConn, v: &ConnectSettings) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connect_settings (environment_id, workspace_id, company, support_email, theme,
           return_origins, credential_export, updated_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (environment_id) DO UPDATE SET company = excluded.company,
           support_email = excluded.support_email, theme = excluded.theme,
           return_origins = excluded.return_origins,
           credential_export = excluded.credential_export, updated_at_us = excluded.updated_at_us",
        v.environment_id as _,
        v.workspace_id as _,
        v.company,
        v.support_email,
        v.theme,
        v.return_origins,
        v.credential_export,
        v.updated_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// What the company is called in an environment, if it has said so. The look-up is public: apps
/// show the name to whoever is asked to agree.
pub async fn company(c: &mut DbConn, environment: EnvironmentId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT company FROM connect_settings WHERE environment_id = $1",
        environment as _
    )
    .fetch_optional(c)
    .await
}
