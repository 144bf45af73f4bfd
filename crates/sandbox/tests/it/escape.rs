//! Hostile code: what the kernel answers it, and what it can make of the runner's own socket.

use crate::support::*;
use causeway_sandbox::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What a program in Node's place finds: see `tests/helpers/prober.rs`.
async fn findings() -> Value {
    let runtimes = RuntimePaths { node: prober(), ..config().runtimes };
    let config = PoolConfig { runtimes, ..config() };
    let pool = Pool::new(config, Arc::new(Refuse)).await.unwrap();
    let program = program(&[("own.txt", "mine"), ("node_modules/a/b.txt", "deep")]);
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    value(&session.step(call("own.txt")).await)
}

/// All that a program in Node is told.
const ENVIRONMENT: [&str; 7] = [
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "NODE_EXTRA_CA_CERTS=/runner/authority.pem",
    "PATH=/bin",
    "TMPDIR=/tmp",
    "TZ=UTC",
    "USER=sandbox",
];

#[tokio::test]
async fn the_program_has_no_rights_and_finds_nothing() {
    let found = findings().await;
    let own_ids = privileged();

    let identity = &found["identity"];
    assert_eq!(
        (&identity["uid"], &identity["euid"], &identity["gid"]),
        (&json!(1000), &json!(1000), &json!(1000))
    );
    if own_ids {
        assert_eq!(identity["groups"], json!([]));
    }
    assert_eq!(
        (&identity["pid"], &identity["parent"]),
        (&json!(2), &json!(1)),
        "a PID namespace of its own"
    );
    assert_eq!((&identity["hostname"], &identity["cwd"]), (&json!("sandbox"), &json!("/code")));

    let none = json!({ "effective": 0, "permitted": 0, "inheritable": 0, "bounding": 0, "ambient": 0, "no_new_privs": 1, "seccomp": 2 });
    assert_eq!(found["capabilities"], none);
    assert_eq!(found["descriptors"], json!([0, 1, 2, 3]));
    let mut environment = found["environment"].as_array().unwrap().clone();
    environment.sort_by_key(ToString::to_string);
    assert_eq!(json!(environment), json!(ENVIRONMENT));

    for (name, answer) in found["sockets"].as_object().unwrap() {
        assert_eq!(answer, if name == "unix" { "ok" } else { "EPERM" }, "{name}");
    }
    for (name, answer) in found["calls"].as_object().unwrap() {
        let expected = match name.as_str() {
            "clone3" | "io_uring_setup" | "memfd_create" => "ENOSYS",
            _ => "EPERM",
        };
        assert_eq!(answer, expected, "{name}");
    }

    let files = &found["files"];
    let root = files["root"].as_array().unwrap();
    for name in root {
        assert!(
            ["bin", "code", "dev", "etc", "lib", "lib64", "run", "runner", "tmp", "usr"]
                .contains(&name.as_str().unwrap())
                || (tier() != Tier::Jail && files["empty"][name.as_str().unwrap()] == json!([])),
            "/{name}"
        );
    }
    assert_eq!(files["tmp_up"], files["root"], "no way above the root");
    assert_eq!(files["dev"], devices());
    if tier() == Tier::Vm {
        assert_eq!(files["etc"], json!(["group", "hosts", "machine-id", "passwd", "ssl"]));
    } else {
        assert_eq!(files["etc"], json!(["group", "hosts", "passwd"]));
    }
    assert_eq!(files["run"], json!(["egress.sock"]));
    for (path, answer) in files["read"].as_object().unwrap() {
        assert_eq!(answer, if path == "/code/own.txt" { "ok" } else { "ENOENT" }, "reading {path}");
    }
    for (path, answer) in files["write"].as_object().unwrap() {
        match path.as_str() {
            // Its mode allows it and its mount is writable: this is Landlock alone. gVisor's own
            // takes everything and keeps nothing.
            "/dev/zero" if tier() != Tier::Gvisor => {
                assert_eq!(answer, "EACCES", "writing {path}");
            }
            "/tmp/new" | "/dev/null" | "/dev/zero" => assert_eq!(answer, "ok", "writing {path}"),
            _ => assert!(answer == "EROFS" || answer == "EACCES", "writing {path}: {answer}"),
        }
    }
    if tier() != Tier::Gvisor {
        assert_is_walled_twice(files);
    }
    // There, too, nothing can be executed that was not there before.
    assert_eq!(files["execute"]["/tmp/program"], "EACCES");
    assert_ne!(files["hard_link"], "ok");

    let limits = &found["limits"];
    assert_eq!((&limits["core"], &limits["memlock"]), (&json!(0), &json!(0)));
    if tier() != Tier::Gvisor {
        assert_eq!(limits["msgqueue"], json!(0));
    }
    assert_eq!((&limits["files"], &limits["file_size"]), (&json!(1024), &json!(64 << 20)));
    assert_eq!(limits["raise"], "EPERM");

    // By the identity, and by Landlock's scope where both have the same one.
    assert_eq!(
        (&found["signals"]["kill_init"], &found["signals"]["stop_init"]),
        (&json!("EPERM"), &json!("EPERM"))
    );
}

