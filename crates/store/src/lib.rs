//! The store: one set of queries on two databases, embedded SQLite and PostgreSQL.
//!
//! - A *read* borrows a connection ([`Store::read`]).
//! - A *write* is a transaction that commits only together with its audit event
//!   ([`WriteTx::commit`]), or, for the bookkeeping that [`Bookkeeping`] lists, without one.
//! - The *journal* ([`Journal`]) groups the writes of the hot path: many events and steps, one
//!   fsync. Its answers come after the commit.
//! - *Notices* tell every node that what it remembers of access counts no more ([`Notices`]).
//!
//! Queries stand in `sql/`, one file an aggregate, and are called through [`db!`].

pub mod audit;
mod connect;
mod error;
mod journal;
mod notice;
#[cfg(feature = "test")]
pub mod testing;
mod tx;

pub use audit::{Audit, AuditBreak, Link, Origin, origin, verify_chain, with_origin};
pub use connect::{ConnectError, Store, StoreOptions, WriteAheadLog};
pub use error::Error;
pub use journal::{Journal, JournalError, JournalOp, JournalResult};
pub use notice::{Heard, Mark, Notices};
pub use tx::{Bookkeeping, DbRef, ReadConn, WriteTx};

/// The queries, compiled against PostgreSQL.
pub use causeway_store_postgres as postgres;
/// The queries, compiled against SQLite.
pub use causeway_store_sqlite as sqlite;

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Runs one query function on whichever database the connection or transaction is on:
/// `db!(tx, workflow::get(tenant, id))?`.
#[macro_export]
macro_rules! db {
    ($on:expr, $module:ident :: $function:ident ( $($argument:expr),* $(,)? )) => {
        match $on.db() {
            $crate::DbRef::Sqlite(c) => $crate::sqlite::$module::$function(c, $($argument),*)
                .await
                .map_err($crate::Error::from),
            $crate::DbRef::Postgres(c) => $crate::postgres::$module::$function(c, $($argument),*)
                .await
                .map_err($crate::Error::from),
        }
    };
}
