//! The check of a whole chain.

mod claims;

use crate::statement::Statement;
use crate::{AuditLog, Broken, Checkpoint, PAGE};
use causeway_identity::{OwnKeys, OwnKeysError, Permit, action};
use causeway_store::{AuditBreak, Link, Store, db};
use causeway_types::entity::{AuditFilter, AuditHead, AuditRow};
use causeway_types::{Code, Coded, SigningKeyId, WorkspaceId};
use claims::{Claim, Claims};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How often a check begins anew because rows were pruned under it, or signed with a new key.
const ATTEMPTS: usize = 4;

/// A chain that holds, and what that was found by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Rows checked.
    pub rows: i64,
    /// The first of them; 0 if there is none. What was before it was pruned.
    pub first: i64,
    /// The last of them; 0 if there is none.
    pub last: i64,
    /// The last row's hash, in lower-case hex.
    pub hash: String,
    /// The last row that a checkpoint proves; 0 if there is no checkpoint. A tail that is rewritten
    /// or cut off after it, together with the head, is not noticed.
    pub proven: i64,
    /// Checkpoints of the database that were compared.
    pub checkpoints: i64,
    /// Checkpoints kept elsewhere that were compared.
    pub kept: i64,
    /// Checkpoints kept elsewhere that are signed rightly, and whose rows are pruned or too new.
    pub kept_out_of_reach: i64,
}

/// A chain does not hold, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store failed.
    #[error("reading the audit chain")]
    Store(#[from] causeway_store::Error),
    /// The keys that checkpoints are checked with could not be read again.
    #[error("looking for the key of a checkpoint")]
    Keys(#[from] OwnKeysError),
    /// The chain does not hold.
    #[error("checking the audit chain of {workspace}: {broken}")]
    Broken {
        /// The workspace.
        workspace: WorkspaceId,
        /// The first thing that is wrong with it.
        broken: Broken,
    },
}

impl Coded for VerifyError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Keys(source) => source.code(),
            Self::Broken { .. } => Code::AuditBroken,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Keys(source) => source.public(),
            Self::Broken { workspace, broken } => {
                format!("The audit chain of {workspace} does not hold: {broken}.").into()
            }
        }
    }
}

impl AuditLog {
    /// Checks the workspace's chain, also against checkpoints that were kept elsewhere; those of
    /// other workspaces are passed over.
    ///
    /// # Errors
    /// [`VerifyError::Broken`] if it does not hold.
    pub async fn verify(
        &self,
        permit: &Permit<action::ReadAudit>,
        kept: &[Checkpoint],
    ) -> Result<Verified, VerifyError> {
        verify(&self.store, &self.keys, permit.workspace(), kept).await
    }
}

/// Checks a workspace's chain for whoever has the machine: every row's hash, the numbers, the head,
/// the floor that pruning left, every checkpoint, and those kept elsewhere. What is written while
/// it runs is left for the next time. Memory stays flat.
///
/// # Errors
/// [`VerifyError::Broken`] if it does not hold.
pub async fn verify(
    store: &Store,
    keys: &OwnKeys,
    workspace: WorkspaceId,
    kept: &[Checkpoint],
) -> Result<Verified, VerifyError> {
    let chain = Chain { store, keys, workspace };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let begun_at = chain.first().await?.map(|row| row.seq);
        let broken = match chain.walk(kept).await {
            Ok(verified) => return Ok(verified),
            Err(Stop::Store(error)) => return Err(error.into()),
            Err(Stop::Broken(broken)) => broken,
        };
        // Rows pruned under the walk look like rows taken out; then the first row is another one.
        let pruned = chain.first().await?.map(|row| row.seq) != begun_at;
        // A key that is not known here may be one that another node signs with since a moment ago.
        let renewed = matches!(broken, Broken::Key { .. }) && keys.renew().await?;
        if !(pruned || renewed) || attempt == ATTEMPTS {
            return Err(VerifyError::Broken { workspace, broken });
        }
    }
}

