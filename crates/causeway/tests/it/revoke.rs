//! Containment from the command line: two hundred accounts at an app are revoked with one command,
//! whatever dies or fails meanwhile.

use crate::kit::{Browser, Home, PUBLIC_URL, Server, eventually, run};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use serde_json::{Value, json};

on_both!(two_hundred_are_revoked_through_a_kill_and_an_app_in_trouble);

/// Accounts by OAuth.
const GRANTS: usize = 200;
/// Connections by a key, which no app can revoke.
const KEYS: usize = 3;
/// How many grants have ended when the server is killed.
const BEFORE_KILL: usize = 60;
/// Revocations that the app fails.
const FAILING: usize = 7;

const REVOKE: [&str; 6] =
    ["connections", "revoke", "--json", "--app=demo", "--older-than=0s", "--yes"];

async fn two_hundred_are_revoked_through_a_kill_and_an_app_in_trouble(database: TestDatabase) {
    let options = DemoOptions {
        redirect_uris: vec![format!("{PUBLIC_URL}/connect/callback").parse().unwrap()],
        ..DemoOptions::default()
    };
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let apps = tempfile::tempdir().unwrap();
    std::fs::create_dir(apps.path().join("demo")).unwrap();
    std::fs::write(apps.path().join("demo/app.yaml"), app.app_yaml()).unwrap();
    let allowed = format!("127.0.0.1/32:{}", app.address().port());
    let folder = apps.path().display().to_string();
    let home = Home::with_flags(database, &["--net-allow", &allowed, "--apps-dir", &folder]);
    let server = home.serve();
    connect_all(&server, &app).await;
    what_it_asks_before(&home, &server);

    // The server dies when some grants have ended and some revocations are on their way.
    app.faults().hold_revocations_after(Some(BEFORE_KILL));
    let mut command = home.cli_command(&server, &REVOKE);
    let command = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ended = |count: usize| u64::try_from(count).unwrap();
    eventually("the first grants to end", async || {
        (app.counters().revocations == ended(BEFORE_KILL)).then_some(())
    })
    .await;
    let left = server.get("connections?limit=100").await;
    for one in left["data"].as_array().unwrap() {
        assert_eq!(one["state"], "revoked", "{one}");
    }
    nobody_uses(&server, &left["data"][0]).await;
    server.kill_9();
    let interrupted = command.await.unwrap();
    let said = String::from_utf8_lossy(&interrupted.stderr).into_owned();
    assert_eq!(interrupted.status.code(), Some(1), "{said}");
    assert!(said.contains("the server goes on by itself"), "{said}");

    // Another start, and the same command: it goes on with what is left, and the app fails some.
    let server = home.serve();
    let mut command = home.cli_command(&server, &REVOKE);
    let command = tokio::task::spawn_blocking(move || run(&mut command));
    eventually("the second command to have marked what is left", async || {
        let mut conn = home.database.store.read().await.unwrap();
        let rows = db!(conn, audit::page(home.tenant().workspace, 0, 10_000)).unwrap();
        let started = rows.iter().filter(|row| row.action == "revocation_started").count();
        let unmarked = db!(conn, connection_revocation::unmarked(16)).unwrap();
        (started == 2 && unmarked.is_empty()).then_some(())
    })
    .await;
    app.faults().fail_revocations(FAILING);
    app.faults().hold_revocations_after(None);
    let second = command.await.unwrap();
    assert!(second.refusal().contains("7 connections are not known to be revoked"), "{second:#?}");
    let report: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!((&report["failed"], &report["pending"]), (&json!(FAILING), &json!(0)), "{report:#}");
    let failures = report["failures"].as_array().unwrap();
    assert_eq!(failures.len(), FAILING);
    for failure in failures {
        assert_eq!(failure["reason"], "the app answered with status 503");
        assert!(failure["connection"].as_str().unwrap().starts_with("conn_"), "{failure}");
    }
    let kept = server.get("connections?limit=100").await;
    assert_eq!(kept["data"].as_array().unwrap().len(), FAILING);
    nobody_uses(&server, &kept["data"][0]).await;

    let third = home.cli(&server, &REVOKE).json();
    assert_eq!((&third["found"], &third["revoked"]), (&json!(FAILING), &json!(FAILING)));
    assert_eq!(third["failures"], json!([]));
    assert_eq!(server.get("connections").await["data"], json!([]));
    assert_eq!(app.counters().revocations, ended(GRANTS), "each grant has ended, and ended once");
    let nothing = home.cli(&server, &REVOKE).json();
    assert_eq!((&nothing["found"], &nothing["state"]), (&json!(0), &json!("done")));
    server.stop();
}

