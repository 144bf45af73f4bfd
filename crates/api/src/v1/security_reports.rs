//! Reports of vulnerabilities, as the staff sees them.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;

use causeway_types::entity::VulnerabilityReport;
use causeway_types::{ReportId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A report of a vulnerability.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecurityReport {
    /// Its id.
    id: ReportId,
    /// When it came.
    received_at: Timestamp,
    /// When it was mailed to the operator; null if it was not, or not yet.
    mailed_at: Option<Timestamp>,
}

/// A report with its text, readable only with the operator's PGP key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholeSecurityReport {
    #[serde(flatten)]
    report: SecurityReport,
    /// The encrypted text: an ASCII-armored OpenPGP message.
    message: String,
}

impl From<VulnerabilityReport> for SecurityReport {
    fn from(report: VulnerabilityReport) -> Self {
        Self { id: report.id, received_at: report.received_at, mailed_at: report.mailed_at }
    }
}

impl From<VulnerabilityReport> for WholeSecurityReport {
    fn from(mut report: VulnerabilityReport) -> Self {
        let message = std::mem::take(&mut report.message);
        Self { report: report.into(), message }
    }
}
