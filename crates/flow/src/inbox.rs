//! The inbox: an event is stored, with the invocation that runs on it, before it is acknowledged.

use crate::claim::Job;
use crate::loader::Loaded;
use crate::manifest::WhenFull;
use crate::target::{QUEUE_FULL, Target};
use crate::{Flow, FlowError, HttpResponse, Inner, Notice};
use aws_lc_rs::digest;
use causeway_identity::{Permit, action};
use causeway_sandbox::Respond;
use causeway_store::{Audit, JournalError, JournalOp, JournalResult, db, origin, with_origin};
use causeway_types::entity::{
    Claimed, Event, FiredBy, Gate, Invocation, InvocationState, TriggerKind,
};
use causeway_types::{Actor, EventId, InvocationId, Place, Tenant, VersionId, WorkflowId};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often the journal is looked at for an answer that another node may have given.
const LOOK: Duration = Duration::from_millis(500);
/// The fence under which a node holds what it stored itself.
const FENCE: i64 = 1;

/// A trigger that has a URL, with what its events run.
pub struct LiveTrigger {
    /// Its name in the workflow.
    name: String,
    target: Target,
    /// What its callers are answered.
    response: HttpResponse,
}

/// Where an event comes from.
struct Sender {
    /// The trigger.
    trigger: FiredBy,
    /// The sender's own id of it.
    dedupe_key: Option<String>,
    /// Whether he waits for what the workflow answers.
    wait: bool,
    /// Who made it by hand.
    by: Option<Actor>,
}

/// What became of an event.
pub struct Acceptance {
    /// The event, unless it had come before.
    pub event: Option<EventId>,
    /// The invocation that runs on it. None if the event had come before and its invocation has
    /// been deleted since.
    pub invocation: Option<InvocationId>,
    /// Waits for what the workflow answers, where it does.
    pub waiter: Option<Waiter>,
}

/// Waits for a workflow's answer; see [`Flow::answer`]. Dropping it ends the wait.
pub struct Waiter {
    inner: Arc<Inner>,
    tenant: Tenant,
    invocation: InvocationId,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Nobody listens any more: callers hang up, and other nodes give answers too.
        self.inner.take_waiter(self.invocation);
    }
}

/// What a workflow answers to the caller of its HTTP trigger.
#[derive(Debug)]
pub enum Answer {
    /// A step called `$.respond`.
    Respond(Respond),
    /// It ended without an answer.
    Silence,
    /// It failed before it answered.
    Failed {
        /// The code of the failure.
        code: String,
    },
}

impl Answer {
    /// Somebody stopped the invocation before it answered.
    pub(crate) fn canceled() -> Self {
        Self::Failed { code: "canceled".to_owned() }
    }
}

/// An answer as it is sealed and stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl From<&Respond> for StoredResponse {
    fn from(respond: &Respond) -> Self {
        Self {
            status: respond.status,
            headers: respond.headers.clone(),
            body: BASE64.encode(&respond.body),
        }
    }
}

impl StoredResponse {
    fn into_respond(self) -> Option<Respond> {
        let body = BASE64.decode(self.body.as_bytes()).ok()?;
        Some(Respond { status: self.status, headers: self.headers, body })
    }
}

/// SHA-256 of a trigger's token. The token holds 128 random bits, so a fast hash will do.
pub(crate) fn token_digest(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    out.copy_from_slice(digest.as_ref());
    out
}

impl Inner {
    /// The unguessable part of a URL: 128 random bits.
    pub(crate) fn new_token(&self) -> String {
        let mut noise = [0_u8; 16];
        self.random.fill(&mut noise);
        BASE64URL_NOPAD.encode(&noise)
    }
}

