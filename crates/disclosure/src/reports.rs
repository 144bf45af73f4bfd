//! Reports: taken from anybody, encrypted, and read by the staff.

use crate::recipient::EncryptError;
use crate::{Disclosure, MAX_REPORT, MAX_REPORTS};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::VulnerabilityReport;
use causeway_types::{Actor, Code, Coded, INSTALLATION, ReportId};
use std::borrow::Cow;
use std::fmt::Write as _;

/// What a reporter sends.
pub struct Draft {
    /// The report itself.
    pub text: String,
    /// How to reach the reporter, if they want to be.
    pub reply_to: Option<String>,
}

/// A report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The operator gave no key to encrypt it to.
    #[error("taking a report: there is no key to encrypt it to")]
    NotTaken,
    /// It says nothing.
    #[error("taking a report: it is empty")]
    Empty,
    /// It is longer than [`MAX_REPORT`].
    #[error("taking a report: it has {0} bytes")]
    TooLong(usize),
    /// [`MAX_REPORTS`] are kept already.
    #[error("taking a report: there is no more room")]
    Full,
    /// It could not be encrypted; nothing was stored.
    #[error("encrypting a report")]
    Encrypt(#[from] EncryptError),
    /// The store failed.
    #[error("storing a report")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SubmitError {
    fn code(&self) -> Code {
        match self {
            Self::NotTaken => Code::NotFound,
            Self::Empty => Code::InvalidRequest,
            Self::TooLong(_) => Code::BodyTooLarge,
            Self::Full => Code::RateLimited,
            Self::Encrypt(_) => Code::Internal,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::NotTaken => {
                "This installation takes no reports here. `/security/report` says how to reach its operator.".into()
            }
            Self::Empty => "The report is empty. Say what you found, and where.".into(),
            Self::TooLong(length) => format!(
                "The report has {length} bytes, and at most {MAX_REPORT} are taken. Send the essence, and say that there is more."
            )
            .into(),
            Self::Full => {
                "Too many reports wait here to be read. `/security/report` says how else to reach the operator.".into()
            }
            Self::Encrypt(_) => {
                "The report could not be encrypted, so it was not kept. `/security/report` says how else to reach the operator.".into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

/// A report was not shown or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is none.
    #[error("finding the report {0}")]
    Unknown(ReportId),
    /// The permit is one for a workspace, and reports belong to the installation.
    #[error("looking for reports in a workspace")]
    Elsewhere,
    /// The store failed.
    #[error("reading reports")]
    Store(#[from] causeway_store::Error),
}

impl Coded for ReportError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown(_) | Self::Elsewhere => Code::NotFound,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Unknown(id) => format!("There is no report {id}.").into(),
            Self::Elsewhere => "Reports belong to the installation, not to a workspace.".into(),
            Self::Store(source) => source.public(),
        }
    }
}

impl Disclosure {
    /// Takes a report from anybody: it is encrypted to the operator's key, and only then stored
    /// and given to the mailer.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit(&self, draft: &Draft) -> Result<ReportId, SubmitError> {
        let inner = &self.inner;
        let recipient = inner.config.recipient.as_ref().ok_or(SubmitError::NotTaken)?;
        let text = plain(draft)?;
        let now = inner.clock.now();
        let message = recipient.encrypt(&text, now, &*inner.random)?;
        drop(text);
        let id = ReportId::generate(now, &*inner.random);
        let report = VulnerabilityReport { id, message, received_at: now, mailed_at: None };
        let mut tx = inner.store.write(Actor::Anonymous).await?;
        if db!(tx, report::count())? >= MAX_REPORTS {
            return Err(SubmitError::Full);
        }
        db!(tx, report::insert(&report))?;
        tx.commit(INSTALLATION, now, Audit::ReportReceived { report: id }).await?;
        tracing::info!(report.id = %id, "a report of a vulnerability has come");
        inner.arrived.notify_one();
        Ok(id)
    }

    /// A page of reports, newest first, from before `before`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn reports(
        &self,
        permit: &Permit<action::ReadReports>,
        before: ReportId,
        limit: i64,
    ) -> Result<Vec<VulnerabilityReport>, ReportError> {
        here(permit)?;
        let mut conn = self.inner.store.read().await?;
        Ok(db!(conn, report::page(before, limit))?)
    }

    /// One report.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub async fn report(
        &self,
        permit: &Permit<action::ReadReports>,
        id: ReportId,
    ) -> Result<VulnerabilityReport, ReportError> {
        here(permit)?;
        let mut conn = self.inner.store.read().await?;
        db!(conn, report::get(id))?.ok_or(ReportError::Unknown(id))
    }

    /// Deletes a report for good.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub async fn delete_report(
        &self,
        permit: &Permit<action::ReadReports>,
        id: ReportId,
    ) -> Result<(), ReportError> {
        here(permit)?;
        let mut tx = self.inner.store.write(permit.actor()).await?;
        if !db!(tx, report::delete(id))? {
            return Err(ReportError::Unknown(id));
        }
        let now = self.inner.clock.now();
        Ok(tx.commit(INSTALLATION, now, Audit::ReportDeleted { report: id }).await?)
    }
}

/// Reports belong to the installation: no right in a workspace opens them.
fn here(permit: &Permit<action::ReadReports>) -> Result<(), ReportError> {
    if permit.workspace() == INSTALLATION { Ok(()) } else { Err(ReportError::Elsewhere) }
}

/// What is encrypted.
fn plain(draft: &Draft) -> Result<String, SubmitError> {
    let text = draft.text.trim();
    if text.is_empty() {
        return Err(SubmitError::Empty);
    }
    let reply_to = draft.reply_to.as_deref().map(str::trim).filter(|reply| !reply.is_empty());
    let length = text.len() + reply_to.map_or(0, str::len);
    if length > MAX_REPORT {
        return Err(SubmitError::TooLong(length));
    }
    let mut plain = String::with_capacity(length + 16);
    if let Some(reply_to) = reply_to {
        // Writing to a `String` does not fail.
        let _ = write!(plain, "Reply to: {reply_to}\n\n");
    }
    plain.push_str(text);
    plain.push('\n');
    Ok(plain)
}
