//! SQLite's write-ahead log: *folding* copies it into the database file beside the writer, and once
//! it has grown it is *begun anew*, between two transactions. Neither ever waits for a reader: while
//! one stays open the log grows, and the writer goes on.
//! See <https://sqlite.org/c3ref/wal_checkpoint_v2.html>.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{SqliteConnection, SqlitePool};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the log is folded into the file.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// From how many pages of 4 KiB on it is begun anew: 256 MiB.
const BOUND: i64 = 65_536;
/// How often a log with deleted rows in it is tried to be emptied before this is left to the folding.
const FORGET_TRIES: usize = 5;
/// How long to wait between two of these tries.
const FORGET_EVERY: Duration = Duration::from_millis(20);

/// The write-ahead log of one database file.
#[derive(Clone)]
pub struct WriteAheadLog {
    /// The one connection that folds.
    folder: SqlitePool,
    /// The one connection that writes.
    writer: SqlitePool,
    owed: Arc<Owed>,
}

/// How often the log was to be emptied of deleted rows, and up to which time that has been done.
struct Owed {
    asked: AtomicU64,
    done: AtomicU64,
}

/// How to fold.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// As far as readers and the writer allow.
    Passive,
    /// All of it, so that the next transaction writes to the log's beginning.
    Restart,
    /// All of it, and cut the log to nothing.
    Truncate,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
struct Folded {
    /// Whether somebody was in the way.
    busy: bool,
    /// The log's length in pages.
    pages: i64,
}

impl WriteAheadLog {
    /// Opens the connection that folds, and folds until it is closed.
    pub(super) async fn open(
        options: SqliteConnectOptions,
        writer: SqlitePool,
    ) -> Result<Self, sqlx::Error> {
        let log = Self::connect(options, writer).await?;
        tokio::spawn(log.clone().fold_until_closed());
        Ok(log)
    }

    async fn connect(
        options: SqliteConnectOptions,
        writer: SqlitePool,
    ) -> Result<Self, sqlx::Error> {
        let folder = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // A fold that waited for a reader would hold the writer's lock meanwhile.
            .connect_with(options.busy_timeout(Duration::ZERO))
            .await?;
        // A process that died may have owed it.
        let owed = Arc::new(Owed { asked: AtomicU64::new(1), done: AtomicU64::new(0) });
        Ok(Self { folder, writer, owed })
    }

    pub(super) async fn close(&self) {
        self.folder.close().await;
    }

    /// Removes deleted rows from the log. While a reader may still need them, this is left to the
    /// folding, which does it as soon as the reader has ended.
    pub(super) async fn forget(&self) -> Result<(), sqlx::Error> {
        let asked = self.owed.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut tries = tokio::time::interval(FORGET_EVERY);
        for _ in 0..FORGET_TRIES {
            tries.tick().await;
            self.fold(BOUND).await?;
            if self.owed.done.load(Ordering::Acquire) >= asked {
                return Ok(());
            }
        }
        tracing::info!("a reader is still open: deleted rows leave the log when it has ended");
        Ok(())
    }

    async fn fold_until_closed(self) {
        let mut turns = tokio::time::interval(FOLD_EVERY);
        loop {
            tokio::select! {
                () = self.folder.close_event() => return,
                _ = turns.tick() => {}
            }
            if let Err(error) = self.fold(BOUND).await
                && !self.folder.is_closed()
            {
                tracing::warn!(%error, "could not fold the write-ahead log into the file");
            }
        }
    }

    /// Folds the log, and begins it anew if it is longer than `bound` pages or owed to be emptied.
    async fn fold(&self, bound: i64) -> Result<Folded, sqlx::Error> {
        let mut connection = self.folder.acquire().await?;
        // Beside the writer: of what comes next, only what is written meanwhile is left.
        let folded = checkpoint(&mut connection, Mode::Passive).await?;
        let done = self.owed.done.load(Ordering::Acquire);
        if folded.pages <= bound && self.owed.asked.load(Ordering::Acquire) <= done {
            return Ok(folded);
        }
        // Between two transactions. Whoever has asked by now has committed.
        let _turn = self.writer.acquire().await?;
        let asked = self.owed.asked.load(Ordering::Acquire);
        if asked <= done {
            return checkpoint(&mut connection, Mode::Restart).await;
        }
        let folded = checkpoint(&mut connection, Mode::Truncate).await?;
        if !folded.busy {
            self.owed.done.fetch_max(asked, Ordering::AcqRel);
        }
        Ok(folded)
    }
}