impl Flow {
    /// The trigger at this URL.
    pub async fn trigger(&self, token: &str) -> Result<Arc<LiveTrigger>, FlowError> {
        let inner = &self.inner;
        let digest = token_digest(token);
        if let Some(trigger) = inner.triggers.get(&digest).await {
            return Ok(trigger);
        }
        let mut conn = inner.store.read().await?;
        let trigger =
            db!(conn, workflow::trigger_by_token(&digest))?.ok_or(FlowError::NoTrigger)?;
        drop(conn);
        let tenant = trigger.tenant();
        let (version, loaded) = inner.active_version(tenant, trigger.workflow_id).await?;
        let http = loaded.manifest.http_trigger(&trigger.name).ok_or(FlowError::NoTrigger)?;
        let live = Arc::new(LiveTrigger {
            target: inner.target((tenant, trigger.workflow_id, version), &loaded),
            name: trigger.name,
            response: http.response,
        });
        inner.triggers.insert(digest, Arc::clone(&live)).await;
        Ok(live)
    }

    /// Stores an event of a trigger and starts its invocation. Returns after the commit.
    ///
    /// `dedupe_key` is the sender's own id of the event: a second event with it is not stored.
    pub async fn accept(
        &self,
        trigger: &LiveTrigger,
        body: Box<RawValue>,
        dedupe_key: Option<String>,
    ) -> Result<Acceptance, FlowError> {
        let wait = trigger.response == HttpResponse::Workflow;
        let fired = FiredBy { kind: TriggerKind::Http, name: trigger.name.clone() };
        let from = Sender { trigger: fired, dedupe_key, wait, by: None };
        self.inner.accept(&trigger.target, body, from).await
    }

    /// Stores an event that a caller made by hand and starts its invocation. That somebody did so
    /// is in the audit chain.
    pub async fn run(
        &self,
        permit: &Permit<action::RunWorkflow>,
        workflow: WorkflowId,
        body: Box<RawValue>,
    ) -> Result<Acceptance, FlowError> {
        let tenant = permit.tenant();
        let (version, loaded) = self.inner.active_version(tenant, workflow).await?;
        let name = loaded.manifest.manual_name().to_owned();
        let from = Sender {
            trigger: FiredBy { kind: TriggerKind::Manual, name },
            dedupe_key: None,
            wait: false,
            by: Some(permit.actor()),
        };
        let target = self.inner.target((tenant, workflow, version), &loaded);
        self.inner.accept(&target, body, from).await
    }
}

impl Flow {
    /// What the workflow answers, or none if it has not within `limit`.
    ///
    /// The invocation usually runs on this node, which then says so at once. Another node may
    /// have taken it, so the journal is looked at now and then as well.
    pub async fn answer(
        &self,
        mut waiter: Waiter,
        limit: Duration,
    ) -> Result<Option<Answer>, FlowError> {
        let (tenant, invocation) = (waiter.tenant, waiter.invocation);
        let wait = async {
            loop {
                tokio::select! {
                    Ok(answer) = &mut waiter.answer => return Ok(answer),
                    () = tokio::time::sleep(LOOK) => {
                        if let Some(answer) = self.inner.stored_answer(tenant, invocation).await? {
                            return Ok(answer);
                        }
                    }
                }
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(answer) => answer.map(Some),
            Err(_) => Ok(None),
        }
    }
}

impl Inner {
    async fn stored_answer(
        &self,
        tenant: Tenant,
        id: InvocationId,
    ) -> Result<Option<Answer>, FlowError> {
        let mut conn = self.store.read().await?;
        let Some(found) = db!(conn, invocation::get(tenant, id))? else {
            return Ok(Some(Answer::Silence));
        };
        drop(conn);
        if let Some(sealed) = found.response {
            let place = Place::InvocationResponse(id);
            let bytes = self.vault.open(tenant.workspace, &place, &sealed).await?;
            let stored: StoredResponse = serde_json::from_slice(bytes.expose())
                .map_err(|source| FlowError::Stored { what: "response", source })?;
            return Ok(stored.into_respond().map(Answer::Respond));
        }
        Ok(match (found.state, found.error_code) {
            (InvocationState::Canceled, _) => Some(Answer::canceled()),
            (state, Some(code)) if state.is_final() => Some(Answer::Failed { code }),
            (state, _) => state.is_final().then_some(Answer::Silence),
        })
    }

