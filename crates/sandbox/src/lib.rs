//! Sandboxes: the only place where user code runs.
//!
//! - A [`Program`] is one version of a source or workflow: files, limits, hosts that it may
//!   reach. Programs never share a sandbox.
//! - The [`Pool`] keeps sandboxes: **warm** ones, which have served a program and serve it
//!   again, one invocation at a time, and **spare** ones, started and without a program yet.
//! - A [`Session`] is a sandbox in use by one invocation; each [`Session::step`] runs one step
//!   and ends in a [`StepReport`], whatever the code does.
//! - The way out of a sandbox is an [`Egress`]: it decides about each connection and dials it.
//! - Hosts of the accounts that a step is linked to are the *broker's*: it ends their TLS, reads
//!   the requests, and hands them to the step's [`Apps`], which know the credentials.
//! - A [`Tier`] is a kind of sandbox. The **jail** is the one that all others build on: see the module
//!   `jail` for its walls, and [`probe`] for what of them this machine has. With **gVisor** in it
//!   (`jail::gvisor`) the code has another kernel than the machine's, with a virtual machine in it
//!   (`jail::vm`) also other processors.

mod account;
mod apps;
mod archive;
mod broker;
mod cgroup;
mod control;
mod egress;
mod gvisor;
mod host;
mod jail;
mod output;
mod pool;
mod probe;
mod program;
mod protocol;
mod runner;
mod runtimes;
mod sandbox;
mod session;
mod step;
mod tier;
mod vm;

pub use apps::{AnswerBody, AppAnswer, AppFuture, AppRefused, AppRequest, Apps, Claim};
pub use archive::ArchiveError;
pub use cgroup::memory_of_machine;
pub use control::{Bind, Purpose};
pub use egress::{
    Decision, Egress, EgressFuture, EgressRecord, EgressRefused, EgressRequest, EgressRuleError,
    EgressRules, GuardedEgress,
};
pub use jail::jail_main;
pub use pool::{
    CheckoutError, Eviction, Evictions, Pool, PoolConfig, PoolError, PoolStats, TrialError,
    try_tier,
};
pub use probe::{Check, Standing, probe, probe_kvm};
pub use program::{Limits, Program, ProgramKey, Runtime, SourceFile};
pub use runtimes::{
    RuntimeError, RuntimePaths, Tool, Toolbox, describe_runtime, describe_tool, machine_roots,
};
pub use sandbox::StartError;
pub use session::Session;
pub use step::{
    ComponentCall, ComponentTask, FailureCode, Links, LogLine, LogStream, Respond, StepCall,
    StepFailure, StepReport, StepSuccess, Usage, Wait,
};
pub use tier::{Tier, TierError, UnknownTier};
pub use vm::{BuiltImage, ImageError, ImageOptions, MachinePaths, build_image};
