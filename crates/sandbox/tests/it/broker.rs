//! The broker's transport: what code sends to an app's host is ended here, read, and handed to the
//! step's apps; what could be read in two ways is refused.

use crate::support::*;
use bytes::Bytes;
use causeway_sandbox::*;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use std::sync::{Arc, Mutex};

const HOST: &str = "api.app.test";

/// Tells what it was sent, at one host.
#[derive(Default)]
pub(crate) struct Echo {
    seen: Mutex<Vec<String>>,
}

impl Apps for Echo {
    fn claim(&self, host: &str, port: u16) -> Claim {
        match (host, port) {
            (HOST, 443) => Claim::Brokered { in_clear: false },
            (HOST, _) => Claim::OtherPort { port: 443 },
            ("127.0.0.1", 8401) => Claim::Brokered { in_clear: true },
            _ => Claim::None,
        }
    }

    fn send(self: Arc<Self>, request: AppRequest) -> AppFuture {
        Box::pin(async move {
            let (head, mut body) = request.request.into_parts();
            let (mut size, mut begins) = (0, String::new());
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.unwrap_or(Frame::data(Bytes::new())).into_data() else {
                    continue;
                };
                size += data.len();
                if begins.len() < 100 {
                    begins.push_str(&String::from_utf8_lossy(&data));
                }
            }
            begins.truncate(100);
            self.seen.lock().unwrap().push(format!("{} {}", head.method, head.uri));
            if head.uri.path() == "/refused" {
                return Err(AppRefused {
                    code: "rate_limited",
                    status: 429,
                    message: "not now".into(),
                    retry_after: Some(std::time::Duration::from_secs(7)),
                });
            }
            if let Some(protocol) = request.upgrade {
                let (ours, theirs) = tokio::io::duplex(1024);
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(ours);
                    // Ends with the connection.
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
                let response = http::Response::builder()
                    .status(101)
                    .header("connection", "upgrade")
                    .header("upgrade", protocol)
                    .body(Full::default().map_err(|never| match never {}).boxed_unsync())
                    .unwrap();
                return Ok(AppAnswer { response, upgraded: Some(Box::new(theirs)) });
            }
            let body: AnswerBody = if head.uri.path() == "/large" {
                let piece = Bytes::from(vec![b'x'; 65_536]);
                let pieces = (0..800).map(move |_| Ok(Frame::data(piece.clone())));
                StreamBody::new(tokio_stream::iter(pieces)).boxed_unsync()
            } else {
                let names: Vec<&str> = head.headers.keys().map(http::HeaderName::as_str).collect();
                let told = json!({
                    "method": head.method.as_str(), "uri": head.uri.to_string(), "headers": names,
                    "size": size, "begins": begins, "listed": request.is_listed,
                });
                let whole = Full::new(Bytes::from(told.to_string()));
                whole.map_err(|never| match never {}).boxed_unsync()
            };
            Ok(AppAnswer { response: http::Response::new(body), upgraded: None })
        })
    }
}

async fn run_linked(code: &str, egress: &[&str]) -> (StepReport, Arc<Echo>) {
    let pool = pool().await;
    let mut program = program(&[("step.mjs", code)]);
    program.egress = EgressRules::parse(egress).unwrap();
    let mut session = pool.checkout(&Arc::new(program)).await.unwrap();
    let apps = Arc::new(Echo::default());
    let mut call = call("step.mjs");
    call.apps = Some(apps.clone());
    (session.step(call).await, apps)
}

