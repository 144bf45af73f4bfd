//! Containment: many connections revoked in one go, by app, customer, age or idleness.
//!
//! A revocation first *marks* its connections, a bounded page in a transaction: from then on nobody
//! uses them. Each is put into a queue in the same transaction, and the nodes ask the apps, a few
//! at once, until the queue is empty; so whatever dies meanwhile loses nothing. A connection whose
//! app has taken the grant back, or has no way to do so, is deleted. One whose app did not confirm
//! it stays, revoked and sealed, since its credential is what a second attempt needs: the next
//! revocation that it fits takes it up again, and deleting it gives it up for good.

use crate::connections::Ending;
use crate::error::InvalidInput;
use crate::news::{Herald, News, NewsError};
use crate::refresh::lease::LEASE;
use crate::{Connect, Inner, Page};
use causeway_identity::{Denied, Permit, action};
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::{
    Connection, ConnectionFilter, ConnectionOverview, ConnectionRevocation, ConnectionState,
    DueRevocation, RevocationFailure, RevocationOutcome,
};
use causeway_types::{
    Actor, Code, Coded, ConnectionId, ConnectionRevocationId, Tenant, Timestamp, chain,
};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that are marked in one transaction.
const PAGE: i64 = 100;
/// Apps that a node asks at once.
const AT_ONCE: usize = 8;
/// How often a node looks for what other nodes have left.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// For how long a connection that a node has taken up is that node's: longer than the lease that a
/// node which dies leaves behind.
const TAKEN_FOR: Duration = LEASE.saturating_add(Duration::from_secs(5));
/// Revocations that are marked, or ended, in one turn.
const REVOCATIONS: i64 = 16;
/// How long it is remembered what came of a revocation.
const KEPT: Duration = Duration::from_hours(24 * 30);

