//! The store's queries, checked at compile time against SQLite. The texts stand once, in
//! `crates/store/sql`; what the dialects must say differently stands in `dialect`.

/// The connection that every query here takes.
pub type DbConn = sqlx::SqliteConnection;

pub mod dialect;

#[path = "../../store/sql/api_key.rs"]
pub mod api_key;
#[path = "../../store/sql/audit.rs"]
pub mod audit;
#[path = "../../store/sql/connect_session.rs"]
pub mod connect_session;
#[path = "../../store/sql/connection.rs"]
pub mod connection;
#[path = "../../store/sql/data_key.rs"]
pub mod data_key;
#[path = "../../store/sql/idempotency.rs"]
pub mod idempotency;
#[path = "../../store/sql/invocation.rs"]
pub mod invocation;
#[path = "../../store/sql/node.rs"]
pub mod node;
#[path = "../../store/sql/reseal.rs"]
pub mod reseal;
#[path = "../../store/sql/workflow.rs"]
pub mod workflow;
#[path = "../../store/sql/workspace.rs"]
pub mod workspace;

/// Creates the tables, or brings them up to this version.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();
