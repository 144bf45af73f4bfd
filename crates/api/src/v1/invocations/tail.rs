#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::{InvocationBody, StepBody};
use crate::extract::{Authorized, Proof, QueryOf};
use crate::{Api, Problem};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use causeway_flow::{FlowError, InvocationFilter};
use causeway_identity::{Permit, action};
use causeway_store::{Heard, Mark};
use causeway_types::{InvocationId, Randomness, Timestamp, WorkflowId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

/// How often the journal is looked at without a hint: another node may have written to it.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked at whether the client may still see what it follows, if nothing is heard:
/// nobody tells of a session that ends, or of a role that is taken.
const LOOK_AT_ACCESS: Duration = Duration::from_secs(3);
/// How many open invocations are followed at a time; newer ones show when some of them end.
const FOLLOWED: usize = 100;
/// For how long an invocation with an older id may still come up: ids are made before commits, and
/// two commits may change places.
const LATE: Duration = Duration::from_secs(2);

/// What to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailQuery {
    /// The invocations of one workflow.
    workflow_id: Option<WorkflowId>,
    /// Invocations that came after this one. Without it, those that come from now on.
    after: Option<InvocationId>,
    /// One invocation, from its first step; the stream ends with it.
    invocation_id: Option<InvocationId>,
}

/// Something that happened, as the `data` of a server-sent event.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum TailEvent {
    /// An invocation is new to the stream, or changed its state.
    Invocation {
        /// The invocation.
        invocation: Box<InvocationBody>,
    },
    /// A step ended.
    Step {
        /// Its invocation.
        invocation_id: InvocationId,
        /// The step.
        step: Box<StepBody>,
    },
}

/// Follow invocations as they happen, as server-sent events. When the caller may not see them any
/// more, because his key or session has ended or his rights have changed, the stream ends with an
/// event `problem`, which says why.
#[utoipa::path(
    get, path = "/invocations/tail", tag = "invocations", operation_id = "tail_invocations",
    params(TailQuery),
    responses((status = 200, description = "One event for each thing that happens.", content_type = "text/event-stream", body = TailEvent), (status = "default", response = Problem))
)]
pub(crate) async fn tail(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadInvocations>,
    proof: Proof,
    QueryOf(query): QueryOf<TailQuery>,
) -> Result<Sse<impl tokio_stream::Stream<Item = Result<Event, Infallible>>>, Problem> {
    // Subscribed before anything is read, so that nothing falls in between.
    let notices = api.flow().notices();
    let access = Access::new(&api, proof, permit.workspace());
    let mut follower = Follower {
        cursor: match query.after {
            Some(after) => after,
            None => api.newest(&permit).await?,
        },
        workflow: query.workflow_id,
        only: query.invocation_id,
        told: BTreeSet::new(),
        followed: BTreeMap::new(),
        permit,
    };
    if let Some(id) = query.invocation_id {
        api.flow().invocation(&follower.permit, id).await?;
        follower.followed.insert(id, Seen::default());
    }
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        if let Err(problem) = follower.run(&api, notices, access, &sender).await {
            let event = Event::default().event("problem").data(problem.detail());
            // A client that is gone needs no reason.
            let _ = sender.send(event).await;
        }
    });
    Ok(Sse::new(ReceiverStream::new(receiver).map(Ok)).keep_alive(KeepAlive::default()))
}

impl Api {
    async fn newest(
        &self,
        permit: &Permit<action::ReadInvocations>,
    ) -> Result<InvocationId, FlowError> {
        let newest = self
            .flow()
            .invocations(permit, InvocationFilter::default(), InvocationId::highest(), 1)
            .await?;
        Ok(newest.first().map_or(InvocationId::lowest(), |invocation| invocation.id))
    }
}

/// What the client has been told of an invocation.
#[derive(Default)]
struct Seen {
    steps: usize,
    state: Option<causeway_types::entity::InvocationState>,
}

struct Follower {
    permit: Permit<action::ReadInvocations>,
    workflow: Option<WorkflowId>,
    only: Option<InvocationId>,
    /// Whatever is older has been told.
    cursor: InvocationId,
    /// What has been told after the cursor.
    told: BTreeSet<InvocationId>,
    followed: BTreeMap<InvocationId, Seen>,
}