/// Why a walk ended before the end.
enum Stop {
    Store(causeway_store::Error),
    Broken(Broken),
}

impl From<causeway_store::Error> for Stop {
    fn from(error: causeway_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// A chain to be walked along.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a> {
    pub(crate) store: &'a Store,
    pub(crate) keys: &'a OwnKeys,
    pub(crate) workspace: WorkspaceId,
}

impl Chain<'_> {
    async fn walk(&self, kept: &[Checkpoint]) -> Result<Verified, Stop> {
        let head = self.head().await?.ok_or(Broken::NoHead)?;
        let (mut link, first) = self.start().await?;
        let mut claims = Claims::new(*self, kept);
        let mut verified = Verified {
            workspace_id: self.workspace,
            rows: 0,
            first,
            last: link.seq(),
            hash: String::new(),
            proven: 0,
            checkpoints: 0,
            kept: 0,
            kept_out_of_reach: 0,
        };
        while let Some(claim) = claims.take_through(link.seq()).await? {
            self.compare(&claim, &link, &mut verified)?;
        }
        let mut beyond = None;
        'rows: loop {
            let rows = self.page(link.seq()).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if row.seq > head.seq && link.seq() >= head.seq {
                    beyond = Some(row.seq);
                    break 'rows;
                }
                if let Err(broken) = link.follow(row) {
                    return Err(self.classify(&link, broken).await?.into());
                }
                verified.rows += 1;
                while let Some(claim) = claims.take_through(link.seq()).await? {
                    self.compare(&claim, &link, &mut verified)?;
                }
            }
        }
        self.compare_head(&head, &link, beyond).await?;
        while let Some(claim) = claims.take_through(i64::MAX).await? {
            claim.check(self.keys)?;
            // Signed while this walk was under way?
            let head = self.head().await?.ok_or(Broken::NoHead)?;
            if head.seq < claim.seq {
                let (seq, last, kept) = (claim.seq, link.seq(), claim.kept);
                return Err(Broken::Ahead { seq, last, kept }.into());
            }
            verified.kept_out_of_reach += i64::from(claim.kept);
        }
        verified.last = link.seq();
        verified.hash = HEXLOWER.encode(link.hash());
        Ok(verified)
    }

    /// Where the walk begins, and the number of the first row: before row 1, or at a floor that is
    /// proven. Row 0 is before the first.
    async fn start(&self) -> Result<(Link, i64), Stop> {
        let Some(first) = self.first().await?.map(|row| row.seq) else {
            return Ok((Link::beginning(self.workspace), 0));
        };
        if first < 1 {
            return Err(Broken::Foreign { seq: first }.into());
        }
        if first == 1 {
            return Ok((Link::beginning(self.workspace), 1));
        }
        let floor = first - 1;
        let mut conn = self.store.read().await?;
        let stored = db!(conn, audit::checkpoints(self.workspace, floor - 1, 1))?;
        drop(conn);
        let Some(stored) = stored.into_iter().next().filter(|one| one.seq == floor) else {
            return Err(Broken::Front { first }.into());
        };
        let checkpoint = Checkpoint::from(stored.clone());
        Claim::of(checkpoint.clone(), false).check(self.keys)?;
        if self.pruned_through(floor, &checkpoint.hash).await?.is_none() {
            return Err(Broken::Front { first }.into());
        }
        Ok((Link::at(self.workspace, floor, stored.hash), first))
    }

    /// The event of the pruning that left a floor, if there is a validly signed one.
    async fn pruned_through(
        &self,
        floor: i64,
        hash: &str,
    ) -> Result<Option<Pruned>, causeway_store::Error> {
        let mut before = i64::MAX;
        loop {
            let rows = self.of_action("audit_pruned", before).await?;
            let Some(last) = rows.last() else { return Ok(None) };
            before = last.seq;
            let found = rows.iter().find_map(|row| {
                let event = Pruned::read(self, row)?;
                (event.through == floor && event.hash == hash).then_some(event)
            });
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Compares a checkpoint with the row that the walk stands at, or has left behind.
    fn compare(&self, claim: &Claim, link: &Link, verified: &mut Verified) -> Result<(), Broken> {
        claim.check(self.keys)?;
        if claim.seq < link.seq() {
            // Its row was pruned. The database's own go with their rows.
            verified.kept_out_of_reach += i64::from(claim.kept);
            return Ok(());
        }
        if claim.hash != link.hash() {
            let (seq, after, kept) = (claim.seq, verified.proven, claim.kept);
            return Err(Broken::Rewritten { seq, after, kept });
        }
        verified.proven = claim.seq;
        if claim.kept {
            verified.kept += 1;
        } else {
            verified.checkpoints += 1;
        }
        Ok(())
    }

    async fn compare_head(
        &self,
        head: &AuditHead,
        link: &Link,
        beyond: Option<i64>,
    ) -> Result<(), Stop> {
        let last = link.seq();
        if head.seq > last {
            return Err(Broken::Cut { last, written: head.seq }.into());
        }
        if last > 0 && head.hash != link.hash() {
            return Err(Broken::Head { last }.into());
        }
        // A row and its head are written in one transaction, so who sees the row sees its head.
        if let Some(seq) = beyond
            && self.head().await?.is_none_or(|head| head.seq < seq)
        {
            return Err(Broken::Head { last: seq }.into());
        }
        Ok(())
    }

    /// What the break of a link means: whether the row that is missing here stands elsewhere.
    async fn classify(
        &self,
        link: &Link,
        broken: AuditBreak,
    ) -> Result<Broken, causeway_store::Error> {
        let expected = link.seq() + 1;
        let mut after = link.seq();
        loop {
            let rows = self.page(after).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in rows {
                let found = row.seq;
                if found != expected && link.fits(&AuditRow { seq: expected, ..row }) {
                    return Ok(Broken::Moved { seq: expected, found });
                }
            }
        }
        Ok(match broken {
            AuditBreak::Gap { found, .. } => Broken::Missing { first: expected, last: found - 1 },
            AuditBreak::Changed { .. } | AuditBreak::Cut { .. } => Broken::Edited { seq: expected },
        })
    }

    pub(crate) async fn head(&self) -> Result<Option<AuditHead>, causeway_store::Error> {
        let mut conn = self.store.read().await?;
        db!(conn, audit::head(self.workspace))
    }

    pub(crate) async fn first(&self) -> Result<Option<AuditRow>, causeway_store::Error> {
        let mut conn = self.store.read().await?;
        Ok(db!(conn, audit::page(self.workspace, i64::MIN, 1))?.into_iter().next())
    }

    pub(crate) async fn page(&self, after: i64) -> Result<Vec<AuditRow>, causeway_store::Error> {
        let mut conn = self.store.read().await?;
        db!(conn, audit::page(self.workspace, after, PAGE))
    }

    /// A page of the events of one kind before a row, newest first.
    pub(crate) async fn of_action(
        &self,
        action: &str,
        before: i64,
    ) -> Result<Vec<AuditRow>, causeway_store::Error> {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let mut conn = self.store.read().await?;
        db!(conn, audit::filtered(self.workspace, &filter, before, PAGE))
    }
}

/// The event of a pruning, as far as its statement goes.
#[derive(Debug, Deserialize)]
pub(crate) struct Pruned {
    through: i64,
    hash: String,
    rows: i64,
    pub(crate) days: i64,
    signing_key: SigningKeyId,
    signature: String,
}

impl Pruned {
    /// Reads an event; none if its statement is not signed by one of the installation's keys.
    pub(crate) fn read(chain: &Chain<'_>, row: &AuditRow) -> Option<Self> {
        let event: Self = serde_json::from_str(&row.detail).ok()?;
        let floor = (event.through, event.hash.as_str());
        let Self { rows, days, signing_key, .. } = event;
        let statement = Statement::floor(chain.workspace, floor, rows, days, row.at, signing_key);
        statement.check_hex(chain.keys, &event.signature).then_some(event)
    }
}
