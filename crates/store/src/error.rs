//! What can go wrong in the store.

use causeway_types::{Code, Coded};
use std::borrow::Cow;

/// A store operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, or cannot write.
    #[error("reaching the database")]
    Unavailable(#[source] sqlx::Error),
    /// Another transaction was in the way, and the database let this one go.
    #[error("giving way to another transaction")]
    GaveWay(#[source] sqlx::Error),
    /// A uniqueness or reference rule of the tables was broken.
    #[error("keeping the rule `{constraint}` of the tables")]
    Conflict {
        /// The rule's name, or the columns that it is about.
        constraint: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds something that no version of Causeway writes.
    #[error("reading column {column}: the row is corrupt")]
    Corrupt {
        /// Name or number of the column.
        column: String,
        /// What did not fit.
        #[source]
        source: sqlx::Error,
    },
    /// Anything else: a defect.
    #[error("running a query")]
    Query(#[source] sqlx::Error),
    /// The audit chain of the workspace has no head.
    #[error("finding the audit chain of {workspace}")]
    NoAuditChain {
        /// The workspace.
        workspace: String,
    },
    /// An audit event could not be written as JSON: a defect.
    #[error("writing an audit event as JSON")]
    AuditEncoding(#[source] serde_json::Error),
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(source),
            sqlx::Error::ColumnDecode { ref index, .. } => {
                Self::Corrupt { column: index.clone(), source }
            }
            sqlx::Error::Database(ref database) => {
                if database.is_unique_violation()
                    || database.is_foreign_key_violation()
                    || database.is_check_violation()
                {
                    let constraint =
                        database.constraint().unwrap_or_else(|| database.message()).to_owned();
                    Self::Conflict { constraint, source }
                } else if is_outage(database.code().as_deref()) {
                    Self::Unavailable(source)
                } else if gave_way(database.code().as_deref()) {
                    Self::GaveWay(source)
                } else {
                    Self::Query(source)
                }
            }
            _ => Self::Query(source),
        }
    }
}

/// PostgreSQL's classes 08 (connection), 53 (resources) and 57P (shutdown), and SQLite's primary
/// result codes for busy, locked, read-only, I/O error, corrupt, full and cannot-open.
/// Sources: PostgreSQL manual appendix A, sqlite.org/rescode.html.
fn is_outage(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 {
        return code.starts_with("08") || code.starts_with("53") || code.starts_with("57P");
    }
    code.parse::<u32>()
        .is_ok_and(|extended| matches!(extended & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14))
}

/// PostgreSQL's serialization failure and deadlock: two transactions waited for each other in a
/// circle, and it chose this one to end. Nothing of it is kept, so it may be sent again.
fn gave_way(code: Option<&str>) -> bool {
    matches!(code, Some("40001" | "40P01"))
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable(_) | Self::GaveWay(_) => Code::StoreUnavailable,
            Self::Conflict { .. }
            | Self::Corrupt { .. }
            | Self::Query(_)
            | Self::NoAuditChain { .. }
            | Self::AuditEncoding(_) => Code::Internal,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unavailable(_) => {
                "Causeway cannot reach its database. Nothing of this request was stored; send it again."
                    .into()
            }
            Self::GaveWay(_) => {
                "Another change was made at the same time, and this one gave way. Nothing of this request was stored; send it again."
                    .into()
            }
            _ => "A query failed. The server's log has the details under this request's id.".into(),
        }
    }
}
