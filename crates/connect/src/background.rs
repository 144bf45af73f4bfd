//! What Causeway does for connections without being asked: refreshes ahead of expiry, questions
//! whether customers have agreed on other devices, tests of those that are in doubt, deletions that
//! were left unfinished, and connect sessions that are over.

use crate::connections::Ending;
use crate::error::CredentialError;
use crate::refresh::UNCONFIGURED;
use crate::{Connect, Inner};
use causeway_store::{Audit, Bookkeeping, db};
use causeway_types::entity::{Connection, ConnectionState, DueConnection};
use causeway_types::{Actor, Coded, Tenant, chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the background looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often budgets are forgotten that ended a day ago.
const BUDGETS_EVERY: Duration = Duration::from_hours(1);
/// Connections taken up at once.
const AT_ONCE: usize = 8;
/// Connections looked up in one go.
const BATCH: i64 = 64;
/// How long a connect session is remembered after its end.
const SESSIONS_KEPT: Duration = Duration::from_hours(24);
/// When a connection is looked at again whose refresh could not even begin.
const PUT_OFF: Duration = Duration::from_mins(5);

impl Connect {
    /// Works until `shutdown`. An error is logged, and the work goes on at the next turn.
    pub async fn run_background(&self, shutdown: CancellationToken) {
        let mut budgets_looked_at = None;
        while !shutdown.is_cancelled() {
            match self.refresh_due().await {
                // More may be waiting.
                Ok(done) if done >= usize::try_from(BATCH).unwrap_or(usize::MAX) => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %error, "looking for connections to refresh"),
            }
            if let Err(error) = self.write_uses(false).await {
                tracing::warn!(error = chain(&error), "the use of credentials is not audited yet");
            }
            self.inner.remembered.wipe(self.inner.clock.now());
            if let Err(error) = self.inner.write_usage().await {
                tracing::warn!(error = chain(&error), "the number of calls is not written yet");
            }
            let now = self.inner.clock.now();
            if budgets_looked_at.is_none_or(|at| now.since(at) >= BUDGETS_EVERY) {
                budgets_looked_at = Some(now);
                if let Err(error) = self.inner.forget_budgets().await {
                    tracing::warn!(error = chain(&error), "forgetting budgets whose time is over");
                }
            }
            if let Err(error) = self.poll_devices().await {
                tracing::warn!(error = chain(&error), "asking for customers on other devices");
            }
            if let Err(error) = self.forget_sessions().await {
                tracing::warn!(error = %error, "forgetting connect sessions that are over");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes up the connections whose time has come, at most 64, eight at a time, and says how
    /// many there were.
    pub async fn refresh_due(&self) -> Result<usize, causeway_store::Error> {
        let inner = &self.inner;
        let mut conn = inner.store.read().await?;
        let due = db!(conn, connection::due(inner.clock.now(), BATCH))?;
        drop(conn);
        let count = due.len();
        let mut running = JoinSet::new();
        for one in due {
            if running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let inner = Arc::clone(inner);
            let tracked = inner.tasks.token();
            running.spawn(async move {
                let _tracked = tracked;
                inner.take_up(one).await;
            });
        }
        while running.join_next().await.is_some() {}
        Ok(count)
    }

    async fn forget_sessions(&self) -> Result<(), causeway_store::Error> {
        let inner = &self.inner;
        let before = inner.clock.now().minus(SESSIONS_KEPT);
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        let gone = db!(tx, connect_session::prune(before))?;
        if gone > 0 {
            tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        }
        Ok(())
    }
}

impl Inner {
    async fn take_up(&self, one: DueConnection) {
        let tenant = Tenant {
            workspace: one.workspace_id,
            project: one.project_id,
            environment: one.environment_id,
        };
        if one.state == ConnectionState::Revoked {
            if let Err(error) =
                self.end(tenant, Actor::Node(self.node), one.id, Ending::Delete).await
            {
                tracing::warn!(connection = %one.id, error = %error, "ending a deletion");
            }
            return;
        }
        // Somebody here is at it.
        let Some(_flight) = self.flights.try_enter(one.id) else { return };
        if let Err(error) = self.take_care(tenant, one).await {
            tracing::warn!(connection = %one.id, error = %error, "looking after a connection");
        }
    }

    async fn take_care(
        &self,
        tenant: Tenant,
        one: DueConnection,
    ) -> Result<(), causeway_store::Error> {
        let mut conn = self.store.read().await?;
        let Some(connection) = db!(conn, connection::get(tenant, one.id))? else { return Ok(()) };
        drop(conn);
        let now = self.clock.now();
        if connection.refresh_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        let begun = self.look_after(tenant, connection.clone()).await;
        match begun {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(connection = %one.id, error = %error, "a connection could not be looked after");
                self.put_off(tenant, connection, &error).await
            }
        }
    }

    /// Lets a connection wait, so that one that cannot be refreshed does not keep others from it.
    async fn put_off(
        &self,
        tenant: Tenant,
        present: Connection,
        error: &CredentialError,
    ) -> Result<(), causeway_store::Error> {
        let (now, was) = (self.clock.now(), present.state);
        let mut later = Connection { refresh_at: Some(now.plus(PUT_OFF)), ..present };
        let unconfigured = matches!(error, CredentialError::Unconfigured { .. });
        let changed = unconfigured && later.state != ConnectionState::Failing;
        if changed {
            later.state = ConnectionState::Failing;
            later.state_reason = Some(format!("{UNCONFIGURED}: {}", error.public()));
            later.updated_at = now;
        }
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        // What was read before the attempt must not undo what came of it.
        let held = db!(tx, dialect::hold_connection(tenant, later.id))?;
        let written = held == Some(was) && db!(tx, connection::update_state(&later))?;
        if !written || !changed {
            return tx.commit_bookkeeping(Bookkeeping::Refresh).await;
        }
        let event = Audit::ConnectionStateChanged {
            connection: later.id,
            state: later.state.to_string(),
            reason: UNCONFIGURED.to_owned(),
        };
        tx.commit(later.workspace_id, now, event).await
    }
}