    pub(crate) async fn active_version(
        &self,
        tenant: Tenant,
        id: WorkflowId,
    ) -> Result<(VersionId, Arc<Loaded>), FlowError> {
        let mut conn = self.store.read().await?;
        let workflow = db!(conn, workflow::get(tenant, id))?.ok_or(FlowError::NoWorkflow(id))?;
        drop(conn);
        let version = workflow.active_version_id.ok_or(FlowError::NotDeployed(id))?;
        Ok((version, self.load(tenant, version).await?))
    }

    /// What events of a version run.
    pub(crate) fn target(&self, of: (Tenant, WorkflowId, VersionId), loaded: &Loaded) -> Target {
        Target::new(of, &loaded.manifest, self.config.queue_limit)
    }

    async fn accept(
        self: &Arc<Self>,
        target: &Target,
        body: Box<RawValue>,
        from: Sender,
    ) -> Result<Acceptance, FlowError> {
        let Sender { trigger, dedupe_key, wait, by } = from;
        let tenant = target.tenant;
        let open = self.open_invocations(tenant, target.workflow).await?;
        let queued = open.load(Ordering::Relaxed);
        let full = queued >= target.queue_limit;
        if full && target.when_full == WhenFull::Refuse {
            metrics::counter!("causeway_events_refused_total").increment(1);
            return Err(FlowError::QueueFull { queued });
        }
        let now = self.clock.now();
        let event_id = EventId::generate(now, &*self.random);
        let invocation_id = InvocationId::generate(now, &*self.random);
        let sealed = self
            .vault
            .seal(tenant.workspace, &Place::EventBody(event_id), body.get().as_bytes())
            .await?;
        let event = Event {
            id: event_id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            workflow_id: target.workflow,
            trigger_kind: trigger.kind,
            trigger_name: trigger.name.clone(),
            dedupe_key,
            body: sealed,
            received_at: now,
        };
        let mut invocation = if full {
            target.dead_letter(invocation_id, event_id, now)
        } else {
            target.invocation(invocation_id, event_id, now)
        };
        // A place in this node's memory makes the invocation this node's own from the start;
        // without one it waits in the database for whichever node has room first.
        let place = match (full, target.gate) {
            (false, Gate::Open) => self.work.clone().try_reserve_owned().ok(),
            _ => None,
        };
        let place = place.zip(self.held.hold(invocation_id, FENCE));
        invocation.owner = place.as_ref().map(|_| self.node);
        invocation.fence = FENCE;
        // Before the commit: the invocation may end before this task runs again.
        let waiter = if wait { Some(self.register_waiter(tenant, invocation_id)) } else { None };
        let claimed = Claimed {
            id: invocation_id,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            workflow_id: target.workflow,
            version_id: target.version,
            event_id,
            trigger,
            gate: invocation.gate,
            next_step: 0,
            attempts: 0,
            fence: FENCE,
            crashes: 0,
            item_of: None,
            made_items: None,
            is_suspended: false,
            created_at: now,
        };
        let place = place.map(|(place, holding)| {
            (place, Job { claimed, event: Arc::from(body), fresh: true, holding })
        });
        // In a task of its own: the caller may hang up, which drops this future, and an invocation
        // that was stored as this node's has to reach its workers all the same.
        let inner = Arc::clone(self);
        let (workflow, gate) = (target.workflow, invocation.gate);
        let stored = self.tasks.spawn(with_origin(origin(), async move {
            let result = match by {
                Some(actor) => inner.store_by_hand(actor, &event, &invocation).await?,
                None => {
                    inner.journal.write(JournalOp::Accept { tenant, event, invocation }).await?
                }
            };
            inner.begin(result, place, (!full).then_some((gate, &*open)))
        }));
        let stored = stored.await.map_err(|_| FlowError::Journal(JournalError::Stopped))?;
        if let JournalResult::Duplicate(earlier) = stored? {
            metrics::counter!("causeway_events_duplicate_total").increment(1);
            return Ok(Acceptance {
                event: None,
                invocation: Some(earlier).filter(|id| *id != InvocationId::lowest()),
                waiter: None,
            });
        }
        if full {
            metrics::counter!("causeway_invocations_total", "state" => "dead").increment(1);
            self.answer(invocation_id, || Answer::Failed { code: QUEUE_FULL.to_owned() });
            self.notify(Notice {
                environment: tenant.environment,
                workflow,
                invocation: invocation_id,
                is_item: false,
            });
        }
        Ok(Acceptance { event: Some(event_id), invocation: Some(invocation_id), waiter })
    }

