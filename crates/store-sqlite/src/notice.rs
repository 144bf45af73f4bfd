//! Telling the other nodes, of which an embedded database has none.

use crate::DbConn;
use causeway_types::WorkspaceId;

/// Tells nobody: the one process that uses the file knows by itself.
#[expect(clippy::unused_async, reason = "the other database asks its server")]
pub async fn access_changed(_c: &mut DbConn, _workspace: WorkspaceId) -> sqlx::Result<()> {
    Ok(())
}

/// Tells nobody: the one process that uses the file knows by itself.
#[expect(clippy::unused_async, reason = "the other database asks its server")]
pub async fn webhooks_due(_c: &mut DbConn) -> sqlx::Result<()> {
    Ok(())
}
