//! Connections to read with and transactions to write with.

use crate::audit::{self, Audit};
use crate::{Error, Notices, Result, Store};
use causeway_types::{Actor, Timestamp, WorkspaceId};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};
use std::sync::Arc;

/// Which database a query runs on. The [`db!`](crate::db) macro chooses by it.
pub enum DbRef<'a> {
    /// Embedded SQLite.
    Sqlite(&'a mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'a mut PgConnection),
}

/// A connection for reading.
pub enum ReadConn {
    /// Embedded SQLite; the connection refuses writes.
    Sqlite(PoolConnection<Sqlite>),
    /// PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

impl ReadConn {
    /// The connection, for [`db!`](crate::db).
    pub fn db(&mut self) -> DbRef<'_> {
        match self {
            Self::Sqlite(c) => DbRef::Sqlite(c),
            Self::Postgres(c) => DbRef::Postgres(c),
        }
    }
}

pub(crate) enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Inner {
    async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(t) => t.commit().await,
            Self::Postgres(t) => t.commit().await,
        }
        .map_err(Error::from)
    }
}

/// A transaction. Dropped without a commit, it rolls back.
pub struct WriteTx {
    inner: Inner,
    actor: Actor,
    notices: Arc<Notices>,
    pub(crate) changed: Vec<WorkspaceId>,
    pub(crate) webhooks: bool,
}

/// Why a transaction may commit without an audit event: nothing that a person decided changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bookkeeping {
    /// Events stored and steps journaled; the events themselves are the record.
    Journal,
    /// A node's lease, or invocations claimed under it.
    Lease,
    /// The steps of a token refresh before its result is known.
    Refresh,
    /// A connect link opened in a browser, or a flow begun in it.
    ConnectProgress,
    /// Records sealed again under a new data key, while a rotation runs.
    Rotation,
    /// An `Idempotency-Key` claimed, answered or given up.
    Idempotency,
    /// A sign-in under way: nobody is signed in yet.
    SignInProgress,
    /// When something was used last.
    LastUsed,
    /// How many calls were taken of a shared budget.
    RateBudget,
    /// How much was used.
    Usage,
    /// What has expired and can do nothing any more.
    Expired,
    /// That a report of a vulnerability was mailed to the operator.
    ReportMailed,
    /// Webhooks taken up, attempted, put off or given up; the log of attempts is the record.
    Webhooks,
    /// The props that a component says it has with certain values.
    DynamicProps,
    /// A checkpoint of the audit chain, which is itself a record.
    Checkpoint,
}

impl Store {
    /// Opens a transaction in which `actor` changes things.
    pub async fn write(&self, actor: Actor) -> Result<WriteTx> {
        let inner = match self {
            Self::Sqlite { writer, .. } => {
                Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres { pool, .. } => Inner::Postgres(pool.begin().await?),
        };
        let notices = Arc::clone(self.notices());
        Ok(WriteTx { inner, actor, notices, changed: Vec::new(), webhooks: false })
    }

    /// Borrows a connection for reading.
    pub async fn read(&self) -> Result<ReadConn> {
        Ok(match self {
            Self::Sqlite { readers, .. } => ReadConn::Sqlite(readers.acquire().await?),
            Self::Postgres { pool, .. } => ReadConn::Postgres(pool.acquire().await?),
        })
    }
}

impl WriteTx {
    /// The connection, for [`db!`](crate::db).
    pub fn db(&mut self) -> DbRef<'_> {
        match &mut self.inner {
            Inner::Sqlite(t) => DbRef::Sqlite(t),
            Inner::Postgres(t) => DbRef::Postgres(t),
        }
    }

    /// Who acts in it.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Lets `actor` be who acts from here on: somebody who signs in becomes known in between.
    pub fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// Appends the event to the workspace's audit chain and commits both together.
    pub async fn commit(
        mut self,
        workspace: WorkspaceId,
        now: Timestamp,
        event: Audit,
    ) -> Result<()> {
        audit::append(&mut self, workspace, now, &event).await?;
        self.end().await
    }

    /// Appends a further event to a workspace's audit chain, for a change that decides more than
    /// one thing. The transaction still ends with [`commit`](Self::commit).
    pub async fn record(
        &mut self,
        workspace: WorkspaceId,
        now: Timestamp,
        event: Audit,
    ) -> Result<()> {
        audit::append(self, workspace, now, &event).await
    }

    /// Commits bookkeeping: a change that nobody decided and that its reason names.
    pub async fn commit_bookkeeping(self, reason: Bookkeeping) -> Result<()> {
        tracing::trace!(?reason, "committing bookkeeping");
        self.end().await
    }

    async fn end(self) -> Result<()> {
        if self.changed.is_empty() && !self.webhooks {
            return self.inner.commit().await;
        }
        // Not cut off if the caller goes away between the commit and the telling. Who cannot tell
        // whether the commit came through tells all the same.
        let task = tokio::spawn(async move {
            let done = self.inner.commit().await;
            for workspace in self.changed {
                self.notices.changed(workspace);
            }
            if self.webhooks {
                self.notices.webhooks_due();
            }
            done
        });
        task.await.map_err(|_| Error::from(sqlx::Error::WorkerCrashed))?
    }
}
