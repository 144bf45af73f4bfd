//! One attempt at a refresh: from the intent to the kept answer.

use super::lease::Taken;
use super::outcome::Failure;
use super::{Due, EXPIRED, UNREACHABLE};
use crate::Inner;
use crate::crash::CrashPoint;
use crate::error::CredentialError;
use crate::token_endpoint::{
    self, Client, EndpointError, Grant, Prepared, RawAnswer, TOKEN_TIMEOUT,
};
use causeway_catalog::OAuth2;
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{Connection, ConnectionRefresh, ConnectionState, RefreshPhase};
use causeway_types::{Actor, Place, Tenant};
use std::time::Duration;

/// How often storing an answer is tried: the database may be away for a moment, and the answer
/// is the only copy of the grant.
const STORE_TRIES: u32 = 6;

/// What came of an attempt. The connection's row says the rest.
pub(crate) enum Attempted {
    /// It ended, well or not, or there was nothing to do.
    Ended,
    /// Another node is at it.
    Held,
}

/// What to do after the first transaction.
enum Begun {
    /// Call the token endpoint: the intent is written.
    Call(ConnectionRefresh),
    /// Ask the app first whether it has replaced the refresh token: an answer was lost.
    Ask(ConnectionRefresh),
    /// Apply the answer that an earlier holder kept.
    Kept(ConnectionRefresh, Box<Connection>),
    Nothing,
    Held,
}

impl Inner {
    /// Refreshes a connection that was found due.
    pub(crate) async fn attempt(
        &self,
        tenant: Tenant,
        due: Due,
    ) -> Result<Attempted, CredentialError> {
        let (row, client) = self.equipment(tenant, &due.connection).await?;
        // Built before the intent is written, so that next to nothing lies between the intent and
        // the wire.
        let request = due
            .tokens
            .refresh
            .as_ref()
            .map(|token| token_endpoint::prepare(row, &client, Grant::Refresh { token }));
        let lease = match self.begin(tenant, &due, row).await? {
            Begun::Call(lease) => lease,
            Begun::Ask(lease) => {
                if !self.ask_first(tenant, &due, row, &client, &lease).await? {
                    return Ok(Attempted::Ended);
                }
                lease
            }
            Begun::Kept(lease, connection) => {
                self.apply_kept(tenant, &lease, *connection).await?;
                return Ok(Attempted::Ended);
            }
            Begun::Nothing => return Ok(Attempted::Ended),
            Begun::Held => return Ok(Attempted::Held),
        };
        self.crash.reached(CrashPoint::IntentWritten);
        let Due { connection, tokens } = due;
        // Checked when the intent was written.
        let Some(request) = request else { return Ok(Attempted::Ended) };
        match self.call(&lease, request).await {
            Ok(answer) => {
                self.crash.reached(CrashPoint::AnswerReceived);
                if self.keep(tenant, &lease, &answer).await? {
                    self.crash.reached(CrashPoint::AnswerStored);
                    self.apply(tenant, &lease, connection, tokens, row, &answer).await?;
                } else {
                    tracing::warn!(connection = %connection.id, "a refresh lost its lease; its answer is dropped");
                }
            }
            Err(failure) => self.write_failure(tenant, &lease, &connection, failure).await?,
        }
        Ok(Attempted::Ended)
    }

    /// The app's row and the company's client, before anything is written.
    async fn equipment(
        &self,
        tenant: Tenant,
        connection: &Connection,
    ) -> Result<(&OAuth2, Client), CredentialError> {
        let missing = |what: String| CredentialError::Unconfigured {
            connection: connection.id,
            what: what.into(),
        };
        let row = self.oauth_row(connection)?;
        let gone = || {
            let app = &connection.app;
            missing(format!(
                "The OAuth client of `{app}`, with which this connection was made, is gone. Set it again."
            ))
        };
        let id = connection.oauth_client_id.ok_or_else(gone)?;
        let mut conn = self.store.read().await?;
        let client = db!(conn, connection::oauth_client_by_id(tenant, id))?.ok_or_else(gone)?;
        drop(conn);
        Ok((row, self.open_client(&client).await?))
    }

    /// The OAuth part of a connection's row.
    pub(super) fn oauth_row(&self, connection: &Connection) -> Result<&OAuth2, CredentialError> {
        let app = self.catalog.get(&connection.app);
        app.and_then(|app| app.auth.oauth2.as_ref()).ok_or_else(|| CredentialError::Unconfigured {
            connection: connection.id,
            what: format!(
                "The catalogue no longer says how `{}` does OAuth. Bring its row back.",
                connection.app
            )
            .into(),
        })
    }

