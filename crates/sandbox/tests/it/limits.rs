//! Passing a limit ends the step in the error that names it, and the pool goes on.

use crate::support::*;
use causeway_sandbox::*;
use std::time::Duration;

#[tokio::test]
async fn spinning_passes_the_time_limit() {
    let pool = pool().await;
    let code = "export default () => { console.log('before'); for (;;); }";
    let report = run_with(&pool, "step.mjs", code, |program| {
        program.limits.wall = Duration::from_millis(400);
    })
    .await;
    assert_eq!(logged(&report), ["before"]);
    assert!(
        report.usage.wall >= Duration::from_millis(400)
            && report.usage.wall < Duration::from_secs(2)
    );
    assert!(report.usage.cpu > Duration::from_millis(50), "{:?}", report.usage);
    let failure = failed(report, FailureCode::TimeLimit);
    assert_eq!(
        failure.message,
        "the step ran for 0.4 s, its limit is 0.4 s: raise `limits.wall_seconds` in workflow.yaml"
    );
    let waits = "export default () => new Promise((r) => setTimeout(r, 60000))";
    failed(
        run_with(&pool, "step.mjs", waits, |program| {
            program.limits.wall = Duration::from_millis(200);
        })
        .await,
        FailureCode::TimeLimit,
    );
    let ticks = "export default async () => { for (;;) await null }";
    failed(
        run_with(&pool, "step.mjs", ticks, |program| {
            program.limits.wall = Duration::from_millis(200);
        })
        .await,
        FailureCode::TimeLimit,
    );
    answers(&pool).await;
}

#[tokio::test]
async fn spinning_passes_the_processor_limit() {
    let pool = pool().await;
    let report = run_with(&pool, "step.mjs", "export default () => { for (;;); }", |program| {
        program.limits.cpu = Duration::from_millis(300);
    })
    .await;
    let failure = failed(report, FailureCode::CpuLimit);
    assert!(
        failure.message.contains("its limit is 0.3 s: raise `limits.cpu_seconds` in workflow.yaml"),
        "{}",
        failure.message
    );
    answers(&pool).await;
}

#[tokio::test]
async fn four_gigabytes_pass_the_memory_limit() {
    let pool = pool().await;
    for code in [
        "export default () => { const all = []; for (let i = 0; ; i++) all.push({ i, text: 'x' + i }) }",
        "export default () => { const all = []; for (let i = 0; i < 64; i++) all.push(Buffer.alloc(64 << 20, 1)); return all.length }",
        "export default () => { const all = []; for (let i = 0; i < 64; i++) all.push(new Uint8Array(64 << 20).fill(1)); return all.length }",
        "export default () => 'x'.repeat(2 ** 29 - 30).split('')",
    ] {
        let failure = failed(run(&pool, code).await, FailureCode::MemoryLimit);
        assert!(
            failure.message.contains("more than 256 MiB of memory")
                && failure.message.contains("raise `limits.memory_mib`"),
            "{}",
            failure.message
        );
    }
    answers(&pool).await;
}

#[tokio::test]
async fn a_larger_memory_limit_is_a_larger_heap() {
    let pool = pool().await;
    let code = "export default () => { const all = []; for (let i = 0; i < 300; i++) all.push(new Array(1 << 17).fill(i)); return all.length }";
    failed(run(&pool, code).await, FailureCode::MemoryLimit);
    let report =
        run_with(&pool, "step.mjs", code, |program| program.limits.memory_bytes = 768 << 20).await;
    assert_eq!(value(&report), 300);
    assert!(report.usage.peak_memory_bytes > 300 << 20);
}

#[tokio::test]
async fn ten_thousand_forks_pass_the_process_limit() {
    let pool = pool().await;
    let codes = [
        "import { spawn } from 'node:child_process'; export default async () => { for (let i = 0; i < 10000; i++) await new Promise((ok, no) => { const c = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true }); c.on('error', no); c.on('spawn', ok) }) }",
        "import { spawn } from 'node:child_process'; export default async () => { for (let i = 0; i < 10000; i++) { const c = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']); c.on('error', () => {}); c.unref() } return 'done' }",
        "import { Worker } from 'node:worker_threads'; export default async () => { for (let i = 0; i < 10000; i++) await new Promise((ok, no) => { const w = new Worker('setInterval(() => {}, 1000)', { eval: true }); w.on('error', no); w.on('online', ok) }) }",
    ];
    // Without a cgroup nobody counts refusals, so only code that reports its own ends so.
    // Under gVisor its own kernel refuses, and says so to the code only.
    let all = privileged() && tier() == Tier::Jail;
    for code in codes.into_iter().take(if all { 3 } else { 1 }) {
        let report = run_with(&pool, "step.mjs", code, |program| {
            program.limits.processes = 40;
            program.limits.memory_bytes = 1 << 30;
        })
        .await;
        let failure = failed(report, FailureCode::ProcessLimit);
        assert!(
            failure.message.contains("more than 40 processes and threads")
                && failure.message.contains("raise `limits.processes`"),
            "{}",
            failure.message
        );
    }
    answers(&pool).await;
}

