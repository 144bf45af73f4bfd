//! Many versions, invoked one after the other by steps that behave and steps that do not, and a server
//! that is killed meanwhile: nothing is left over. `bench/run --only soak` does the same with a thousand
//! versions for ten minutes.

use crate::kit::{Census, Counterpart, Home, Server, eventually, groups};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both!(nothing_is_left_of_many_versions_and_a_kill);

const FLAGS: [&str; 5] = [
    "--concurrency=4",
    "--spare-sandboxes=1",
    "--sandbox-idle-seconds=1",
    "--sandbox-memory-mib=320",
    "--rate-limit-key=0",
];
const VERSIONS: usize = 40;
/// Events before the server is killed and after it, each.
const EVENTS: usize = 120;
/// Events under way at a time.
const CALLERS: usize = 6;

/// What a version does: its name, file, code, lines of its manifest, and how its events are answered.
type Kind = (&'static str, &'static str, String, &'static str, u16);

/// `NUMBER` makes each version another.
fn kinds(other: &str) -> Vec<Kind> {
    let respond = "await $.respond({ status: 200, body: 'NUMBER' });";
    let node = |name, code: &str, lines, status| -> Kind {
        (name, "step.mjs", code.replace("RESPOND", respond), lines, status)
    };
    vec![
        node("plain", "export default async ({ $ }) => { RESPOND }", "", 200),
        node("throws", "export default () => { throw new Error('NUMBER'); }", "", 502),
        node(
            "dies",
            "export default () => { process.kill(process.pid, 'SIGKILL'); return NUMBER; }",
            "",
            502,
        ),
        node(
            "hoards",
            "const kept = Buffer.alloc(60 << 20, NUMBER); export default async ({ $ }) => { RESPOND; return kept.length; }",
            "",
            200,
        ),
        node(
            "bombs",
            "export default () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, NUMBER)); }",
            "limits: { memory_mib: 96 }\n",
            502,
        ),
        node(
            "leaves a process",
            "import { spawn } from 'node:child_process'; export default ({ $ }) => new Promise((ok) => \
             spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })\
             .on('spawn', async () => { RESPOND; ok(1); }).unref());",
            "",
            200,
        ),
        node(
            "hangs up",
            &format!(
                "import http from 'node:http'; export default async ({{ $ }}) => {{ \
                 http.get('{other}/wait/soak', () => {{}}).on('error', () => {{}}); RESPOND }}"
            ),
            "egress: [127.0.0.1]\n",
            200,
        ),
        (
            "python",
            "step.py",
            "def handler(pd):\n    pd.respond({'status': 200, 'headers': {}, 'body': 'NUMBER'})\n"
                .into(),
            "",
            200,
        ),
    ]
}

/// Deploys the versions; the paths of their triggers.
async fn deploy(home: &Home, server: &Server, kinds: &[Kind]) -> Vec<(usize, String)> {
    let mut triggers = Vec::new();
    for number in 0..VERSIONS {
        let at = number % kinds.len();
        let (_, file, code, lines, _) = &kinds[at];
        let manifest = format!(
            "name: soak-{number}\ntrigger:\n  http: {{ auth: none, response: workflow }}\n{lines}\
             steps:\n  - {{ name: step, run: ./{file} }}\n"
        );
        let code = code.replace("NUMBER", &number.to_string());
        let files = BTreeMap::from([("workflow.yaml", manifest.as_str()), (*file, code.as_str())]);
        let files: BTreeMap<_, _> =
            files.into_iter().map(|(path, text)| (path, BASE64.encode(text.as_bytes()))).collect();
        let request = server.api("POST", "deployments");
        let answer = server.send(request, json!({ "files": files }).to_string()).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        triggers.push((at, home.local(answer.json()["trigger_url"].as_str().unwrap())));
    }
    triggers
}

/// Posts so many events, some at a time; the answers that came, by the number of their kind. A killed
/// server answers no more.
fn post(
    server: &Server,
    triggers: &[(usize, String)],
    events: std::ops::Range<usize>,
    answered: &tokio::sync::watch::Sender<usize>,
) -> tokio::task::JoinSet<Vec<(usize, u16, String)>> {
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let requests: Vec<_> = events
            .clone()
            .filter(|event| event % CALLERS == caller)
            .map(|event| {
                // In an order that has nothing to do with that of the versions.
                let (kind, path) = &triggers[event * 17 % VERSIONS];
                let request = http::Request::post(server.url(path))
                    .header("content-type", "application/json");
                (*kind, server.sending(request, json!({ "n": event }).to_string()))
            })
            .collect();
        let answered = answered.clone();
        callers.spawn(async move {
            let mut answers = Vec::new();
            for (kind, request) in requests {
                let Ok(answer) = request.await else { break };
                answers.push((kind, answer.status, answer.text()));
                answered.send_modify(|answered| *answered += 1);
            }
            answers
        });
    }
    callers
}

