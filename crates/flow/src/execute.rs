//! Running one invocation: each step's result is in the journal before the next step begins.

use crate::apps::{LinkError, Linked};
use crate::claim::Job;
use crate::exports::Exports;
use crate::graph::{Action, Code, Point};
use crate::inbox::{Answer, StoredResponse};
use crate::items::{self, Items};
use crate::loader::Loaded;
use crate::record::{StepError, StepRecord};
use crate::suspend::{LinkTokens, RESUME_DATA};
use crate::worker::MAX_CRASHES;
use crate::{FlowError, HttpResponse, Inner, Notice};
use causeway_connect::CredentialError;
use causeway_sandbox::{
    Apps, CheckoutError, ComponentCall, Respond, Runtime, Session, StepCall, StepReport, Tier, Wait,
};
use causeway_store::{Bookkeeping, JournalOp, JournalResult, db};
use causeway_types::entity::{
    Advance, Claimed, Gate, InvocationState, LinkDigests, Step, StepState, WaitsFor,
};
use causeway_types::place::Sealed;
use causeway_types::{Actor, Place, SecretBytes, StepId, Timestamp, WorkflowId, chain};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long an invocation waits before it is tried again, when this node had no sandbox or no
/// database for it.
const PAUSE: Duration = Duration::from_secs(1);

/// The code of a step whose workflow asks for a stronger sandbox than this machine makes.
const TIER_UNAVAILABLE: &str = "tier_unavailable";

/// The code of an invocation that nobody resumed in time, or that somebody ended with its cancel link.
const NOT_RESUMED: &str = "not_resumed";
/// The code of an attempt at a step that has asked to be run again.
pub(crate) const RERUN: &str = "rerun";
/// The code of a step that answers the trigger's caller for an item.
const RESPOND_IN_ITEM: &str = "respond_in_item";
const RESPOND_IN_ITEM_WHY: &str = "the caller of the trigger is answered once, and this step stands in \
    `for_each` or `parallel`: answer before or after it";

/// Why an invocation did not come to an end here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
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
    /// The step at this position.
    Step(usize),
    /// A wait, after which whichever node has room goes on.
    Wait,
    /// Nothing more.
    End,
}

/// One invocation on its way through its steps.
pub(crate) struct Run<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) claimed: &'a Claimed,
    pub(crate) loaded: &'a Loaded,
    event: Arc<RawValue>,
    pub(crate) started_at: Timestamp,
    /// What later steps find.
    exports: Exports,
    responded: bool,
    /// The tokens of the links that the step's code has got.
    links: Option<LinkTokens>,
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
            return self.end_early(claimed, InvocationState::Dead, "crash_loop").await;
        }
        if claimed.is_suspended {
            return self.end_early(claimed, InvocationState::Canceled, NOT_RESUMED).await;
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
            exports: Exports::default(),
            responded: false,
            links: None,
            session: None,
            slot,
        };
        run.recall().await?;
        run.steps().await
    }

    async fn mark_begun(&self, claimed: &Claimed) -> Result<(), Interrupted> {
        let advance = advance(claimed, InvocationState::Running, self.clock.now());
        match self.journal.write(JournalOp::Move(advance)).await.map_err(FlowError::from)? {
            JournalResult::LeaseLost => Err(Interrupted::LeaseLost),
            JournalResult::Done | JournalResult::Duplicate(_) => Ok(()),
        }
    }

    /// Ends an invocation of which no further step is run: it took its nodes down with it too often, or
    /// nobody came to resume it.
    async fn end_early(
        &self,
        claimed: &Claimed,
        state: InvocationState,
        code: &str,
    ) -> Result<(), Interrupted> {
        let now = self.clock.now();
        let advance = Advance {
            error_code: Some(code.to_owned()),
            finished_at: Some(now),
            ..advance(claimed, state, now)
        };
        self.journal.write(JournalOp::Move(advance)).await.map_err(FlowError::from)?;
        self.ended(claimed, state, now).await;
        self.answer(claimed.id, || Answer::Failed { code: code.to_owned() });
        Ok(())
    }

    /// An invocation waits. While it does, it takes no place in its workflow's queue.
    async fn waits(&self, claimed: &Claimed) {
        self.makes_room(claimed).await;
        self.sooner.notify_one();
        self.notify(notice(claimed));
    }

    /// An invocation runs no longer. Items never took a place in their workflow's queue.
    async fn makes_room(&self, claimed: &Claimed) {
        if claimed.item_of.is_none() {
            self.leaves_queue(claimed.workflow_id).await;
        }
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
        if claimed.item_of.is_some() {
            // The next item, or the parent.
            self.unclaimed.notify_one();
        }
        metrics::counter!("causeway_invocations_total", "state" => state.as_str()).increment(1);
        metrics::histogram!("causeway_invocation_seconds")
            .record(now.since(claimed.created_at).as_secs_f64());
        self.notify(notice(claimed));
    }
}

