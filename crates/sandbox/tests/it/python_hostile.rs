//! Hostile code in Python: limits end it in the error that names them, the kernel refuses what the
//! jail forbids, and lies on the runner's own socket are a violation.

use crate::support::*;
use causeway_sandbox::*;
use serde_json::json;
use std::time::Duration;

type Change = fn(&mut Limits);

#[tokio::test]
async fn passing_a_limit_ends_the_step_in_its_error() {
    let pool = pool().await;
    let cases: [(&str, Change, FailureCode, &str); 11] = [
        (
            "while True: pass",
            |limits| limits.wall = Duration::from_millis(400),
            FailureCode::TimeLimit,
            "its limit is 0.4 s: raise `limits.wall_seconds`",
        ),
        (
            "time.sleep(60)",
            |limits| limits.wall = Duration::from_millis(200),
            FailureCode::TimeLimit,
            "its limit is 0.2 s",
        ),
        (
            "while True: pass",
            |limits| limits.cpu = Duration::from_millis(300),
            FailureCode::CpuLimit,
            "its limit is 0.3 s: raise `limits.cpu_seconds`",
        ),
        (
            "all = [bytes([1]) * (64 << 20) for _ in range(64)]",
            |_| {},
            FailureCode::MemoryLimit,
            "more than 256 MiB of memory, which is its limit: raise `limits.memory_mib`",
        ),
        (
            "all = [object() for _ in iter(int, 1)]",
            |_| {},
            FailureCode::MemoryLimit,
            "more than 256 MiB of memory",
        ),
        (
            "for n in range(99): open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))",
            |limits| limits.disk_bytes = 8 << 20,
            FailureCode::DiskLimit,
            "more than 8 MiB of temporary files, which is its limit: raise `limits.disk_mib`",
        ),
        (
            "open('/tmp/one', 'wb').write(bytes(9 << 20))",
            |limits| limits.disk_bytes = 8 << 20,
            FailureCode::DiskLimit,
            "more than 8 MiB of temporary files",
        ),
        (
            "for _ in range(10**6): print('x' * 999)",
            |limits| limits.log_bytes = 64 << 10,
            FailureCode::LogLimit,
            "more than 65536 bytes, which is its limit",
        ),
        (
            "while True: os.write(2, b'z' * 4096)",
            |limits| limits.log_bytes = 64 << 10,
            FailureCode::LogLimit,
            "more than 65536 bytes",
        ),
        (
            "return 'x' * 2000",
            |limits| limits.output_bytes = 1000,
            FailureCode::OutputLimit,
            "its limit is 1000 bytes: raise `limits.output_kib`",
        ),
        (
            "pd.export('a', 'x' * 600); pd.respond({'body': 'x' * 600})",
            |limits| limits.output_bytes = 1000,
            FailureCode::OutputLimit,
            "its limit is 1000 bytes",
        ),
    ];
    for (code, change, failure_code, words) in cases {
        let text = format!("import os, time\ndef handler(pd):\n    {code}");
        let report = run_python_with(&pool, &text, |program| change(&mut program.limits)).await;
        let failure = failed(report, failure_code);
        assert!(failure.message.contains(words), "{code}: {}", failure.message);
    }
    assert_eq!(value(&run_python(&pool, "handler = lambda pd: 42").await), 42);
}

#[tokio::test]
async fn processes_and_threads_without_end_pass_the_process_limit() {
    let pool = pool().await;
    let codes = [
        "while True:\n        if os.fork() == 0: time.sleep(60)",
        "while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "while True: subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])",
    ];
    for code in codes {
        let text =
            format!("import os, subprocess, sys, threading, time\ndef handler(pd):\n    {code}");
        let report = run_python_with(&pool, &text, |program| {
            program.limits.processes = 40;
            program.limits.memory_bytes = 1 << 30;
        })
        .await;
        let failure = failed(report, FailureCode::ProcessLimit);
        assert!(
            failure.message.contains("more than 40 processes and threads"),
            "{code}: {}",
            failure.message
        );
    }
    assert_eq!(value(&run_python(&pool, "handler = lambda pd: 42").await), 42);
}

