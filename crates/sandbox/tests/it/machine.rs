//! Virtual machines: the image with Debian's kernel, emulated by qemu. What stands in for Firecracker
//! and its jailer is in `tests/helpers/vmm.rs`; the guest, its vsock, and all between them and the pool
//! are the real ones. An emulated machine takes seconds to boot, so that each serves many questions.

use crate::broker::Echo;
use crate::support::*;
use causeway_sandbox::*;
use causeway_types::SecretBytes;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The kernel that the tests' dependencies have unpacked out of Debian's package.
fn kernel(folder: &str, prefix: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm-kernel").join(folder);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}: run `make deps`", folder.display()));
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
    let mut found = entries.map(|entry| entry.unwrap().path()).filter(named);
    found.next().unwrap()
}

fn options(folder: &Path, node: PathBuf) -> ImageOptions {
    ImageOptions {
        kernel: kernel("boot", "vmlinuz"),
        modules: Some(kernel("lib/modules", "")),
        runtimes: RuntimePaths::with_node(node),
        launcher: vec![launcher()],
        folder: folder.to_owned(),
    }
}

/// What machines are made with in tests, in this folder.
pub(crate) fn paths(folder: &Path) -> MachinePaths {
    MachinePaths {
        firecracker: folder.join("firecracker"),
        jailer: folder.join("jailer"),
        image: folder.join("current"),
        snapshots: false,
    }
}

/// A folder below the programs under test: the disk in memory of a jail hides `/tmp`, and qemu is not
/// jailed as Firecracker is.
fn folder() -> tempfile::TempDir {
    let builder =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).to_owned();
    builder.tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn stand_in(folder: &Path) {
    for name in ["firecracker", "jailer"] {
        fs::copy(env!("CARGO_BIN_EXE_causeway-vmm-stand-in"), folder.join(name)).unwrap();
    }
}

/// An image with all runtimes, and what stands in for Firecracker.
async fn bench() -> (tempfile::TempDir, BuiltImage) {
    let folder = folder();
    stand_in(folder.path());
    let built = build_image(&options(folder.path(), node())).await.unwrap();
    (folder, built)
}

fn config_in(folder: &Path) -> PoolConfig {
    let runtimes = RuntimePaths { machine: paths(folder), ..config().runtimes };
    PoolConfig { runtimes, ..config() }
}

/// Limits for a machine whose processor is emulated.
fn patient() -> Limits {
    let minute = Duration::from_mins(1);
    Limits { wall: minute, cpu: minute, memory_bytes: 192 << 20, ..Limits::default() }
}

fn in_machine(runtime: Runtime, limits: Limits, files: &[(&str, &str)]) -> Program {
    Program { tier: Tier::Vm, limits, ..program_for(runtime, files) }
}

async fn checkout(pool: &Pool, program: &Arc<Program>) -> Session {
    match pool.checkout(program).await {
        Ok(session) => session,
        Err(error) => panic!("{}", causeway_types::chain(&error)),
    }
}

/// Runs one step, which has to succeed.
async fn ask(session: &mut Session, entry: &str) -> Value {
    let report = session.step(call(entry)).await;
    assert_eq!(report.tier, Tier::Vm);
    value(&report)
}

const LOOK: &str = "import fs from 'node:fs'; import os from 'node:os'; import crypto from 'node:crypto'; import dgram from 'node:dgram';
const tell = (f) => { try { f(); return 'ok' } catch (e) { return e.code } };
export default async () => ({
  version: os.version(), hostname: os.hostname(), id: fs.readFileSync('/etc/machine-id', 'utf8'),
  random: crypto.randomBytes(16).toString('hex'), hash: Math.random(), now: Date.now(),
  empty: ['/proc', '/sys', '/tmp'].map((path) => fs.readdirSync(path)), run: fs.readdirSync('/run'),
  dev: fs.readdirSync('/dev').sort(), code: fs.readdirSync('/code').sort(),
  writes: ['/x', '/etc/passwd', '/code/look.mjs', '/runner/main.cjs', '/node_modules/own/index.mjs', '/dev/x', '/usr/bin/x'].map((path) => tell(() => fs.writeFileSync(path, 'x'))),
  hidden: ['/image', '/added', '/init', '/modules', '/cgroups', '/dev/vda', '/dev/vdb', '/dev/vsock', '/dev/kmsg', '/proc/1/environ'].map((path) => tell(() => fs.statSync(path))),
  udp: await new Promise((ok) => { const s = dgram.createSocket('udp4'); s.on('error', (e) => ok(e.code)); s.send('x', 53, '127.0.0.1', (e) => e && ok(e.code)) }),
  interfaces: tell(() => os.networkInterfaces()),
})";