    /// Stores an event that somebody made, with the invocation that runs on it and the audit event
    /// that says who.
    async fn store_by_hand(
        &self,
        actor: Actor,
        event: &Event,
        invocation: &Invocation,
    ) -> Result<JournalResult, FlowError> {
        let mut tx = self.store.write(actor).await?;
        db!(tx, dialect::insert_events(&[event]))?;
        db!(tx, dialect::insert_invocations(&[invocation]))?;
        let audit = Audit::WorkflowRun {
            workflow: invocation.workflow_id,
            version: invocation.version_id,
            invocation: invocation.id,
        };
        tx.commit(event.workspace_id, event.received_at, audit).await?;
        Ok(JournalResult::Done)
    }

    /// Starts what was stored. `queued` is the gate that it waits before, if it does, with the count of
    /// its workflow's open invocations; none of a dead letter.
    fn begin(
        &self,
        result: JournalResult,
        place: Option<(mpsc::OwnedPermit<Job>, Job)>,
        queued: Option<(Gate, &AtomicI64)>,
    ) -> Result<JournalResult, FlowError> {
        if result == JournalResult::Done {
            metrics::counter!("causeway_events_accepted_total").increment(1);
            if let Some((_, open)) = queued {
                open.fetch_add(1, Ordering::Relaxed);
            }
        }
        match (result, place) {
            (JournalResult::Done, Some((place, job))) => drop(place.send(job)),
            (JournalResult::Done, None) => match queued {
                Some((Gate::Closed, _)) => self.crowd.notify_one(),
                Some(_) => self.unclaimed.notify_one(),
                None => {}
            },
            (JournalResult::Duplicate(_), _) => {}
            // No lease stands behind an event, so it was not stored.
            (JournalResult::LeaseLost, _) => return Err(JournalError::Stopped.into()),
        }
        Ok(result)
    }

    fn register_waiter(self: &Arc<Self>, tenant: Tenant, invocation: InvocationId) -> Waiter {
        let (sender, answer) = oneshot::channel();
        match self.waiters.lock() {
            Ok(mut waiters) => waiters.insert(invocation, sender),
            Err(poisoned) => poisoned.into_inner().insert(invocation, sender),
        };
        Waiter { inner: Arc::clone(self), tenant, invocation, answer }
    }

    /// The count of a workflow's open invocations, taken from the database now and then and kept
    /// up to date in between.
    pub(crate) async fn open_invocations(
        &self,
        tenant: Tenant,
        workflow: WorkflowId,
    ) -> Result<Arc<AtomicI64>, FlowError> {
        // One count for all that need it at the same moment.
        let count = self.open.try_get_with(workflow, async {
            let mut conn = self.store.read().await?;
            let count = db!(conn, dialect::open_count(tenant, workflow))?;
            Ok(Arc::new(AtomicI64::new(count)))
        });
        count.await.map_err(|source| FlowError::Count { workflow, source })
    }
}