#[tokio::test]
async fn unmodified_clients_speak_to_an_apps_host_over_tls() {
    let code = r"
import https from 'node:https'; import http2 from 'node:http2'; import tls from 'node:tls'; import http from 'node:http';
const text = (stream) => new Promise((ok, no) => { let all = ''; stream.setEncoding('utf8'); stream.on('data', (d) => all += d); stream.on('end', () => ok(all)); stream.on('error', no) });
const get = (module, options, body) => new Promise((ok, no) => { const r = module.request(options, (a) => text(a).then((t) => ok(JSON.parse(t)), no)); r.on('error', no); r.end(body); });
const h2 = async () => {
  const client = http2.connect('https://api.app.test'); const stream = client.request({ ':path': '/h2', ':method': 'POST', 'x-a': '1' });
  stream.end('over h2'); const all = await text(stream); client.close(); return JSON.parse(all);
};
export default async () => ({
  fetch: await (await fetch('https://api.app.test/fetch?q=1', { method: 'POST', body: 'hello', headers: { 'x-a': 'b' } })).json(),
  https: await get(https, { host: 'api.app.test', path: '/https', method: 'PUT', agent: new https.Agent({ keepAlive: true }) }, 'body'),
  ownRoots: await get(https, { host: 'api.app.test', path: '/roots', ca: tls.rootCertificates.slice(0, 2) }),
  ownContext: await get(https, { host: 'api.app.test', path: '/context', secureContext: tls.createSecureContext({ ca: tls.rootCertificates[0] }) }),
  h2: await h2(),
  clear: await (await fetch('http://127.0.0.1:8401/clear')).json(),
  many: (await Promise.all(Array.from({ length: 20 }, (_, i) => fetch(`https://api.app.test/${i}`).then((r) => r.json())))).length,
  refused: await fetch('https://api.app.test/refused').then(async (r) => [r.status, r.headers.get('retry-after'), r.headers.get('causeway-broker'), (await r.json()).detail]),
  environment: JSON.stringify(process.env).includes('PRIVATE'),
});";
    let (report, apps) = run_linked(code, &[]).await;
    let got = value(&report);
    assert_eq!(got["fetch"]["uri"], "https://api.app.test:443/fetch?q=1");
    assert_eq!(
        (&got["fetch"]["method"], &got["fetch"]["begins"]),
        (&json!("POST"), &json!("hello"))
    );
    assert!(got["fetch"]["headers"].to_string().contains("x-a"), "{got:#}");
    for hop in ["\"host\"", "connection", "transfer-encoding", "content-length"] {
        assert!(!got["fetch"]["headers"].to_string().contains(hop), "{hop}");
    }
    assert_eq!((&got["https"]["method"], &got["https"]["begins"]), (&json!("PUT"), &json!("body")));
    assert_eq!(got["ownRoots"]["uri"], "https://api.app.test:443/roots");
    assert_eq!(got["ownContext"]["uri"], "https://api.app.test:443/context");
    assert_eq!(
        (&got["h2"]["uri"], &got["h2"]["begins"]),
        (&json!("https://api.app.test:443/h2"), &json!("over h2"))
    );
    assert_eq!(got["clear"]["uri"], "http://127.0.0.1:8401/clear");
    assert_eq!((&got["many"], &got["environment"]), (&json!(20), &json!(false)));
    assert_eq!(got["refused"], json!([429, "7", "rate_limited", "not now"]));
    assert_eq!(apps.seen.lock().unwrap().len(), 27);
    let brokered = report.egress.iter().filter(|one| {
        matches!(one.decision, Decision::Brokered { status: 200 }) && one.received > 0
    });
    assert_eq!(brokered.count(), 26, "{:#?}", report.egress);
    let refused = Decision::Refused { code: "rate_limited".into() };
    assert!(report.egress.iter().any(|one| one.decision == refused));
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_does_not_reach_the_app() {
    let code = r"
import tls from 'node:tls'; import net from 'node:net'; import https from 'node:https'; import http2 from 'node:http2';
const raw = (text, options = {}) => new Promise((ok) => {
  const socket = tls.connect({ host: 'api.app.test', port: 443, ...options }); let all = '';
  socket.on('data', (d) => { all += d; }); socket.on('error', (e) => ok(e.code ?? e.message)); socket.on('close', () => ok(all.split('\r\n')[0] + (/causeway-broker: (\S+)/.exec(all)?.[1] ?? '')));
  socket.on('secureConnect', () => socket.end(text)); });
const h2 = (headers) => new Promise((ok) => { const client = http2.connect('https://api.app.test'); const s = client.request({ ':path': '/', ...headers }); s.on('response', (h) => { client.destroy(); ok(h[':status']); }); s.on('error', (e) => ok(e.code)); s.end(); });
const plain = (port) => new Promise((ok) => { const s = net.connect(port, 'api.app.test'); let all = ''; s.on('data', (d) => { all += d; }); s.on('error', (e) => ok(e.message)); s.on('close', () => ok(all)); s.end('GET / HTTP/1.1\r\nhost: api.app.test\r\n\r\n'); });
const status = (answer) => answer;
export default async () => ({
  host: status(await raw('GET / HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n')),
  hosts: status(await raw('GET / HTTP/1.1\r\nhost: api.app.test\r\nhost: evil.test\r\nconnection: close\r\n\r\n')),
  absolute: status(await raw('GET http://evil.test/ HTTP/1.1\r\nhost: api.app.test\r\nconnection: close\r\n\r\n')),
  sni: await raw('GET / HTTP/1.1\r\nhost: api.app.test\r\nconnection: close\r\n\r\n', { servername: 'evil.test' }),
  sniUnverified: status(await raw('GET / HTTP/1.1\r\nhost: api.app.test\r\nconnection: close\r\n\r\n', { servername: 'evil.test', rejectUnauthorized: false })),
  authority: await h2({ ':authority': 'evil.test' }),
  both: status(await raw('POST /a HTTP/1.1\r\nhost: api.app.test\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: api.app.test\r\n\r\n')),
  lengths: status(await raw('POST /a HTTP/1.1\r\nhost: api.app.test\r\ncontent-length: 0\r\ncontent-length: 40\r\nconnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: api.app.test\r\n\r\n')),
  folded: status(await raw('GET /a HTTP/1.1\r\nhost: api.app.test\r\nx: a\r\n b\r\nconnection: close\r\n\r\n')),
  giant: status(await raw('GET /giant HTTP/1.1\r\nhost: api.app.test\r\nx: ' + 'a'.repeat(200000) + '\r\n\r\n')),
  connect: status(await raw('CONNECT api.app.test:443 HTTP/1.1\r\nhost: api.app.test:443\r\n\r\n')),
  plain: await plain(443),
  other: await plain(80),
  halfOpen: await new Promise((ok) => { const s = tls.connect(443, 'api.app.test'); s.on('secureConnect', () => { s.write('GET / HTTP/1.1\r\nhost: '); ok('left'); }); }),
  garbage: await raw('\x00\x01\x02 nothing like it\r\n\r\n'),
  unlinked: await fetch('https://evil.test/').catch((e) => e.cause.message),
  after: (await (await fetch('https://api.app.test/after')).json()).uri,
});";
    let (report, apps) = run_linked(code, &[]).await;
    let got = value(&report);
    let says = |key: &str, words: &str| {
        let text = got[key].to_string();
        assert!(text.contains(words), "{key}: {text}");
    };
    for key in ["host", "absolute", "sniUnverified"] {
        says(key, "421");
    }
    says("hosts", "42");
    says("sni", "ERR_TLS_CERT_ALTNAME_INVALID");
    assert_eq!(got["authority"], 421);
    // Read as chunked, and nothing behind it: the connection ends there.
    says("both", "200");
    says("lengths", "400");
    says("giant", "431");
    says("connect", "40");
    says("plain", "plain_http");
    says("plain", "https://api.app.test/");
    says("other", "takes requests over TLS at port 443");
    says("unlinked", "add `egress: [evil.test]`");
    assert_eq!(got["after"], "https://api.app.test:443/after");
    let seen = apps.seen.lock().unwrap();
    assert!(
        !seen.iter().any(|line| line.contains("smuggled") || line.contains("giant")),
        "{seen:?}"
    );
    assert!(seen.iter().all(|line| line.contains("https://api.app.test:443/")), "{seen:?}");
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let code = r"
import { Readable } from 'node:stream';
const piece = Buffer.alloc(65536, 'y');
async function* fifty() { for (let i = 0; i < 800; i++) yield piece; }
export default async () => {
  const up = await (await fetch('https://api.app.test/up', { method: 'POST', body: Readable.from(fifty()), duplex: 'half' })).json();
  let down = 0;
  for await (const part of (await fetch('https://api.app.test/large')).body) down += part.length;
  return { up: up.size, down, rss: process.memoryUsage.rss() };
};";
    let (report, _) = run_linked(code, &[]).await;
    let got = value(&report);
    assert_eq!((&got["up"], &got["down"]), (&json!(52_428_800), &json!(52_428_800)));
    let [up, down] = report.egress.as_slice() else { panic!("{:#?}", report.egress) };
    assert_eq!((up.sent, down.received), (52_428_800, 52_428_800));
}

#[tokio::test]
async fn a_websocket_is_passed_through_after_its_handshake_and_nothing_else_is() {
    let code = r"
import https from 'node:https';
const open = (upgrade) => new Promise((ok, no) => {
  const request = https.request({ host: 'api.app.test', path: '/socket', headers: { connection: 'Upgrade', upgrade } });
  request.on('response', (response) => { response.resume(); ok({ status: response.statusCode }); });
  request.on('upgrade', (response, socket) => {
    socket.once('data', (data) => { socket.destroy(); ok({ status: response.statusCode, said: String(data) }); });
    socket.write('ping');
  });
  request.on('error', no); request.end();
});
export default async () => [await open('websocket'), await open('h2c')];";
    let (report, _) = run_linked(code, &[]).await;
    assert_eq!(value(&report), json!([{ "status": 101, "said": "ping" }, { "status": 200 }]));
}

#[tokio::test]
async fn a_connection_serves_only_steps_that_are_linked() {
    let pool = pool().await;
    let code = r"
import https from 'node:https';
const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
const get = () => new Promise((ok, no) => https.get({ host: 'api.app.test', path: '/', agent }, (r) => { r.resume(); r.on('end', () => ok([r.statusCode, r.headers['causeway-broker'] ?? null])); }).on('error', no));
export default get;";
    let mut session = pool.checkout(&Arc::new(program(&[("step.mjs", code)]))).await.unwrap();
    let mut first = call("step.mjs");
    let invocation = first.invocation;
    first.apps = Some(Arc::new(Echo::default()));
    assert_eq!(value(&session.step(first).await), json!([200, null]));
    let mut second = call("step.mjs");
    second.invocation = invocation;
    assert_eq!(value(&session.step(second).await), json!([403, "not_linked"]));
    let seed = session.seed().unwrap();
    assert_ne!(seed, [0; 32]);
    let mut elsewhere = pool.checkout(&Arc::new(program(&[("a.mjs", code)]))).await.unwrap();
    assert_ne!(elsewhere.seed().unwrap(), seed, "each sandbox has its own");
    let failure = failed(elsewhere.step(call("a.mjs")).await, FailureCode::UserError);
    assert!(failure.message.contains("add `egress: [api.app.test]`"), "{}", failure.message);
}
