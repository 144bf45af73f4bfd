//! Workflows: from an event that is stored before it is acknowledged, to steps that each end in
//! the journal before the next one begins.
//!
//! - *Deploying* turns a folder into an immutable, content-addressed version ([`Flow::deploy`]).
//! - The *inbox* stores an event with its invocation and only then answers ([`Flow::accept`]).
//! - A *component* is code with a description of the values that it wants, published on its own and
//!   run when somebody asks ([`Flow::publish`], [`Flow::run_action`]).
//! - *Workers* run invocations in sandboxes under this node's lease. When a node dies, another
//!   resumes after the last finished step.

mod apps;
mod bundle;
mod check;
mod claim;
mod components;
mod dependencies;
mod deploy;
mod error;
mod execute;
mod explain;
mod exports;
mod folder;
mod gate;
mod generated;
mod graph;
mod inbox;
mod invocations;
mod items;
mod loader;
mod manifest;
mod record;
mod schedules;
mod suspend;
mod target;
mod triggers;
mod turns;
mod worker;

pub use bundle::{Bundle, BundleError};
pub use components::{
    Choice, Choices, ComponentAsk, ComponentDetail, ComponentError, ComponentOutcome, Definition,
    NewComponent, OptionsAsk, PropDefinition, Published,
};
pub use dependencies::{InstallScript, PlannedPackage};
pub use deploy::{Change, Deployment, Plan, PlanAction, PlannedConnection};
pub use error::FlowError;
pub use folder::{Folder, MAX_BYTES, MAX_FILES};
pub use inbox::{Acceptance, Answer, LiveTrigger, Waiter};
pub use invocations::{InvocationFilter, StepView};
pub use manifest::{
    Arm, Case, ConnectionSpec, Expression, FILE_NAME, ForEachSpec, HttpResponse, Manifest,
    ManifestError, OnError, OneOrMore, ParallelArm, QueueSpec, RequestSpec, RespondSpec, RetrySpec,
    Retryable, StepSpec, SwitchSpec, Template, ThrottleSpec, TierSpec, TimeSpan, TriggerSpec,
    WhenFull,
};
pub use record::{StepEgress, StepError, StepLog, StepRecord, StepUsage};
pub use suspend::{LinkKind, SuspendedView};
pub use triggers::{DeployedTrigger, TriggerSchedule, TriggerView};

use causeway_connect::Connect;
use causeway_packages::{Dependencies, Packages};
use causeway_sandbox::{Pool, PoolStats, Runtime, Tier};
use causeway_store::{Journal, Store};
use causeway_types::entity::Invocation;
use causeway_types::{
    Clock, ComponentId, EnvironmentId, InvocationId, NodeId, Randomness, VersionId, WorkflowId,
    WorkspaceId,
};
use causeway_vault::Vault;
use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Sizes of the workers and the inbox.
#[derive(Debug, Clone)]
pub struct FlowConfig {
    /// Invocations that run at a time on this node: as many as there may be sandboxes.
    pub concurrency: usize,
    /// Events that may wait for one workflow before more are refused with `queue_full`.
    pub queue_limit: i64,
    /// The kind of sandbox that code runs in, unless its workflow asks for a stronger one.
    pub minimum_tier: Tier,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self { concurrency: 8, queue_limit: QUEUE_LIMIT, minimum_tier: Tier::Jail }
    }
}

/// What the workflows of this node stand on.
pub struct FlowParts {
    /// The database.
    pub store: Store,
    /// Seals and opens.
    pub vault: Vault,
    /// Gives credentials to steps.
    pub connect: Connect,
    /// Runs code.
    pub pool: Arc<Pool>,
    /// What code imports.
    pub packages: Packages,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and tokens.
    pub random: Arc<dyn Randomness>,
    /// Where others reach this server, without a slash at its end.
    pub public_url: String,
}

/// Something happened to an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// Whose it is.
    pub environment: EnvironmentId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The invocation.
    pub invocation: InvocationId,
    /// Whether it is an item of another's loop.
    pub is_item: bool,
}

impl Notice {
    fn of(invocation: &Invocation) -> Self {
        Self {
            environment: invocation.environment_id,
            workflow: invocation.workflow_id,
            invocation: invocation.id,
            is_item: invocation.parent_id.is_some(),
        }
    }
}