impl Run<'_> {
    /// Reads what finished steps left, when the invocation was begun elsewhere or before a crash.
    async fn recall(&mut self) -> Result<(), FlowError> {
        let Claimed { id, workspace_id, item_of, next_step, .. } = *self.claimed;
        let graph = &self.loaded.graph;
        self.exports = self.inner.exports_before(workspace_id, graph, item_of).await?;
        if next_step == items::first_step(graph, item_of) {
            return Ok(());
        }
        self.inner.recall(workspace_id, graph, id, &mut self.exports).await
    }

    async fn steps(&mut self) -> Result<(), Interrupted> {
        let mut position = usize::try_from(self.claimed.next_step).unwrap_or(usize::MAX);
        let loaded = self.loaded;
        if loaded.graph.get(position).is_none() {
            // It waited after its last step.
            self.succeed().await?;
        }
        while let Some(point) = loaded.graph.get(position) {
            if self.inner.stop.is_cancelled() {
                return Err(Interrupted::Stopping);
            }
            match self.step(position, point).await? {
                Next::Step(next) => position = next,
                Next::Wait => return Ok(()),
                Next::End => break,
            }
        }
        if !self.responded {
            self.inner.answer(self.claimed.id, || Answer::Silence);
        }
        Ok(())
    }

    /// Ends an invocation that has nothing more to do.
    async fn succeed(&mut self) -> Result<(), Interrupted> {
        let (state, now) = (InvocationState::Succeeded, self.inner.clock.now());
        let advance =
            Advance { finished_at: Some(now), ..advance(self.claimed, state, self.started_at) };
        let written = self.inner.journal.write(JournalOp::Move(advance)).await;
        if written.map_err(FlowError::from)? == JournalResult::LeaseLost {
            return Err(Interrupted::LeaseLost);
        }
        self.inner.ended(self.claimed, state, now).await;
        Ok(())
    }

    /// Runs one step and journals it.
    async fn step(&mut self, position: usize, point: &Point) -> Result<Next, Interrupted> {
        let started_at = self.inner.clock.now();
        let attempt = self.attempt(position);
        let Some((mut record, mut report)) = self.act(position, point).await? else {
            self.inner.waits(self.claimed).await;
            return Ok(Next::Wait);
        };
        let mut respond = report.as_mut().and_then(take_respond);
        if respond.is_some() && self.claimed.item_of.is_some() {
            respond = None;
            record = StepRecord::from_error(RESPOND_IN_ITEM, RESPOND_IN_ITEM_WHY.to_owned());
        }
        let asked = report.as_mut().and_then(take_wait);
        let (wait, links) = self.wait_after(point, attempt, &mut record, asked);
        let broke = matches!(point.action, Action::Break(_)) && record.is_true();
        let next = match &point.action {
            Action::Choose(_, arms) => record.taken(arms).or(point.next),
            _ => point.next.filter(|_| !broke),
        };
        let end = if wait.is_some() {
            None
        } else if record.error.is_some() {
            Some(InvocationState::Failed)
        } else if next.is_none() || record.exit.is_some() {
            Some(InvocationState::Succeeded)
        } else {
            None
        };
        if end.is_some() || wait.is_some() {
            self.release_sandbox();
        }
        let finished_at = self.inner.clock.now();
        let step = self
            .sealed_step((position, attempt), point, &record, (started_at, finished_at))
            .await?;
        let going_on =
            if wait.is_some() { InvocationState::Waiting } else { InvocationState::Running };
        let next_step = match next {
            _ if record.error.is_some() => step.position,
            Some(next) => i64::try_from(next).unwrap_or(i64::MAX),
            None => self.loaded.graph.end(),
        };
        let failed = end == Some(InvocationState::Failed);
        let advance = Advance {
            next_step,
            attempts: if record.error.is_some() { i64::from(attempt) } else { 0 },
            waits_for: wait.map(|(what, _)| what),
            wake_at: wait.map(|(_, time)| finished_at.plus(time)),
            links,
            ends_loop: self
                .claimed
                .item_of
                .is_some_and(|of| items::ends_loop(&self.loaded.graph, of, failed, broke)),
            error_code: record.error.as_ref().map(|error| error.code.clone()),
            tier: report.map(|report| report.tier.as_str().to_owned()),
            response: self.sealed_response(respond.as_ref()).await?,
            finished_at: end.map(|_| finished_at),
            ..advance(self.claimed, end.unwrap_or(going_on), self.started_at)
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
        self.inner.notify(notice(self.claimed));
        self.exports.remember(&self.loaded.graph, position, &record)?;
        Ok(next.map_or(Next::End, Next::Step))
    }

    /// Does what a step says: its record, and the report of its code. None if it waits for its items.
    async fn act(
        &mut self,
        position: usize,
        point: &Point,
    ) -> Result<Option<(StepRecord, Option<StepReport>)>, Interrupted> {
        let has_items = self.is_claimed(position) && self.claimed.made_items.is_some();
        let tended = match &point.action {
            Action::ForEach(_, body, how) if has_items => {
                self.tend_items(position, &Items::Loop(*body, *how), None).await?
            }
            Action::Parallel(arms) if has_items => {
                self.tend_items(position, &Items::Arms(arms), None).await?
            }
            Action::Parallel(arms) => {
                self.begin_items(position, &Items::Arms(arms), None, arms.len()).await?
            }
            Action::ForEach(code, body, how) => {
                let (record, report) = self.run_code(position, point, code).await?;
                let (None, Some(list)) = (&record.error, &record.return_value) else {
                    return Ok(Some((record, report)));
                };
                let items: Vec<&RawValue> = serde_json::from_str(list.get())
                    .map_err(|source| FlowError::Stored { what: "list", source })?;
                let (count, loops) = (items.len(), Items::Loop(*body, *how));
                self.begin_items(position, &loops, Some(list), count).await?
            }
            Action::Run(code) | Action::Choose(code, _) | Action::Break(code) => {
                return Ok(Some(self.run_code(position, point, code).await?));
            }
            Action::Delay(_) => return Ok(Some((StepRecord::empty(), None))),
        };
        Ok(tended.map(|record| (record, None)))
    }

    /// Gives up the sandbox, and the place among those that run.
    fn release_sandbox(&mut self) {
        self.session = None;
        *self.slot = None;
    }

    /// Whether this is the step that the invocation was claimed at.
    fn is_claimed(&self, position: usize) -> bool {
        i64::try_from(position).is_ok_and(|at| at == self.claimed.next_step)
    }

    /// Which attempt at a step this is, from 1.
    fn attempt(&self, position: usize) -> u32 {
        let failed = if self.is_claimed(position) { self.claimed.attempts } else { 0 };
        u32::try_from(failed).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// What the invocation waits for after a step, and for how long; and what is stored of the links that
    /// end the wait. One that is to run again leaves a record like one that failed.
    fn wait_after(
        &mut self,
        point: &Point,
        attempt: u32,
        record: &mut StepRecord,
        asked: Option<Wait>,
    ) -> (Option<(WaitsFor, Duration)>, Option<LinkDigests>) {
        let asked = asked.filter(|_| record.error.is_none() && record.exit.is_none());
        let links = self.links.take().filter(|_| asked.is_some());
        let wait = match asked {
            Some(Wait::Delay(time)) => Some((WaitsFor::Time, time)),
            Some(Wait::Suspend(time)) => Some((WaitsFor::Resume, time)),
            Some(Wait::Rerun { after, most, .. }) if attempt <= most => {
                let message = "the step is to be run again, as it asked for".to_owned();
                record.error = Some(StepError { code: RERUN.to_owned(), message, stack: None });
                Some((WaitsFor::Time, after))
            }
            Some(Wait::Rerun { .. }) => None,
            None => self.wait_unasked(point, attempt, record).map(|time| (WaitsFor::Time, time)),
        };
        (wait, links.filter(|_| wait.is_some()).map(|links| links.digests()))
    }

    /// How long to wait after a step that has not asked for it: in a delay, or before the next attempt.
    fn wait_unasked(&self, point: &Point, attempt: u32, record: &StepRecord) -> Option<Duration> {
        match (&record.error, &point.action) {
            (Some(error), _) => self.wait_before_next_attempt(point, attempt, &error.code),
            (None, Action::Delay(delay)) => Some(*delay),
            (None, _) => None,
        }
    }

    /// How long to wait before a step that failed is tried again, if it is.
    fn wait_before_next_attempt(
        &self,
        point: &Point,
        attempt: u32,
        code: &str,
    ) -> Option<Duration> {
        let retry = point.retry.as_ref()?;
        let mut noise = [0_u8; 4];
        self.inner.random.fill(&mut noise);
        let luck = f64::from(u32::from_be_bytes(noise)) / f64::from(u32::MAX);
        retry.wait_after(attempt, code, luck)
    }

    /// Runs a step's code. There is no report of code that could not begin, and the record says why.
    async fn run_code(
        &mut self,
        position: usize,
        point: &Point,
        code: &Code,
    ) -> Result<(StepRecord, Option<StepReport>), Interrupted> {
        // Before the credentials, which are to be fresh.
        if let Err(refused) = self.take_sandbox(code).await? {
            return Ok((refused, None));
        }
        let linked = match self.linked(point).await? {
            Ok(linked) => linked,
            Err(refused) => return Ok((refused, None)),
        };
        let run = self.run_so_far(position).await?;
        let call = self.call(position, point, code, (linked.json, linked.apps), &run)?;
        let Some((_, session)) = &mut self.session else {
            return Err(Interrupted::Stopping);
        };
        let report = session.step(call).await;
        Ok((StepRecord::from_report(&report, &linked.redactor), Some(report)))
    }

    /// Takes a sandbox for a step, unless that of the step before serves; or gives the record of why
    /// this machine has none that is strong enough.
    async fn take_sandbox(&mut self, code: &Code) -> Result<Result<(), StepRecord>, Interrupted> {
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
    async fn linked(&self, point: &Point) -> Result<Result<Linked, StepRecord>, Interrupted> {
        let seed = self
            .session
            .as_ref()
            .and_then(|(_, session)| session.seed())
            .ok_or(Interrupted::Stopping)?;
        match self.inner.linked(self.claimed, point, &seed).await {
            Ok(linked) => Ok(Ok(linked)),
            Err(LinkError::Step(record)) => Ok(Err(*record)),
            Err(LinkError::Credential(error)) => Err(Interrupted::NoCredential(error)),
            Err(LinkError::Flow(error)) => Err(error.into()),
        }
    }

    /// What the code finds of its earlier runs: how many there are with this one, and what it asked to
    /// be told when the last one asked for another.
    async fn run_so_far(&self, position: usize) -> Result<serde_json::Value, FlowError> {
        let runs = self.attempt(position);
        if runs == 1 {
            return Ok(serde_json::json!({ "runs": runs }));
        }
        let mut conn = self.inner.store.read().await?;
        let steps = db!(conn, invocation::steps(self.claimed.workspace_id, self.claimed.id))?;
        drop(conn);
        let is_last = |step: &&Step| usize::try_from(step.position).is_ok_and(|at| at == position);
        let Some(last) = steps.iter().rfind(is_last) else {
            return Ok(serde_json::json!({ "runs": runs }));
        };
        let record = self.inner.step_record(last).await?;
        Ok(serde_json::json!({
            "runs": runs,
            "context": record.rerun,
            "callback_request": record.exports.get(RESUME_DATA),
        }))
    }

    fn call(
        &mut self,
        position: usize,
        point: &Point,
        code: &Code,
        (connections, apps): (SecretBytes, Option<Arc<dyn Apps>>),
        run: &serde_json::Value,
    ) -> Result<StepCall, FlowError> {
        let claimed = self.claimed;
        let (links, tokens) = self.inner.new_links();
        self.links = Some(tokens);
        Ok(StepCall {
            invocation: claimed.id,
            step: point.name.clone(),
            attempt: self.attempt(position),
            // The same for every attempt at this step of this invocation, crash or not.
            idempotency_key: format!("{}-{position}", claimed.id),
            entry: code.entry.clone(),
            event: Arc::clone(&self.event),
            steps: self.exports.to_json()?,
            links,
            connections,
            apps,
            context: serde_json::json!({
                "workflow_id": claimed.workflow_id,
                "workflow_name": self.loaded.manifest.name,
                "version_id": claimed.version_id,
                "event_id": claimed.event_id,
                "trigger": { "name": claimed.trigger.name, "kind": claimed.trigger.kind },
                "run": run,
            }),
            component: (!point.props.is_empty()).then(|| ComponentCall {
                props: point.props.clone().into_iter().collect(),
                ..ComponentCall::default()
            }),
        })
    }

    async fn sealed_step(
        &self,
        (position, attempt): (usize, u32),
        point: &Point,
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
            name: point.name.clone(),
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

fn notice(claimed: &Claimed) -> Notice {
    Notice {
        environment: claimed.environment_id,
        workflow: claimed.workflow_id,
        invocation: claimed.id,
        is_item: claimed.item_of.is_some(),
    }
}

/// An invocation that is now so, at the step where it was claimed.
fn advance(claimed: &Claimed, state: InvocationState, started_at: Timestamp) -> Advance {
    Advance {
        workspace: claimed.workspace_id,
        id: claimed.id,
        fence: claimed.fence,
        next_step: claimed.next_step,
        state,
        attempts: claimed.attempts,
        waits_for: None,
        wake_at: None,
        item_of: claimed.item_of,
        links: None,
        ends_loop: false,
        error_code: None,
        tier: None,
        response: None,
        started_at,
        finished_at: None,
    }
}

fn take_wait(report: &mut StepReport) -> Option<Wait> {
    report.outcome.as_mut().ok()?.wait.take()
}

fn take_respond(report: &mut StepReport) -> Option<Respond> {
    report.outcome.as_mut().ok()?.respond.take()
}
