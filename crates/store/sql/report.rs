//! Reports of vulnerabilities. They belong to the installation.

use crate::DbConn;
use causeway_types::entity::VulnerabilityReport;
use causeway_types::{INSTALLATION, ReportId, Timestamp};

/// Selects whole records.
macro_rules! select {
    ($where:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            VulnerabilityReport,
            "SELECT id AS \"id: _\", message, received_at_us AS \"received_at: _\", mailed_at_us AS \"mailed_at: _\" FROM vulnerability_report "
                + $where
            $(, $arg)*
        )
    };
}

pub async fn insert(c: &mut DbConn, v: &VulnerabilityReport) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO vulnerability_report (id, workspace_id, message, received_at_us, mailed_at_us)
         VALUES ($1, $2, $3, $4, $5)",
        v.id as _,
        INSTALLATION as _,
        v.message,
        v.received_at as _,
        v.mailed_at as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

pub async fn get(c: &mut DbConn, id: ReportId) -> sqlx::Result<Option<VulnerabilityReport>> {
    select!("WHERE workspace_id = $1 AND id = $2", INSTALLATION as _, id as _)
        .fetch_optional(c)
        .await
}

/// A page of reports, newest first.
pub async fn page(
    c: &mut DbConn,
    before: ReportId,
    limit: i64,
) -> sqlx::Result<Vec<VulnerabilityReport>> {
    select!(
        "WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        INSTALLATION as _,
        before as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// Reports that were not mailed yet, oldest first.
pub async fn unmailed(c: &mut DbConn, limit: i64) -> sqlx::Result<Vec<VulnerabilityReport>> {
    select!(
        "WHERE workspace_id = $1 AND mailed_at_us IS NULL ORDER BY id LIMIT $2",
        INSTALLATION as _,
        limit
    )
    .fetch_all(c)
    .await
}

/// How many reports are kept.
pub async fn count(c: &mut DbConn) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "n!: i64" FROM vulnerability_report WHERE workspace_id = $1"#,
        INSTALLATION as _
    )
    .fetch_one(c)
    .await
}

pub async fn mailed(c: &mut DbConn, id: ReportId, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE vulnerability_report SET mailed_at_us = $3 WHERE workspace_id = $1 AND id = $2",
        INSTALLATION as _,
        id as _,
        now as _
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Deletes a report. False if it is not there.
pub async fn delete(c: &mut DbConn, id: ReportId) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM vulnerability_report WHERE workspace_id = $1 AND id = $2",
        INSTALLATION as _,
        id as _
    )
    .execute(c)
    .await
    .map(|done| done.rows_affected() == 1)
}