/// Links the accounts as customers do, and adds the keys.
async fn connect_all(server: &Server, app: &DemoApp) {
    let set = json!({
        "app": "demo", "client_id": app.client_id(), "client_secret": app.client_secret(),
    });
    let answer = server.send(server.api("PUT", "oauth-clients"), set.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let numbers = std::sync::atomic::AtomicUsize::new(0);
    let one = async || {
        while let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            && number < GRANTS
        {
            link(server, number).await;
        }
    };
    tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
    for number in 0..KEYS {
        let new = json!({
            "app": "demo", "customer": "keyed", "name": format!("key-{number}"),
            "fields": { "api_key": app.api_key() },
        });
        let answer = server.send(server.api("POST", "connections"), new.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

async fn link(server: &Server, number: usize) {
    let new =
        json!({ "app": "demo", "customer": format!("c{number}"), "name": format!("n{number}") });
    let session = server.send(server.api("POST", "connect-sessions"), new.to_string()).await;
    assert_eq!(session.status, 201, "{session:?}");
    let session = session.json();
    let link = session["connect_url"].as_str().unwrap();
    let mut browser = Browser::new(server);
    let (_, page) = browser.open(&format!("{link}?plain")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let (consent, page) = browser.submit(&format!("{link}/authorize")).await;
    assert_eq!(page.status, 200, "{consent}: {}", page.text());
    let (at, page) = browser.consent(&consent).await;
    assert!(at.starts_with(PUBLIC_URL) && page.status == 200, "{at}: {}", page.text());
}

/// It lists first, and revokes nothing that it was not told to.
fn what_it_asks_before(home: &Home, server: &Server) {
    let revoke = |args: &[&str]| home.cli(server, &[&["connections", "revoke"], args].concat());
    let listed = revoke(&["--json", "--app=demo", "--dry-run"]).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), GRANTS + KEYS);
    let by_name = revoke(&["--json", "--name=n7", "--dry-run"]).json();
    assert_eq!(by_name["data"][0]["customer"], "c7");
    let id = by_name["data"][0]["id"].as_str().unwrap();
    assert_eq!(revoke(&["--json", "--name", id, "--dry-run"]).json(), by_name);
    for old in ["--older-than=90d", "--idle-for=30d"] {
        assert_eq!(revoke(&["--json", "--app=demo", old, "--dry-run"]).json()["data"], json!([]));
    }
    assert!(revoke(&["--yes"]).refusal().contains("say which connections to revoke"));
    assert!(revoke(&["--app=demo"]).refusal().contains("this revokes 203 connections"));
    // The commands beside it.
    let idle = home.cli(server, &["connections", "list", "--json", "--idle-for=30d"]).json();
    assert_eq!(idle["data"], json!([]));
    let tested = home.cli(server, &["connections", "test", "--json", "n7"]).json();
    assert_eq!(tested["works"], true, "{tested}");
    assert!(home.cli(server, &["connections", "test", "no-such"]).refusal().contains("no-such"));
    let export = home.cli(server, &["connections", "export", "n7"]);
    assert!(export.refusal().contains("`credentials.export`"), "{export:#?}");
}

/// A connection that was revoked gives nobody anything.
async fn nobody_uses(server: &Server, connection: &Value) {
    let id = connection["id"].as_str().unwrap();
    let answer = server.send(server.api("GET", &format!("proxy/{id}/crm/contacts")), "").await;
    assert_eq!(answer.status, 404, "{answer:?}");
}
