//! The end of an attempt: what its answer means, written together with the end of the lease.

use super::renewal::Renewal;
use super::{ANSWER_LOST, APP_ERROR, DENIED, Purpose, pace};
use crate::Inner;
use crate::crash::CrashPoint;
use crate::create::own_hosts;
use crate::credential::Stored;
use crate::error::CredentialError;
use crate::limits::shown;
use crate::news::{Herald, News};
use crate::token_endpoint::{self, RawAnswer, Refused};
use causeway_catalog::App;
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::{Connection, ConnectionRefresh, ConnectionState, RefreshPhase};
use causeway_types::{Actor, Place, Tenant};
use std::time::Duration;

/// How an attempt failed.
pub(crate) struct Failure {
    state: ConnectionState,
    /// A code and a sentence; `None` leaves the connection as it is.
    reason: Option<String>,
    code: &'static str,
    /// Answers that may be lost by now.
    unanswered: i64,
    /// The app's own word on when to try again.
    retry_after: Option<Duration>,
    /// Whether the intent of an earlier holder is still without an answer.
    keeps_intent: bool,
    /// Whether what needs the customer now may work again without them.
    is_doubtful: bool,
}

impl Failure {
    const NOTHING: Self = Self {
        state: ConnectionState::Failing,
        reason: None,
        code: "",
        unanswered: 0,
        retry_after: None,
        keeps_intent: false,
        is_doubtful: false,
    };

    pub(crate) fn needs_reauth(code: &'static str, sentence: &str) -> Self {
        let reason = Some(format!("{code}: {sentence}"));
        Self { state: ConnectionState::NeedsReauth, reason, code, ..Self::NOTHING }
    }

    /// Keys that were switched off may be switched on again, so they are tried now and then.
    pub(crate) fn doubtful(code: &'static str, sentence: &str) -> Self {
        Self { is_doubtful: true, ..Self::needs_reauth(code, sentence) }
    }

    /// The window that OAuth leaves open, as far as is known.
    pub(crate) fn answer_may_be_lost() -> Self {
        Self::needs_reauth(
            ANSWER_LOST,
            "The app may have replaced the refresh token in an answer that never arrived, and does not take the old one again.",
        )
    }

    /// The window that OAuth leaves open, by the app's own word.
    pub(crate) fn answer_lost() -> Self {
        Self::needs_reauth(
            ANSWER_LOST,
            "The app has replaced the refresh token in an answer that never arrived, and does not take the old one again.",
        )
    }

    /// The app could not say whether it has replaced the refresh token; nothing was decided.
    pub(crate) fn undecided(
        code: &'static str,
        sentence: &str,
        lease: &ConnectionRefresh,
        retry_after: Option<Duration>,
    ) -> Self {
        let keeps_intent = lease.phase == RefreshPhase::Intent;
        let failure = Self::failing(code, sentence, lease.unanswered);
        Self { retry_after, keeps_intent, ..failure }
    }

    pub(crate) fn failing(code: &'static str, sentence: &str, unanswered: i64) -> Self {
        let reason = Some(format!("{code}: {}.", sentence.trim_end_matches('.')));
        Self { reason, code, unanswered, ..Self::NOTHING }
    }

    /// The token endpoint was not called, and not because of anything about the connection.
    pub(crate) fn not_tried(lease: &ConnectionRefresh) -> Self {
        Self { unanswered: lease.unanswered, ..Self::NOTHING }
    }

    fn of_answer(refused: &Refused, renewal: &Renewal<'_>, lease: &ConnectionRefresh) -> Self {
        if renewal.is_denial(refused) {
            if renewal.is_minted() {
                return Self::doubtful(DENIED, &sentence(refused));
            }
            if lease.unanswered > 0 {
                return Self::answer_lost();
            }
            return Self::needs_reauth(DENIED, &sentence(refused));
        }
        let retry_after = refused.retry_after;
        let text = format!("{}{}", sentence(refused), refused.advice());
        let failure = Self::failing(APP_ERROR, &text, lease.unanswered);
        Self { retry_after, ..failure }
    }
}

/// Scopes as they are stored, whatever the app puts between them.
fn listed(scopes: &str) -> String {
    let all = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).take(200);
    all.map(|scope| shown(scope, 256)).collect::<Vec<_>>().join(" ")
}

/// The app's answer as a sentence that begins with a capital letter and ends.
fn sentence(refused: &Refused) -> String {
    let text = refused.sentence();
    let rest = text.strip_prefix("the ").unwrap_or(&text);
    format!("The {}.", rest.trim_end_matches('.'))
}

impl Inner {
    /// Applies an answer that an earlier holder of the lease kept.
    pub(crate) async fn apply_kept(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        connection: Connection,
    ) -> Result<(), CredentialError> {
        let corrupt = || CredentialError::Corrupt { connection: connection.id };
        let sealed = lease.answer.as_ref().ok_or_else(corrupt)?;
        let place = Place::RefreshAnswer(connection.id);
        let opened = self.vault.open(tenant.workspace, &place, sealed).await?;
        let answer = RawAnswer::from_opened(&opened).ok_or_else(corrupt)?;
        let stored = self.open_stored(tenant, &connection, Purpose::Upkeep).await?;
        let app = self.row_for(&connection)?;
        let renewal = Renewal::of(&app, &connection, &stored)?;
        self.apply_answer(tenant, lease, connection, stored, &renewal, &answer).await
    }

