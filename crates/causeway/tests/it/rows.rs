//! The operator's rows are read anew while the server runs.

use crate::kit::{Home, Server, eventually};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;

on_both!(rows_are_edited_while_the_server_runs);

async fn rows_are_edited_while_the_server_runs(database: TestDatabase) {
    let at = ([127, 0, 0, 1], 0).into();
    let app = DemoApp::start(at, DemoOptions::default()).await.unwrap();
    let options = DemoOptions { api_key: Some(app.api_key()), ..DemoOptions::default() };
    let beside = DemoApp::start(at, options).await.unwrap();
    let apps = tempfile::tempdir().unwrap();
    let row = app.app_yaml();
    write(apps.path(), "demo", &row);
    let (one, two) = (app.address().port(), beside.address().port());
    let allowed = format!("127.0.0.1/32:{one},127.0.0.1/32:{two}");
    let folder = apps.path().display().to_string();
    let home = Home::with_flags(database, &["--net-allow", &allowed, "--apps-dir", &folder]);
    let server = home.serve();
    let new = json!({ "app": "demo", "customer": "ada", "name": "crm", "fields": { "api_key": app.api_key() } });
    let made = server.send(server.api("POST", "connections"), new.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");

    // Edited: the next who asks sees it.
    write(apps.path(), "demo", &row.replace("name: Demo CRM", "name: Demo of Acme"));
    until_named(&server, "Demo of Acme").await;

    // Wrong: what is wrong is said, and the row before stays, at once on request.
    write(apps.path(), "demo", &row.replace("name: Demo CRM", "nmae: Demo CRM"));
    server.signal(Signal::HUP);
    eventually("the fault in the log", async || {
        server.log().contains("demo/app.yaml:2:1: unknown field `nmae`").then_some(())
    })
    .await;
    until_named(&server, "Demo of Acme").await;
    assert_eq!(call(&server, one).await, 200, "and connections work by it");

    // Another host: it gets the credential from then on, and no longer when it is taken out.
    assert_eq!(call(&server, two).await, 403);
    assert_eq!(beside.counters().requests.len(), 0, "nothing was sent");
    let both = format!("[\"127.0.0.1:{one}\", \"127.0.0.1:{two}\"]");
    let wider = row.replace(&format!("[\"127.0.0.1:{one}\"]"), &both);
    write(apps.path(), "demo", &wider);
    until_called(&server, two, 200).await;
    assert!(server.log().contains("these hosts receive the credentials"), "the log says so");
    write(apps.path(), "demo", &row);
    until_called(&server, two, 403).await;

    // Gone: the built-in row is back, whose app does not run here.
    std::fs::remove_dir_all(apps.path().join("demo")).unwrap();
    until_called(&server, one, 403).await;
    until_named(&server, "Demo CRM").await;
    write(apps.path(), "demo", &row);
    until_called(&server, one, 200).await;
    server.stop();
}

fn write(apps: &Path, slug: &str, row: &str) {
    std::fs::create_dir_all(apps.join(slug)).unwrap();
    std::fs::write(apps.join(slug).join("app.yaml"), row).unwrap();
}

async fn until_named(server: &Server, name: &str) {
    eventually(name, async || (server.get("apps/demo").await["name"] == name).then_some(())).await;
}

async fn until_called(server: &Server, port: u16, status: u16) {
    eventually(&format!("a call to be answered {status}"), async || {
        (call(server, port).await == status).then_some(())
    })
    .await;
}

/// The status of a call with the connection's credential.
async fn call(server: &Server, port: u16) -> u16 {
    let url = format!("http://127.0.0.1:{port}/crm/contacts");
    let request = server.api("GET", "proxy/crm").header("causeway-proxy-url", url);
    server.send(request, "").await.status
}
