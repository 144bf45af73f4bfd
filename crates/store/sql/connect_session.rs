//! Connect sessions and the OAuth flows under way in them.

use crate::DbConn;
use causeway_types::entity::{ConnectSession, OAuthFlow};
use causeway_types::{ConnectSessionId, ConnectionId, OAuthFlowId, Tenant, Timestamp, WorkspaceId};

pub async fn insert(c: &mut DbConn, v: &ConnectSession) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO connect_session (id, workspace_id, project_id, environment_id, customer_id,
           app, connection_name, reconnect_id, token_digest, browser_digest, return_url,
           expires_at_us, used_at_us, connection_id, created_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
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
        v.created_at as _
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
             connection_name, reconnect_id AS "reconnect_id: _", token_digest, browser_digest,
             return_url, expires_at_us AS "expires_at: _", used_at_us AS "used_at: _",
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
             connection_name, reconnect_id AS "reconnect_id: _", token_digest, browser_digest,
             return_url, expires_at_us AS "expires_at: _", used_at_us AS "used_at: _",
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
           expires_at_us, used_at_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        v.id as _,
        v.workspace_id as _,
        v.connect_session_id as _,
        v.browser_digest,
        v.verifier as _,
        v.expires_at as _,
        v.used_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn flow(
    c: &mut DbConn,
    workspace: WorkspaceId,
    id: OAuthFlowId,
) -> sqlx::Result<Option<OAuthFlow>> {
    sqlx::query_as!(
        OAuthFlow,
        r#"SELECT id AS "id: _", workspace_id AS "workspace_id: _",
             connect_session_id AS "connect_session_id: _", browser_digest,
             verifier AS "verifier: _", expires_at_us AS "expires_at: _",
             used_at_us AS "used_at: _"
           FROM oauth_flow WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        id as _
    )
    .fetch_optional(c)
    .await
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
