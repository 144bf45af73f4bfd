//! A component is published by the command line, run through the contract and as a step, and nothing
//! that its author, its customer or its code had stands in the database.

use crate::kit::{Home, Needles, Server};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::any;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use tokio::net::TcpListener;

on_both!(a_component_is_published_and_run);

/// The customer's real key.
const KEY: &str = "k-7Qm2xT9vLb4Rn8Zw1Kc6Pd3Hj5Gs0Yf";
/// What only the component's author knows.
const IN_CODE: &str = "canary-in-the-code-81723";
const IN_DEFINITION: &str = "canary-in-the-definition-55102";
const IN_VALUE: &str = "canary-in-a-value-90417";

const COMPONENT: &str = r#"
import { axios } from "@pipedream/platform";
const own = "IN_CODE";
export default {
  key: "books-add", name: "Add a book", version: "1.0.0", type: "action",
  props: {
    books: { type: "app", app: "books" },
    url: { type: "string", label: "IN_DEFINITION" },
    title: { type: "string", optional: true },
  },
  additionalProps() { return { shelf: { type: "string", label: `Shelf for ${this.title}`, optional: true } }; },
  async run({ $, steps }) {
    const key = this.books.$auth.api_key;
    const added = await axios($, { url: this.url, headers: { "x-key": key }, params: { title: this.title } });
    console.log(key, own.length);
    return { added, key, from: steps.trigger.event?.body ?? null };
  },
};
"#;

const STEP: &str = "steps:
  - name: add
    run: ./component.mjs
    connections: { books: acme }
    props: { url: URL, title: TITLE }
";

async fn a_component_is_published_and_run(database: TestDatabase) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let url = format!("http://127.0.0.1:{port}/books");
    let apps = tempfile::tempdir().unwrap();
    std::fs::create_dir(apps.path().join("books")).unwrap();
    std::fs::write(apps.path().join("books/app.yaml"), row(port)).unwrap();
    let apps_dir = apps.path().display().to_string();
    let allowed = format!("127.0.0.1/32:{port}");
    let home = Home::with_flags(database, &["--net-allow", &allowed, "--apps-dir", &apps_dir]);
    let server = home.serve_logging("info,causeway=trace");
    let fields = home.path("key.json");
    std::fs::write(&fields, json!({ "api_key": KEY }).to_string()).unwrap();
    let fields = format!("@{}", fields.display());
    let add = ["connections", "add", "--json", "--app=books", "--customer=ada", "--name=acme"];
    let made = home.cli(&server, &[&add[..], &["--fields", &fields]].concat()).json();
    let account = made["id"].as_str().unwrap().replacen("conn_", "apn_", 1);

    let code = COMPONENT.replace("IN_CODE", IN_CODE).replace("IN_DEFINITION", IN_DEFINITION);
    let file = home.path("component.mjs");
    std::fs::write(&file, &code).unwrap();
    let file = file.to_str().unwrap();
    let published = home.cli(&server, &["components", "publish", "--json", file]).json();
    assert_eq!((&published["key"], &published["created"]), (&json!("books-add"), &json!(true)));
    let id = published["id"].as_str().unwrap();
    let again = home.cli(&server, &["components", "publish", file]);
    assert!(again.stdout.starts_with("It is there already"), "{again:?}");
    let listed = home.cli(&server, &["components", "list"]);
    assert!(listed.stdout.contains(&format!("{id}  books-add  1.0.0  action")), "{listed:?}");
    let shown = home.cli(&server, &["components", "show", id]);
    assert!(shown.stdout.contains("books  app books"), "{shown:?}");
    let folder = home.path("empty");
    std::fs::create_dir(&folder).unwrap();
    let refused = home.cli(&server, &["components", "publish", folder.to_str().unwrap()]);
    assert!(refused.refusal().contains("name its file"), "{refused:?}");

    let props = json!({ "books": { "authProvisionId": account }, "url": url, "title": IN_VALUE });
    let body = json!({ "id": "books-add", "external_user_id": "ada", "configured_props": props });
    let found = call(&home, &server, "props", &body).await;
    assert!(found["dynamicProps"]["id"].as_str().unwrap().starts_with("dyp_"), "{found}");
    let ran = call(&home, &server, "run", &body).await;
    assert_eq!(ran["ret"]["added"], json!({ "query": format!("title={IN_VALUE}") }), "{ran}");
    assert_ne!(ran["ret"]["key"], KEY);

    let manifest = STEP.replace("URL", &url).replace("TITLE", IN_VALUE);
    let trigger = home.deploy(&server, "adds", &manifest, &[("component.mjs", &code)]);
    let invocation = server.start_invocation(&trigger, &json!({ "a": 1 })).await;
    server.tail(&invocation).await;
    let shown = server.get(&format!("invocations/{invocation}")).await;
    let given = &shown["steps"][0]["return_value"];
    assert_eq!(given["added"], json!({ "query": format!("title={IN_VALUE}") }), "{shown:#}");
    assert_eq!(given["from"], json!({ "a": 1 }));

    let told = Needles::new([("the key", KEY)]);
    told.assert_absent("the run's answer", ran.to_string());
    told.assert_absent("the invocation", shown.to_string());
    told.assert_absent("the server's log", server.log());
    Needles::new([
        ("the key", KEY),
        ("the code", IN_CODE),
        ("the definition", IN_DEFINITION),
        ("a value", IN_VALUE),
    ])
    .assert_absent_at_rest(&home);

    let deleted = home.cli(&server, &["components", "delete", id]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    let gone = home.cli(&server, &["components", "show", id]);
    assert!(gone.refusal().contains("There is no such component"), "{gone:?}");
    server.stop();
}

/// Asks the action something by the contract.
async fn call(home: &Home, server: &Server, what: &str, body: &Value) -> Value {
    let project = home.tenant().project;
    let address = server.url(&format!("/v1/connect/{project}/actions/{what}"));
    let request = http::Request::post(address)
        .header("authorization", format!("Bearer {}", home.api_key()))
        .header("content-type", "application/json")
        .header("x-pd-environment", "production");
    let answer = server.send(request, body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The app: it knows its key, and says what it was asked.
async fn answer(request: Request) -> axum::response::Response {
    if request.headers().get("x-key").is_none_or(|key| key != KEY) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    axum::Json(json!({ "query": request.uri().query() })).into_response()
}

fn row(port: u16) -> String {
    format!(
        "slug: books
name: Books
description: An app that keeps books.
docs: https://books.example/
categories: [developer-tools]
hosts: [\"127.0.0.1:{port}\"]
auth:
  api_key:
    docs: https://books.example/keys
    fields: [{{ name: api_key, label: Key }}]
    send: {{ headers: {{ X-Key: \"{{api_key}}\" }} }}
verify: {{ url: \"http://127.0.0.1:{port}/books\" }}
api: {{ base_url: \"http://127.0.0.1:{port}\" }}
"
    )
}