impl Follower {
    async fn run(
        &mut self,
        api: &Api,
        mut notices: broadcast::Receiver<causeway_flow::Notice>,
        mut access: Access,
        sender: &mpsc::Sender<Event>,
    ) -> Result<(), Problem> {
        loop {
            if access.is_due(api) {
                self.permit = access.again(api).await?;
            }
            for event in self.news(api).await? {
                let Ok(event) = Event::default().json_data(event) else { continue };
                if sender.send(event).await.is_err() {
                    return Ok(());
                }
            }
            if self.only.is_some() && self.followed.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = sender.closed() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
                () = next_of(&mut notices, self.permit.tenant().environment, self.only) => {}
                () = access.changes(api) => {}
            }
        }
    }

    async fn look_for_newer(&mut self, api: &Api) -> Result<(), FlowError> {
        let room = FOLLOWED.saturating_sub(self.followed.len());
        if room == 0 {
            return Ok(());
        }
        let asked = i64::try_from(room + self.told.len()).unwrap_or(i64::MAX);
        let (flow, after) = (api.flow(), self.cursor);
        let newer = flow.newer_invocations(&self.permit, self.workflow, after, asked).await?;
        for invocation in newer {
            if self.told.insert(invocation.id) {
                self.followed.insert(invocation.id, Seen::default());
            }
        }
        let settled = InvocationId::generate(api.clock().now().minus(LATE), &Zeros);
        let unsettled = self.told.split_off(&settled);
        self.cursor = self.told.last().copied().unwrap_or(self.cursor);
        self.told = unsettled;
        Ok(())
    }

    async fn news(&mut self, api: &Api) -> Result<Vec<TailEvent>, FlowError> {
        let mut news = Vec::new();
        if self.only.is_none() {
            self.look_for_newer(api).await?;
        }
        let mut ended = Vec::new();
        for (id, seen) in &mut self.followed {
            let (invocation, steps) = match api.flow().invocation(&self.permit, *id).await {
                Ok(found) => found,
                // Deleted while it was followed.
                Err(FlowError::NoInvocation(_)) => {
                    ended.push(*id);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let state = invocation.state;
            let changed = seen.state != Some(state);
            let body = Box::new(InvocationBody::from(invocation));
            if changed && !state.is_final() {
                news.push(TailEvent::Invocation { invocation: body.clone() });
            }
            for step in steps.into_iter().skip(seen.steps) {
                seen.steps += 1;
                let step = Box::new(StepBody::from(step));
                news.push(TailEvent::Step { invocation_id: *id, step });
            }
            if changed && state.is_final() {
                news.push(TailEvent::Invocation { invocation: body });
                ended.push(*id);
            }
            seen.state = Some(state);
        }
        for id in ended {
            self.followed.remove(&id);
        }
        Ok(news)
    }
}

/// Whether the client may still see what it follows.
struct Access {
    proof: Proof,
    workspace: WorkspaceId,
    heard: watch::Receiver<Heard>,
    /// What had been heard of changed access before it was looked at last; None while nothing is.
    mark: Option<Mark>,
    looked_at: Timestamp,
}

impl Access {
    /// The request was let in just now.
    fn new(api: &Api, proof: Proof, workspace: WorkspaceId) -> Self {
        let heard = api.store().notices().heard();
        Self { proof, workspace, heard, mark: None, looked_at: api.clock().now() }
    }

    /// Whether it must be looked at again: something has been taken from somebody in the workspace,
    /// or it is time.
    fn is_due(&self, api: &Api) -> bool {
        let notices = api.store().notices();
        let changed = self.mark.is_none_or(|mark| !notices.holds(self.workspace, mark));
        changed || api.clock().now().since(self.looked_at) >= LOOK_AT_ACCESS
    }

    async fn again(&mut self, api: &Api) -> Result<Permit<action::ReadInvocations>, Problem> {
        self.mark = api.store().notices().mark();
        self.looked_at = api.clock().now();
        self.proof.again(api).await
    }

    /// Waits until it must be looked at again for a change.
    async fn changes(&mut self, api: &Api) {
        while self.heard.changed().await.is_ok() {
            if self.mark.is_some_and(|mark| !api.store().notices().holds(self.workspace, mark)) {
                return;
            }
        }
        // The store is gone; the timer of the caller goes on.
        std::future::pending::<()>().await;
    }
}

/// No randomness: the oldest id of a time.
struct Zeros;

impl Randomness for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Waits until something happens in the environment. A loop may have very many items, of which only one
/// that is asked for counts.
async fn next_of(
    notices: &mut broadcast::Receiver<causeway_flow::Notice>,
    environment: causeway_types::EnvironmentId,
    only: Option<InvocationId>,
) {
    loop {
        match notices.recv().await {
            Ok(notice) if notice.environment != environment => {}
            Ok(notice) if notice.is_item && only != Some(notice.invocation) => {}
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            // The flow is gone; the timer of the caller goes on.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