/// A handle on this node's workflows.
#[derive(Clone)]
pub struct Flow {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    connect: Connect,
    pool: Arc<Pool>,
    packages: Packages,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    public_url: String,
    journal: Journal,
    config: FlowConfig,
    node: NodeId,
    /// Triggers by the digest of their URL's token. A deploy on another node shows after its
    /// time to live.
    triggers: moka::future::Cache<[u8; 32], Arc<LiveTrigger>>,
    /// Versions never change, so they stay as long as they are used.
    versions: moka::future::Cache<VersionId, Arc<loader::Loaded>>,
    /// What the items of a loop have in common, by its invocation and its position. It does not change
    /// while they run.
    scopes: moka::future::Cache<(InvocationId, i64), Arc<exports::Scope>>,
    /// Components as they are run; they never change either.
    components: moka::future::Cache<ComponentId, Arc<components::Loaded>>,
    /// Content whose code has been read without a fault.
    checked: moka::future::Cache<(WorkspaceId, String), ()>,
    /// The packages of content that was planned a short while ago.
    chosen: moka::future::Cache<(WorkspaceId, String), Arc<Dependencies>>,
    /// Turns of reading code.
    checks: Semaphore,
    /// How many invocations of a workflow are not at their end, counted here between recounts.
    open: moka::future::Cache<WorkflowId, Arc<AtomicI64>>,
    /// Invocations that this node holds and has not begun.
    work: mpsc::Sender<claim::Job>,
    /// What of the database is in this node's memory.
    held: Arc<claim::Held>,
    /// Wakes the claimer: something in the database has no owner.
    unclaimed: Notify,
    /// Wakes the waker: an invocation waits, and perhaps not as long as all others.
    sooner: Notify,
    /// Wakes who fires: a schedule is new, and perhaps the next of all.
    rescheduled: Notify,
    /// Wakes who opens gates: an invocation waits before one, or has made room for another.
    crowd: Notify,
    notices: broadcast::Sender<Notice>,
    waiters: Mutex<HashMap<InvocationId, oneshot::Sender<Answer>>>,
    /// No work is taken up any more.
    stop: CancellationToken,
    /// What still runs is left as it is.
    abandon: CancellationToken,
    tasks: TaskTracker,
}

/// Invocations of one workflow that may be under way or wait, unless told otherwise.
const QUEUE_LIMIT: i64 = 100_000;
/// How long a deploy on one node may take to show on another.
const TRIGGER_TTL: Duration = Duration::from_secs(2);
/// How long a count of open invocations is trusted before it is taken anew.
const COUNT_TTL: Duration = Duration::from_secs(10);
/// How long the packages that a plan chose hold for the deploy after it.
const CHOSEN_TTL: Duration = Duration::from_mins(10);
/// How much of what items have in common is kept in memory, in bytes.
const SCOPES: u64 = 64 << 20;
/// How many deploys may have their code read at a time.
const CHECKS: usize = 2;
/// Invocations that may wait in memory, twice: on their way to the workers, and in line there. Those
/// beyond wait in the database.
const BACKLOG: usize = 512;

impl Flow {
    /// Takes the lease, then starts the workers on the current runtime.
    pub async fn start(parts: FlowParts, config: FlowConfig) -> Result<Self, FlowError> {
        let FlowParts { store, vault, connect, pool, packages, clock, random, public_url } = parts;
        let node = NodeId::generate(clock.now(), &*random);
        let (work, jobs) = mpsc::channel(BACKLOG);
        let inner = Arc::new(Inner {
            journal: Journal::start(&store, node),
            store,
            vault,
            connect,
            pool,
            packages,
            clock,
            random,
            public_url,
            node,
            triggers: moka::future::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(TRIGGER_TTL)
                .build(),
            versions: moka::future::Cache::builder()
                .max_capacity(1_000)
                .time_to_idle(Duration::from_hours(1))
                .build(),
            scopes: moka::future::Cache::builder()
                .weigher(|_, scope: &Arc<exports::Scope>| scope.size())
                .max_capacity(SCOPES)
                .time_to_idle(Duration::from_mins(1))
                .build(),
            components: moka::future::Cache::builder()
                .max_capacity(1_000)
                .time_to_idle(Duration::from_hours(1))
                .build(),
            checked: moka::future::Cache::new(1_000),
            chosen: moka::future::Cache::builder()
                .max_capacity(1_000)
                .time_to_live(CHOSEN_TTL)
                .build(),
            checks: Semaphore::new(CHECKS),
            open: moka::future::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(COUNT_TTL)
                .build(),
            work,
            held: Arc::default(),
            unclaimed: Notify::new(),
            sooner: Notify::new(),
            rescheduled: Notify::new(),
            crowd: Notify::new(),
            notices: broadcast::channel(1024).0,
            waiters: Mutex::new(HashMap::new()),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
        });
        worker::start(&inner, jobs).await?;
        Ok(Self { inner })
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.inner.node
    }

    /// What happens to invocations, from now on, on this node.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.inner.notices.subscribe()
    }

    /// Figures of the sandboxes of one runtime in one tier.
    pub fn pool_stats(&self, runtime: Runtime, tier: Tier) -> PoolStats {
        self.inner.pool.stats_in(runtime, tier)
    }

    /// The memory that all sandboxes take, in bytes, and how much they may, if that is bounded.
    pub fn pool_memory(&self) -> (u64, Option<u64>) {
        self.inner.pool.memory()
    }

    /// Stops taking up work, lets running steps end within `grace`, ends those that do not, and
    /// gives the lease up.
    pub async fn stop(&self, grace: Duration) {
        worker::stop(&self.inner, grace).await;
    }
}

impl Inner {
    fn notify(&self, notice: Notice) {
        // Nobody listening is the common case and no failure.
        let _ = self.notices.send(notice);
    }

    fn answer(&self, invocation: InvocationId, answer: impl FnOnce() -> Answer) {
        if let Some(waiter) = self.take_waiter(invocation) {
            // A caller that went away needs no answer.
            let _ = waiter.send(answer());
        }
    }

    fn take_waiter(&self, invocation: InvocationId) -> Option<oneshot::Sender<Answer>> {
        match self.waiters.lock() {
            Ok(mut waiters) => waiters.remove(&invocation),
            Err(poisoned) => poisoned.into_inner().remove(&invocation),
        }
    }
}
