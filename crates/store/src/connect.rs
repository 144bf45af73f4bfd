//! Opening a database and bringing its tables up to this version.

use causeway_store_postgres as postgres;
use causeway_store_sqlite as sqlite;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How often SQLite's write-ahead log is folded into the file.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// The longest that the log may grow, in pages of 4 KiB: 256 MiB.
const LOG_PAGES: i64 = 65_536;

/// The database behind the server.
#[derive(Clone)]
pub enum Store {
    /// Embedded SQLite: one connection writes, several read.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that refuse writes.
        readers: SqlitePool,
        /// The one connection that folds the write-ahead log into the file.
        folder: SqlitePool,
    },
    /// PostgreSQL.
    Postgres {
        /// Its connections.
        pool: PgPool,
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
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // The log is folded into the file beside the writer, which would stand still meanwhile.
            .connect_with(options.clone().pragma("wal_autocheckpoint", "0"))
            .await
            .map_err(failed)?;
        sqlite::MIGRATIONS.run(&writer).await.map_err(ConnectError::Migrate)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await
            .map_err(failed)?;
        let folder = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(failed)?;
        tokio::spawn(fold_log(folder.clone(), writer.clone()));
        Ok(Self::Sqlite { writer, readers, folder })
    }

    async fn connect_postgres(options: &PgConnectOptions) -> Result<Self, ConnectError> {
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await
            .map_err(|source| ConnectError::Server {
                host: format!("{}:{}", options.get_host(), options.get_port()),
                source,
            })?;
        postgres::MIGRATIONS.run(&pool).await.map_err(ConnectError::Migrate)?;
        Ok(Self::Postgres { pool })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> crate::Result<()> {
        match self {
            Self::Sqlite { readers, .. } => {
                sqlx::query("SELECT 1").execute(readers).await.map(|_| ())?;
            }
            Self::Postgres { pool } => {
                sqlx::query("SELECT 1").execute(pool).await.map(|_| ())?;
            }
        }
        Ok(())
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
    /// pages until it is reused. PostgreSQL's own log is its operator's to archive or not.
    pub async fn forget_deleted(&self) -> crate::Result<()> {
        if let Self::Sqlite { writer, .. } = self {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await?;
        }
        Ok(())
    }

    /// Closes every connection; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, folder } => {
                folder.close().await;
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool } => pool.close().await,
        }
    }
}

/// Folds SQLite's write-ahead log into the file every second, beside the writer. Should the log
/// outgrow its bound all the same, because the writer never pauses, the writer folds it itself.
async fn fold_log(folder: SqlitePool, writer: SqlitePool) {
    let mut turns = tokio::time::interval(FOLD_EVERY);
    loop {
        tokio::select! {
            () = folder.close_event() => return,
            _ = turns.tick() => {}
        }
        let log: Result<(i64, i64, i64), sqlx::Error> =
            sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&folder).await;
        let done = match log {
            Ok((_, pages, _)) if pages > LOG_PAGES => {
                sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(&writer).await.map(|_| ())
            }
            other => other.map(|_| ()),
        };
        if let Err(error) = done
            && !folder.is_closed()
        {
            tracing::warn!(%error, "could not fold the write-ahead log into the file");
        }
    }
}