/// Connections cannot be revoked in one go, or the revocation cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// There is no such revocation in this environment.
    #[error("finding the revocation")]
    Unknown,
    /// It is not said which connections.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The caller is confined to other apps.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nobody could be told of it, so that nothing is revoked.
    #[error(transparent)]
    News(#[from] NewsError),
    /// The store failed.
    #[error("revoking connections")]
    Store(#[from] causeway_store::Error),
}

impl Coded for RevocationError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::Invalid(_) => Code::InvalidRequest,
            Self::Denied(source) => source.code(),
            Self::News(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown => {
                "There is no such revocation in this environment. What came of one is kept for 30 days.".into()
            }
            Self::Invalid(source) => source.public(),
            Self::Denied(source) => source.public(),
            Self::News(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// How far a revocation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationProgress {
    /// The revocation.
    pub revocation: ConnectionRevocation,
    /// Connections whose apps are still to be asked.
    pub pending: i64,
    /// Connections that their apps have revoked.
    pub revoked: i64,
    /// Connections that are deleted, although their apps have no way to revoke them.
    pub not_offered: i64,
    /// Connections that their apps did not confirm to be revoked.
    pub failed: i64,
}

impl Connect {
    /// Revokes every connection that the filter names, at the apps too. When this returns, the
    /// newest hundred can no longer be used; the others follow at once, whoever goes away.
    ///
    /// # Errors
    /// [`RevocationError`]; then nothing is revoked.
    pub async fn revoke_connections(
        &self,
        permit: &Permit<action::WriteConnections>,
        filter: ConnectionFilter,
    ) -> Result<RevocationProgress, RevocationError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        if filter == ConnectionFilter::default() {
            return Err(InvalidInput::new(
                "app",
                "say which connections: `app`, `customer`, `name`, `created_before` or `unused_since`",
            )
            .into());
        }
        match &filter.app {
            Some(app) => permit.covers_app(app)?,
            None => permit.covers_every_app()?,
        }
        let now = inner.clock.now();
        let revocation = ConnectionRevocation {
            id: ConnectionRevocationId::generate(now, &*inner.random),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            customer: filter.customer,
            app: filter.app,
            name: filter.name,
            created_before: filter.created_before,
            unused_since: filter.unused_since,
            marked_to: ConnectionId::highest(),
            found: 0,
            created_at: now,
            marked_at: None,
            ended_at: None,
        };
        let herald = inner.herald(tenant).await?;
        let mut tx = inner.store.write(permit.actor()).await?;
        let customer = match &revocation.customer {
            Some(external) => db!(tx, customer::by_external_id(tenant, external))?,
            None => None,
        };
        db!(tx, connection_revocation::insert(&revocation))?;
        let started = Audit::RevocationStarted {
            revocation: revocation.id,
            customer: customer.map(|customer| customer.id),
            app: revocation.app.clone(),
            name: revocation.name.clone(),
            created_before: revocation.created_before,
            unused_since: revocation.unused_since,
        };
        let id = revocation.id;
        inner.mark(tx, &herald, revocation, Some(started)).await?;
        // The rest at once too, however long the apps of an earlier revocation take.
        let own = self.clone();
        inner.tasks.spawn(async move {
            if let Err(error) = own.mark_all(&CancellationToken::new()).await {
                tracing::warn!(error = chain(&error), "connections are not marked yet");
            }
            own.inner.revocations.notify_one();
        });
        self.progress_of(tenant, id).await
    }

    /// How far a revocation is.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub async fn revocation(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectionRevocationId,
    ) -> Result<RevocationProgress, RevocationError> {
        let progress = self.progress_of(permit.tenant(), id).await?;
        match &progress.revocation.app {
            Some(app) => permit.covers_app(app).map_err(|_| RevocationError::Unknown)?,
            None => permit.covers_every_app()?,
        }
        Ok(progress)
    }

    /// A page of the connections that their apps did not confirm to be revoked, from after `after`.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub async fn revocation_failures(
        &self,
        permit: &Permit<action::ReadConnections>,
        id: ConnectionRevocationId,
        after: Option<ConnectionId>,
        limit: u16,
    ) -> Result<Page<RevocationFailure, ConnectionId>, RevocationError> {
        self.revocation(permit, id).await?;
        let after = after.unwrap_or(ConnectionId::lowest());
        let more = i64::from(limit) + 1;
        let mut conn = self.inner.store.read().await?;
        let tenant = permit.tenant();
        let mut items = db!(conn, connection_revocation::failures(tenant, id, after, more))?;
        let full = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if full { items.last().map(|one| one.connection_id) } else { None };
        Ok(Page { items, next })
    }

    async fn progress_of(
        &self,
        tenant: Tenant,
        id: ConnectionRevocationId,
    ) -> Result<RevocationProgress, RevocationError> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, connection_revocation::get(tenant, id))?;
        let revocation = found.ok_or(RevocationError::Unknown)?;
        let tallies = db!(conn, connection_revocation::tally(tenant.workspace, id))?;
        let of = |outcome| {
            tallies.iter().find(|one| one.outcome == outcome).map_or(0, |one| one.connections)
        };
        Ok(RevocationProgress {
            revocation,
            pending: of(RevocationOutcome::Pending),
            revoked: of(RevocationOutcome::Revoked),
            not_offered: of(RevocationOutcome::NotOffered),
            failed: of(RevocationOutcome::Failed),
        })
    }

    /// Revokes what is to be revoked, until `shutdown`. An error is logged, and the work goes on at
    /// the next turn.
    pub async fn run_revocations(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.revoke_due(&shutdown).await {
                tracing::warn!(error = chain(&error), "connections are not revoked yet");
            }
            if let Err(error) = self.forget_revocations().await {
                tracing::warn!(error = chain(&error), "forgetting revocations of long ago");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.inner.revocations.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Marks what revocations name, and asks the apps until none is left to be asked or `shutdown`.
    ///
    /// # Errors
    /// If the store fails, or nobody can be told; what was begun goes on at the next call.
    pub async fn revoke_due(&self, shutdown: &CancellationToken) -> Result<(), NewsError> {
        self.mark_all(shutdown).await?;
        let inner = &self.inner;
        let mut running = JoinSet::new();
        let mut asked = false;
        let outcome = loop {
            let claimed = if shutdown.is_cancelled() {
                Ok(Vec::new())
            } else {
                inner.claim(AT_ONCE - running.len()).await
            };
            let claimed = match claimed {
                Ok(claimed) => claimed,
                Err(error) => {
                    while running.join_next().await.is_some() {}
                    break Err(error);
                }
            };
            asked |= !claimed.is_empty();
            for one in claimed {
                let (own, tracked) = (Arc::clone(inner), inner.tasks.token());
                running.spawn(async move {
                    let _tracked = tracked;
                    own.contain(one).await;
                });
            }
            if running.join_next().await.is_none() {
                break Ok(());
            }
        };
        if asked && let Err(error) = inner.store.forget_deleted().await {
            tracing::warn!(error = chain(&error), "emptying the write-ahead log");
        }
        outcome?;
        Ok(inner.finish_revocations().await?)
    }

    /// Marks every connection of the revocations that are not marked to their ends.
    async fn mark_all(&self, shutdown: &CancellationToken) -> Result<(), NewsError> {
        let inner = &self.inner;
        while !shutdown.is_cancelled() {
            let mut conn = inner.store.read().await?;
            let unmarked = db!(conn, connection_revocation::unmarked(REVOCATIONS))?;
            drop(conn);
            if unmarked.is_empty() {
                return Ok(());
            }
            for revocation in unmarked {
                let herald = inner.herald(revocation.tenant()).await?;
                let tx = inner.store.write(Actor::Node(inner.node)).await?;
                inner.mark(tx, &herald, revocation, None).await?;
            }
        }
        Ok(())
    }

    async fn forget_revocations(&self) -> Result<(), causeway_store::Error> {
        let inner = &self.inner;
        let before = inner.clock.now().minus(KEPT);
        let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
        if db!(tx, connection_revocation::prune(before))? > 0 {
            tx.commit_bookkeeping(Bookkeeping::Expired).await?;
        }
        Ok(())
    }
}

impl Inner {
    /// Marks the next page of a revocation's connections as revoked and commits, with `first` at
    /// the head of what is written down about it.
    async fn mark(
        &self,
        mut tx: WriteTx,
        herald: &Herald,
        revocation: ConnectionRevocation,
        first: Option<Audit>,
    ) -> Result<(), NewsError> {
        let (tenant, now) = (revocation.tenant(), self.clock.now());
        let (filter, from) = (revocation.filter(), revocation.marked_to);
        let mut page = db!(tx, connection::page(tenant, &filter, from, PAGE + 1))?;
        let more = i64::try_from(page.len()).unwrap_or(i64::MAX) > PAGE;
        page.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
        let advanced = ConnectionRevocation {
            marked_to: page.last().map_or(from, |last| last.id),
            found: revocation.found + i64::try_from(page.len()).unwrap_or(i64::MAX),
            marked_at: (!more).then_some(now),
            ..revocation
        };
        // Before anything else is written: of two nodes at it, one waits here and gives way.
        if !db!(tx, connection_revocation::advance(&advanced, from))? {
            return Ok(());
        }
        let mut revoked = Vec::new();
        for one in &page {
            revoked.extend(mark_one(&mut tx, &advanced, one, now).await?);
        }
        // Changes, news, events of the chain: that is the order in which everybody locks.
        for one in &revoked {
            herald.announce(&mut tx, one, News::Revoked, now).await?;
        }
        let marked = revoked.into_iter().map(|one| Audit::ConnectionStateChanged {
            connection: one.id,
            state: one.state.to_string(),
            reason: advanced.id.to_string(),
        });
        let mut events = first.into_iter().chain(marked).collect::<Vec<_>>();
        match events.pop() {
            None => tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?,
            Some(last) => {
                for event in events {
                    tx.record(tenant.workspace, now, event).await?;
                }
                tx.commit(tenant.workspace, now, last).await?;
            }
        }
        for one in &page {
            self.remembered.forget(tenant, one.id);
        }
        Ok(())
    }

    async fn claim(&self, most: usize) -> Result<Vec<DueRevocation>, causeway_store::Error> {
        let now = self.clock.now();
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let claimed = db!(tx, connection_revocation::claim(now, now.plus(TAKEN_FOR), limit))?;
        if !claimed.is_empty() {
            tx.commit_bookkeeping(Bookkeeping::Lease).await?;
        }
        Ok(claimed)
    }

    /// Asks the app of one connection. What fails here is taken up again.
    async fn contain(&self, one: DueRevocation) {
        let tenant = Tenant {
            workspace: one.workspace_id,
            project: one.project_id,
            environment: one.environment_id,
        };
        let (id, actor) = (one.connection_id, Actor::Node(self.node));
        let ended = async {
            self.end(tenant, actor, id, Ending::Contain).await?;
            self.settle_gone(tenant, id).await
        };
        if let Err(error) = ended.await {
            tracing::warn!(connection = %id, error = chain(&error), "revoking a connection is put off");
        }
    }

    /// A connection that is gone, and that no outcome was written down for, went with something
    /// else that was deleted.
    async fn settle_gone(
        &self,
        tenant: Tenant,
        id: ConnectionId,
    ) -> Result<(), crate::ConnectionError> {
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        if db!(tx, connection::get(tenant, id))?.is_none() {
            let reason = Some("its record was deleted before the app was asked");
            let outcome = RevocationOutcome::Failed;
            if db!(tx, connection_revocation::settle(tenant, id, outcome, reason))? {
                tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
            }
        }
        Ok(())
    }

    /// Ends the revocations of which nothing is left to do.
    async fn finish_revocations(&self) -> Result<(), causeway_store::Error> {
        let mut conn = self.store.read().await?;
        let done = db!(conn, connection_revocation::worked_off(REVOCATIONS))?;
        drop(conn);
        for one in done {
            self.finish_revocation(&one, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn finish_revocation(
        &self,
        one: &ConnectionRevocation,
        now: Timestamp,
    ) -> Result<(), causeway_store::Error> {
        let workspace = one.workspace_id;
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        if !db!(tx, connection_revocation::end(workspace, one.id, now))? {
            return Ok(());
        }
        let tallies = db!(tx, connection_revocation::tally(workspace, one.id))?;
        let of = |outcome| {
            tallies
                .iter()
                .find(|tally| tally.outcome == outcome)
                .map_or(0, |tally| tally.connections)
        };
        let event = Audit::RevocationFinished {
            revocation: one.id,
            revoked: of(RevocationOutcome::Revoked),
            not_offered: of(RevocationOutcome::NotOffered),
            failed: of(RevocationOutcome::Failed),
        };
        tx.commit(workspace, now, event).await
    }
}

/// Marks a connection and puts it into the queue, unless it went meanwhile; as it is then, if it was
/// not given up already.
async fn mark_one(
    tx: &mut WriteTx,
    revocation: &ConnectionRevocation,
    one: &ConnectionOverview,
    now: Timestamp,
) -> Result<Option<Connection>, causeway_store::Error> {
    let (tenant, id) = (revocation.tenant(), one.id);
    // Whoever deletes one locks as this does: the connection before its place in the queue.
    db!(tx, dialect::hold_connection(tenant, id))?;
    let Some(present) = db!(tx, connection::get(tenant, id))? else { return Ok(None) };
    // Nothing else looks after it from here on: the queue does.
    db!(tx, connection::mark_revoked(tenant, id, None))?;
    db!(tx, connection_revocation::add(revocation, id, &one.app, now))?;
    let given_up = present.state == ConnectionState::Revoked;
    let revoked = Connection { state: ConnectionState::Revoked, state_reason: None, ..present };
    Ok((!given_up).then_some(revoked))
}
