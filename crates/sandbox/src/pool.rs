//! The pool of sandboxes: warm ones by version, spare ones for versions that have none yet.

use crate::account::Account;
use crate::archive::{Archive, ArchiveError, Archives};
use crate::cgroup::Cgroups;
use crate::egress::Egress;
use crate::gvisor::Gvisor;
use crate::host::Identities;
use crate::program::{Limits, Program, ProgramKey, Runtime};
use crate::runtimes::{RuntimeError, RuntimePaths, Runtimes, Tool, Toolbox};
use crate::sandbox::{Factory, Parked, Sandbox, Shape, StartError};
use crate::session::Session;
use crate::tier::Tier;
use crate::vm::Vm;
use causeway_types::{Clock, VersionId, WorkspaceId};
use figures::Figures;
use lanes::{Answer, Caps, Count, Effects, Grant, Kinded, Lanes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

mod figures;
mod keeper;
mod lanes;
mod trial;

pub use figures::{Eviction, Evictions, PoolStats};
pub use trial::{TrialError, try_tier};

/// How sandboxes are started and how many there may be.
#[derive(Clone)]
pub struct PoolConfig {
    /// The program and arguments that end in [`crate::jail_main`], usually this very binary:
    /// `["/proc/self/exe", "__jail"]`.
    pub launcher: Vec<PathBuf>,
    /// What runs code.
    pub runtimes: RuntimePaths,
    /// How many sandboxes may live at a time, idle and unassigned ones included.
    pub max_sandboxes: usize,
    /// How many of them one version may have.
    pub max_per_version: usize,
    /// How many checkouts may wait for a sandbox before others are refused.
    pub max_waiting: usize,
    /// How many started, unassigned sandboxes to keep for each runtime. None before the runtime's
    /// first checkout or [`Pool::prewarm`].
    pub spare: usize,
    /// The limits that spare sandboxes are started with. A program with another memory, process
    /// or disk limit gets a sandbox of its own make, without the advantage of the spare ones.
    pub spare_limits: Limits,
    /// How long an idle warm sandbox is kept.
    pub idle: Duration,
    /// How long a sandbox is used, in all. What its code leaves in memory and on its disk goes with it.
    pub max_age: Duration,
    /// The memory that all sandboxes may take together, in bytes; `None`: as much as there is. What
    /// they do take is measured. Above it, those that do not work end, the longest idle first; those
    /// that work are bounded by their own limits.
    pub memory: Option<u64>,
    /// Where the time of log lines comes from.
    pub clock: Arc<dyn Clock>,
}

/// Sandboxes, warm by version.
pub struct Pool(Arc<Inner>);

/// What stands in the way of a pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Node cannot be run.
    #[error(transparent)]
    Node(#[from] RuntimeError),
    /// A number in the configuration makes no sense.
    #[error("the pool's configuration: {0}")]
    Config(&'static str),
}

/// Why there is no sandbox for a program.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Too many wait already.
    #[error(
        "every sandbox is at work and {0} invocations wait already: try again later, or raise \
         the server's number of sandboxes"
    )]
    Busy(usize),
    /// The pool has been shut down.
    #[error("the server is shutting down")]
    Closed,
    /// The program's files cannot be put in place.
    #[error(transparent)]
    Files(#[from] ArchiveError),
    /// No sandbox could be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// This machine makes no sandboxes of the tier that the program needs.
    #[error("making a sandbox of the tier `{tier}`, which this machine has not made yet")]
    Tier {
        /// What is needed.
        tier: Tier,
        /// What came of it.
        #[source]
        source: StartError,
    },
}

type Waiter = oneshot::Sender<Result<Place, CheckoutError>>;

/// What a spare sandbox is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Kind {
    runtime: Runtime,
    tier: Tier,
}

impl Kind {
    /// Every kind.
    fn all() -> impl Iterator<Item = Self> {
        let tiers = |runtime| Tier::ALL.into_iter().map(move |tier| Self { runtime, tier });
        Runtime::ALL.into_iter().flat_map(tiers)
    }

