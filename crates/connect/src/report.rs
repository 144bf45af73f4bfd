//! What is reported of a connect session to the address that it was made with.

use crate::Connect;
use crate::holder::TokenError;
use crate::sessions::tenant_of;
use causeway_store::db;
use causeway_types::entity::{ConnectionOverview, EnvironmentKind};
use causeway_types::{ConnectSessionId, Place, SecretString, WorkspaceId};

/// What is reported of a connect session, and where.
pub struct Report {
    /// The session.
    pub session: ConnectSessionId,
    /// Where it is posted to.
    pub url: String,
    /// The token of its link: `cwl_…`.
    pub token: SecretString,
    /// Which of the project's environments it is in.
    pub environment: EnvironmentKind,
    /// The connection that came of it, if one did.
    pub connection: Option<ConnectionOverview>,
}

impl Connect {
    /// What is to be reported of a session. `None` for one whose outcome nobody wants to hear, or
    /// that is a link and nothing else.
    ///
    /// # Errors
    /// [`TokenError::Vault`]; [`TokenError::Store`].
    pub async fn report(
        &self,
        workspace: WorkspaceId,
        id: ConnectSessionId,
    ) -> Result<Option<Report>, TokenError> {
        let inner = &self.inner;
        let mut conn = inner.store.read().await?;
        let Some(session) = db!(conn, connect_session::get(workspace, id))? else {
            return Ok(None);
        };
        let kept = db!(conn, connect_token::get(workspace, id))?.and_then(|token| token.token);
        let environment = db!(conn, workspace::environment(session.environment_id))?;
        let connection = match session.connection_id {
            Some(id) => db!(conn, connection::overview(tenant_of(&session), id))?,
            None => None,
        };
        drop(conn);
        let (Some(url), Some(kept), Some(environment)) = (session.webhook_url, kept, environment)
        else {
            return Ok(None);
        };
        let token = inner.vault.open(workspace, &Place::ConnectToken(id), &kept).await?;
        let token = token.into_text().ok_or(TokenError::Refused(None))?;
        Ok(Some(Report { session: id, url, token, environment: environment.kind, connection }))
    }
}