#[tokio::test]
async fn filling_the_disk_passes_the_disk_limit() {
    let pool = pool().await;
    for code in [
        "import fs from 'node:fs'; export default () => { for (let i = 0; ; i++) fs.writeFileSync('/tmp/' + i, Buffer.alloc(1 << 20)) }",
        "import fs from 'node:fs'; export default () => { const f = fs.openSync('/tmp/one', 'w'); for (;;) fs.writeSync(f, Buffer.alloc(1 << 20)) }",
        "import fs from 'node:fs/promises'; export default async () => { for (let i = 0; ; i++) await fs.writeFile('/tmp/' + i, '') }",
    ] {
        let report =
            run_with(&pool, "step.mjs", code, |program| program.limits.disk_bytes = 8 << 20).await;
        if tier() == Tier::Gvisor && code.contains("async") {
            // Its disk counts bytes and no files, and files without any take memory and time.
            let failure = report.outcome.unwrap_err();
            assert!(
                matches!(failure.code, FailureCode::MemoryLimit | FailureCode::CpuLimit),
                "{failure:#?}"
            );
            continue;
        }
        let failure = failed(report, FailureCode::DiskLimit);
        assert!(
            failure.message.contains("more than 8 MiB of temporary files")
                && failure.message.contains("raise `limits.disk_mib`"),
            "{}",
            failure.message
        );
    }
    answers(&pool).await;
}

#[tokio::test]
async fn printing_a_gigabyte_passes_the_log_limit() {
    let pool = pool().await;
    for code in [
        "export default () => { const line = 'x'.repeat(999); for (let i = 0; i < 1e6; i++) console.log(line) }",
        "export default () => { process.stdout.write('y'.repeat(2 ** 29 - 30)) }",
        "import fs from 'node:fs'; export default () => { const line = Buffer.alloc(4096, 122); for (;;) fs.writeSync(2, line) }",
        "export default async () => { for (;;) { console.error('e'.repeat(5000)); await null } }",
    ] {
        let report = run_with(&pool, "step.mjs", code, |program| {
            program.limits.log_bytes = 64 << 10;
            program.limits.memory_bytes = 2 << 30;
        })
        .await;
        assert!(report.logs_truncated);
        let kept: usize = report.logs.iter().map(|line| line.text.len()).sum();
        assert!(kept <= 64 << 10, "{kept}");
        assert!(
            report.logs.iter().all(|line| line.text.len() % 999 == 0 || line.text.len() == 5000),
            "no line is cut"
        );
        let failure = failed(report, FailureCode::LogLimit);
        assert_eq!(
            failure.message,
            "the step printed more than 65536 bytes, which is its limit: print less, or raise `limits.log_kib` in workflow.yaml"
        );
    }
    answers(&pool).await;
}

#[tokio::test]
async fn a_giant_log_line_within_the_limit_is_one_line() {
    let pool = pool().await;
    let report = run(&pool, "export default () => { console.log('a'.repeat(900000)) }").await;
    assert_eq!(report.logs.len(), 1);
    assert_eq!(report.logs[0].text.len(), 900_000);
    assert!(report.outcome.is_ok());
}

#[tokio::test]
async fn giving_too_much_passes_the_output_limit() {
    let pool = pool().await;
    for code in [
        "() => 'x'.repeat(2000)",
        "({ $ }) => { $.export('a', 'x'.repeat(600)); $.export('b', 'x'.repeat(600)) }",
        "({ $ }) => { $.respond({ body: 'x'.repeat(2000) }) }",
    ] {
        let report = run_with(&pool, "step.mjs", &format!("export default {code}"), |program| {
            program.limits.output_bytes = 1000;
        })
        .await;
        let failure = failed(report, FailureCode::OutputLimit);
        assert!(
            failure
                .message
                .contains("its limit is 1000 bytes: raise `limits.output_kib` in workflow.yaml"),
            "{}",
            failure.message
        );
    }
    let whole = run_with(&pool, "step.mjs", "export default () => 'x'.repeat(998)", |program| {
        program.limits.output_bytes = 1000;
    })
    .await;
    assert!(whole.outcome.is_ok(), "exactly the limit is allowed");
    answers(&pool).await;
}
