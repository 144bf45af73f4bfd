//! Hostile code in a step ends in its named error, and the server answers throughout. The escape
//! suite of the sandbox looks at the jail itself; this looks at the whole.

use crate::kit::{Home, Server};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

on_both!(hostile_steps_end_in_their_named_errors);

/// The longest that `/healthz` may take, while everything else fights for two processors.
const PROMPT: Duration = Duration::from_secs(2);

const READS: &str = "
import fs from 'node:fs';
fs.writeFileSync('/tmp/mine', 'x');
export default ({ event }) => fs.readFileSync(event.body.path, 'latin1').length;
";

const SOCKETS: &str = "
import dgram from 'node:dgram';
import net from 'node:net';
const failing = (socket) => new Promise((told) => socket.on('error', (error) => told(error.message)));
export default async () => {
  const udp = dgram.createSocket('udp4');
  const refused = [
    await failing(net.createServer().listen(0)),
    await failing(net.connect(22, '10.0.0.1')),
    await failing(net.connect('/run/postgresql/.s.PGSQL.5432')),
    await new Promise((told) => { udp.on('error', (e) => told(e.message)); udp.send('x', 53, '1.1.1.1', (e) => e && told(e.message)); }),
    await fetch('http://169.254.169.254/latest/meta-data/').catch((error) => error.cause.message),
  ];
  throw new Error(refused.join(' | '));
};
";

/// What each of them does, the limits it is given, the code of its end, and words of its message.
const ATTACKS: [(&str, &str, &str, &str, &str); 7] = [
    (
        "forks",
        "import { spawn } from 'node:child_process';
         export default async () => {
           for (let i = 0; i < 10000; i++) {
             await new Promise((ok, no) => { const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true }); child.on('error', no); child.on('spawn', ok); });
           }
         };",
        "processes: 24, memory_mib: 1024",
        "process_limit",
        "more than 24 processes",
    ),
    (
        "memory",
        "export default () => { const all = []; for (let i = 0; i < 64; i++) all.push(Buffer.alloc(64 << 20, 1)); return all.length; };",
        "memory_mib: 128",
        "memory_limit",
        "more than 128 MiB of memory",
    ),
    (
        "disk",
        "import fs from 'node:fs'; export default () => { for (let i = 0; ; i++) fs.writeFileSync('/tmp/' + i, Buffer.alloc(1 << 20)); };",
        "disk_mib: 8",
        "disk_limit",
        "more than 8 MiB of temporary files",
    ),
    ("spin", "export default () => { for (;;); };", "cpu_seconds: 1", "cpu_limit", "its limit is 1 s"),
    ("wait", "export default () => new Promise(() => setInterval(() => {}, 1000));", "wall_seconds: 1", "time_limit", "its limit is 1 s"),
    (
        "print",
        "export default () => { const line = 'x'.repeat(999); for (let i = 0; i < 1e6; i++) console.log(line); };",
        "log_kib: 64",
        "log_limit",
        "65536 bytes",
    ),
    (
        "protocol",
        "import fs from 'node:fs'; export default async () => { fs.writeSync(3, Buffer.alloc(4096, 255)); await new Promise((r) => setTimeout(r, 60000)); };",
        "memory_mib: 256",
        "protocol_violation",
        "the runner's own socket",
    ),
];

async fn hostile_steps_end_in_their_named_errors(database: TestDatabase) {
    let home = Home::new(database);
    let server = Arc::new(home.serve());
    let good = [(
        "good.mjs",
        "import fs from 'node:fs'; export default ({ event }) => [event.body.n + 1, fs.readdirSync('/tmp')];",
    )];
    let good = home.deploy(&server, "good", "steps: [{ name: good, run: ./good.mjs }]", &good);
    let reads = home.deploy(
        &server,
        "reads",
        "steps: [{ name: bad, run: ./bad.mjs }]",
        &[("bad.mjs", READS)],
    );
    let sockets = home.deploy(
        &server,
        "sockets",
        "steps: [{ name: bad, run: ./bad.mjs }]",
        &[("bad.mjs", SOCKETS)],
    );
    let mut triggers = Vec::new();
    for (name, code, limits, _, _) in ATTACKS {
        let manifest = format!("limits: {{ {limits} }}\nsteps: [{{ name: bad, run: ./bad.mjs }}]");
        triggers.push(home.deploy(&server, name, &manifest, &[("bad.mjs", code)]));
    }

    let over = CancellationToken::new();
    let watching = tokio::spawn(watch(Arc::clone(&server), over.clone()));

    // All at once, so that they are in each other's way too.
    let mut running = Vec::new();
    for trigger in &triggers {
        running.push(server.start_invocation(trigger, &json!({})).await);
    }
    let database_file = home.data_dir().join("causeway.db").display().to_string();
    let paths = [
        "/etc/shadow",
        "/proc/1/environ",
        &database_file,
        "/code/good.mjs",
        "/proc/self/root/etc/shadow",
    ];
    for path in paths {
        let failed = server.finish(&reads, &json!({ "path": path })).await;
        assert_failed(&failed, "user_error", "ENOENT");
    }
    let failed = server.finish(&sockets, &json!({})).await;
    assert_failed(&failed, "user_error", "169.254.169.254");
    let told = failed["steps"][0]["error"]["message"].as_str().unwrap();
    let refused: Vec<&str> = told.split(" | ").collect();
    assert!(refused[0].contains("EPERM") && refused[3].contains("EPERM"), "{refused:#?}");
    assert!(refused[1].contains("egress") && refused[1].contains("10.0.0.1"), "{refused:#?}");
    assert!(refused[2].contains("ENOENT"), "{refused:#?}");
    assert!(refused[4].contains("egress"), "{refused:#?}");

    for ((_, _, _, code, words), invocation) in ATTACKS.iter().zip(&running) {
        assert_failed(&server.finished(invocation).await, code, words);
    }
    let ran = server.finish(&good, &json!({ "n": 1 })).await;
    assert_eq!(ran["state"], "succeeded", "{ran:#}");
    assert_eq!(ran["steps"][0]["return_value"], json!([2, []]));
    assert_eq!(ran["tier"], "jail");

    over.cancel();
    let (asked, slowest) = watching.await.unwrap();
    assert!(asked > 10 && slowest < PROMPT, "{asked} answers, the slowest took {slowest:?}");
}

/// Asks for the server's health until it is over; gives how often, and the longest wait.
async fn watch(server: Arc<Server>, over: CancellationToken) -> (usize, Duration) {
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    let mut turns = tokio::time::interval(Duration::from_millis(50));
    while !over.is_cancelled() {
        turns.tick().await;
        let since = Instant::now();
        let answer = server.send(http::Request::get(server.url("/healthz")), "").await;
        assert_eq!(answer.status, 200);
        asked += 1;
        slowest = slowest.max(since.elapsed());
    }
    (asked, slowest)
}

fn assert_failed(invocation: &Value, code: &str, words: &str) {
    assert_eq!(invocation["state"], "failed", "{invocation:#}");
    assert_eq!(invocation["error_code"], code, "{invocation:#}");
    let error = &invocation["steps"][0]["error"];
    assert_eq!(error["code"], code);
    assert!(error["message"].as_str().unwrap().contains(words), "{error:#}");
}