async fn checkpoint(folder: &mut SqliteConnection, mode: Mode) -> Result<Folded, sqlx::Error> {
    let statement = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let (busy, pages, _): (i64, i64, i64) = sqlx::query_as(statement).fetch_one(folder).await?;
    Ok(Folded { busy: busy != 0, pages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    use std::path::Path;

    const CANARY: &str = "canary-7f1d0c";
    /// Far below the time for which a writer waits for a lock, far above that of a fold.
    const AT_ONCE: Duration = Duration::from_secs(5);

    async fn database(folder: &Path) -> (WriteAheadLog, SqlitePool) {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("log.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "on")
            .pragma("wal_autocheckpoint", "0");
        let one = || SqlitePoolOptions::new().max_connections(1);
        let writer = one().connect_with(options.clone()).await.unwrap();
        sqlx::query("CREATE TABLE note (text TEXT)").execute(&writer).await.unwrap();
        let readers = one().connect_with(options.clone()).await.unwrap();
        (WriteAheadLog::connect(options, writer).await.unwrap(), readers)
    }

    async fn write(log: &WriteAheadLog, rows: usize) {
        for _ in 0..rows {
            let insert = sqlx::query("INSERT INTO note VALUES (?)").bind(CANARY);
            insert.execute(&log.writer).await.unwrap();
        }
    }

    /// A fold that has to be done long before anybody would have stopped waiting for a reader.
    async fn fold(log: &WriteAheadLog, bound: i64) -> Folded {
        let done = tokio::time::timeout(AT_ONCE, log.fold(bound)).await;
        done.expect("a fold waits for no reader").unwrap()
    }

    fn holds_canary(folder: &Path, name: &str) -> bool {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    }

    #[tokio::test]
    async fn a_reader_that_stays_open_stops_neither_writer_nor_folding() {
        let folder = tempfile::tempdir().unwrap();
        let (log, pool) = database(folder.path()).await;
        assert!(!fold(&log, 0).await.busy, "what an earlier process owed");
        write(&log, 50).await;
        let mut reader = pool.begin().await.unwrap();
        let count = "SELECT COUNT(*) FROM note";
        let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut *reader).await.unwrap();
        write(&log, 50).await;
        assert!(fold(&log, 0).await.busy);
        write(&log, 50).await;
        let grown = fold(&log, 0).await;
        assert!(grown.busy);
        let still: i64 = sqlx::query_scalar(count).fetch_one(&mut *reader).await.unwrap();
        assert_eq!((seen, still), (50, 50));
        reader.rollback().await.unwrap();

        assert!(!fold(&log, 0).await.busy);
        write(&log, 1).await;
        let anew = fold(&log, i64::MAX).await;
        assert!(anew.pages < grown.pages, "{anew:?} after {grown:?}");
        log.close().await;
    }

    #[tokio::test]
    async fn deleted_rows_leave_the_log_at_once_or_when_the_last_reader_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (log, pool) = database(folder.path()).await;
        write(&log, 10).await;
        let delete = "DELETE FROM note";
        sqlx::query(delete).execute(&log.writer).await.unwrap();
        log.forget().await.unwrap();
        assert!(!holds_canary(folder.path(), "log.db-wal"));
        assert!(!holds_canary(folder.path(), "log.db"));

        write(&log, 10).await;
        let mut reader = pool.begin().await.unwrap();
        sqlx::query("SELECT * FROM note").fetch_all(&mut *reader).await.unwrap();
        sqlx::query(delete).execute(&log.writer).await.unwrap();
        let forgotten = tokio::time::timeout(AT_ONCE, log.forget()).await;
        forgotten.expect("forgetting leaves the rest to the folding").unwrap();
        assert!(holds_canary(folder.path(), "log.db-wal"), "the reader may still need it");
        reader.rollback().await.unwrap();
        assert!(!fold(&log, BOUND).await.busy);
        assert!(!holds_canary(folder.path(), "log.db-wal"));
        assert!(!holds_canary(folder.path(), "log.db"));
        log.close().await;
    }
}