    /// Reads an answer and writes what it means.
    pub(crate) async fn apply_answer(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        connection: Connection,
        old: Stored,
        renewal: &Renewal<'_>,
        answer: &RawAnswer,
    ) -> Result<(), CredentialError> {
        let minted = renewal.is_minted();
        let read = answer.read(renewal.answer(), minted).and_then(|granted| {
            let scopes = granted.scope.clone();
            // What a refresh token was given for must not be lost over a changed address.
            token_endpoint::stored(renewal.app, old, granted, answer.status, !minted)
                .map(|stored| (stored, scopes))
        });
        match read {
            Ok((stored, scopes)) => {
                let renewed = (renewal.app, stored);
                self.write_renewed(tenant, lease, connection, renewed, scopes).await
            }
            Err(refused) => {
                let failure = Failure::of_answer(&refused, renewal, lease);
                self.write_failure(tenant, lease, &connection, failure).await
            }
        }
    }

    /// Writes a new token, together with the end of the lease, if the fence still matches.
    pub(super) async fn write_renewed(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        connection: Connection,
        (app, stored): (&App, Stored),
        scopes: Option<String>,
    ) -> Result<(), CredentialError> {
        let (workspace, id) = (tenant.workspace, connection.id);
        let (expires_at, refresh_at) = pace::schedule(connection.scheme, &stored, &*self.random);
        let place = Place::ConnectionCredential(id);
        let credential = self.vault.seal(workspace, &place, &stored.to_bytes()).await?;
        let now = self.clock.now();
        let renewed = Connection {
            state: ConnectionState::Healthy,
            state_reason: None,
            credential,
            hosts: own_hosts(app, &stored),
            // RFC 6749 section 6: an answer without scopes grants those of before.
            scopes: scopes.map_or(connection.scopes, |scopes| listed(&scopes)),
            expires_at,
            refresh_at,
            refreshed_at: Some(now),
            updated_at: now,
            ..connection
        };
        let herald = self.herald(tenant).await?;
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let held = db!(tx, connection_refresh::settle(workspace, id, lease.fence, 0, 0))?;
        let was = db!(tx, dialect::hold_connection(tenant, id))?;
        // Both: the lease may have gone, or the connection may have been connected anew.
        if !held || !db!(tx, connection::update_credential(&renewed))? {
            tracing::warn!(connection = %id, "a refresh lost its lease; its tokens are dropped");
            return Ok(());
        }
        if matches!(was, Some(ConnectionState::Failing | ConnectionState::NeedsReauth)) {
            herald.announce(&mut tx, &renewed, News::Recovered, now).await?;
        }
        self.crash.reached(CrashPoint::BeforeApply);
        tx.commit(workspace, now, Audit::ConnectionRefreshed { connection: id }).await?;
        self.crash.reached(CrashPoint::Applied);
        Ok(())
    }

    /// Writes a failure, unless the lease or the credential has changed hands.
    pub(super) async fn write_failure(
        &self,
        tenant: Tenant,
        lease: &ConnectionRefresh,
        sent: &Connection,
        failure: Failure,
    ) -> Result<(), CredentialError> {
        let herald = self.herald(tenant).await?;
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        // Read again before it is believed: somebody may have brought new tokens meanwhile.
        let present = db!(tx, connection::get(tenant, sent.id))?;
        match present {
            Some(present) if present.fence == sent.fence => {
                self.fail_in(tx, &herald, lease, &present, failure).await
            }
            _ => Ok(()),
        }
    }

    /// Writes a failure in a transaction that has read the connection.
    pub(crate) async fn fail_in(
        &self,
        mut tx: WriteTx,
        herald: &Herald,
        lease: &ConnectionRefresh,
        present: &Connection,
        failure: Failure,
    ) -> Result<(), CredentialError> {
        let (workspace, id) = (herald.tenant().workspace, present.id);
        let tried = i64::from(failure.reason.is_some());
        let failures = lease.failures + tried;
        // An intent that stays is written anew, which counts it anew.
        let unanswered = failure.unanswered - i64::from(failure.keeps_intent);
        if !db!(tx, connection_refresh::settle(workspace, id, lease.fence, unanswered, failures))? {
            tracing::warn!(connection = %id, "a refresh lost its lease; its failure is dropped");
            return Ok(());
        }
        if failure.keeps_intent {
            db!(tx, connection_refresh::record_intent(workspace, id, lease.fence))?;
        }
        if failure.reason.is_none() {
            tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
            return Ok(());
        }
        self.change_in(tx, herald, present, failure, failures).await
    }

    /// Writes what a failure makes of a connection, and commits.
    pub(crate) async fn change_in(
        &self,
        mut tx: WriteTx,
        herald: &Herald,
        present: &Connection,
        failure: Failure,
        failures: i64,
    ) -> Result<(), CredentialError> {
        let (tenant, id, now) = (herald.tenant(), present.id, self.clock.now());
        let was = db!(tx, dialect::hold_connection(tenant, id))?;
        let denied = failure.state == ConnectionState::NeedsReauth;
        let pause = match denied {
            true if failure.is_doubtful => pace::doubt(present, &*self.random),
            true => None,
            false => {
                let pause = pace::backoff(failures, &*self.random);
                Some(pause.max(failure.retry_after.unwrap_or_default()))
            }
        };
        let changed = Connection {
            state: failure.state,
            state_reason: failure.reason,
            refresh_at: pause.map(|pause| now.plus(pause)),
            updated_at: now,
            ..present.clone()
        };
        tracing::warn!(connection = %id, state = %failure.state, reason = failure.code, failures, "refresh failed");
        // Given up or connected anew meanwhile, or it goes on failing: it has been told already.
        if !db!(tx, connection::update_state(&changed))? || was == Some(failure.state) {
            tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
            return Ok(());
        }
        if denied {
            herald.announce(&mut tx, &changed, News::NeedsReauth, now).await?;
        }
        let event = Audit::ConnectionStateChanged {
            connection: id,
            state: failure.state.to_string(),
            reason: failure.code.to_owned(),
        };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(())
    }
}