#[tokio::test]
async fn the_kernel_refuses_what_the_jail_forbids() {
    let pool = pool().await;
    let code = r"
import _socket, ctypes, mmap, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def told(attempt):
    try:
        attempt()
        return 'ok'
    except OSError as error:
        return error.errno and os.strerror(error.errno)

def call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return os.strerror(ctypes.get_errno()) if result == -1 else 'ok'

def handler(pd):
    own = os.open('/tmp/program', os.O_CREAT | os.O_WRONLY, 0o755)
    os.write(own, b'#!/bin/sh\n')
    os.close(own)
    library = ctypes.util.__file__.rsplit('/', 2)[0]
    return {
        'descriptors': [each for each in range(64) if told(lambda each=each: os.fstat(each)) == 'ok'],
        'raw': told(lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)),
        'six': told(lambda: _socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM)),
        'udp': told(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        'packet': told(lambda: _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW)),
        'netlink': told(lambda: _socket.socket(16, _socket.SOCK_RAW)),
        'listen': told(lambda: socket.create_server(('', 8080))),
        'ptrace': call('ptrace', 16, os.getppid(), 0, 0),
        'mount': call('mount', b'none', b'/tmp', b'tmpfs', 0, 0),
        'unshare': call('unshare', 0x10000000),
        'setuid': call('setuid', 0),
        'clock': told(lambda: time.clock_settime(time.CLOCK_REALTIME, 0)),
        'kill': told(lambda: os.kill(1, 9)),
        'execute': told(lambda: subprocess.run(['/tmp/program'])),
        'code': told(lambda: open('/code/new', 'w')),
        'library': told(lambda: open(library + '/os.py', 'a')),
        'mapped': told(lambda: mmap.mmap(os.open('/code/step.py', os.O_RDONLY), 16, prot=mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)),
        'gone': [told(lambda path=path: open(path)) for path in ('/proc/1/environ', '/proc/self/maps', '/sys/kernel', '/etc/shadow', '/root/.ssh', '/home', '/var/run/docker.sock', '/usr/bin/env', '/usr/lib/python3/dist-packages')],
        'etc': sorted(os.listdir('/etc')), 'dev': sorted(os.listdir('/dev')), 'run': os.listdir('/run'),
    }
";
    let code = code.replace("import _socket, ctypes,", "import _socket, ctypes.util, ctypes,");
    let got = value(&run_python(&pool, &code).await);
    for key in [
        "raw", "six", "udp", "packet", "netlink", "listen", "ptrace", "mount", "unshare", "setuid",
        "clock", "kill",
    ] {
        assert_eq!(got[key], "Operation not permitted", "{key}: {got}");
    }
    assert_eq!(got["execute"], "Permission denied");
    if tier() == Tier::Jail {
        assert_eq!(
            got["mapped"], "Operation not permitted",
            "nothing of the program is mapped to run"
        );
    }
    for key in ["code", "library"] {
        assert!(
            got[key] == "Read-only file system" || got[key] == "Permission denied",
            "{key}: {got}"
        );
    }
    for answer in got["gone"].as_array().unwrap() {
        assert_eq!(answer, "No such file or directory", "{got}");
    }
    assert_eq!(got["descriptors"], json!([0, 1, 2, 3]));
    assert_eq!(got["etc"], json!(["group", "hosts", "passwd", "ssl"]));
    assert_eq!(got["dev"], devices());
    assert_eq!(got["run"], json!(["egress.sock"]));
}

#[tokio::test]
async fn lies_and_garbage_on_the_protocol_are_a_violation() {
    let pool = pool().await;
    for attack in [
        "b'GET / HTTP/1.1\\r\\n\\r\\n'",
        "b'\\xff' * 4096",
        "frame(b'R', b'', 0xffffffff)",
        "frame(b'X', b'x')",
        "frame(b'R', b'nonsense')",
        "frame(b'R', b'{\"id\":99,\"ok\":{\"value\":1,\"exports\":{}}}')",
        "frame(b'R', b'{\"id\":1,\"error\":{\"code\":\"no_such_code\",\"message\":\"x\"}}')",
        "frame(b'R', b'{\"id\":1,\"ok\":{\"value\":1,\"exports\":{}}}') * 2",
        "frame(b'H', b'') + frame(b'H', b'x')",
    ] {
        let code = format!(
            "import os, time\ndef frame(kind, text, length=None):\n    return (len(text) if length is None else length).to_bytes(4, 'big') + kind + text\ndef handler(pd):\n    os.write(3, {attack})\n    time.sleep(3)"
        );
        let report = run_python(&pool, &code).await;
        assert!(report.usage.wall < Duration::from_secs(2), "{attack}");
        failed(report, FailureCode::ProtocolViolation);
    }
    assert_eq!(pool.stats().live, 0, "no such sandbox is kept");
    let half = "import os, time\ndef handler(pd):\n    os.write(3, b'\\0\\0\\x07\\xd0R' + bytes(1000))\n    time.sleep(60)";
    let report =
        run_python_with(&pool, half, |program| program.limits.wall = Duration::from_millis(300))
            .await;
    failed(report, FailureCode::TimeLimit);
    assert_eq!(value(&run_python(&pool, "handler = lambda pd: 42").await), 42);
}

#[tokio::test]
async fn a_forked_process_has_no_say() {
    let pool = pool().await;
    let code = "import os\ndef handler(pd):\n    if os.fork() == 0:\n        print('child')\n        return 'from the child'\n    os.wait()\n    return 'from the step'";
    let report = run_python(&pool, code).await;
    assert_eq!(value(&report), "from the step");
    assert_eq!(logged(&report), ["child"]);
}
