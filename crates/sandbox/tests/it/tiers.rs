//! The tests of this crate once more, in sandboxes of the tier `gvisor`, and what only concerns it.

use crate::support::*;
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Names modules whose tests hold in every tier.
macro_rules! hold {
    ($($module:ident),*) => {
        $(
            #[test]
            fn $module() {
                assert_hold(concat!(stringify!($module), "::"));
            }
        )*
    };
}

mod gvisor {
    use super::assert_hold;

    hold!(
        bash,
        broker,
        check,
        contract,
        egress,
        escape,
        libraries,
        lifecycle,
        limits,
        pool,
        python,
        python_egress,
        python_hostile
    );
}

/// Runs tests again by themselves. (A run of them does not begin another, nor does one as a user
/// whose sandboxes have no cgroups.)
fn assert_hold(filter: &str) {
    if tier() != Tier::Jail || !has_gvisor(filter) {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([filter, "--test-threads=2"])
        .env(TIER, Tier::Gvisor.as_str())
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("running 0 tests"), "no test is named {filter}");
}

fn in_gvisor(files: &[(&str, &str)]) -> Program {
    Program { tier: Tier::Gvisor, ..program(files) }
}

#[tokio::test]
async fn one_pool_serves_each_program_in_its_tier() {
    if !has_gvisor("one_pool_serves_each_program_in_its_tier") {
        return;
    }
    let pool = pool().await;
    // gVisor is another kernel, and says so.
    let code = "import os from 'node:os'; export default () => os.version()";
    let inside = Arc::new(in_gvisor(&[("step.mjs", code)]));
    let beside = Program { key: inside.key, tier: Tier::Jail, ..program(&[("step.mjs", code)]) };
    let beside = Arc::new(beside);
    let mut versions = Vec::new();
    for program in [&inside, &beside, &inside] {
        let mut session = pool.checkout(program).await.unwrap();
        let report = session.step(call("step.mjs")).await;
        assert_eq!(report.tier, program.tier);
        assert!(report.usage.cpu.as_micros() > 0 && report.usage.peak_memory_bytes > 1 << 20);
        versions.push(value(&report));
    }
    assert_eq!(versions[0], versions[2]);
    assert_ne!(versions[0], versions[1]);
    let machine = std::fs::read_to_string("/proc/sys/kernel/version").unwrap();
    assert_eq!(versions[1], machine.trim());
    let stats = pool.stats();
    assert_eq!((stats.live, stats.idle, stats.started, stats.warm_hits), (2, 2, 2, 1));
}

#[tokio::test]
async fn what_a_tier_lacks_is_said_and_the_others_go_on() {
    let files = [("step.mjs", "export default () => 1")];
    let nowhere = Path::new("/nonexistent/runsc");
    let runtimes = RuntimePaths { runsc: nowhere.into(), ..config().runtimes };
    let pool = Pool::new(PoolConfig { runtimes, ..config() }, Arc::new(Refuse)).await.unwrap();
    let refused = async |tier| {
        let program = Arc::new(Program { tier, ..program(&files) });
        let error = pool.checkout(&program).await.err().unwrap();
        assert!(matches!(error, CheckoutError::Tier { tier: named, .. } if named == tier));
        causeway_types::chain(&error)
    };
    if privileged() {
        // The first thing that is missed; `machine` has the others.
        let why = refused(Tier::Vm).await;
        assert!(why.contains("make one with `causeway image build`"), "{why}");
    }
    if has_gvisor("what_a_tier_lacks_is_said_and_the_others_go_on") {
        let why = refused(Tier::Gvisor).await;
        assert!(why.contains("reading /nonexistent/runsc"), "{why}");
        assert!(why.contains("install Debian's `runsc`, or name one with --runsc"), "{why}");
        pool.prewarm(Runtime::Node, Tier::Gvisor);
    }
    answers(&pool).await;

    // What is there and does not run says so itself.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("runsc");
    std::fs::write(&broken, "#!/bin/false").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    if privileged() {
        let runtimes = RuntimePaths { runsc: broken, ..config().runtimes };
        let trial = try_tier(PoolConfig { runtimes, ..config() }, Tier::Gvisor).await;
        let why = causeway_types::chain(&trial.unwrap_err());
        assert!(why.contains("the tier `gvisor`") && why.contains("running /runsc"), "{why}");
    }
}

#[tokio::test]
async fn a_tier_that_is_there_can_be_tried() {
    try_tier(config(), Tier::Jail).await.unwrap();
    if has_gvisor("a_tier_that_is_there_can_be_tried") {
        try_tier(config(), Tier::Gvisor).await.unwrap();
    }
}

/// Neither in what `runsc` is told, nor in arguments and environments, nor among the files that it
/// has, is there anything of what a step is called with, nor anything of the machine's.
#[tokio::test]
async fn what_runsc_is_told_holds_no_secret() {
    if !has_gvisor("what_runsc_is_told_holds_no_secret") {
        return;
    }
    let pool = pool().await;
    let code = "import fs from 'node:fs'; export default ({ connections }) => { fs.writeFileSync('/tmp/seen', connections.crm.$auth.token); return 1 }";
    let mut session = pool.checkout(&Arc::new(in_gvisor(&[("step.mjs", code)]))).await.unwrap();
    let mut with_secret = call("step.mjs");
    with_secret.connections =
        SecretBytes::new(br#"{"crm":{"$auth":{"token":"canary-7f1d"}}}"#.to_vec());
    assert_eq!(value(&session.step(with_secret).await), 1);

    let (mut sentries, mut filtered) = (0, 0);
    for pid in crate::lifecycle::descendants(std::process::id()) {
        let of = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (arguments, environment) = (of("cmdline"), of("environ"));
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!arguments.contains("canary") && !environment.contains("canary"), "{arguments}");
        // gVisor's kernel, and what opens files for it, may themselves make few system calls.
        if arguments.starts_with("runsc-") {
            let status = String::from_utf8(of("status")).unwrap();
            assert!(
                status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"),
                "{status}"
            );
            filtered += 1;
        }
        if !arguments.contains("--bundle=/state") || !arguments.starts_with("/runsc") {
            continue;
        }
        sentries += 1;
        let root = format!("/proc/{pid}/root");
        let mut names: Vec<String> = std::fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["config.json", "dev", "guest", "proc", "runsc", "state", "tmp"]);
        let told = std::fs::read_to_string(format!("{root}/state/config.json")).unwrap();
        assert!(told.contains("\"readonly\":true") && !told.contains("canary"), "{told}");
        let home = env!("CARGO_MANIFEST_DIR");
        assert!(!told.contains(home), "no path of the machine: {told}");
        let inside = std::fs::read_to_string(format!("{root}/guest/runner/launch.json")).unwrap();
        assert!(!inside.contains("canary") && !inside.contains(home), "{inside}");
    }
    assert_eq!((sentries, filtered), (1, 2));
}
