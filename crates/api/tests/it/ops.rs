//! What operators and tools ask for.

use crate::kit::World;
use axum::body::Body;
use axum::http::Request;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

on_both!(readiness_follows_the_database, figures_and_documents_need_no_key);

fn plain(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn readiness_follows_the_database(database: TestDatabase) {
    let world = World::new(database).await;
    let ready = world.send(plain("/readyz")).await;
    assert_eq!((ready.status, ready.html()), (200, "ready\n"));
    let workflow = world.deploy("hello").await;
    let trigger: url::Url = workflow["trigger_url"].as_str().unwrap().parse().unwrap();

    world.store().close().await;
    world.send(plain("/readyz")).await.problem(503, "store_unavailable");
    let healthy = world.send(plain("/healthz")).await;
    assert_eq!((healthy.status, healthy.html()), (200, "ok\n"));
    // Everything else says so too, and says nothing of the database itself.
    for path in ["/api/v1/workflows", trigger.path(), "/t/unknown"] {
        let answer = world.get(path).await;
        let detail = answer.problem(503, "store_unavailable");
        assert!(!detail.contains("pool") && !detail.contains("sqlx"), "{detail}");
    }
    let page = world.get("/connect/cwl_x").await;
    assert!(page.header("content-type").starts_with("text/html"));
}

async fn figures_and_documents_need_no_key(database: TestDatabase) {
    let world = World::new(database).await;
    let metrics = world.send(plain("/metrics")).await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let document = world.send(plain("/api/v1/openapi.json")).await;
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json(), *crate::schema::DOCUMENT);
    let schema = world.send(plain("/schemas/workflow.json")).await;
    assert_eq!(schema.header("content-type"), "application/schema+json");
    assert!(schema.json()["$schema"].as_str().unwrap().contains("json-schema.org"));
}

/// Python of the tests' environment.
pub(crate) fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testing-venv/bin/python");
    assert!(path.exists(), "no {}: run `make deps`", path.display());
    path
}

/// Feeds a program JSON; it has to be content.
fn check(program: &str, given: &Value) {
    let mut child = Command::new(python())
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The published schema and the server's own reader take and refuse the same manifests.
#[test]
fn the_schema_of_manifests_takes_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut manifests = Vec::new();
    for folder in std::fs::read_dir(examples).unwrap() {
        let path = folder.unwrap().path().join("workflow.yaml");
        manifests.push(std::fs::read_to_string(path).unwrap());
    }
    assert!(!manifests.is_empty());
    let bad = [
        "name: a\nsteps: []\n",
        "name: a\ntrigger: { http: { auth: some } }\nsteps: [{ name: s, run: ./s.mjs }]\n",
        "name: a\ntrigger: { http: { auth: none } }\nstep: []\n",
        "name: 1\ntrigger: { http: { auth: none } }\nsteps: [{ name: s, run: ./s.mjs }]\n",
        "name: a\ntrigger: { http: { auth: none } }\nsteps: [{ name: s }]\n",
        "name: a\ntrigger: { http: { auth: none } }\nsteps: [{ name: s, run: ./s.mjs, delay: 1h }]\n",
        "name: a\ntrigger: { http: { auth: none } }\nsteps: [{ name: s, delay: 1 }, { name: t, run: ./t.mjs }]\n",
    ];
    for text in bad {
        assert!(causeway_flow::Manifest::parse(text).is_err(), "{text}");
    }
    let program = "
import json, sys, yaml, jsonschema
given = json.load(sys.stdin)
validator = jsonschema.Draft202012Validator
validator.check_schema(given['schema'])
check = validator(given['schema'])
for text in given['good']:
    check.validate(yaml.safe_load(text))
for text in given['bad']:
    assert not check.is_valid(yaml.safe_load(text)), text
";
    let schema = causeway_flow::Manifest::json_schema();
    check(program, &serde_json::json!({ "schema": schema, "good": manifests, "bad": bad }));
}

/// The document is OpenAPI 3.1 by the specification's own schema.
#[test]
fn the_document_is_valid() {
    let program = "
import json, sys, openapi_spec_validator
openapi_spec_validator.validate(json.load(sys.stdin), cls=openapi_spec_validator.OpenAPIV31SpecValidator)
";
    check(program, &crate::schema::DOCUMENT);
}
