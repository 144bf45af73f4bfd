//! Opening a database and bringing its tables up to this version.

mod log;

use crate::notice::Notices;
use causeway_store_postgres as postgres;
use causeway_store_sqlite as sqlite;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use log::WriteAheadLog;

/// How long a connection to PostgreSQL is used.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(30);

/// The database behind the server.
#[derive(Clone)]
pub enum Store {
    /// Embedded SQLite: one connection writes, several read.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that refuse writes.
        readers: SqlitePool,
        /// Its write-ahead log.
        log: WriteAheadLog,
        /// What was heard of changed access.
        notices: Arc<Notices>,
    },
    /// PostgreSQL.
    Postgres {
        /// Its connections.
        pool: PgPool,
        /// The one connection that hears what other nodes tell.
        ear: PgPool,
        /// What was heard of changed access.
        notices: Arc<Notices>,
    },
}

/// Which database to open.
#[derive(Debug, Clone)]
pub enum StoreOptions {
    /// A file, made if it does not exist.
    Sqlite(PathBuf),
    /// A `postgres://` URL. It may hold a password, so it is never printed.
    Postgres(Box<PgConnectOptions>),
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one of a database that Causeway knows.
    #[error("reading the database URL: it must begin with `sqlite:` or `postgres://`")]
    Scheme,
    /// The URL does not parse.
    #[error("reading the database URL")]
    Url(#[source] sqlx::Error),
    /// The file cannot be opened.
    #[error("opening the database file {}: check that the folder exists and may be written", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The server cannot be reached.
    #[error(
        "connecting to PostgreSQL at {host}: check that it runs and that the URL's user may enter"
    )]
    Server {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The tables could not be brought up to this version.
    #[error("bringing the tables up to this version")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl StoreOptions {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn from_url(url: &str) -> Result<Self, ConnectError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(PathBuf::from(path.trim_start_matches("//"))));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(ConnectError::Url)?;
            return Ok(Self::Postgres(Box::new(options.application_name("causeway"))));
        }
        Err(ConnectError::Scheme)
    }
}

impl Store {
    /// Opens the database and migrates it.
    pub async fn connect(options: &StoreOptions) -> Result<Self, ConnectError> {
        match options {
            StoreOptions::Sqlite(path) => Self::connect_sqlite(path).await,
            StoreOptions::Postgres(options) => Self::connect_postgres(options).await,
        }
    }

    async fn connect_sqlite(path: &Path) -> Result<Self, ConnectError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(256)
            // Deleted rows are overwritten, so that a hard delete leaves nothing in the file.
            .pragma("secure_delete", "on");
        let failed = |source| ConnectError::File { path: path.to_owned(), source };
        // No pool here ends connections by their age: the task with which sqlx 0.9 does that counts
        // the idle ones while others come back, and may take so long that it never ends.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // The log is folded into the file beside the writer, which would stand still meanwhile.
            .connect_with(options.clone().pragma("wal_autocheckpoint", "0"))
            .await
            .map_err(failed)?;
        sqlite::MIGRATIONS.run(&writer).await.map_err(ConnectError::Migrate)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .idle_timeout(None)
            .max_lifetime(None)
            // An embedded database does not go away, so no connection is asked whether it lives.
            .test_before_acquire(false)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await
            .map_err(failed)?;
        let log = WriteAheadLog::open(options, writer.clone()).await.map_err(failed)?;
        Ok(Self::Sqlite { writer, readers, log, notices: Notices::alone() })
    }

    async fn connect_postgres(options: &PgConnectOptions) -> Result<Self, ConnectError> {
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(10))
            // See the other database. Here a connection may outlive the server's role or address,
            // so whoever takes one looks at its age.
            .idle_timeout(None)
            .max_lifetime(None)
            .before_acquire(|_, of| Box::pin(std::future::ready(Ok(of.age < CONNECTION_LIFETIME))))
            .connect_with(options.clone())
            .await
            .map_err(|source| ConnectError::Server {
                host: format!("{}:{}", options.get_host(), options.get_port()),
                source,
            })?;
        postgres::MIGRATIONS.run(&pool).await.map_err(ConnectError::Migrate)?;
        let ear = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone());
        Ok(Self::Postgres { pool, notices: Notices::shared(ear.clone()), ear })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> crate::Result<()> {
        match self {
            Self::Sqlite { readers, .. } => {
                sqlx::query("SELECT 1").execute(readers).await.map(|_| ())?;
            }
            Self::Postgres { pool, .. } => {
                sqlx::query("SELECT 1").execute(pool).await.map(|_| ())?;
            }
        }
        Ok(())
    }

    /// What was heard of changed access: how long memories of it may be believed.
    pub fn notices(&self) -> &Arc<Notices> {
        match self {
            Self::Sqlite { notices, .. } | Self::Postgres { notices, .. } => notices,
        }
    }

    /// How many writers the journal may keep busy at once.
    pub(crate) fn journal_writers(&self) -> usize {
        match self {
            Self::Sqlite { .. } => 1,
            Self::Postgres { .. } => 4,
        }
    }

    /// The database's name for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    /// Removes what a hard delete left in SQLite's write-ahead log, which otherwise keeps old
    /// pages until it is reused. What a reader may still see goes as soon as the reader has ended.
    /// PostgreSQL's own log is its operator's to archive or not.
    pub async fn forget_deleted(&self) -> crate::Result<()> {
        match self {
            Self::Sqlite { log, .. } => Ok(log.forget().await?),
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// Closes every connection; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, log, .. } => {
                log.close().await;
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, ear, .. } => {
                ear.close().await;
                pool.close().await;
            }
        }
    }
}