/// By the flags of the mounts, which gVisor does not tell of, and by Landlock, which it has not.
fn assert_is_walled_twice(files: &Value) {
    for (path, wanted) in [
        ("/", "RDONLY"),
        ("/code", "RDONLY"),
        ("/bin/node", "RDONLY"),
        // In a machine the programs are on the root itself, which Landlock lets nobody execute.
        if tier() == Tier::Vm { ("/", "NODEV") } else { ("/", "NOEXEC") },
        ("/code", "NOEXEC"),
        ("/tmp", "NOEXEC"),
    ] {
        assert!(
            files["flags"][path].as_str().unwrap().contains(wanted),
            "{path}: {}",
            files["flags"][path]
        );
    }
    for path in ["/", "/tmp", "/code", "/bin/node", "/dev/null"] {
        assert!(files["flags"][path].as_str().unwrap().contains("NOSUID"), "{path}");
    }
    // A library is executable and its mount is, too: this is Landlock alone.
    assert_eq!(files["execute"]["a library"], "EACCES");
}

#[tokio::test]
async fn host_files_and_other_versions_files_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("causeway.db");
    std::fs::write(&secret, "canary").unwrap();
    let pool = pool().await;
    let code = format!(
        "import fs from 'node:fs'; export default () => ['/etc/shadow', '/proc/1/environ', '/proc/self/environ', '/sys/class/net', '/root/.ssh', '/var/run/docker.sock', {:?}, '/code/other.mjs', '/tmp/left']
           .map((path) => {{ try {{ return fs.readFileSync(path, 'utf8') }} catch (e) {{ return e.code }} }})",
        secret.display().to_string()
    );
    let mut other = pool.checkout(&Arc::new(program(&[("other.mjs", "import fs from 'node:fs'; export default () => { fs.writeFileSync('/tmp/left', 'canary'); return fs.readdirSync('/tmp') }")]))).await.unwrap();
    assert_eq!(value(&other.step(call("other.mjs")).await), json!(["left"]));
    let report = run(&pool, &code).await;
    assert_eq!(value(&report), json!(vec!["ENOENT"; 9]));
    drop(other);
    assert_eq!(
        value(
            &run(&pool, "import fs from 'node:fs'; export default () => fs.readdirSync('/tmp')")
                .await
        ),
        json!([])
    );
}