    const fn of(program: &Program) -> Self {
        Self { runtime: program.runtime, tier: program.tier }
    }
}

/// Who shares sandboxes: one version's steps of one runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LaneKey {
    program: ProgramKey,
    kind: Kind,
}

impl Kinded for LaneKey {
    type Kind = Kind;
    type Owner = WorkspaceId;

    fn kind(&self) -> Kind {
        self.kind
    }

    fn owner(&self) -> WorkspaceId {
        self.program.workspace
    }
}

/// What is kept for each kind beside its sandboxes.
#[derive(Default)]
struct Station {
    /// A launcher that is ready to go, for the spare sandboxes' limits.
    parked: Mutex<Option<Parked>>,
    /// Whether spare sandboxes are wanted yet.
    active: AtomicBool,
    figures: Figures,
}

impl Station {
    fn take_parked(&self) -> Option<Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the pool's handles and leases share.
pub(crate) struct Inner {
    config: PoolConfig,
    egress: Arc<dyn Egress>,
    factory: Factory,
    lanes: Mutex<Lanes<LaneKey, Box<Sandbox>, Waiter>>,
    archives: Mutex<Archives>,
    stations: BTreeMap<Kind, Station>,
    /// What counts the memory of each sandbox that lives.
    accounts: Mutex<Vec<Weak<Account>>>,
    /// The tiers that a sandbox has been made of.
    proven: Mutex<BTreeSet<Tier>>,
    keeper: Notify,
    closed: AtomicBool,
}

impl Pool {
    /// Checks what is needed and makes an empty pool; no sandbox is started yet.
    pub async fn new(config: PoolConfig, egress: Arc<dyn Egress>) -> Result<Self, PoolError> {
        if config.launcher.is_empty() {
            return Err(PoolError::Config("`launcher` is empty"));
        }
        if config.max_sandboxes == 0 || config.max_per_version == 0 {
            return Err(PoolError::Config("there must be room for one sandbox"));
        }
        let cgroups = Cgroups::detect();
        if let Err(why) = &cgroups {
            tracing::warn!(
                reason = %why,
                "no cgroups: sandboxes are bounded by rlimits alone, which count each process by itself"
            );
        }
        let factory = Factory {
            launcher: config.launcher.clone(),
            runtimes: Runtimes::new(config.runtimes.clone()).await?,
            gvisor: Gvisor::new(config.runtimes.runsc.clone(), config.launcher.clone()),
            vm: Vm::new(config.runtimes.machine.clone(), config.launcher.clone()),
            saving: tokio::sync::Mutex::new(()),
            identities: Identities::detect(),
            cgroups: cgroups.ok(),
            tasks: TaskTracker::new(),
        };
        let caps = Caps {
            total: config.max_sandboxes,
            each: config.max_per_version,
            waiting: config.max_waiting,
        };
        let inner = Arc::new(Inner {
            config,
            egress,
            factory,
            lanes: Mutex::new(Lanes::new(caps)),
            archives: Mutex::default(),
            stations: Kind::all().map(|kind| (kind, Station::default())).collect(),
            accounts: Mutex::default(),
            proven: Mutex::new([Tier::Jail].into()),
            keeper: Notify::new(),
            closed: AtomicBool::new(false),
        });
        tokio::spawn(keeper::run(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// Begins to start spare sandboxes for a runtime in a tier; the first checkout does the same.
    pub fn prewarm(&self, runtime: Runtime, tier: Tier) {
        let news = self.0.stations.get(&Kind { runtime, tier });
        if news.is_some_and(|station| !station.active.swap(true, Ordering::Relaxed)) {
            self.0.keeper.notify_one();
        }
    }

    /// Whether this machine has what a runtime needs.
    pub async fn has(&self, runtime: Runtime) -> Result<(), RuntimeError> {
        self.0.factory.runtimes.equipment(runtime).await.map(drop)
    }

    /// Whether this machine makes sandboxes of a tier. The first time, one is made, which becomes a
    /// spare one if such are kept.
    ///
    /// # Errors
    /// [`CheckoutError::Tier`] if it does not, and others if that could not be found out.
    pub async fn has_tier(&self, tier: Tier) -> Result<(), CheckoutError> {
        let inner = &self.0;
        if inner.proven().contains(&tier) {
            return Ok(());
        }
        let kind = Kind { runtime: Runtime::Node, tier };
        let sandbox =
            inner.start_spare(kind).await.map_err(|source| inner.refusal(tier, source))?;
        inner.proven().insert(tier);
        inner.keep_spare(kind, Box::new(sandbox));
        Ok(())
    }

    /// What a tool of this machine needs in a sandbox.
    pub async fn tool(&self, tool: Tool) -> Result<Toolbox, RuntimeError> {
        self.0.factory.runtimes.tool(tool).await
    }

    /// A sandbox for the program: a warm one of this version, else a new one. Waits, in fair turns
    /// with other versions, while there is no room.
    pub async fn checkout(&self, program: &Arc<Program>) -> Result<Session, CheckoutError> {
        let inner = &self.0;
        let key = LaneKey { program: program.key, kind: Kind::of(program) };
        let asked = Instant::now();
        let place = inner.place(key).await;
        if matches!(place, Err(CheckoutError::Busy(_))) {
            inner.count(key.kind, |figures| &figures.refused);
        }
        let Place { mut lease, start } = place?;
        figures::record_wait(key.kind.runtime, key.kind.tier, asked.elapsed());
        if let Some(Begin { spare }) = start {
            let sandbox = inner.start(program, spare).await;
            if sandbox.is_err() {
                inner.count(key.kind, |figures| &figures.failed);
            }
            lease.fill(sandbox?);
        } else {
            inner.count(key.kind, |figures| &figures.warm_hits);
        }
        self.prewarm(program.runtime, program.tier);
        Ok(Session::new(lease, Arc::clone(program), Arc::clone(&inner.config.clock)))
    }

    /// Figures of the whole pool.
    pub fn stats(&self) -> PoolStats {
        self.sum(|_| true)
    }

    /// Figures of one runtime in all tiers.
    pub fn stats_of(&self, runtime: Runtime) -> PoolStats {
        self.sum(|kind| kind.runtime == runtime)
    }

    /// Figures of one runtime in one tier.
    pub fn stats_in(&self, runtime: Runtime, tier: Tier) -> PoolStats {
        self.sum(|kind| kind == Kind { runtime, tier })
    }

    fn sum(&self, counts: impl Fn(Kind) -> bool) -> PoolStats {
        let kinds = Kind::all().filter(|kind| counts(*kind));
        kinds.fold(PoolStats::default(), |sum, kind| {
            let Count { live, idle, spare, waiting } = self.0.lanes().count(kind);
            let now = PoolStats { live, idle, spare, waiting, ..PoolStats::default() };
            let so_far = self.0.stations.get(&kind).map(|station| station.figures.read());
            sum.plus(now).plus(so_far.unwrap_or_default())
        })
    }

    /// The memory that all sandboxes take, in bytes, and how much they may, if that is bounded.
    pub fn memory(&self) -> (u64, Option<u64>) {
        (self.0.memory(), self.0.config.memory)
    }

    /// Ends the idle sandboxes of a version.
    #[expect(clippy::unused_async, reason = "ending sandboxes may come to wait for them")]
    pub async fn evict(&self, version: VersionId) {
        let of_version = |key: &LaneKey| key.program.version == version;
        let effects =
            self.0.lanes().end_idle(|key, _, _| of_version(key).then_some(Eviction::Replaced));
        self.0.apply(effects);
        self.0.archives().forget(version);
    }

    /// Refuses further checkouts, ends what is idle, and waits until every sandbox has ended;
    /// those at work end when their sessions are dropped.
    pub async fn shutdown(&self) {
        self.0.close();
        self.0.factory.tasks.close();
        self.0.factory.tasks.wait().await;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A place for a sandbox, with a warm one in it or the task to start one.
struct Place {
    lease: Lease,
    /// Present if a sandbox is to be started.
    start: Option<Begin>,
}

/// The task to start a sandbox, perhaps from a spare one.
struct Begin {
    spare: Option<Box<Sandbox>>,
}

impl Inner {
    fn lanes(&self) -> MutexGuard<'_, Lanes<LaneKey, Box<Sandbox>, Waiter>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn archives(&self) -> MutexGuard<'_, Archives> {
        self.archives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, kind: Kind, pick: impl Fn(&Figures) -> &AtomicU64) {
        if let Some(station) = self.stations.get(&kind) {
            pick(&station.figures).fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_eviction(&self, sandbox: &Sandbox, reason: Eviction) {
        let kind = Kind { runtime: sandbox.runtime(), tier: sandbox.tier() };
        self.count(kind, |figures| figures.evicted(reason));
    }

    /// Counts a sandbox that has been started, and its memory from now on.
    fn note_started(&self, kind: Kind, sandbox: &Sandbox) {
        self.count(kind, |figures| &figures.started);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|account| account.strong_count() > 0);
        accounts.push(Arc::downgrade(&sandbox.account));
    }

    /// The memory that all sandboxes take now, in bytes.
    fn memory(&self) -> u64 {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().filter_map(Weak::upgrade).map(|account| account.memory()).sum()
    }

    fn take_parked(&self, kind: Kind) -> Option<Parked> {
        self.stations.get(&kind)?.take_parked()
    }

    /// Waits for a place.
    async fn place(self: &Arc<Self>, key: LaneKey) -> Result<Place, CheckoutError> {
        let (waiter, waiting) = oneshot::channel();
        let mut effects = Effects::default();
        let answer = {
            let mut lanes = self.lanes();
            if self.closed.load(Ordering::Relaxed) {
                return Err(CheckoutError::Closed);
            }
            lanes.ask(key, waiter, Instant::now(), &mut effects)
        };
        self.apply(effects);
        match answer {
            Answer::Now(grant) => Ok(self.grant(key, grant)),
            Answer::Later => waiting.await.unwrap_or(Err(CheckoutError::Closed)),
            Answer::Full(_) => Err(CheckoutError::Busy(self.config.max_waiting)),
        }
    }

    fn grant(self: &Arc<Self>, key: LaneKey, grant: Grant<Box<Sandbox>>) -> Place {
        let (sandbox, start) = match grant {
            Grant::Warm(sandbox) => (Some(sandbox), None),
            Grant::Start(spare) => (None, Some(Begin { spare })),
        };
        let state = if sandbox.is_some() { LeaseState::Clean } else { LeaseState::Spent };
        Place { lease: Lease { inner: Arc::clone(self), key, sandbox, state }, start }
    }

    /// Hands over and ends what a change of the lanes brought about.
    fn apply(self: &Arc<Self>, effects: Effects<LaneKey, Box<Sandbox>, Waiter>) {
        for waiter in effects.refused {
            // Who has given up waiting need not be told.
            let _ = waiter.send(Err(CheckoutError::Busy(self.config.max_waiting)));
        }
        for (sandbox, reason) in effects.ended {
            self.count_eviction(&sandbox, reason);
        }
        for (waiter, (key, grant)) in effects.grants {
            // Who has given up waiting drops the place, which gives it back.
            drop(waiter.send(Ok(self.grant(key, grant))));
        }
    }

    /// Starts a sandbox for a program.
    async fn start(
        self: &Arc<Self>,
        program: &Arc<Program>,
        spare: Option<Box<Sandbox>>,
    ) -> Result<Box<Sandbox>, CheckoutError> {
        let archive = self.archives().get(program.key, &program.files)?;
        let (kind, limits) = (Kind::of(program), &program.limits);
        let shape = Shape::new(kind.tier, kind.runtime, limits);
        let plain = program.binds.is_empty();
        let sandbox = match spare {
            Some(mut spare) if plain && spare.fits(shape) => {
                self.keeper.notify_one();
                spare.load(&archive).await?;
                spare
            }
            other => {
                if let Some(spare) = other {
                    // It serves another program, if there is room for it.
                    drop(self.lanes().add_spare(kind, spare));
                }
                let begun = self.begin(program, shape, &archive).await;
                let sandbox = begun.map_err(|source| self.refusal(kind.tier, source))?;
                self.note_started(kind, &sandbox);
                self.keeper.notify_one();
                Box::new(sandbox)
            }
        };
        sandbox.way.belongs_to(program);
        Ok(sandbox)
    }

    /// Starts a sandbox with a program's files.
    async fn begin(
        &self,
        program: &Program,
        shape: Shape,
        archive: &Archive,
    ) -> Result<Sandbox, StartError> {
        let (kind, binds) = (Kind::of(program), &program.binds);
        let parked = match if binds.is_empty() { self.take_parked(kind) } else { None } {
            Some(parked) if parked.fits(shape) => parked,
            _ => self.factory.park(kind.tier, kind.runtime, &program.limits, binds).await?,
        };
        let sandbox = parked.go(Some(archive), Arc::clone(&self.egress)).await?;
        self.proven().insert(kind.tier);
        Ok(sandbox)
    }

    fn proven(&self) -> MutexGuard<'_, BTreeSet<Tier>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this machine makes no sandboxes of a tier, rather than not this one, just now.
    fn is_lasting(&self, tier: Tier, error: &StartError) -> bool {
        match error {
            StartError::Tier(_) => true,
            StartError::Jail { .. } | StartError::Ended { .. } => !self.proven().contains(&tier),
            _ => false,
        }
    }

    /// Why there is no sandbox of a tier, for whoever asked for one.
    fn refusal(&self, tier: Tier, source: StartError) -> CheckoutError {
        if self.is_lasting(tier, &source) {
            CheckoutError::Tier { tier, source }
        } else {
            source.into()
        }
    }

    fn close(&self) {
        let (waiters, sandboxes) = {
            let mut lanes = self.lanes();
            self.closed.store(true, Ordering::Relaxed);
            lanes.close()
        };
        drop(waiters);
        drop(sandboxes);
        self.stations.values().for_each(|station| drop(station.take_parked()));
        self.keeper.notify_one();
    }
}

/// A place in the pool with, once it is filled, a sandbox in it.
pub(crate) struct Lease {
    inner: Arc<Inner>,
    key: LaneKey,
    sandbox: Option<Box<Sandbox>>,
    state: LeaseState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaseState {
    /// It may serve again.
    Clean,
    /// A step runs in it.
    Working,
    /// It is not to be used any more.
    Spent,
}

impl Lease {
    fn fill(&mut self, sandbox: Box<Sandbox>) {
        self.sandbox = Some(sandbox);
        self.state = LeaseState::Clean;
    }

    /// The sandbox, if there is one.
    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_deref()
    }

    /// The sandbox, for a step; `None` if an earlier step has spoilt it.
    pub(crate) fn begin(&mut self) -> Option<&mut Sandbox> {
        if self.state != LeaseState::Clean {
            self.state = LeaseState::Spent;
            return None;
        }
        self.state = LeaseState::Working;
        self.sandbox.as_deref_mut()
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.state != LeaseState::Clean
    }

    /// The step has ended and left the sandbox as it should be.
    pub(crate) fn clean(&mut self) {
        self.state = LeaseState::Clean;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let clean = self.state == LeaseState::Clean;
        let kept =
            self.sandbox.take().filter(|sandbox| clean && sandbox.is_quiet() && sandbox.is_alone());
        let is_old = |sandbox: &Sandbox| sandbox.since.elapsed() >= self.inner.config.max_age;
        let kept = match kept {
            Some(sandbox) if is_old(&sandbox) => {
                self.inner.count_eviction(&sandbox, Eviction::Age);
                None
            }
            other => other,
        };
        let effects = {
            let mut lanes = self.inner.lanes();
            match kept {
                // Looked at under the lock under which a shutdown takes everything out.
                Some(sandbox) if !self.inner.closed.load(Ordering::Relaxed) => {
                    sandbox.way.rests();
                    lanes.give_back(self.key, sandbox, Instant::now())
                }
                _ => lanes.ended(self.key),
            }
        };
        self.inner.apply(effects);
    }
}
