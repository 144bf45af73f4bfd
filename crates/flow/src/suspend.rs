//! Waiting for somebody: a step gets two links, of which one lets its invocation go on and the other
//! ends it. Only digests of them are stored, and each pair is good once.

use crate::execute::RERUN;
use crate::inbox::token_digest;
use crate::{Flow, FlowError, Inner, Notice};
use causeway_identity::{Permit, action};
use causeway_sandbox::Links;
use causeway_store::{Audit, db};
use causeway_types::entity::{LinkDigests, Step, StepState, Suspended};
use causeway_types::place::Sealed;
use causeway_types::{Actor, InvocationId, Place, Tenant};
use serde_json::value::RawValue;

/// What the code finds of the call that let it go on, among the results of the step that waited.
pub(crate) const RESUME_DATA: &str = "$resume_data";

/// Which of the two links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// With this one the invocation goes on.
    Resume,
    /// With this one it ends.
    Cancel,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspendedView {
    /// The invocation that waits.
    pub invocation: InvocationId,
    /// The name of its workflow.
    pub workflow: String,
}

/// The tokens of two links. Most steps use neither, so their digests are made for those that do.
pub(crate) struct LinkTokens {
    resume: String,
    cancel: String,
}

impl LinkTokens {
    /// What is stored of them.
    pub(crate) fn digests(&self) -> LinkDigests {
        LinkDigests { resume: token_digest(&self.resume), cancel: token_digest(&self.cancel) }
    }
}

impl Flow {
    /// What a link is for; nothing changes by it.
    pub async fn suspended(&self, kind: LinkKind, token: &str) -> Result<SuspendedView, FlowError> {
        let found = self.inner.by_link(kind, token).await?;
        Ok(SuspendedView { invocation: found.id, workflow: found.workflow_name })
    }

    /// Uses a link. What it is called with is the resume data; a cancel link takes none.
    pub async fn use_link(
        &self,
        kind: LinkKind,
        token: &str,
        data: &RawValue,
    ) -> Result<InvocationId, FlowError> {
        let found = self.inner.by_link(kind, token).await?;
        let tenant = found.tenant();
        let went = match kind {
            LinkKind::Resume => self.inner.resume(tenant, Actor::Anonymous, found.id, data).await?,
            LinkKind::Cancel => self.inner.give_up(tenant, found.id).await?,
        };
        if !went {
            return Err(FlowError::NoSuspension);
        }
        self.inner.goes_on(Notice {
            environment: found.environment_id,
            workflow: found.workflow_id,
            invocation: found.id,
            is_item: false,
        });
        Ok(found.id)
    }

    /// Lets an invocation go on that waits for a link.
    pub async fn resume(
        &self,
        permit: &Permit<action::ResumeInvocation>,
        id: InvocationId,
        data: &RawValue,
    ) -> Result<(), FlowError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let mut conn = inner.store.read().await?;
        let found = db!(conn, invocation::get(tenant, id))?.ok_or(FlowError::NoInvocation(id))?;
        drop(conn);
        if !inner.resume(tenant, permit.actor(), id, data).await? {
            return Err(FlowError::NotSuspended(id));
        }
        inner.goes_on(Notice::of(&found));
        Ok(())
    }
}

impl Inner {
    /// Two new links, and their tokens.
    pub(crate) fn new_links(&self) -> (Links, LinkTokens) {
        let (resume, cancel) = (self.new_token(), self.new_token());
        let links = Links {
            resume_url: format!("{}/resume/{resume}", self.public_url),
            cancel_url: format!("{}/cancel/{cancel}", self.public_url),
        };
        (links, LinkTokens { resume, cancel })
    }

    async fn by_link(&self, kind: LinkKind, token: &str) -> Result<Suspended, FlowError> {
        let digest = token_digest(token);
        let mut conn = self.store.read().await?;
        let found = match kind {
            LinkKind::Resume => db!(conn, suspended::by_resume_link(&digest))?,
            LinkKind::Cancel => db!(conn, suspended::by_cancel_link(&digest))?,
        };
        found.ok_or(FlowError::NoSuspension)
    }

    async fn resume(
        &self,
        tenant: Tenant,
        actor: Actor,
        id: InvocationId,
        data: &RawValue,
    ) -> Result<bool, FlowError> {
        let mut conn = self.store.read().await?;
        let steps = db!(conn, invocation::steps(tenant.workspace, id))?;
        drop(conn);
        // It is the one that waits: no other ran after it.
        let asked = |one: &Step| {
            one.state == StepState::Succeeded || one.error_code.as_deref() == Some(RERUN)
        };
        let Some(step) = steps.into_iter().rfind(asked) else {
            return Ok(false);
        };
        let sealed = self.with_resume_data(&step, data).await?;
        let mut tx = self.store.write(actor).await?;
        if !db!(tx, suspended::resume(tenant.workspace, id))? {
            return Ok(false);
        }
        db!(tx, suspended::set_record(tenant.workspace, step.id, &sealed))?;
        let event = Audit::InvocationResumed { invocation: id };
        tx.commit(tenant.workspace, self.clock.now(), event).await?;
        Ok(true)
    }

    /// The record of the step that waited, with what it waited for.
    async fn with_resume_data(&self, step: &Step, data: &RawValue) -> Result<Sealed, FlowError> {
        let mut record = self.step_record(step).await?;
        record.exports.insert(RESUME_DATA.to_owned(), data.to_owned());
        let json = serde_json::to_vec(&record)
            .map_err(|source| FlowError::Stored { what: "step", source })?;
        Ok(self.vault.seal(step.workspace_id, &Place::StepRecord(step.id), &json).await?)
    }

    async fn give_up(&self, tenant: Tenant, id: InvocationId) -> Result<bool, FlowError> {
        let mut tx = self.store.write(Actor::Anonymous).await?;
        if !db!(tx, suspended::give_up(tenant.workspace, id))? {
            return Ok(false);
        }
        let event = Audit::InvocationCanceled { invocation: id };
        tx.commit(tenant.workspace, self.clock.now(), event).await?;
        Ok(true)
    }

    fn goes_on(&self, notice: Notice) {
        self.wake();
        self.notify(notice);
    }
}
