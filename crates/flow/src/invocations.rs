//! Looking at invocations, repeating them, and deleting them for good.

use crate::record::StepRecord;
use crate::{Answer, Flow, FlowError, Inner, Notice};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{Invocation, InvocationState, Step, Workflow};
use causeway_types::place::Sealed;
use causeway_types::{InvocationId, Place, SecretBytes, StepId, WorkflowId, WorkspaceId};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Which invocations a listing shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct InvocationFilter {
    /// Those of one workflow.
    pub workflow: Option<WorkflowId>,
    /// Those in one state.
    pub state: Option<InvocationState>,
    /// The items of one invocation's loops. Without it, no items are shown.
    pub parent: Option<InvocationId>,
}

/// A step with its record opened.
pub struct StepView {
    /// The row.
    pub step: Step,
    /// Results, logs and error.
    pub record: StepRecord,
}

impl Flow {
    /// A page of workflows, oldest first, after `after`.
    pub async fn workflows(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        after: WorkflowId,
        limit: i64,
    ) -> Result<Vec<Workflow>, FlowError> {
        let mut conn = self.inner.store.read().await?;
        Ok(db!(conn, workflow::page(permit.tenant(), after, limit))?)
    }

    /// One workflow.
    pub async fn workflow(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        id: WorkflowId,
    ) -> Result<Workflow, FlowError> {
        let mut conn = self.inner.store.read().await?;
        db!(conn, workflow::get(permit.tenant(), id))?.ok_or(FlowError::NoWorkflow(id))
    }

    /// One workflow, by its name.
    pub async fn workflow_named(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        name: &str,
    ) -> Result<Workflow, FlowError> {
        let mut conn = self.inner.store.read().await?;
        db!(conn, workflow::by_name(permit.tenant(), name))?
            .ok_or_else(|| FlowError::NoWorkflowNamed(name.to_owned()))
    }

    /// The connections that the active version of a workflow uses, by name, and whether its code gets
    /// the credential itself. None before the first deploy.
    pub async fn workflow_connections(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        workflow: &Workflow,
    ) -> Result<BTreeMap<String, bool>, FlowError> {
        let Some(version) = workflow.active_version_id else { return Ok(BTreeMap::new()) };
        let manifest = self.inner.bundle(permit.tenant(), version).await?.manifest;
        let exposed = manifest.exposed();
        let name = |name: &str| (name.to_owned(), exposed.contains(name));
        Ok(manifest.connections().into_iter().map(name).collect())
    }

    /// A page of invocations, newest first, older than `before`.
    pub async fn invocations(
        &self,
        permit: &Permit<action::ReadInvocations>,
        filter: InvocationFilter,
        before: InvocationId,
        limit: i64,
    ) -> Result<Vec<Invocation>, FlowError> {
        let InvocationFilter { workflow, state, parent } = filter;
        let tenant = permit.tenant();
        let mut conn = self.inner.store.read().await?;
        Ok(match parent {
            Some(parent) => db!(conn, item::page(tenant, parent, state, before, limit))?,
            None => db!(conn, invocation::page(tenant, workflow, state, before, limit))?,
        })
    }

    /// Invocations that came after `after`, oldest first.
    pub async fn newer_invocations(
        &self,
        permit: &Permit<action::ReadInvocations>,
        workflow: Option<WorkflowId>,
        after: InvocationId,
        limit: i64,
    ) -> Result<Vec<Invocation>, FlowError> {
        let mut conn = self.inner.store.read().await?;
        Ok(db!(conn, invocation::newer(permit.tenant(), workflow, after, limit))?)
    }

    /// One invocation with its finished steps.
    pub async fn invocation(
        &self,
        permit: &Permit<action::ReadInvocations>,
        id: InvocationId,
    ) -> Result<(Invocation, Vec<StepView>), FlowError> {
        let tenant = permit.tenant();
        let mut conn = self.inner.store.read().await?;
        let invocation =
            db!(conn, invocation::get(tenant, id))?.ok_or(FlowError::NoInvocation(id))?;
        let steps = db!(conn, invocation::steps(tenant.workspace, id))?;
        drop(conn);
        let mut views = Vec::with_capacity(steps.len());
        for step in steps {
            let record = self.inner.step_record(&step).await?;
            views.push(StepView { step, record });
        }
        Ok((invocation, views))
    }

    /// The event of an invocation, JSON.
    pub async fn invocation_event(
        &self,
        permit: &Permit<action::ReadInvocations>,
        id: InvocationId,
    ) -> Result<SecretBytes, FlowError> {
        let tenant = permit.tenant();
        let mut conn = self.inner.store.read().await?;
        let invocation =
            db!(conn, invocation::get(tenant, id))?.ok_or(FlowError::NoInvocation(id))?;
        let event = db!(conn, invocation::event(tenant, invocation.event_id))?
            .ok_or_else(|| FlowError::Dangling { what: "event", of: id.to_string() })?;
        drop(conn);
        Ok(self
            .inner
            .vault
            .open(tenant.workspace, &Place::EventBody(event.id), &event.body)
            .await?)
    }