#[tokio::test]
async fn node_opens_no_socket_past_the_way_out() {
    let pool = pool().await;
    // Without cgroups the address space is bounded, and has no room for a second V8.
    let worker = if privileged() { "EPERM" } else { "none" };
    let report = run(&pool, &"import dgram from 'node:dgram'; import net from 'node:net'; import { Worker } from 'node:worker_threads'; import { spawnSync } from 'node:child_process';
      export default async () => ({
        udp: await new Promise((ok) => { const s = dgram.createSocket('udp4'); s.on('error', (e) => ok(e.code)); s.send('x', 53, '127.0.0.1', (e) => e && ok(e.code)) }),
        listen: await new Promise((ok) => net.createServer().on('error', (e) => ok(e.code)).listen(8080, () => ok('listening'))),
        handle: (() => { const { TCP } = process.binding('tcp_wrap'); return new TCP(0).bind('127.0.0.1', 0) < 0 })(),
        worker: WORKER ? 'none' : await new Promise((ok) => new Worker(\"const { parentPort } = require('worker_threads'); require('net').connect(80, '127.0.0.1').on('error', (e) => parentPort.postMessage(e.code)).on('connect', () => parentPort.postMessage('connected'))\", { eval: true }).on('message', ok)),
        child: spawnSync(process.execPath, ['-e', \"require('net').connect(80, '127.0.0.1').on('error', (e) => process.stdout.write(e.code))\"], { encoding: 'utf8' }).stdout,
      })".replace("WORKER", if privileged() { "false" } else { "true" })).await;
    assert_eq!(
        value(&report),
        json!({ "udp": "EPERM", "listen": "EPERM", "handle": true, "worker": worker, "child": "EPERM" })
    );
}

#[tokio::test]
async fn lies_and_garbage_on_the_protocol_are_a_violation() {
    let pool = pool().await;
    let frame = "const frame = (kind, text, length = Buffer.byteLength(text)) => { const b = Buffer.alloc(5); b.writeUInt32BE(length); b[4] = kind.charCodeAt(0); return Buffer.concat([b, Buffer.from(text)]) };";
    for attack in [
        "fs.writeSync(3, 'GET / HTTP/1.1\\r\\n\\r\\n')",
        "fs.writeSync(3, Buffer.alloc(4096, 255))",
        "fs.writeSync(3, frame('R', '', 0xffffffff))",
        "fs.writeSync(3, frame('R', '', 7 << 20))",
        "fs.writeSync(3, frame('O', '', 2 << 20))",
        "fs.writeSync(3, frame('X', 'x'))",
        "fs.writeSync(3, frame('R', 'nonsense'))",
        "fs.writeSync(3, frame('R', '{\"id\":99,\"ok\":{\"value\":1,\"exports\":{}}}'))",
        "fs.writeSync(3, frame('R', '{\"id\":0,\"ok\":{\"value\":1,\"exports\":{}}}'))",
        "fs.writeSync(3, frame('R', '{\"id\":1,\"error\":{\"code\":\"no_such_code\",\"message\":\"x\"}}'))",
        "fs.writeSync(3, frame('R', '{\"id\":1,\"ok\":{\"value\":1,\"exports\":{},\"respond\":{\"status\":200,\"headers\":[[\"a\",\"b\\\\r\\\\nc: d\"]],\"body\":{\"text\":\"\"}}}}'))",
        "fs.writeSync(3, frame('R', '{\"id\":1,\"ok\":{\"value\":1,\"exports\":{},\"respond\":{\"status\":200,\"headers\":[],\"body\":{\"base64\":\"?\"}}}}'))",
        "fs.writeSync(3, Buffer.concat([frame('R', '{\"id\":1,\"ok\":{\"value\":1,\"exports\":{}}}'), frame('R', '{\"id\":2,\"ok\":{\"value\":2,\"exports\":{}}}')]))",
        "fs.writeSync(3, frame('R', '{\"id\":1,\"ok\":{\"value\":' + '{\"a\":'.repeat(9e4) + '}}}'))",
    ] {
        let code = format!(
            "import fs from 'node:fs'; {frame} export default async () => {{ {attack}; await new Promise((r) => setTimeout(r, 3000)) }}"
        );
        let report = run(&pool, &code).await;
        assert!(report.usage.wall < Duration::from_secs(2), "{attack}");
        let failure = failed(report, FailureCode::ProtocolViolation);
        assert!(failure.message.contains("the runner's own socket"), "{}", failure.message);
    }
    assert_eq!(pool.stats().live, 0, "no such sandbox is kept");
    // Valid JSON that nests too deep is not a violation of the protocol, and is refused as well.
    let bomb = format!(
        "import fs from 'node:fs'; {frame} export default async () => {{ fs.writeSync(3, frame('R', '{{\"id\":1,\"ok\":{{\"value\":' + '['.repeat(1e5) + ']'.repeat(1e5) + ',\"exports\":{{}}}}}}')); await new Promise((r) => setTimeout(r, 3000)) }}"
    );
    failed(run(&pool, &bomb).await, FailureCode::ExportsNotJson);
    let closed = "import fs from 'node:fs'; export default async () => { fs.closeSync(3); await new Promise((r) => setTimeout(r, 60000)) }";
    failed(
        run_with(&pool, "step.mjs", closed, |program| program.limits.wall = Duration::from_secs(4))
            .await,
        FailureCode::SandboxCrashed,
    );
    answers(&pool).await;
}

#[tokio::test]
async fn half_a_frame_waits_for_the_time_limit() {
    let pool = pool().await;
    let code = "import fs from 'node:fs'; export default async () => { const b = Buffer.alloc(1005); b.writeUInt32BE(2000); b[4] = 82; fs.writeSync(3, b); await new Promise((r) => setTimeout(r, 60000)) }";
    let report = run_with(&pool, "step.mjs", code, |program| {
        program.limits.wall = Duration::from_millis(300);
    })
    .await;
    failed(report, FailureCode::TimeLimit);
    answers(&pool).await;
}

#[tokio::test]
async fn a_runner_that_does_not_read_its_call_is_ended() {
    let pool = pool().await;
    let mut program = program(&[
        (
            "a.mjs",
            "import fs from 'node:fs'; export default () => { fs.readSync = null; setImmediate(() => { for (;;); }) }",
        ),
        ("b.mjs", "export default () => 1"),
    ]);
    program.limits.wall = Duration::from_millis(500);
    let program = Arc::new(program);
    let mut session = pool.checkout(&program).await.unwrap();
    let first = session.step(call("a.mjs")).await;
    let mut large = call("b.mjs");
    large.event = Arc::from(raw(&format!("\"{}\"", "x".repeat(8 << 20))));
    let second = session.step(large).await;
    // Which of the two the spin falls into is the code's choice; neither outlives its limit.
    assert!(first.outcome.is_err() || second.outcome.is_err());
    assert!(
        first.usage.wall < Duration::from_secs(2) && second.usage.wall < Duration::from_secs(2)
    );
    drop(session);
    answers(&pool).await;
}

#[tokio::test]
async fn links_and_pipes_lead_nowhere() {
    let pool = pool().await;
    let report = run(&pool, "import fs from 'node:fs'; import { spawnSync } from 'node:child_process';
      const tell = (f) => { try { f(); return 'ok' } catch (e) { return e.code } };
      export default () => { fs.symlinkSync('/proc/1/root', '/tmp/root'); fs.symlinkSync('../../../../etc/shadow', '/tmp/shadow'); fs.symlinkSync('/code', '/tmp/code'); fs.writeFileSync('/tmp/node', '#!/bin/node'); fs.chmodSync('/tmp/node', 0o6755);
        return [tell(() => fs.readFileSync('/tmp/root/etc/shadow')), tell(() => fs.readFileSync('/tmp/shadow')), tell(() => fs.writeFileSync('/tmp/code/x', '')), tell(() => fs.linkSync('/etc/passwd', '/tmp/p')),
          spawnSync('/tmp/node', ['-v']).error.code, spawnSync('mkfifo', ['/tmp/f']).error.code, tell(() => fs.unlinkSync('/run/egress.sock')), tell(() => fs.renameSync('/code/step.mjs', '/tmp/step.mjs')), tell(() => fs.chmodSync('/code/step.mjs', 0o777))] }").await;
    let got = value(&report);
    assert_eq!(got[0], "ENOENT");
    assert_eq!(got[1], "ENOENT");
    // gVisor looks at the file's mode before it looks at the mount.
    assert_eq!(got[2], if tier() == Tier::Gvisor { "EACCES" } else { "EROFS" }, "{got}");
    for index in [3, 6, 7, 8] {
        assert_ne!(got[index], "ok", "{index}: {got}");
    }
    assert_eq!((&got[4], &got[5]), (&json!("EACCES"), &json!("ENOENT")));
    answers(&pool).await;
}

#[tokio::test]
async fn signals_to_everybody_end_nothing_but_the_code() {
    let pool = pool().await;
    let report = run(&pool, "export default () => [-1, 1].map((pid) => { try { process.kill(pid, 'SIGKILL'); return 'sent' } catch (e) { return e.code } })").await;
    let got = value(&report);
    assert_eq!(got[0], "ESRCH", "nobody but the sender and PID 1 is there");
    assert_eq!(got[1], "EPERM");
    answers(&pool).await;
}
