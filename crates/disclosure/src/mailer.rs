//! Sends reports on, until each has been sent.

use crate::Disclosure;
use crate::mail::{Mail, MailError};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::VulnerabilityReport;
use causeway_types::{Actor, NodeId, chain};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long after a failure the next try follows, at first; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest time between two tries.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How often to look for reports that another node has taken.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Reports looked up in one go.
const BATCH: i64 = 20;

/// Reports were not sent on.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The store failed.
    #[error("reading the reports to send")]
    Store(#[from] causeway_store::Error),
    /// The mail server did not take one.
    #[error("mailing a report")]
    Mail(#[from] MailError),
}

impl Disclosure {
    /// Mails reports as they come, and those that a failure left, until `stopping`. Without a
    /// mailer there is nothing to do. Two nodes may send the same report; its `Message-ID` tells.
    pub async fn run_mailer(&self, node: NodeId, stopping: CancellationToken) {
        if self.inner.config.mailer.is_none() {
            return;
        }
        let mut wait = FIRST_WAIT;
        while !stopping.is_cancelled() {
            let pause = match self.mail_now(node).await {
                Ok(()) => {
                    wait = FIRST_WAIT;
                    LOOK_EVERY
                }
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "reports of vulnerabilities wait to be mailed"
                    );
                    let pause = wait;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    pause
                }
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.inner.arrived.notified() => {}
            }
        }
    }

    /// Mails every report that was not mailed yet, oldest first, up to the first that fails.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn mail_now(&self, node: NodeId) -> Result<(), SendError> {
        let inner = &self.inner;
        let Some(mailer) = &inner.config.mailer else { return Ok(()) };
        loop {
            let mut conn = inner.store.read().await?;
            let waiting = db!(conn, report::unmailed(BATCH))?;
            drop(conn);
            if waiting.is_empty() {
                return Ok(());
            }
            for report in waiting {
                mailer.send(&mail(&report, &report.id.to_string())).await?;
                let mut tx = inner.store.write(Actor::Node(node)).await?;
                db!(tx, report::mailed(report.id, inner.clock.now()))?;
                tx.commit_bookkeeping(Bookkeeping::ReportMailed).await?;
            }
        }
    }
}

fn mail<'a>(report: &'a VulnerabilityReport, id: &'a str) -> Mail<'a> {
    Mail {
        id,
        date: report.received_at,
        subject: "A report of a vulnerability in Causeway",
        text: &report.message,
    }
}