const LOOK_PY: &str = "import os, socket
def handler(pd):
    try: socket.socket(40, socket.SOCK_STREAM); vsock = 'ok'
    except OSError as error: vsock = error.errno
    os.makedirs('/tmp/mine'); open('/tmp/mine/file', 'w').write('x' * 100000)
    return { 'id': open('/etc/machine-id').read(), 'uid': os.getuid(), 'vsock': vsock, 'tmp': os.listdir('/tmp'), 'random': os.urandom(16).hex() }
";

#[tokio::test]
async fn steps_of_every_runtime_run_in_machines_of_their_own() {
    if !privileged() {
        return;
    }
    let (folder, built) = bench().await;
    assert_eq!(built.runtimes, Runtime::ALL);
    let pool = Pool::new(config_in(folder.path()), Arc::new(Refuse)).await.unwrap();

    let packages = folder.path().join("packages");
    fs::create_dir_all(packages.join("own")).unwrap();
    fs::write(packages.join("own/package.json"), r#"{"name":"own","exports":"./index.mjs"}"#)
        .unwrap();
    fs::write(packages.join("own/index.mjs"), "export default 'from a package'").unwrap();
    let single = folder.path().join("single.txt");
    fs::write(&single, "one file").unwrap();
    let mut node = in_machine(
        Runtime::Node,
        patient(),
        &[
            ("look.mjs", LOOK),
            ("count.mjs", "let n = 0; export default () => ++n"),
            (
                "own.mjs",
                "import own from 'own'; import fs from 'node:fs'; export default () => [own, fs.readFileSync('/single/file.txt', 'utf8')]",
            ),
            (
                "print.mjs",
                "import { spawnSync } from 'node:child_process'; export default () => { console.log('first'); spawnSync(process.execPath, ['-e', \"process.stdout.write('past the runner\\\\n')\"], { stdio: 'inherit' }); return 1 }",
            ),
            (
                "app.mjs",
                "export default async ({ connections }) => { const { token } = connections.crm.$auth; const refused = await fetch('https://other.test/').catch((e) => e.cause.message); const answer = await (await fetch('https://api.app.test/me', { method: 'POST', body: 'x'.repeat(300000), headers: { authorization: `Bearer ${token}` } })).json(); return { answer, refused } }",
            ),
            ("large.mjs", "export default ({ event }) => event.length"),
            (
                "greedy.mjs",
                "const all = []; export default () => { for (;;) all.push(Buffer.alloc(8 << 20, 1)) }",
            ),
        ],
    );
    let bind = |source: &Path, target: &str| Bind {
        source: source.to_owned(),
        target: target.into(),
        purpose: Purpose::Map,
    };
    node.binds = vec![bind(&packages, "/node_modules"), bind(&single, "/single/file.txt")];
    let node = Arc::new(node);
    let python = Limits { cpu: Duration::from_secs(8), ..patient() };
    let python = Arc::new(in_machine(
        Runtime::Python,
        python,
        &[("look.py", LOOK_PY), ("spin.py", "def handler(pd):\n    while True: pass\n")],
    ));

    // Two at once, of two versions.
    let (mut session, mut other) = tokio::join!(checkout(&pool, &node), checkout(&pool, &python));
    let found = ask(&mut session, "look.mjs").await;
    let beside = ask(&mut other, "look.py").await;
    assert_is_apart(&found, &beside);

    assert_eq!(ask(&mut session, "own.mjs").await, json!(["from a package", "one file"]));
    let report = session.step(call("print.mjs")).await;
    assert_eq!((value(&report), logged(&report)), (json!(1), vec!["first", "past the runner"]));
    let mut large = call("large.mjs");
    large.event = Arc::from(raw(&format!("\"{}\"", "x".repeat(3 << 20))));
    assert_eq!(value(&session.step(large).await), 3 << 20);
    let apps = Arc::new(Echo::default());
    let mut linked = call("app.mjs");
    linked.apps = Some(apps);
    linked.connections =
        SecretBytes::new(br#"{"crm":{"$auth":{"token":"cw_placeholder"}}}"#.to_vec());
    let report = session.step(linked).await;
    let said = value(&report);
    assert_eq!(
        (&said["answer"]["method"], &said["answer"]["size"]),
        (&json!("POST"), &json!(300_000))
    );
    assert!(
        said["answer"]["headers"].as_array().unwrap().contains(&json!("authorization")),
        "{said}"
    );
    assert!(said["refused"].as_str().unwrap().contains("egress: [other.test]"), "{said}");
    assert!(report.usage.cpu.as_micros() > 0 && report.usage.peak_memory_bytes > 64 << 20);

    // Given back and taken again, it is the same machine.
    assert_eq!(ask(&mut session, "count.mjs").await, 1);
    drop(session);
    let mut session = checkout(&pool, &node).await;
    assert_eq!(ask(&mut session, "count.mjs").await, 2);
    assert_eq!((pool.stats().started, pool.stats().warm_hits), (2, 1));

    let failure = failed(session.step(call("greedy.mjs")).await, FailureCode::MemoryLimit);
    assert!(
        failure.message.contains("192 MiB") && failure.message.contains("memory_mib"),
        "{}",
        failure.message
    );
    let failure = failed(other.step(call("spin.py")).await, FailureCode::CpuLimit);
    assert!(failure.message.contains("its limit is 8 s"), "{}", failure.message);
    drop((session, other));
    pool.shutdown().await;
    assert_eq!(pool.stats().live, 0);
}

/// What two machines find of themselves, of each other and of this machine.
fn assert_is_apart(found: &Value, beside: &Value) {
    let machine = fs::read_to_string("/proc/sys/kernel/version").unwrap();
    assert_ne!(found["version"], machine.trim(), "another kernel");
    assert!(found["version"].as_str().unwrap().contains("Debian 6.1"), "{found}");
    assert_eq!(found["hostname"], "sandbox");
    for (one, two) in [(&found["id"], &beside["id"]), (&found["random"], &beside["random"])] {
        assert!(one.as_str().unwrap().trim().len() == 32 && one != two, "{one} {two}");
    }
    let apart = found["now"].as_i64().unwrap() - now_ms();
    assert!(apart.abs() < 60_000, "the machine's clock is {apart} ms off");
    assert_eq!(found["empty"], json!([[], [], []]));
    assert_eq!(found["run"], json!(["egress.sock"]));
    assert_eq!(found["dev"], json!(["null", "random", "urandom", "zero"]));
    assert_eq!(found["writes"], json!(vec!["EROFS"; 7]));
    assert_eq!(found["hidden"], json!(vec!["ENOENT"; 10]));
    assert_eq!(
        (&found["udp"], &found["interfaces"]),
        (&json!("EPERM"), &json!("ERR_SYSTEM_ERROR"))
    );
    assert_eq!((&beside["uid"], &beside["vsock"]), (&json!(1000), &json!(1)));
    assert_eq!(beside["tmp"], json!(["mine"]), "another machine's files are not there");
}

fn now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec * 1000
}

/// What is made of a snapshot is another machine than all others that are made of it. (Their memory is
/// booted anew here, and the first call of each is broken off, as it is in a machine that continues.)
#[tokio::test]
async fn machines_of_one_snapshot_are_not_the_same() {
    if !privileged() {
        return;
    }
    let (folder, _) = bench().await;
    let mut config = config_in(folder.path());
    config.runtimes.machine.snapshots = true;
    let limits = Limits { processes: 24, disk_bytes: 16 << 20, ..patient() };
    config.spare_limits = limits;
    let pool = Pool::new(config, Arc::new(Refuse)).await.unwrap();
    let code = "cat /etc/machine-id; head -c 16 /dev/urandom | md5sum";
    let files = [
        ("look.sh", code),
        (
            "fill.sh",
            "head -c 8388608 /dev/zero > /tmp/fits; for part in 1 2 3 4; do head -c 8388608 /dev/zero > /tmp/$part; done; wc -c /tmp/fits; rm /tmp/?",
        ),
        ("fork.sh", "bomb() { bomb | bomb & }; bomb; sleep 5; exit 1"),
        ("sleep.sh", "sleep 600"),
    ];
    let mut seen = Vec::new();
    for (last, code, limits) in [
        ("fork.sh", FailureCode::ProcessLimit, limits),
        ("sleep.sh", FailureCode::TimeLimit, Limits { wall: Duration::from_secs(10), ..limits }),
    ] {
        let program = Arc::new(in_machine(Runtime::Bash, limits, &files));
        let mut session = checkout(&pool, &program).await;
        let report = session.step(call("look.sh")).await;
        assert!(report.outcome.is_ok(), "{:?}", report.outcome);
        seen.push(logged(&report).join(" "));
        // What fits into the temporary disk is there, what does not is refused, and the step goes on.
        let report = session.step(call("fill.sh")).await;
        assert!(report.outcome.is_ok(), "{:?} {:?}", report.outcome, report.logs);
        let files = logged(&report).join(" ");
        assert!(files.contains("No space left on device") && files.contains("8388608"), "{files}");
        failed(session.step(call(last)).await, code);
    }
    assert!(seen.len() == 2 && seen[0] != seen[1] && seen[0].len() > 64, "{seen:?}");
    pool.shutdown().await;
    let kept: Vec<PathBuf> = fs::read_dir(folder.path().join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    for name in ["state", "memory"] {
        let file = fs::metadata(kept.join(name)).unwrap();
        assert_eq!((file.uid(), file.mode() & 0o777), (0, 0o444), "{name}");
    }
}

#[tokio::test]
async fn an_image_is_what_it_was_built_as() {
    let (first, second) = (folder(), folder());
    let built = build_image(&options(first.path(), node())).await.unwrap();
    let again = build_image(&options(second.path(), node())).await.unwrap();
    assert_eq!(built.id, again.id, "the same inputs give the same image");
    for name in ["vmlinux", "initramfs.cpio", "root.squashfs", "scratch.ext4", "manifest.json"] {
        let read = |image: &BuiltImage| fs::read(image.folder.join(name)).unwrap();
        assert!(read(&built) == read(&again), "{name}");
    }
    let current = fs::read_link(first.path().join("current")).unwrap();
    assert_eq!(current.to_str().unwrap(), built.id);
    let left: Vec<String> = fs::read_dir(first.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| *name != built.id && name != "current")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    if !privileged() {
        return;
    }

    // Whatever was changed in it, no machine is made of it.
    stand_in(second.path());
    let pool_of = async |launcher: &Path| {
        let config = PoolConfig { launcher: vec![launcher.to_owned()], ..config_in(second.path()) };
        Pool::new(config, Arc::new(Refuse)).await.unwrap()
    };
    let refused = async |pool: Pool| {
        let program = in_machine(Runtime::Node, patient(), &[("a.mjs", "export default () => 1")]);
        let error = pool.checkout(&Arc::new(program)).await.err().unwrap();
        causeway_types::chain(&error)
    };
    let why = refused(pool_of(&prober()).await).await;
    assert!(why.contains("built by another version of Causeway"), "{why}");
    for name in ["scratch.ext4", "vmlinux", "initramfs.cpio", "root.squashfs", "manifest.json"] {
        let place = again.folder.join(name);
        let whole = fs::read(&place).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&place, changed).unwrap();
        let why = refused(pool_of(&launcher()).await).await;
        assert!(
            why.contains(name) && why.contains("is not what the image was built with"),
            "{why}"
        );
        fs::write(&place, whole).unwrap();
    }
    // What is not Firecracker says so itself.
    fs::copy("/bin/false", second.path().join("jailer")).unwrap();
    let why = refused(pool_of(&launcher()).await).await;
    assert!(why.contains("starting Firecracker by its jailer"), "{why}");
    fs::remove_file(second.path().join("firecracker")).unwrap();
    let why = refused(pool_of(&launcher()).await).await;
    assert!(why.contains("install Firecracker and its jailer"), "{why}");
}

/// What of the escape suite concerns the kernel and the root: the others are about the runner's socket
/// and the server, which are the same in every tier.
#[tokio::test]
async fn hostile_code_finds_no_more_than_in_a_jail() {
    if !privileged() || tier() != Tier::Jail {
        return;
    }
    let (folder, _) = bench().await;
    let with_prober = self::folder();
    stand_in(with_prober.path());
    build_image(&options(with_prober.path(), prober())).await.unwrap();
    for (folder, tests) in [
        (&with_prober, &["escape::the_program_has_no_rights_and_finds_nothing"][..]),
        (&folder, &["escape::node_opens_no_socket", "escape::half_a_frame", "escape::signals_to"]),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(tests)
            .arg("--test-threads=1")
            .env(TIER, Tier::Vm.as_str())
            .env(MACHINES, folder.path())
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let all = format!("{} passed", tests.len());
        assert!(output.status.success() && said.contains(&all), "{said}");
    }
}

/// A killed server leaves no process, mount, file, socket or control group of its machines.
#[tokio::test]
async fn killing_the_server_leaves_nothing_of_a_machine() {
    if !privileged() {
        return;
    }
    let (folder, _) = bench().await;
    let before = mounts();
    let mut server = Command::new(launcher())
        .args(["serve-machine".as_ref(), node().as_os_str(), folder.path().as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = server.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert_eq!(line, "working\n");
    let below = crate::lifecycle::descendants(server.id());
    let named = |name: &str| {
        let is = |pid: &&u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            text.trim().starts_with(name)
        };
        below.iter().filter(is).count()
    };
    assert_eq!((named("qemu-system"), named("vhost-device-v")), (1, 1), "{below:?}");
    assert_all_are_nobody(&below);
    let watched: Vec<_> = below.iter().map(|pid| crate::lifecycle::watch(*pid)).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    crate::lifecycle::assert_all_end(&watched);
    assert_eq!(mounts(), before);
    // The group is empty, and the next server removes it.
    let pool = pool().await;
    drop(pool);
    let groups = crate::lifecycle::groups(
        Path::new("/sys/fs/cgroup"),
        &format!("causeway-{}-", server.id()),
        4,
    );
    assert_eq!(groups, 0);
}

/// No process of a machine has a right, and none is the server's user; the launcher, outside, waits. What
/// stands between the machine and the server sees nothing of this machine's files.
fn assert_all_are_nobody(processes: &[u32]) {
    let own_network = fs::read_link("/proc/self/ns/net").unwrap();
    let mut users = Vec::new();
    for pid in processes {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let numbers = of("NSpid:");
        if numbers.len() < 2 {
            continue; // a launcher
        }
        for set in ["CapEff:", "CapPrm:", "CapInh:"] {
            assert_eq!(of(set), ["0000000000000000"], "{status}");
        }
        users.push(of("Uid:")[0].clone());
        assert_ne!(fs::read_link(format!("/proc/{pid}/ns/net")).unwrap(), own_network, "{status}");
        if numbers.last().unwrap() == "1" {
            assert_eq!(of("NoNewPrivs:"), ["1"]);
            let root = fs::read_dir(format!("/proc/{pid}/root")).unwrap();
            let mut names: Vec<_> = root.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["firecracker", "programs"]);
        }
    }
    assert!(users.len() >= 4, "PID 1, Firecracker, and what it has started here: {users:?}");
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), 2, "PID 1 and Firecracker have a user each: {users:?}");
    assert!(!users.contains(&"0".to_owned()));
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}
