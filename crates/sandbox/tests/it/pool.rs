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
    pool.prewarm(Runtime::Node);
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
    pool.prewarm(Runtime::Node);
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
    let program = Arc::new(program(&[("step.mjs", COUNT)]));
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