fn assert_right(kinds: &[Kind], answers: &[(usize, u16, String)]) {
    for (kind, status, text) in answers {
        let (name, .., wanted) = &kinds[*kind];
        assert_eq!(status, wanted, "{name}: {text}");
    }
}

/// The sum of a figure of the pool over all kinds of sandbox.
async fn figure(server: &Server, name: &str) -> u64 {
    let figures = server.send(http::Request::get(server.url("/metrics")), "").await.text();
    let lines = figures.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Waits until no sandbox works or is warm and nothing changes any more, and counts.
async fn at_rest(home: &Home, server: &Server) -> Census {
    let mut before = None;
    eventually("the server to be at rest", async || {
        for state in ["busy", "idle"] {
            if figure(server, &format!("causeway_sandboxes{{state=\"{state}\"")).await > 0 {
                before = None;
                return None;
            }
        }
        let now = Some(Census::take(server.id(), home.data_dir()));
        if before == now {
            return now;
        }
        before = now;
        None
    })
    .await
}

async fn nothing_is_left_of_many_versions_and_a_kill(database: TestDatabase) {
    let other = Counterpart::start().await;
    let mut home = Home::with_flags(database, &FLAGS);
    home.add_flag(format!("--net-allow={}", other.range()));
    let kinds = kinds(&other.url());
    let (answered, mut progress) = tokio::sync::watch::channel(0);

    let first = home.serve();
    let triggers = deploy(&home, &first, &kinds).await;
    // Each kind once: what is opened once is open, and all spare sandboxes are there.
    let warm = async |server: &Server| {
        let once = post(server, &triggers, 0..CALLERS * 4, &answered);
        assert_right(&kinds, &once.join_all().await.concat());
    };
    warm(&first).await;
    let before = at_rest(&home, &first).await;

    answered.send_replace(0);
    let callers = post(&first, &triggers, 0..EVENTS, &answered);
    progress.wait_for(|answered| *answered >= EVENTS / 2).await.unwrap();
    let killed = first.kill_at_once();
    // At once: what the first one had is still on its way out.
    let second = home.serve();
    killed.assert_gone();
    let answers = callers.join_all().await.concat();
    assert!(
        (EVENTS / 2..EVENTS).contains(&answers.len()),
        "killed in the midst: {}",
        answers.len()
    );
    assert_right(&kinds, &answers);
    eventually("the killed server's cgroups to be gone", async || {
        groups(killed.id).is_empty().then_some(())
    })
    .await;

    let rest = post(&second, &triggers, 0..EVENTS, &answered).join_all().await.concat();
    assert_eq!(rest.len(), EVENTS);
    assert_right(&kinds, &rest);
    assert!(figure(&second, "causeway_sandboxes_started_total").await > 40);
    warm(&second).await;
    let after = at_rest(&home, &second).await;
    assert_eq!(after.leaks_since(&before), Vec::<String>::new(), "{before:?} {after:?}");

    let id = second.id();
    second.stop();
    assert_eq!(groups(id), [].into());
    drop(other);
}

/// What the test above would say of a leak.
#[tokio::test(flavor = "multi_thread")]
async fn a_leak_is_found() {
    let home = Home::new(TestDatabase::sqlite().await);
    let server = home.serve();
    let before = Census::take(server.id(), home.data_dir());
    let address: std::net::SocketAddr = server.address("listening");
    let mut sockets = Vec::new();
    for _ in 0..40 {
        #[expect(clippy::disallowed_methods, reason = "a client of this test's own server")]
        let socket = std::net::TcpStream::connect(address).unwrap();
        sockets.push(socket);
    }
    std::fs::write(home.data_dir().join("left-over"), "").unwrap();
    let leaks = eventually("the server to accept them", async || {
        let leaks = Census::take(server.id(), home.data_dir()).leaks_since(&before);
        (leaks.len() == 2).then_some(leaks)
    })
    .await;
    assert!(leaks[0].starts_with("files in the data folder: "), "{leaks:?}");
    assert!(leaks[1].starts_with("sockets: "), "{leaks:?}");
    drop(sockets);
    server.stop();

    // A sandbox's process, its namespaces, its mounts and its cgroup.
    let server = home.serve();
    let trigger = home.deploy(
        &server,
        "one",
        "steps:\n  - { name: one, run: ./one.mjs }\n",
        &[("one.mjs", "export default () => 1")],
    );
    eventually("the spare sandboxes", async || {
        let spares = figure(&server, "causeway_sandboxes{state=\"spare\"").await;
        (spares == 2).then_some(())
    })
    .await;
    let before = at_rest(&home, &server).await;
    assert_eq!(server.finish(&trigger, &Value::Null).await["state"], "succeeded");
    eventually("the warm sandbox to be found beside the spare ones", async || {
        let leaks = Census::take(server.id(), home.data_dir()).leaks_since(&before).join("\n");
        let all = ["processes: ", "cgroups: ", "mount namespaces: ", "mounts: ", "pipes: "];
        all.iter().all(|what| leaks.contains(what)).then_some(())
    })
    .await;
    server.stop();
}