    /// Runs the event of an invocation once more, on the workflow's active version.
    pub async fn replay(
        &self,
        permit: &Permit<action::ReplayInvocation>,
        id: InvocationId,
    ) -> Result<InvocationId, FlowError> {
        let inner = &self.inner;
        let tenant = permit.tenant();
        let mut conn = inner.store.read().await?;
        let old = whole(db!(conn, invocation::get(tenant, id))?, id)?;
        drop(conn);
        let (version, loaded) = inner.active_version(tenant, old.workflow_id).await?;
        let now = inner.clock.now();
        let target = inner.target((tenant, old.workflow_id, version), &loaded);
        let fresh = InvocationId::generate(now, &*inner.random);
        let replay =
            Invocation { replay_of: Some(id), ..target.invocation(fresh, old.event_id, now) };
        let mut tx = inner.store.write(permit.actor()).await?;
        db!(tx, invocation::insert(&replay)).map_err(|error| match error {
            // Deleted in between, and its event with it.
            causeway_store::Error::Conflict { .. } => FlowError::NoInvocation(id),
            other => other.into(),
        })?;
        let event = Audit::InvocationReplayed { invocation: id, replay: replay.id };
        tx.commit(tenant.workspace, now, event).await?;
        if let Some(open) = inner.open.get(&replay.workflow_id).await {
            open.fetch_add(1, Ordering::Relaxed);
        }
        inner.wake();
        Ok(replay.id)
    }

    /// Stops an invocation that has not ended. A step of it that runs on this node ends with it; one
    /// that another node runs goes on to its end, and its result is not taken.
    pub async fn cancel(
        &self,
        permit: &Permit<action::CancelInvocation>,
        id: InvocationId,
    ) -> Result<(), FlowError> {
        let inner = &self.inner;
        let (tenant, now) = (permit.tenant(), inner.clock.now());
        let mut tx = inner.store.write(permit.actor()).await?;
        let invocation = whole(db!(tx, invocation::get(tenant, id))?, id)?;
        // Items before their parents, as they end.
        let items = db!(tx, item::cancel(tenant.workspace, id, now))?;
        if !db!(tx, invocation::cancel(tenant, id, now))? {
            return Err(FlowError::Ended(id));
        }
        tx.commit(tenant.workspace, now, Audit::InvocationCanceled { invocation: id }).await?;
        for id in items.into_iter().chain([id]) {
            inner.held.cancel(id);
        }
        if invocation.state != InvocationState::Waiting {
            inner.leaves_queue(invocation.workflow_id).await;
            inner.crowd.notify_one();
        }
        inner.answer(id, Answer::canceled);
        inner.notify(Notice::of(&invocation));
        Ok(())
    }

    /// Deletes an invocation, its steps, and its event if no other invocation runs on it.
    pub async fn delete(
        &self,
        permit: &Permit<action::DeleteInvocation>,
        id: InvocationId,
    ) -> Result<(), FlowError> {
        let inner = &self.inner;
        let tenant = permit.tenant();
        let mut tx = inner.store.write(permit.actor()).await?;
        let invocation = whole(db!(tx, invocation::get(tenant, id))?, id)?;
        if !invocation.state.is_final() {
            return Err(FlowError::Active(id));
        }
        db!(tx, item::delete(tenant.workspace, id))?;
        db!(tx, dialect::delete_steps(tenant.workspace, id))?;
        db!(tx, invocation::delete(tenant, id))?;
        db!(tx, invocation::delete_orphan_event(tenant, invocation.event_id))?;
        let event = Audit::InvocationDeleted { invocation: id };
        tx.commit(tenant.workspace, inner.clock.now(), event).await?;
        Ok(inner.store.forget_deleted().await?)
    }
}

/// An invocation that is no item of another's loop: items are canceled, replayed and deleted with the
/// whole.
fn whole(found: Option<Invocation>, id: InvocationId) -> Result<Invocation, FlowError> {
    let invocation = found.ok_or(FlowError::NoInvocation(id))?;
    match invocation.parent_id {
        Some(parent) => Err(FlowError::IsItem { id, parent }),
        None => Ok(invocation),
    }
}

impl Inner {
    pub(crate) async fn open_record(
        &self,
        workspace: WorkspaceId,
        id: StepId,
        sealed: &Sealed,
    ) -> Result<StepRecord, FlowError> {
        let bytes = self.vault.open(workspace, &Place::StepRecord(id), sealed).await?;
        serde_json::from_slice(bytes.expose())
            .map_err(|source| FlowError::Stored { what: "step", source })
    }

    pub(crate) async fn step_record(&self, step: &Step) -> Result<StepRecord, FlowError> {
        self.open_record(step.workspace_id, step.id, &step.record).await
    }
}
