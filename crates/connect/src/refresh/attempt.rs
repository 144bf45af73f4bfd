//! One attempt at a refresh: from the intent to the kept answer.

use super::lease::Taken;
use super::outcome::Failure;
use super::renewal::{Next, Renewal};
use super::{EXPIRED, Open, UNCONFIGURED, UNREACHABLE, Why};
use crate::Inner;
use crate::crash::CrashPoint;
use crate::credential::Stored;
use crate::error::CredentialError;
use crate::token_endpoint::{self, EndpointError, Prepared, RawAnswer, TOKEN_TIMEOUT};
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
    /// Renews the token of a connection that was found due.
    pub(crate) async fn attempt(
        &self,
        tenant: Tenant,
        mut due: Open,
        why: Why,
    ) -> Result<Attempted, CredentialError> {
        let app = self.row_for(&due.connection)?;
        let renewal = Renewal::of(&app, &due.connection, &due.stored)?;
        if due.client.is_none() {
            due.client = self.client_of(tenant, &due.connection).await?;
        }
        // Built before the intent is written, so that next to nothing lies between the intent and
        // the wire.
        let next = renewal.next(self, &due);
        let lease = match self.begin(tenant, &due, (&renewal, &next), why).await? {
            Begun::Call(lease) => lease,
            Begun::Ask(lease) => {
                if !self.ask_first(tenant, &due, &renewal, &lease).await? {
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
        let Open { connection, stored, .. } = due;
        let request = match next {
            Next::Ask(request) => request,
            Next::Here(tokens) => {
                let stored = Stored { tokens: Some(tokens), ..stored };
                self.write_renewed(tenant, &lease, connection, (renewal.app, stored), None).await?;
                return Ok(Attempted::Ended);
            }
            // Checked when the lease was taken.
            Next::Nothing | Next::Unbuilt(_) => return Ok(Attempted::Ended),
        };
        self.crash.reached(CrashPoint::IntentWritten);
        match self.ask_once(&lease, &renewal, request).await {
            Ok(answer) => {
                self.crash.reached(CrashPoint::AnswerReceived);
                if self.keep(tenant, &lease, &answer).await? {
                    self.crash.reached(CrashPoint::AnswerStored);
                    self.apply_answer(tenant, &lease, connection, stored, &renewal, &answer)
                        .await?;
                } else {
                    tracing::warn!(connection = %connection.id, "a refresh lost its lease; its answer is dropped");
                }
            }
            Err(failure) => self.write_failure(tenant, &lease, &connection, failure).await?,
        }
        Ok(Attempted::Ended)
    }

    /// The first transaction: takes the lease, finds how far its last holder came, and writes
    /// the intent.
    async fn begin(
        &self,
        tenant: Tenant,
        due: &Open,
        (renewal, next): (&Renewal<'_>, &Next),
        why: Why,
    ) -> Result<Begun, CredentialError> {
        let seen = &due.connection;
        let (workspace, id) = (tenant.workspace, seen.id);
        let herald = self.herald(tenant).await?;
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
        // What keys were denied may be asked for again by whoever checks the connection.
        let may_ask = why == Why::Check && renewal.is_minted();
        let denied = present.state == ConnectionState::NeedsReauth && !may_ask;
        if !same(&present, seen) || denied || present.state == ConnectionState::Revoked {
            // Rolled back: what the last holder left stays for whoever finds the connection due.
            return Ok(Begun::Nothing);
        }
        let failure = match next {
            Next::Here(_) => {
                tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
                return Ok(Begun::Call(lease));
            }
            Next::Ask(_) if lease.unanswered > 0 && renewal.introspection().is_some() => {
                // The record of the last holder stays: should this one die too, the next one asks.
                tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
                return Ok(Begun::Ask(lease));
            }
            Next::Ask(_) if renewal.is_spent(&lease) => Failure::answer_may_be_lost(),
            Next::Ask(_) => {
                db!(tx, connection_refresh::record_intent(workspace, id, lease.fence))?;
                self.crash.reached(CrashPoint::BeforeIntent);
                tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
                return Ok(Begun::Call(lease));
            }
            Next::Nothing => Failure::needs_reauth(
                EXPIRED,
                "The access token has expired, and the app gave nothing to renew it with.",
            ),
            Next::Unbuilt(why) => Failure::failing(UNCONFIGURED, why, lease.unanswered),
        };
        self.fail_in(tx, &herald, &lease, &present, failure).await?;
        Ok(Begun::Nothing)
    }

    /// Calls the token endpoint, once.
    async fn ask_once(
        &self,
        lease: &ConnectionRefresh,
        renewal: &Renewal<'_>,
        request: Prepared,
    ) -> Result<RawAnswer, Failure> {
        // A process that was stopped for a while must not call when its lease may end meanwhile.
        if self.clock.now().plus(TOKEN_TIMEOUT) > lease.lease_until {
            return Err(Failure::not_tried(lease));
        }
        let failed = |error: EndpointError| {
            let spends = error.may_have_been_sent() && !renewal.is_minted();
            let unanswered = lease.unanswered + i64::from(spends);
            Failure::failing(UNREACHABLE, &error.to_string(), unanswered)
        };
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
        let kept = db!(tx, connection_refresh::record_answer(workspace, id, lease.fence, &sealed))?;
        tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
        Ok(kept)
    }
}