    /// The first transaction: takes the lease, finds how far its last holder came, and writes
    /// the intent.
    async fn begin(
        &self,
        tenant: Tenant,
        due: &Due,
        row: &OAuth2,
    ) -> Result<Begun, CredentialError> {
        let seen = &due.connection;
        let (workspace, id) = (tenant.workspace, seen.id);
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let (lease, present) = match self.take_lease(&mut tx, tenant, id).await? {
            Taken::Lease(lease, present) => (lease, present),
            Taken::Held => return Ok(Begun::Held),
            Taken::Gone => return Err(CredentialError::Unknown),
        };
        if lease.phase == RefreshPhase::Answered {
            tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
            return Ok(Begun::Kept(lease, present));
        }
        let same = |a: &Connection, b: &Connection| {
            (a.fence, a.state, a.refresh_at) == (b.fence, b.state, b.refresh_at)
        };
        if !same(&present, seen) || present.state == ConnectionState::NeedsReauth {
            // Rolled back: what the last holder left stays for whoever finds the connection due.
            return Ok(Begun::Nothing);
        }
        let unrefreshable = row.refresh.is_none() || due.tokens.refresh.is_none();
        if !unrefreshable && lease.unanswered > 0 && row.introspection.is_some() {
            // The record of the last holder stays: should this one die too, the next one asks.
            tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
            return Ok(Begun::Ask(lease));
        }
        if unrefreshable || is_spent(row, &lease) {
            let failure = if unrefreshable {
                Failure::needs_reauth(
                    EXPIRED,
                    "The access token has expired, and the app gave nothing to renew it with.",
                )
            } else {
                Failure::answer_may_be_lost()
            };
            self.fail_in(tx, tenant, &lease, &present, failure).await?;
            return Ok(Begun::Nothing);
        }
        db!(tx, connection::record_intent(workspace, id, lease.fence))?;
        self.crash.reached(CrashPoint::BeforeIntent);
        tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
        Ok(Begun::Call(lease))
    }

    /// Calls the token endpoint, once.
    async fn call(
        &self,
        lease: &ConnectionRefresh,
        request: Result<Prepared, EndpointError>,
    ) -> Result<RawAnswer, Failure> {
        // A process that was stopped for a while must not call when its lease may end meanwhile.
        if self.clock.now().plus(TOKEN_TIMEOUT) > lease.lease_until {
            return Err(Failure::not_tried(lease));
        }
        let failed = |error: EndpointError| {
            let unanswered = lease.unanswered + i64::from(error.may_have_been_sent());
            Failure::failing(UNREACHABLE, &error.to_string(), unanswered)
        };
        let request = request.map_err(failed)?;
        token_endpoint::send(&self.http, request, || self.clock.now()).await.map_err(failed)
    }

    /// Keeps an answer. False if the lease has gone to somebody else.
    async fn keep(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        answer: &RawAnswer,
    ) -> Result<bool, CredentialError> {
        let mut tries = 1;
        loop {
            match self.try_keep(tenant, lease, answer).await {
                Err(error) if tries < STORE_TRIES => {
                    tracing::warn!(connection = %lease.connection_id, error = %error, tries, "keeping a token answer; trying again");
                    tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(tries)).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_keep(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        answer: &RawAnswer,
    ) -> Result<bool, CredentialError> {
        let (workspace, id) = (tenant.workspace, lease.connection_id);
        let place = Place::RefreshAnswer(id);
        let sealed = self.vault.seal(workspace, &place, &answer.to_bytes()).await?;
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let kept = db!(tx, connection::record_answer(workspace, id, lease.fence, &sealed))?;
        tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
        Ok(kept)
    }
}

/// Whether a process left an intent without an answer, and the old refresh token may not be sent
/// again: it may be as often as needed if the app never replaces it, and once if the app takes a
/// replaced one once more.
pub(super) fn is_spent(row: &OAuth2, lease: &ConnectionRefresh) -> bool {
    let may_repeat = row
        .refresh
        .as_ref()
        .is_some_and(|refresh| refresh.may_repeat() && (!refresh.rotates || lease.unanswered <= 1));
    lease.phase == RefreshPhase::Intent && !may_repeat
}
