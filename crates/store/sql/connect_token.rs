//! Connect sessions whose token is good for calls of the API.

use crate::DbConn;
use causeway_types::entity::{ConnectToken, NarrowedSession};
use causeway_types::place::Sealed;
use causeway_types::{ConnectSessionId, Timestamp, WorkspaceId};

/// Lets a session's token be used for calls, if there is a scope; keeps what its outcome is reported
/// with, if it is.
pub async fn make(
    c: &mut DbConn,
    workspace: WorkspaceId,
    session: ConnectSessionId,
    scope: Option<&str>,
    token: Option<&Sealed>,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connect_session SET token_scope = $3, token = $4
         WHERE workspace_id = $1 AND id = $2",
        workspace as _,
        session as _,
        scope,
        token as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}

pub async fn get(
    c: &mut DbConn,
    workspace: WorkspaceId,
    session: ConnectSessionId,
) -> sqlx::Result<Option<ConnectToken>> {
    sqlx::query_as!(
        ConnectToken,
        r#"SELECT id AS "session_id: _", token_scope AS scope, token AS "token: _",
             override_id AS "override_id: _"
           FROM connect_session WHERE workspace_id = $1 AND id = $2"#,
        workspace as _,
        session as _
    )
    .fetch_optional(c)
    .await
}

/// Says more closely what a session is for, as long as no browser has gone on with it. What it was
/// made for, or narrowed to before, stays: false if that is something else.
pub async fn narrow(
    c: &mut DbConn,
    workspace: WorkspaceId,
    session: ConnectSessionId,
    to: &NarrowedSession<'_>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "UPDATE connect_session SET
           app = COALESCE(app, $3),
           reconnect_id = COALESCE(reconnect_id, $4),
           oauth_client_id = COALESCE(oauth_client_id, $5),
           scope_profile = COALESCE(scope_profile, $6),
           override_id = COALESCE(override_id, $7)
         WHERE workspace_id = $1 AND id = $2 AND token_scope IS NOT NULL
           AND browser_digest IS NULL AND used_at_us IS NULL AND expires_at_us > $8
           AND (CAST($3 AS TEXT) IS NULL OR app IS NULL OR app = $3)
           AND (CAST($4 AS TEXT) IS NULL OR reconnect_id IS NULL OR reconnect_id = $4)
           AND (CAST($5 AS TEXT) IS NULL OR oauth_client_id IS NULL OR oauth_client_id = $5)
           AND (CAST($6 AS TEXT) IS NULL OR scope_profile IS NULL OR scope_profile = $6)
           AND (CAST($7 AS TEXT) IS NULL OR override_id IS NULL OR override_id = $7)",
        workspace as _,
        session as _,
        to.app,
        to.reconnect as _,
        to.oauth_client as _,
        to.scope_profile,
        to.app_override as _,
        now as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
