//! No change takes the last owner of a workspace.

use super::MembersError;
use causeway_store::{WriteTx, db};
use causeway_types::WorkspaceId;

/// How many owners a workspace has before a change.
#[must_use]
pub(crate) struct Owners {
    workspace: WorkspaceId,
    before: i64,
}

impl Owners {
    /// Lets one change of the workspace's members pass at a time, and counts the owners before it.
    ///
    /// At read committed two changes at once, each of which leaves the other's owner, would both
    /// come through. So each locks the head of the audit chain before it reads what it decides by.
    /// Rows of sessions are written before that and rows of members after it, by everybody who
    /// writes both, so that nobody waits in a circle.
    pub(crate) async fn lock(
        tx: &mut WriteTx,
        workspace: WorkspaceId,
    ) -> Result<Self, MembersError> {
        db!(tx, audit::lock_head(workspace))?;
        let before = db!(tx, member::count_owners(workspace))?;
        Ok(Self { workspace, before })
    }

    /// Counts them again after it.
    pub(crate) async fn keep(self, tx: &mut WriteTx) -> Result<(), MembersError> {
        let after = db!(tx, member::count_owners(self.workspace))?;
        if self.before > 0 && after == 0 {
            return Err(MembersError::LastOwner);
        }
        Ok(())
    }
}
