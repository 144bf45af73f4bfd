//! Requests that schemathesis (PyPI) makes from the document, over a real socket: what it finds in
//! the document it tries, and tries to break.

use crate::kit::World;
use crate::ops::python;
use crate::schema::DOCUMENT;
use causeway_store::testing::TestDatabase;
use serde_json::json;
use std::net::SocketAddr;
use std::process::Stdio;

/// Requests to each operation in the phase of random ones.
const EXAMPLES: &str = "10";

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_what_the_document_promises() {
    let world = World::new(TestDatabase::sqlite().await).await;
    let workflow = world.deploy("hello").await["workflow_id"].clone();
    let events = format!("/api/v1/workflows/{}/events", workflow.as_str().unwrap());
    world.post(&events, &json!({ "event": {} })).await.ok();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = world.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });

    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, DOCUMENT.to_string()).unwrap();
    let done = tokio::process::Command::new(python().with_file_name("schemathesis"))
        .arg("run")
        .arg(&document)
        .args(["--url", &url, "--header", &format!("Authorization: Bearer {}", world.key)])
        // Its answer has no end; `run` looks at it.
        .args(["--exclude-operation-id", "tail_invocations"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
        ])
        .args(["--generation-deterministic", "--workers", "2"])
        .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    serving.abort();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // It ran, and it ran on everything but the stream.
    let operations = crate::schema::operations().len() - 1;
    assert!(said.contains(&format!("{operations} selected")), "{said}");
}
