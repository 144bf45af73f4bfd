//! The jail launcher by itself, as the server's binary runs it, for the tests of this crate.
//! With `serve NODE` it is a small server with sandboxes, for the tests that kill one.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, reason = "a test helper")]

use causeway_sandbox::{
    Egress, EgressFuture, EgressRefused, EgressRequest, EgressRules, Limits, Links, Pool,
    PoolConfig, Program, ProgramKey, Runtime, RuntimePaths, SourceFile, StepCall, Tier,
};
use causeway_types::{
    Clock, InvocationId, OsRandom, SecretBytes, SystemClock, VersionId, WorkspaceId,
};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime")
    };
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("serve"), Some(node)) => {
            runtime().block_on(serve(node));
            std::process::ExitCode::SUCCESS
        }
        (Some("serve-machine"), Some(node)) => {
            let folder = arguments.next().expect("a folder with an image");
            runtime().block_on(serve_machine(node, folder.into()));
            std::process::ExitCode::SUCCESS
        }
        _ => causeway_sandbox::jail_main(),
    }
}

struct Nothing;

impl Egress for Nothing {
    fn connect<'a>(&'a self, _request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async { Err(EgressRefused { code: "EGRESS_REFUSED", message: "no".to_owned() }) })
    }
}

fn program(code: &str) -> Arc<Program> {
    let now = SystemClock.now();
    Arc::new(Program {
        key: ProgramKey {
            workspace: WorkspaceId::generate(now, &OsRandom),
            version: VersionId::generate(now, &OsRandom),
        },
        files: Arc::new(vec![SourceFile { path: "step.mjs".to_owned(), contents: code.into() }]),
        binds: Vec::new(),
        egress: EgressRules::default(),
        limits: Limits::default(),
        runtime: Runtime::Node,
        tier: std::env::var_os("CAUSEWAY_TEST_TIER")
            .map_or(Tier::Jail, |word| word.to_str().unwrap().parse().unwrap()),
    })
}

fn call() -> StepCall {
    StepCall {
        invocation: InvocationId::generate(SystemClock.now(), &OsRandom),
        step: "step".to_owned(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        entry: "step.mjs".to_owned(),
        event: Arc::from(RawValue::from_string("{}".to_owned()).unwrap()),
        steps: RawValue::from_string("{}".to_owned()).unwrap(),
        connections: SecretBytes::new(Vec::new()),
        apps: None,
        links: Links::default(),
        context: serde_json::Value::Null,
        component: None,
    }
}

fn config(runtimes: RuntimePaths, spare: usize) -> PoolConfig {
    PoolConfig {
        launcher: vec!["/proc/self/exe".into()],
        runtimes,
        max_sandboxes: 8,
        max_per_version: 4,
        max_waiting: 8,
        spare,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(10),
        max_age: Duration::from_hours(24),
        memory: None,
        clock: Arc::new(SystemClock),
    }
}

/// One virtual machine works for ever.
async fn serve_machine(node: String, folder: std::path::PathBuf) {
    let mut runtimes = RuntimePaths::with_node(node.into());
    runtimes.machine.firecracker = folder.join("firecracker");
    runtimes.machine.jailer = folder.join("jailer");
    runtimes.machine.image = folder.join("current");
    let pool = Pool::new(config(runtimes, 0), Arc::new(Nothing)).await.unwrap();
    let mut program =
        program("export default () => new Promise(() => setInterval(() => {}, 1000))");
    Arc::get_mut(&mut program).unwrap().tier = Tier::Vm;
    let mut working = pool.checkout(&program).await.unwrap();
    println!("working");
    drop(working.step(call()).await);
}

/// One sandbox works for ever, with a child process; one is idle; one is spare.
async fn serve(node: String) {
    let config = config(RuntimePaths::with_node(node.into()), 1);
    let pool = Pool::new(config, Arc::new(Nothing)).await.unwrap();
    let mut idle = pool.checkout(&program("export default () => 1")).await.unwrap();
    idle.step(call()).await.outcome.unwrap();
    drop(idle);
    let code = "import { spawn } from 'node:child_process';
        let first = true;
        export default () => new Promise((ok) => {
          if (!first) return setInterval(() => {}, 1000);
          first = false;
          spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true }).on('spawn', ok);
        });";
    let mut working = pool.checkout(&program(code)).await.unwrap();
    working.step(call()).await.outcome.unwrap();
    while pool.stats().spare == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("working");
    drop(working.step(call()).await);
}
