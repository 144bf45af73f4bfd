//! Running one invocation: each step's result is in the journal before the next step begins.

use crate::apps::{LinkError, Linked};
use crate::claim::Job;
use crate::inbox::{Answer, StoredResponse};
use crate::loader::Loaded;
use crate::manifest::{Action, Code, StepSpec};
use crate::record::StepRecord;
use crate::worker::MAX_CRASHES;
use crate::{FlowError, HttpResponse, Inner};
use causeway_connect::CredentialError;
use causeway_sandbox::{
    Apps, CheckoutError, Respond, Runtime, Session, StepCall, StepReport, Tier,
};
use causeway_store::{Bookkeeping, JournalOp, JournalResult, db};
use causeway_types::entity::{Advance, Claimed, Gate, InvocationState, Step, StepState};
use causeway_types::place::Sealed;
use causeway_types::{Actor, Place, SecretBytes, StepId, Timestamp, WorkflowId, chain};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long an invocation waits before it is tried again, when this node had no sandbox or no
/// database for it.
const PAUSE: Duration = Duration::from_secs(1);

/// The code of a step whose workflow asks for a stronger sandbox than this machine makes.
const TIER_UNAVAILABLE: &str = "tier_unavailable";

/// Why an invocation did not come to an end here.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("another node took it over")]
    LeaseLost,
    #[error("this node has no sandbox for it")]
    NoSandbox(#[from] CheckoutError),
    #[error("its step's credential cannot be had just now")]
    NoCredential(#[source] CredentialError),
    #[error("this node is stopping")]
    Stopping,
    #[error(transparent)]
    Flow(#[from] FlowError),
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next step.
    Step,
    /// A wait, after which whichever node has room goes on.
    Wait,
    /// Nothing more.
    End,
}

/// One invocation on its way through its steps.
struct Run<'a> {
    inner: &'a Inner,
    claimed: &'a Claimed,
    loaded: &'a Loaded,
    event: Arc<RawValue>,
    started_at: Timestamp,
    /// What later steps find, as JSON objects by step name.
    exports: BTreeMap<String, Box<RawValue>>,
    responded: bool,
    /// The sandbox of the steps' runtime, until the last step has been run. One at a time: who
    /// waited for a second while holding a first might wait for ever.
    session: Option<(Runtime, Session)>,
    /// The place among those that run, until then too.
    slot: &'a mut Option<OwnedSemaphorePermit>,
}

impl Inner {
    /// Runs an invocation to its end, or gives it back.
    ///
    /// `slot` is its place among those that run here. It is given up with the sandbox, before the
    /// last step's commit: whoever waits for the disk needs neither.
    pub(crate) async fn execute(&self, job: Job, slot: OwnedSemaphorePermit) {
        let Job { claimed, event, fresh, holding } = job;
        let mut slot = Some(slot);
        match self.try_execute(&claimed, event, fresh, &mut slot).await {
            Ok(()) => {}
            Err(Interrupted::LeaseLost) => {
                tracing::info!(invocation.id = %claimed.id, "another node took the invocation over");
            }
            Err(error) => {
                if !matches!(error, Interrupted::Stopping) {
                    tracing::warn!(
                        invocation.id = %claimed.id,
                        error = chain(&error),
                        "an invocation was interrupted and will be tried again"
                    );
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
                self.give_back_in_the_end(&claimed).await;
            }
        }
        drop(holding);
    }

    /// Gives an invocation back, however long the database is gone: while this node lives and
    /// holds it, nobody else takes it up.
    async fn give_back_in_the_end(&self, claimed: &Claimed) {
        while let Err(error) = self.give_back(claimed).await {
            tracing::warn!(
                invocation.id = %claimed.id,
                error = chain(&error),
                "could not give an invocation back; this will be tried again"
            );
            tokio::select! {
                // It is free when this node's lease ends.
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn give_back(&self, claimed: &Claimed) -> Result<(), FlowError> {
        let actor = Actor::Node(self.node);
        let mut tx = self.store.write(actor).await?;
        db!(tx, invocation::release(claimed.workspace_id, claimed.id, claimed.fence))?;
        tx.commit_bookkeeping(Bookkeeping::Lease).await?;
        self.unclaimed.notify_one();
        Ok(())
    }

    async fn try_execute(
        &self,
        claimed: &Claimed,
        event: Arc<RawValue>,
        fresh: bool,
        slot: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(), Interrupted> {
        if claimed.crashes >= MAX_CRASHES {
            return self.end_dead(claimed).await;
        }
        // One that is not fresh may be what its last node died of, so it is marked as begun. The
        // mark costs a fresh one, which is the common case, nothing.
        if !fresh {
            self.mark_begun(claimed).await?;
        }
        let loaded = self.load(claimed.tenant(), claimed.version_id).await?;
        let mut run = Run {
            inner: self,
            claimed,
            loaded: &loaded,
            event,
            started_at: self.clock.now(),
            exports: BTreeMap::new(),
            responded: false,
            session: None,
            slot,
        };
        run.recall().await?;
        run.steps().await
    }

    async fn mark_begun(&self, claimed: &Claimed) -> Result<(), Interrupted> {
        let advance = Advance {
            workspace: claimed.workspace_id,
            id: claimed.id,
            fence: claimed.fence,
            next_step: claimed.next_step,
            state: InvocationState::Running,
            attempts: claimed.attempts,
            wake_at: None,
            error_code: None,
            tier: None,
            response: None,
            started_at: self.clock.now(),
            finished_at: None,
        };
        match self.journal.write(JournalOp::Move(advance)).await.map_err(FlowError::from)? {
            JournalResult::LeaseLost => Err(Interrupted::LeaseLost),
            JournalResult::Done | JournalResult::Duplicate(_) => Ok(()),
        }
    }

    /// Ends an invocation that took its nodes down with it too often.
    async fn end_dead(&self, claimed: &Claimed) -> Result<(), Interrupted> {
        let now = self.clock.now();
        let advance = Advance {
            workspace: claimed.workspace_id,
            id: claimed.id,
            fence: claimed.fence,
            next_step: claimed.next_step,
            state: InvocationState::Dead,
            attempts: claimed.attempts,
            wake_at: None,
            error_code: Some("crash_loop".to_owned()),
            tier: None,
            response: None,
            started_at: now,
            finished_at: Some(now),
        };
        self.journal.write(JournalOp::Move(advance)).await.map_err(FlowError::from)?;
        self.ended(claimed, InvocationState::Dead, now).await;
        self.answer(claimed.id, || Answer::Failed { code: "crash_loop".to_owned() });
        Ok(())
    }

    /// An invocation waits for a time. While it does, it takes no place in its workflow's queue.
    async fn waits(&self, claimed: &Claimed) {
        self.makes_room(claimed).await;
        self.sooner.notify_one();
        self.notify(claimed.environment_id, claimed.workflow_id, claimed.id);
    }

    /// An invocation runs no longer.
    async fn makes_room(&self, claimed: &Claimed) {
        self.leaves_queue(claimed.workflow_id).await;
        if claimed.gate != Gate::Open {
            self.crowd.notify_one();
        }
    }

    pub(crate) async fn leaves_queue(&self, workflow: WorkflowId) {
        if let Some(open) = self.open.get(&workflow).await {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn ended(&self, claimed: &Claimed, state: InvocationState, now: Timestamp) {
        self.makes_room(claimed).await;
        metrics::counter!("causeway_invocations_total", "state" => state.as_str()).increment(1);
        metrics::histogram!("causeway_invocation_seconds")
            .record(now.since(claimed.created_at).as_secs_f64());
        self.notify(claimed.environment_id, claimed.workflow_id, claimed.id);
    }
}

impl Run<'_> {
    /// Reads what finished steps left, when the invocation was begun elsewhere or before a crash.
    async fn recall(&mut self) -> Result<(), FlowError> {
        if self.claimed.next_step == 0 {
            return Ok(());
        }
        let mut conn = self.inner.store.read().await?;
        let steps = db!(conn, invocation::steps(self.claimed.workspace_id, self.claimed.id))?;
        drop(conn);
        for step in steps {
            // Of those that failed only the last attempt counts, and that is still to come.
            if step.state == StepState::Succeeded {
                let record = self.inner.step_record(&step).await?;
                self.remember(step.name, &record)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, name: String, record: &StepRecord) -> Result<(), FlowError> {
        let seen = serde_json::value::to_raw_value(&record.as_seen_by_later_steps())
            .map_err(|source| FlowError::Stored { what: "step", source })?;
        self.exports.insert(name, seen);
        Ok(())
    }

    async fn steps(&mut self) -> Result<(), Interrupted> {
        let first = usize::try_from(self.claimed.next_step).unwrap_or(usize::MAX);
        let count = self.loaded.manifest.steps.len();
        let loaded = self.loaded;
        for (position, spec) in loaded.manifest.steps.iter().enumerate().skip(first) {
            if self.inner.stop.is_cancelled() {
                return Err(Interrupted::Stopping);
            }
            let last = position + 1 == count;
            match self.step(position, spec, last).await? {
                Next::Step => {}
                Next::Wait => return Ok(()),
                Next::End => break,
            }
        }
        if !self.responded {
            self.inner.answer(self.claimed.id, || Answer::Silence);
        }
        Ok(())
    }

    /// Runs one step and journals it.
    async fn step(
        &mut self,
        position: usize,
        spec: &StepSpec,
        last: bool,
    ) -> Result<Next, Interrupted> {
        let started_at = self.inner.clock.now();
        let attempt = self.attempt(position);
        let (record, mut report) = match spec.action() {
            Action::Delay(_) => (StepRecord::empty(), None),
            Action::Run(code) => match self.run_step(position, spec, code).await? {
                Ok((record, report)) => (record, Some(report)),
                Err(refused) => (refused, None),
            },
        };
        let respond = report.as_mut().and_then(take_respond);
        let wait = match (&record.error, spec.action()) {
            (Some(error), _) => self.wait_before_next_attempt(spec, attempt, &error.code),
            (None, Action::Delay(delay)) => Some(delay),
            (None, Action::Run(_)) => None,
        };
        let end = if wait.is_some() {
            None
        } else if record.error.is_some() {
            Some(InvocationState::Failed)
        } else if last || record.exit.is_some() {
            Some(InvocationState::Succeeded)
        } else {
            None
        };
        if end.is_some() || wait.is_some() {
            self.session = None;
            *self.slot = None;
        }
        let finished_at = self.inner.clock.now();
        let step =
            self.sealed_step((position, attempt), spec, &record, (started_at, finished_at)).await?;
        let going_on =
            if wait.is_some() { InvocationState::Waiting } else { InvocationState::Running };
        let advance = Advance {
            workspace: self.claimed.workspace_id,
            id: self.claimed.id,
            fence: self.claimed.fence,
            next_step: step.position + i64::from(record.error.is_none()),
            state: end.unwrap_or(going_on),
            attempts: if record.error.is_some() { i64::from(attempt) } else { 0 },
            wake_at: wait.map(|wait| finished_at.plus(wait)),
            error_code: record.error.as_ref().map(|error| error.code.clone()),
            tier: report.map(|report| report.tier.as_str().to_owned()),
            response: self.sealed_response(respond.as_ref()).await?,
            started_at: self.started_at,
            finished_at: end.map(|_| finished_at),
        };
        let written = self.inner.journal.write(JournalOp::Step { step, advance }).await;
        if written.map_err(FlowError::from)? == JournalResult::LeaseLost {
            return Err(Interrupted::LeaseLost);
        }
        let outcome = match (&record.error, wait) {
            (None, _) => "succeeded",
            (Some(_), Some(_)) => "retried",
            (Some(_), None) => "failed",
        };
        metrics::counter!("causeway_steps_total", "outcome" => outcome).increment(1);
        if let Some(respond) = respond {
            self.respond(Answer::Respond(respond));
        }
        if wait.is_some() {
            self.inner.waits(self.claimed).await;
            return Ok(Next::Wait);
        }
        if let Some(error) = &record.error {
            self.respond(Answer::Failed { code: error.code.clone() });
        }
        if let Some(state) = end {
            self.inner.ended(self.claimed, state, finished_at).await;
            return Ok(Next::End);
        }
        self.inner.notify(self.claimed.environment_id, self.claimed.workflow_id, self.claimed.id);
        self.remember(spec.name.clone(), &record)?;
        Ok(Next::Step)
    }

    /// Which attempt at a step this is, from 1.
    fn attempt(&self, position: usize) -> u32 {
        let is_next = i64::try_from(position).is_ok_and(|at| at == self.claimed.next_step);
        let failed = if is_next { self.claimed.attempts } else { 0 };
        u32::try_from(failed).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// How long to wait before a step that failed is tried again, if it is.
    fn wait_before_next_attempt(
        &self,
        spec: &StepSpec,
        attempt: u32,
        code: &str,
    ) -> Option<Duration> {
        let retry = self.loaded.manifest.retry(spec)?;
        let mut noise = [0_u8; 4];
        self.inner.random.fill(&mut noise);
        let luck = f64::from(u32::from_be_bytes(noise)) / f64::from(u32::MAX);
        retry.wait_after(attempt, code, luck)
    }

    /// Runs a step's code, or gives the record of why it could not begin.
    async fn run_step(
        &mut self,
        position: usize,
        spec: &StepSpec,
        code: Code<'_>,
    ) -> Result<Result<(StepRecord, StepReport), StepRecord>, Interrupted> {
        // Before the credentials, which are to be fresh.
        if let Err(refused) = self.take_sandbox(code).await? {
            return Ok(Err(refused));
        }
        let linked = match self.linked(spec).await? {
            Ok(linked) => linked,
            Err(refused) => return Ok(Err(refused)),
        };
        let call = self.call(position, spec, code, (linked.json, linked.apps))?;
        let Some((_, session)) = &mut self.session else {
            return Err(Interrupted::Stopping);
        };
        let report = session.step(call).await;
        Ok(Ok((StepRecord::from_report(&report, &linked.redactor), report)))
    }

    /// Takes a sandbox for a step, unless that of the step before serves; or gives the record of why
    /// this machine has none that is strong enough.
    async fn take_sandbox(
        &mut self,
        code: Code<'_>,
    ) -> Result<Result<(), StepRecord>, Interrupted> {
        let runtime = code.runtime;
        let serves = |(of, session): &(Runtime, Session)| *of == runtime && !session.is_spent();
        if self.session.as_ref().is_some_and(serves) {
            return Ok(Ok(()));
        }
        self.session = None;
        let Some(program) = self.loaded.program(code) else { return Ok(Ok(())) };
        match self.inner.pool.checkout(program).await {
            Ok(session) => self.session = Some((runtime, session)),
            Err(error @ CheckoutError::Tier { tier, .. }) => {
                tracing::warn!(
                    invocation.id = %self.claimed.id,
                    error = chain(&error),
                    "a step needs a kind of sandbox that this machine does not make"
                );
                let floor = self.inner.config.minimum_tier;
                let message = format!(
                    "{}. Nothing of the step has run; replay the invocation when it is there",
                    no_tier(tier, floor)
                );
                let record = StepRecord::from_error(TIER_UNAVAILABLE, message);
                return Ok(Err(record));
            }
            Err(other) => return Err(other.into()),
        }
        Ok(Ok(()))
    }

    fn respond(&mut self, answer: Answer) {
        if !self.responded {
            self.responded = true;
            self.inner.answer(self.claimed.id, || answer);
        }
    }

    /// What the step is linked to, or the record of why that cannot be had. What Causeway itself
    /// lacks for the moment is no failure of the step: it is tried again.
    async fn linked(&self, spec: &StepSpec) -> Result<Result<Linked, StepRecord>, Interrupted> {
        let seed = self
            .session
            .as_ref()
            .and_then(|(_, session)| session.seed())
            .ok_or(Interrupted::Stopping)?;
        match self.inner.linked(self.claimed, spec, &seed).await {
            Ok(linked) => Ok(Ok(linked)),
            Err(LinkError::Step(record)) => Ok(Err(*record)),
            Err(LinkError::Credential(error)) => Err(Interrupted::NoCredential(error)),
            Err(LinkError::Flow(error)) => Err(error.into()),
        }
    }

    fn call(
        &self,
        position: usize,
        spec: &StepSpec,
        code: Code<'_>,
        (connections, apps): (SecretBytes, Option<Arc<dyn Apps>>),
    ) -> Result<StepCall, FlowError> {
        let claimed = self.claimed;
        Ok(StepCall {
            invocation: claimed.id,
            step: spec.name.clone(),
            attempt: self.attempt(position),
            // The same for every attempt at this step of this invocation, crash or not.
            idempotency_key: format!("{}-{position}", claimed.id),
            entry: code.entry.to_owned(),
            event: Arc::clone(&self.event),
            steps: serde_json::value::to_raw_value(&self.exports)
                .map_err(|source| FlowError::Stored { what: "step", source })?,
            connections,
            apps,
            context: serde_json::json!({
                "workflow_id": claimed.workflow_id,
                "workflow_name": self.loaded.manifest.name,
                "version_id": claimed.version_id,
                "event_id": claimed.event_id,
                "trigger": { "name": claimed.trigger.name, "kind": claimed.trigger.kind },
            }),
        })
    }

    async fn sealed_step(
        &self,
        (position, attempt): (usize, u32),
        spec: &StepSpec,
        record: &StepRecord,
        (started_at, finished_at): (Timestamp, Timestamp),
    ) -> Result<Step, FlowError> {
        let id = StepId::generate(finished_at, &*self.inner.random);
        let json = serde_json::to_vec(record)
            .map_err(|source| FlowError::Stored { what: "step", source })?;
        let sealed =
            self.inner.vault.seal(self.claimed.workspace_id, &Place::StepRecord(id), &json).await?;
        Ok(Step {
            id,
            workspace_id: self.claimed.workspace_id,
            invocation_id: self.claimed.id,
            position: i64::try_from(position).unwrap_or(i64::MAX),
            name: spec.name.clone(),
            attempt: i64::from(attempt),
            state: if record.error.is_some() { StepState::Failed } else { StepState::Succeeded },
            error_code: record.error.as_ref().map(|error| error.code.clone()),
            record: sealed,
            started_at,
            finished_at,
        })
    }

    /// The answer is kept where its caller may be waiting at another node.
    async fn sealed_response(
        &self,
        respond: Option<&Respond>,
    ) -> Result<Option<Sealed>, FlowError> {
        let http = self.loaded.manifest.http_trigger(&self.claimed.trigger.name);
        let waits = http.is_some_and(|http| http.response == HttpResponse::Workflow);
        let Some(respond) = respond.filter(|_| waits) else { return Ok(None) };
        let json = StoredResponse::from(respond);
        let place = Place::InvocationResponse(self.claimed.id);
        let json = serde_json::to_vec(&json)
            .map_err(|source| FlowError::Stored { what: "response", source })?;
        Ok(Some(self.inner.vault.seal(self.claimed.workspace_id, &place, &json).await?))
    }
}

/// Why steps cannot begin for want of a tier, for the author of the workflow.
pub(crate) fn no_tier(tier: Tier, floor: Tier) -> String {
    let wanted = if tier > floor {
        format!("the workflow asks for sandboxes of the tier {tier} (`minimum_tier`)")
    } else {
        format!("this server runs steps in sandboxes of the tier {tier} and none weaker")
    };
    format!(
        "{wanted}, and the server's machine does not make them: `causeway doctor` on the server says \
         what is missing"
    )
}

fn take_respond(report: &mut StepReport) -> Option<Respond> {
    report.outcome.as_mut().ok()?.respond.take()
}
