//! Reports: how a connect session came out, told to the address that it was made with and to the
//! project webhook. A success is told in the transaction that makes the connection; an attempt that
//! came to nothing is told with its outcome, and the session stays open.

use crate::Inner;
use crate::flow::FlowError;
use crate::news::{Herald, NewsError};
use crate::sessions::tenant_of;
use causeway_store::{Bookkeeping, WriteTx, db};
use causeway_types::entity::{ConnectSession, ConnectionOverview, EnvironmentKind, WebhookEvent};
use causeway_types::place::Sealed;
use causeway_types::{
    Actor, Coded, ConnectSessionId, ConnectionId, OAuthFlowId, Place, SecretBytes, SecretString,
    Tenant, Timestamp, WorkspaceId, chain,
};
use causeway_vault::VaultError;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

/// Room for the sealed form, so that it is not copied around while it is written.
const ROOM: usize = 4096;

/// How a connect session came out, to be put into words.
pub struct Report {
    /// The session.
    pub session: ConnectSessionId,
    /// The token of its link: `cwl_…`.
    pub token: SecretString,
    /// Whether the session is a link and nothing else: its token is none of the Pipedream contract.
    pub is_link: bool,
    /// Which of the project's environments it is in.
    pub environment: EnvironmentKind,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a connect session.
pub enum Outcome {
    /// This connection was made or renewed.
    Connected(Box<ConnectionOverview>),
    /// An attempt came to nothing, for the reason in this sentence. Another may follow.
    Failed(String),
}

/// Puts a report into words: JSON with the token in `connect_token`.
pub type Words = dyn Fn(Report) -> SecretBytes + Send + Sync;

/// A session whose outcome is reported.
pub(crate) struct Reported {
    session: ConnectSessionId,
    url: Option<Url>,
    token: SecretString,
    is_link: bool,
    environment: EnvironmentKind,
}

/// What is kept of a session for its reports, sealed.
#[derive(Deserialize)]
struct Kept {
    token: SecretString,
    url: Option<Url>,
}

#[derive(Serialize)]
struct Written<'a> {
    token: &'a str,
    url: Option<&'a str>,
}

impl Inner {
    /// Seals what a session's reports need.
    pub(crate) async fn keep_for_reports(
        &self,
        workspace: WorkspaceId,
        id: ConnectSessionId,
        (token, url): (&SecretString, Option<&str>),
    ) -> Result<Sealed, VaultError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(ROOM));
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut *plain, &Written { token: token.expose(), url });
        self.vault.seal(workspace, &Place::ConnectToken(id), &plain).await
    }

    /// Whether and where a session's outcome is reported. Asked before the transaction that it is
    /// reported in.
    pub(crate) async fn reported(
        &self,
        session: &ConnectSession,
    ) -> Result<Option<Reported>, NewsError> {
        let (workspace, id) = (session.workspace_id, session.id);
        let mut conn = self.store.read().await?;
        let row = db!(conn, connect_token::get(workspace, id))?;
        let environment = db!(conn, workspace::environment(session.environment_id))?;
        drop(conn);
        let Some((row, environment)) = row.zip(environment) else { return Ok(None) };
        let Some(sealed) = &row.token else { return Ok(None) };
        let opened = self.vault.open(workspace, &Place::ConnectToken(id), sealed).await;
        let opened = opened.map_err(NewsError::Keys)?;
        let Ok(kept) = serde_json::from_slice::<Kept>(opened.expose()) else {
            tracing::warn!(session = %id, "what is kept for the reports of a session does not read");
            return Ok(None);
        };
        Ok(Some(Reported {
            session: id,
            url: kept.url,
            token: kept.token,
            is_link: row.scope.is_none(),
            environment: environment.kind,
        }))
    }

    /// Reports the connection that has come of a session, in the transaction that writes it: after
    /// the changes, and before its first audit event.
    pub(crate) async fn report_connection(
        &self,
        tx: &mut WriteTx,
        herald: &Herald,
        reported: Option<Reported>,
        connection: ConnectionId,
        now: Timestamp,
    ) -> Result<(), NewsError> {
        let Some(reported) = reported else { return Ok(()) };
        let found = db!(tx, connection::overview(herald.tenant(), connection))?;
        let Some(made) = found else { return Ok(()) };
        self.report(tx, herald, reported, Outcome::Connected(Box::new(made)), now).await
    }

    /// Keeps why nothing came of a flow, for the page that waits for it, and reports that an attempt
    /// to connect came to nothing. That it cannot be kept is logged; the customer hears it anyway.
    pub(crate) async fn keep_failure(
        &self,
        (workspace, session): (WorkspaceId, ConnectSessionId),
        flow: Option<OAuthFlowId>,
        error: &FlowError,
    ) {
        let kept = async {
            let told = self.told_of_failure(workspace, session).await?;
            let now = self.clock.now();
            let mut tx = self.store.write(Actor::Customer(session)).await?;
            if let Some(flow) = flow {
                let outcome = format!("{}\n{}", error.code().as_str(), error.public());
                db!(tx, connect_session::set_outcome(workspace, flow, &outcome))?;
            }
            if let Some((herald, reported)) = told {
                let outcome = Outcome::Failed(error.public().into_owned());
                self.report(&mut tx, &herald, reported, outcome, now).await?;
            }
            Ok::<(), NewsError>(tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(%session, error = chain(&error), "why nothing came of a flow is not kept");
        }
    }

    /// Who hears that an attempt came to nothing: nobody, once a connection has come of the session.
    async fn told_of_failure(
        &self,
        workspace: WorkspaceId,
        id: ConnectSessionId,
    ) -> Result<Option<(Herald, Reported)>, NewsError> {
        let mut conn = self.store.read().await?;
        let session = db!(conn, connect_session::get(workspace, id))?;
        drop(conn);
        let Some(session) = session.filter(|session| session.used_at.is_none()) else {
            return Ok(None);
        };
        let Some(reported) = self.reported(&session).await? else { return Ok(None) };
        let tenant: Tenant = tenant_of(&session);
        Ok(Some((self.herald(tenant).await?, reported)))
    }

    async fn report(
        &self,
        tx: &mut WriteTx,
        herald: &Herald,
        reported: Reported,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), NewsError> {
        let kind = match &outcome {
            Outcome::Connected(_) => WebhookEvent::ConnectionSuccess,
            Outcome::Failed(_) => WebhookEvent::ConnectionError,
        };
        let Reported { session, url, token, is_link, environment } = reported;
        let body = (self.words)(Report { session, token, is_link, environment, outcome });
        let report = causeway_webhooks::Report { session, kind, url, body };
        herald.report(tx, &report, now).await
    }
}
