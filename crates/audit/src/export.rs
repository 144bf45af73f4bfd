//! Taking a piece of a chain out.
//!
//! A piece is whole: from the first row of the time asked for to the last, and everything between,
//! so that its links can be checked. It leaves page by page; memory stays flat.

mod lines;
mod ocsf;

use crate::verify::Chain;
use crate::{AuditError, AuditLog, PAGE};
use bytes::Bytes;
use causeway_identity::{OwnKeys, Permit, action};
use causeway_store::{Audit, Error, Store, db};
use causeway_types::entity::{AuditCheckpoint, AuditRow};
use causeway_types::{Actor, Timestamp, WorkspaceId};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines that prove themselves: rows with what their hashes cover, checkpoints, public keys.
    Lines,
    /// The Open Cybersecurity Schema Framework, an event a line: <https://schema.ocsf.io>.
    Ocsf,
}

impl Format {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "jsonl",
            Self::Ocsf => "ocsf",
        }
    }
}

/// What is taken out.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The form.
    pub format: Format,
    /// From the first event at or after this moment on; None is from the beginning.
    pub since: Option<Timestamp>,
    /// Through the last event before this moment; None is to the end.
    pub until: Option<Timestamp>,
}

/// A piece of a chain on its way out.
pub struct Export {
    store: Store,
    keys: OwnKeys,
    workspace: WorkspaceId,
    format: Format,
    /// First and last row; None where no event is of the time asked for.
    span: Option<(i64, i64)>,
    stage: Stage,
    rows: i64,
}

enum Stage {
    Beginning,
    /// The last row that is out.
    After(i64),
    Ended,
}

impl AuditLog {
    /// Takes a piece of the workspace's chain out. That it is taken out is itself an event, written
    /// before anything leaves.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn export(
        &self,
        permit: &Permit<action::ExportAudit>,
        wanted: Wanted,
    ) -> Result<Export, AuditError> {
        let (workspace, actor) = (permit.workspace(), permit.actor());
        export(&self.store, &self.keys, workspace, actor, self.clock.now(), wanted).await
    }
}

/// The same for whoever has the machine.
///
/// # Errors
/// If the store fails.
pub async fn export(
    store: &Store,
    keys: &OwnKeys,
    workspace: WorkspaceId,
    actor: Actor,
    now: Timestamp,
    wanted: Wanted,
) -> Result<Export, AuditError> {
    let since = wanted.since.unwrap_or(Timestamp::from_micros(i64::MIN));
    let until = wanted.until.unwrap_or(Timestamp::from_micros(i64::MAX));
    let mut conn = store.read().await?;
    let span = db!(conn, audit::span(workspace, since, until))?;
    drop(conn);
    let (first, last) = span.unwrap_or((0, 0));
    let event = Audit::AuditExported { first, last, format: wanted.format.as_str().to_owned() };
    store.write(actor).await?.commit(workspace, now, event).await?;
    Ok(Export {
        store: store.clone(),
        keys: keys.clone(),
        workspace,
        format: wanted.format,
        span,
        stage: Stage::Beginning,
        rows: 0,
    })
}

impl Export {
    /// The next lines; None at the end.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, AuditError> {
        match self.stage {
            Stage::Beginning => {
                let (first, last) = self.span.unwrap_or((1, 0));
                self.stage = Stage::After(first.saturating_sub(1));
                if self.format == Format::Ocsf {
                    return Box::pin(self.chunk()).await;
                }
                let previous = self.hash_before(first).await?;
                let mut text = lines::header(self.workspace, (first, last), previous.as_deref());
                text.push_str(&lines::keys(&self.keys));
                Ok(Some(text.into()))
            }
            Stage::After(after) => {
                let rows = self.rows(after).await?;
                let Some(end) = rows.last().map(|row| row.seq) else {
                    self.stage = Stage::Ended;
                    let end = match self.format {
                        Format::Lines => Some(lines::end(self.rows).into()),
                        Format::Ocsf => None,
                    };
                    return Ok(end);
                };
                self.stage = Stage::After(end);
                self.rows += i64::try_from(rows.len()).unwrap_or(i64::MAX);
                let text = match self.format {
                    Format::Lines => {
                        let checkpoints = self.checkpoints(after, end).await?;
                        lines::rows(rows, checkpoints)
                    }
                    Format::Ocsf => {
                        rows.iter().map(|row| ocsf::line(self.workspace, row)).collect()
                    }
                };
                Ok(Some(text.into()))
            }
            Stage::Ended => Ok(None),
        }
    }

    async fn rows(&self, after: i64) -> Result<Vec<AuditRow>, Error> {
        let last = self.span.map_or(i64::MIN, |(_, last)| last);
        if after >= last {
            return Ok(Vec::new());
        }
        let mut conn = self.store.read().await?;
        let mut rows = db!(conn, audit::page(self.workspace, after, PAGE))?;
        rows.retain(|row| row.seq <= last);
        Ok(rows)
    }

    /// The checkpoints of a page's rows.
    async fn checkpoints(&self, mut after: i64, end: i64) -> Result<Vec<AuditCheckpoint>, Error> {
        let mut found = Vec::new();
        let mut conn = self.store.read().await?;
        loop {
            let page = db!(conn, audit::checkpoints(self.workspace, after, PAGE))?;
            let Some(last) = page.last().map(|one| one.seq) else { return Ok(found) };
            after = last;
            found.extend(page.into_iter().filter(|one| one.seq <= end));
            if last >= end {
                return Ok(found);
            }
        }
    }

    /// The hash that the first row's hash covers: that of the row before it, or of the floor.
    async fn hash_before(&self, first: i64) -> Result<Option<Vec<u8>>, Error> {
        if first <= 1 {
            return Ok(Some(vec![0; 32]));
        }
        let chain = Chain { store: &self.store, keys: &self.keys, workspace: self.workspace };
        let before = chain.page(first.saturating_sub(2)).await?;
        if let Some(row) = before.into_iter().next().filter(|row| row.seq == first - 1) {
            return Ok(Some(row.hash));
        }
        let mut conn = self.store.read().await?;
        let floor = db!(conn, audit::checkpoints(self.workspace, first.saturating_sub(2), 1))?;
        Ok(floor.into_iter().next().filter(|one| one.seq == first - 1).map(|one| one.hash))
    }
}
