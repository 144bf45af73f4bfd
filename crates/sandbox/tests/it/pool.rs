//! What the pool does with sandboxes: warm reuse, room, turns, and ends.

use crate::support::*;
use causeway_sandbox::*;
use std::sync::Arc;
use std::time::Duration;

const COUNT: &str = "let n = 0; export default () => [process.pid, ++n]";

async fn pool_of(change: impl FnOnce(&mut PoolConfig)) -> Pool {
    let mut config = config();
    change(&mut config);
    Pool::new(config, Arc::new(Refuse)).await.unwrap()
}

async fn count(pool: &Pool, program: &Arc<Program>) -> i64 {
    let mut session = pool.checkout(program).await.unwrap();
    value(&session.step(call("step.mjs")).await)[1].as_i64().unwrap()
}

/// Waits for the pool to come to a state that it comes to by itself.
async fn until(pool: &Pool, what: &str, reached: impl Fn(PoolStats) -> bool) {
    let watch = async {
        while !reached(pool.stats()) {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(10), watch).await;
    assert!(within.is_ok(), "{what}: {:?}", pool.stats());
}

#[tokio::test]
async fn a_warm_sandbox_serves_its_version_again_and_no_other() {
    let pool = pool().await;
    assert_eq!(pool.stats(), PoolStats::default(), "nothing runs before the first checkout");
    let (one, two) =
        (Arc::new(program(&[("step.mjs", COUNT)])), Arc::new(program(&[("step.mjs", COUNT)])));
    assert_eq!((count(&pool, &one).await, count(&pool, &one).await), (1, 2));
    assert_eq!(count(&pool, &two).await, 1, "the same text, another version");
    assert_eq!(count(&pool, &one).await, 3);
    let stats = pool.stats();
    assert_eq!((stats.live, stats.idle, stats.started, stats.warm_hits), (2, 2, 2, 2));
    pool.evict(one.key.version).await;
    assert_eq!(count(&pool, &one).await, 1);
    assert_eq!(count(&pool, &two).await, 2);
}

#[tokio::test]
async fn several_steps_of_one_invocation_share_a_session() {
    let pool = pool().await;
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
    let mut session = pool.checkout(&program).await.unwrap();
    for n in 1..=3 {
        assert_eq!(value(&session.step(call("step.mjs")).await)[1], n);
    }
    assert_eq!(pool.stats().idle, 0);
    drop(session);
    assert_eq!(pool.stats().idle, 1);
}

#[tokio::test]
async fn one_sandbox_serves_one_invocation_at_a_time_and_others_wait_in_line() {
    let pool = Arc::new(
        pool_of(|config| {
            (config.max_sandboxes, config.max_per_version, config.max_waiting) = (2, 2, 3);
        })
        .await,
    );
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
    let first = pool.checkout(&program).await.unwrap();
    let second = pool.checkout(&program).await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (pool, program) = (Arc::clone(&pool), Arc::clone(&program));
            tokio::spawn(async move { count(&pool, &program).await })
        })
        .collect();
    until(&pool, "three wait", |stats| stats.waiting == 3).await;
    assert!(matches!(pool.checkout(&program).await, Err(CheckoutError::Busy(3))));
    drop(first);
    for task in waiting {
        task.await.unwrap();
    }
    drop(second);
    assert_eq!((pool.stats().live, pool.stats().idle), (2, 2));
}

#[tokio::test]
async fn a_full_pool_gives_the_place_of_an_idle_sandbox_to_another_version() {
    let pool = pool_of(|config| config.max_sandboxes = 1).await;
    let (one, two) =
        (Arc::new(program(&[("step.mjs", COUNT)])), Arc::new(program(&[("step.mjs", COUNT)])));
    for _ in 0..2 {
        assert_eq!((count(&pool, &one).await, count(&pool, &two).await), (1, 1));
    }
    assert_eq!(pool.stats().live, 1);
}

