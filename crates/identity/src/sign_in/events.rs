//! The audit events of one sign-in, which go to several chains.

use causeway_store::{Audit, Result, WriteTx};
use causeway_types::{Timestamp, WorkspaceId};

/// Events that are written when all is decided, by ascending workspace.
#[derive(Default)]
pub(crate) struct Events(Vec<(WorkspaceId, Audit)>);

impl Events {
    pub(crate) fn push(&mut self, workspace: WorkspaceId, event: Audit) {
        self.0.push((workspace, event));
    }

    /// The workspaces whose chains get them.
    pub(super) fn workspaces(&self) -> impl Iterator<Item = WorkspaceId> {
        self.0.iter().map(|(workspace, _)| *workspace)
    }

    /// Writes the events and commits; `last` is written last.
    pub(super) async fn commit(
        mut self,
        mut tx: WriteTx,
        now: Timestamp,
        (workspace, last): (WorkspaceId, Audit),
    ) -> Result<()> {
        self.0.sort_by_key(|(workspace, _)| *workspace);
        for (workspace, event) in self.0 {
            tx.record(workspace, now, event).await?;
        }
        tx.commit(workspace, now, last).await
    }
}