#[tokio::test]
async fn a_busy_version_does_not_keep_another_waiting() {
    let pool = Arc::new(pool_of(|config| config.max_sandboxes = 1).await);
    let busy = Arc::new(program(&[("step.mjs", COUNT)]));
    let held = pool.checkout(&busy).await.unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let crowd: Vec<_> = (0..4)
        .map(|_| {
            let (pool, busy, stop) = (Arc::clone(&pool), Arc::clone(&busy), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    count(&pool, &busy).await;
                }
            })
        })
        .collect();
    until(&pool, "the crowd waits", |stats| stats.waiting == 4).await;
    drop(held);
    let other = Arc::new(program(&[("step.mjs", COUNT)]));
    let served = tokio::time::timeout(Duration::from_secs(10), count(&pool, &other)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(served.expect("the other version is served while the crowd goes on"), 1);
    for task in crowd {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_spare_sandbox_is_there_before_it_is_needed() {
    let pool = pool_of(|config| config.spare = 1).await;
    pool.prewarm(Runtime::Node, tier());
    until(&pool, "one spare", |stats| stats.spare == 1).await;
    let started = pool.stats().started;
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
    assert_eq!(count(&pool, &program).await, 1);
    assert_eq!(pool.stats().idle, 1, "the spare one has become the version's");
    until(&pool, "another spare", |stats| stats.spare == 1 && stats.started == started + 1).await;
    pool.shutdown().await;
}

#[tokio::test]
async fn a_program_of_another_shape_does_not_get_a_spare_sandbox() {
    let pool = pool_of(|config| config.spare = 1).await;
    pool.prewarm(Runtime::Node, tier());
    until(&pool, "one spare", |stats| stats.spare == 1).await;
    let code = "import v8 from 'node:v8'; export default () => v8.getHeapStatistics().heap_size_limit >> 20";
    let report =
        run_with(&pool, "step.mjs", code, |program| program.limits.memory_bytes = 512 << 20).await;
    assert!(value(&report).as_u64().unwrap() >= 384, "{:?}", report.outcome);
}

#[tokio::test]
async fn idle_sandboxes_end_after_their_time() {
    let pool = pool_of(|config| config.idle = Duration::from_millis(100)).await;
    assert_eq!(count(&pool, &Arc::new(program(&[("step.mjs", COUNT)]))).await, 1);
    until(&pool, "none is left", |stats| stats.live == 0).await;
}

#[tokio::test]
async fn a_sandbox_with_a_process_left_in_it_is_not_used_again() {
    let pool = pool().await;
    let code = "import { spawn } from 'node:child_process'; export default () => new Promise((ok) => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).on('spawn', () => ok(1)).unref())";
    assert_eq!(value(&run(&pool, code).await), 1);
    assert_eq!(pool.stats().live, 0);
    answers(&pool).await;
}

#[tokio::test]
async fn a_step_that_nobody_waits_for_any_more_is_ended() {
    let pool = pool().await;
    let program = Arc::new(program(&[(
        "step.mjs",
        "export default () => new Promise((r) => setTimeout(r, 60000))",
    )]));
    let mut session = pool.checkout(&program).await.unwrap();
    let waited =
        tokio::time::timeout(Duration::from_millis(300), session.step(call("step.mjs"))).await;
    assert!(waited.is_err());
    failed(session.step(call("step.mjs")).await, FailureCode::SandboxCrashed);
    drop(session);
    assert_eq!(pool.stats().live, 0);
}

#[tokio::test]
async fn shutting_down_ends_everything_and_sends_waiters_away() {
    let pool = Arc::new(pool_of(|config| config.max_sandboxes = 1).await);
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
    let held = pool.checkout(&program).await.unwrap();
    let (other, same) = (Arc::clone(&pool), Arc::clone(&program));
    let waiting = tokio::spawn(async move { other.checkout(&same).await.map(drop) });
    until(&pool, "one waits", |stats| stats.waiting == 1).await;
    let closing = Arc::clone(&pool);
    let shutdown = tokio::spawn(async move { closing.shutdown().await });
    assert!(matches!(waiting.await.unwrap(), Err(CheckoutError::Closed)));
    assert!(matches!(pool.checkout(&program).await, Err(CheckoutError::Closed)));
    drop(held);
    shutdown.await.unwrap();
    assert_eq!(pool.stats().live, 0);
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let missing = Pool::new(
        PoolConfig { runtimes: RuntimePaths::with_node("/nonexistent/node".into()), ..config() },
        Arc::new(Refuse),
    )
    .await;
    assert!(missing.err().unwrap().to_string().contains("npm ci --prefix runners/node"));
    let script = Pool::new(
        PoolConfig { runtimes: RuntimePaths::with_node("/etc/passwd".into()), ..config() },
        Arc::new(Refuse),
    )
    .await;
    assert_eq!(script.err().unwrap().to_string(), "/etc/passwd is not a 64-bit ELF program");
    let program = Arc::new(Program { tier: Tier::Jail, ..program(&[("step.mjs", COUNT)]) });
    let no_launcher =
        pool_of(|config| config.launcher = vec!["/nonexistent/launcher".into()]).await;
    assert!(matches!(
        no_launcher.checkout(&program).await,
        Err(CheckoutError::Start(StartError::Launcher { .. }))
    ));
    let not_one = pool_of(|config| {
        config.launcher = vec!["/bin/sh".into(), "-c".into(), "echo not a jail >&2".into()];
    })
    .await;
    let error = not_one.checkout(&program).await.err().unwrap();
    assert_eq!(error.to_string(), "starting a sandbox: it ended before it was ready: not a jail");
    assert_eq!((no_launcher.stats().live, not_one.stats().live), (0, 0));
}

/// A module that keeps this much memory for good, in MiB.
fn glutton(mib: usize) -> Arc<Program> {
    let code = format!(
        "import {{ Buffer }} from 'node:buffer'; const kept = Buffer.alloc({mib} << 20, 1); \
         let n = 0; export default () => [kept.length, ++n]"
    );
    Arc::new(program(&[("step.mjs", &code)]))
}

#[tokio::test]
async fn above_the_memory_that_all_may_take_the_one_unused_longest_ends_and_none_at_work() {
    // For three of them, with what Node and gVisor take themselves, and not for four.
    const MEMORY: u64 = 490 << 20;
    let pool = pool_of(|config| config.memory = Some(MEMORY)).await;
    let [oldest, older, busy, last] = [120, 120, 120, 120].map(glutton);
    assert_eq!((count(&pool, &oldest).await, count(&pool, &older).await), (1, 1));
    let mut at_work = pool.checkout(&busy).await.unwrap();
    assert_eq!(value(&at_work.step(call("step.mjs")).await)[1], 1);
    assert_eq!(pool.stats().live, 3, "there is memory for three: {:?}", pool.memory());
    assert_eq!(count(&pool, &last).await, 1);
    let evicted = |stats: PoolStats| stats.evicted.of(Eviction::Memory);
    until(&pool, "one has ended", |stats| evicted(stats) == 1 && stats.live == 3).await;
    assert!(pool.memory().0 <= MEMORY, "{:?}", pool.memory());
    assert_eq!(count(&pool, &older).await, 2, "it had been used after the oldest");
    assert_eq!(value(&at_work.step(call("step.mjs")).await)[1], 2, "what works goes on");

    // What works is not ended, however much it takes.
    let mut others = Vec::new();
    for program in [&oldest, &last] {
        let mut session = pool.checkout(program).await.unwrap();
        value(&session.step(call("step.mjs")).await);
        others.push(session);
    }
    until(&pool, "the idle one has ended", |stats| stats.idle == 0).await;
    assert_eq!(value(&at_work.step(call("step.mjs")).await)[1], 3);
    for session in &mut others {
        value(&session.step(call("step.mjs")).await);
    }
}

#[tokio::test]
async fn no_spare_sandboxes_are_started_where_memory_is_short() {
    let pool = pool_of(|config| (config.memory, config.spare) = (Some(120 << 20), 1)).await;
    let mut at_work = pool.checkout(&glutton(120)).await.unwrap();
    value(&at_work.step(call("step.mjs")).await);
    // Of another kind, of which nothing has been wanted before: the keeper looks at once, and with
    // each start.
    pool.prewarm(Runtime::Python, tier());
    let code = "def handler(pd):\n    return 1";
    let program = Arc::new(program_for(Runtime::Python, &[("step.py", code)]));
    let mut session = pool.checkout(&program).await.unwrap();
    assert_eq!(value(&session.step(call("step.py")).await), 1);
    drop(session);
    until(&pool, "that one has ended", |stats| stats.idle == 0 && stats.spare == 0).await;
    let python = pool.stats_of(Runtime::Python);
    assert_eq!((python.started, python.evicted.of(Eviction::Memory)), (1, 1), "{python:?}");
    drop(at_work);
    until(&pool, "memory is back", |stats| stats.spare == 2 && stats.idle == 0).await;
}

#[tokio::test]
async fn a_sandbox_is_not_used_beyond_its_age() {
    let pool = pool_of(|config| config.max_age = Duration::ZERO).await;
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
    for turn in 1..=3 {
        assert_eq!(count(&pool, &program).await, 1);
        let stats = pool.stats();
        assert_eq!((stats.live, stats.evicted.of(Eviction::Age)), (0, turn));
    }
}

#[tokio::test]
async fn a_workspace_with_a_crowd_does_not_keep_another_from_its_turn() {
    let pool =
        Arc::new(pool_of(|config| (config.max_sandboxes, config.max_waiting) = (2, 100)).await);
    // A hundred who wait, for as many versions of one workspace.
    let crowd: Vec<Arc<Program>> = {
        let one = program(&[("step.mjs", COUNT)]);
        let of_it = |_| {
            let other = program(&[("step.mjs", COUNT)]);
            let key = ProgramKey { workspace: one.key.workspace, ..other.key };
            Arc::new(Program { key, ..other })
        };
        (0..102).map(of_it).collect()
    };
    let held = [pool.checkout(&crowd[0]).await.unwrap(), pool.checkout(&crowd[1]).await.unwrap()];
    let (ends, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, program) in crowd[2..].iter().enumerate() {
        let (pool, program, ends) = (Arc::clone(&pool), Arc::clone(program), ends.clone());
        tasks.spawn(async move {
            // The last of them is sent away: the line is full, and they have all of it.
            if pool.checkout(&program).await.is_ok() {
                ends.send(number).unwrap();
            }
        });
    }
    until(&pool, "the crowd waits", |stats| stats.waiting == 100).await;
    let other = Arc::new(program(&[("step.mjs", COUNT)]));
    let (asking, its) = (Arc::clone(&pool), ends.clone());
    tasks.spawn(async move {
        let mut session = asking.checkout(&other).await.unwrap();
        value(&session.step(call("step.mjs")).await);
        its.send(1000).unwrap();
    });
    until(&pool, "one is sent away", |stats| stats.refused == 1).await;
    drop((held, ends));
    let mut turn = Vec::new();
    while turn.last() != Some(&1000) {
        turn.push(order.recv().await.expect("the other has its turn"));
    }
    // Two places; those of the crowd who had been given one may be quicker.
    assert!(turn.len() <= 7, "the other's turn came after {turn:?}");
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    pool.shutdown().await;
}

#[tokio::test]
async fn what_the_pool_does_is_counted_by_runtime_and_tier() {
    let pool = pool_of(|config| (config.max_sandboxes, config.max_waiting) = (1, 1)).await;
    let one = Arc::new(program(&[("step.mjs", COUNT)]));
    let (two, script) = (
        Arc::new(program(&[("step.mjs", COUNT)])),
        Arc::new(program_for(Runtime::Bash, &[("step.sh", "true")])),
    );
    let stats = || pool.stats_in(Runtime::Node, tier());
    count(&pool, &one).await;
    count(&pool, &one).await;
    count(&pool, &two).await;
    assert_eq!((stats().started, stats().warm_hits, stats().evicted.of(Eviction::Room)), (2, 1, 1));
    pool.evict(two.key.version).await;
    assert_eq!((stats().evicted.of(Eviction::Replaced), stats().live), (1, 0));
    let held = pool.checkout(&one).await.unwrap();
    assert_eq!((stats().busy(), stats().idle), (1, 0));
    let waits = pool.checkout(&two);
    tokio::pin!(waits);
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut waits).await.is_err());
    assert_eq!(stats().waiting, 1);
    assert!(matches!(pool.checkout(&one).await, Err(CheckoutError::Busy(1))));
    assert_eq!(stats().refused, 1);
    drop(held);
    drop(waits.await.unwrap());
    let other = pool.stats_in(Runtime::Bash, tier());
    assert_eq!(other, PoolStats::default());
    drop(pool.checkout(&script).await.unwrap());
    assert_eq!(pool.stats_in(Runtime::Bash, tier()).started, 1);

    let broken = pool_of(|config| config.launcher = vec!["/bin/false".into()]).await;
    assert!(broken.checkout(&one).await.is_err());
    assert_eq!(broken.stats_in(Runtime::Node, tier()).failed, 1);
}
