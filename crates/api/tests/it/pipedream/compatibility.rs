//! The suite of components in `testing/components`: each shows something that components rely on, and
//! runs as it is, in a sandbox.

use super::shapes::Ran;
use super::stage::Stage;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use tokio::net::TcpListener;

on_both!(
    values_reach_the_component,
    apps_and_their_methods_are_there,
    the_platform_is_there,
    what_a_run_gives_is_told,
    hosts_are_reached_by_permission,
);

/// The one error of a run: its code and its message.
fn error(ran: &Ran) -> (&str, &str) {
    let found = ran.os.iter().find_map(|one| one.err.as_ref());
    let found = found.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(ran.ret.is_none() && ran.os.last().is_some_and(|one| one.k == "error"), "{ran:?}");
    (&found.name, &found.message)
}

impl Stage {
    /// Runs a component of the suite that has to succeed.
    async fn gives(&self, entry: &str, props: Value) -> Value {
        let key = self.publish_suite(entry, &[]).await;
        let ran = self.run(&key, props).await.unwrap();
        assert!(ran.os.iter().all(|one| one.err.is_none()), "{entry}: {ran:?}");
        ran.ret.unwrap_or_else(|| panic!("{entry} gives nothing"))
    }

    /// Runs one that has to fail with the words.
    async fn fails(&self, entry: &str, props: Value, words: &str) {
        let key = self.publish_suite(entry, &[]).await;
        let ran = self.run(&key, props).await.unwrap();
        let (code, message) = error(&ran);
        assert_eq!(code, "user_error", "{entry}: {message}");
        assert!(message.contains(words), "{entry}: {message}");
    }
}

async fn values_reach_the_component(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let all = json!({
        "text": "a", "texts": ["b", "c"], "number": 3, "numbers": [4], "flag": false,
        "record": { "d": [null] }, "anything": [1, { "e": "f" }],
    });
    let mut seen = all.clone();
    seen["hasFlags"] = false.into();
    assert_eq!(stage.gives("actions/all-types.mjs", all.clone()).await, seen);
    for (name, bad, words) in [
        ("text", json!(7), "`text` takes a text, and got a number"),
        ("texts", json!("b"), "`texts` takes a list of texts, and got a text"),
        ("number", json!(1.5), "`number` takes a whole number"),
        ("number", json!(10), "`number` takes numbers from 1 to 9"),
        ("numbers", json!(["4"]), "`numbers` takes a list of whole numbers"),
        ("flag", json!("no"), "`flag` takes true or false"),
        ("record", json!([1]), "`record` takes an object, and got a list"),
        ("text", json!(null), "`text` has no value"),
    ] {
        let mut props = all.clone();
        props[name] = bad;
        stage.fails("actions/all-types.mjs", props, words).await;
    }
    let wanted = json!({ "text": "usual", "list": ["a", "b"], "none": true, "note": true });
    // Twice: what one run does to a default is not there for the next.
    for _ in 0..2 {
        assert_eq!(stage.gives("actions/defaults.mjs", json!({})).await, wanted);
    }
    let pair = |label: &str, value: &str| json!({ "__lv": { "label": label, "value": value } });
    let props = json!({
        "plain": pair("One", "1"), "labelled": pair("Two", "2"),
        "several": [pair("Three", "3"), "4"],
    });
    let wanted = json!(["1", { "label": "Two", "value": "2" }, ["3", "4"]]);
    assert_eq!(stage.gives("actions/labels.mjs", props).await, wanted);
    let several = json!({ "__lv": [{ "label": "Five", "value": "5" }] });
    let props = json!({ "plain": "1", "labelled": "2", "several": several });
    assert_eq!(stage.gives("actions/labels.mjs", props).await, json!(["1", "2", ["5"]]));
    assert_eq!(stage.gives("actions/defined.ts", json!({ "numbers": [1, 2] })).await["sum"], 3);
}

async fn apps_and_their_methods_are_there(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let echo = || json!({ "echo": stage.linked() });
    assert_eq!(stage.gives("actions/app-inline.mjs", echo()).await, json!([200, "/base/inline"]));
    let props = json!({ "echo": stage.linked(), "text": "hi" });
    assert_eq!(
        stage.gives("actions/app-methods.mjs", props).await,
        json!({ "sees": ["$auth", "call", "whoami"], "method": "POST", "body": "{\"text\":\"hi\"}" })
    );
    assert_eq!(stage.gives("actions/spread.mjs", echo()).await, "/base/own");
    assert_eq!(stage.gives("actions/optional-app.mjs", json!({})).await, json!({}));
    stage
        .fails("actions/spread.mjs", json!({}), "`echo` needs an account of the app echo_app")
        .await;
    let item =
        json!({ "echo": stage.linked(), "kind": "big", "item": "x", "colour": "red", "own": "1" });
    assert_eq!(stage.gives("actions/prop-definitions.mjs", item).await, json!(["x", 10]));
}

async fn the_platform_is_there(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let echo = || json!({ "echo": stage.linked() });
    assert_eq!(
        stage.gives("actions/axios.mjs", echo()).await,
        json!({
            "query": "first=1&list%5B%5D=1&list%5B%5D=2&last=%C3%BC",
            "whole": [200, "POST", "{\"a\":1}"], "form": "a=x+y", "path": "/base/below",
            // Without its placeholder the broker sends nothing to the app.
            "text": "string", "kept": 403,
        })
    );
    let key = stage.publish_suite("actions/axios-error.mjs", &[]).await;
    let ran = stage.run(&key, echo()).await.unwrap();
    let (_, message) = error(&ran);
    assert!(message.contains("{\"title\":\"theirs\"}"), "{message}");
    let debug = &ran.exports["debug"];
    assert_eq!((&debug["status"], &debug["data"]["title"]), (&json!(409), &json!("theirs")));
    let props = json!({ "text": "so" });
    stage
        .fails(
            "actions/configuration-error.mjs",
            props,
            "ConfigurationError: The text must not be so",
        )
        .await;
    assert_eq!(
        stage.gives("actions/platform.mjs", json!({})).await,
        json!({
            "names": [
                "ConfigurationError", "DEFAULT_POLLING_SOURCE_TIMER_INTERVAL", "axios", "cloneSafe",
                "getFileStream", "getFileStreamAndMetadata", "jsonStringifySafe",
            ],
            "interval": 900, "text": "{\"big\":\"1\",\"at\":\"1970-01-01T00:00:00.000Z\"}",
            "clone": { "list": [{ "big": "1", "at": "1970-01-01T00:00:00.000Z" }] },
            "error": "ConfigurationError", "same": true,
        })
    );
}

async fn what_a_run_gives_is_told(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let key = stage.publish_suite("actions/exports.mjs", &[]).await;
    let ran = stage.run(&key, json!({})).await.unwrap();
    assert_eq!(ran.ret, Some(json!({ "steps": ["trigger"], "key": "suite-exports" })));
    assert_eq!(
        (&ran.exports["$summary"], &ran.exports["rows"]),
        (&json!("Did it"), &json!([1, 2]))
    );
    let printed: Vec<_> =
        ran.os.iter().map(|one| (one.k.as_str(), one.msg.as_deref().unwrap_or_default())).collect();
    assert_eq!(printed, [("console.log", "on its way"), ("console.error", "with a warning")]);
    assert!(ran.os.iter().all(|one| one.ts > 0) && ran.stash_id.is_none());
    let props = json!({ "token": "tok-canary-0123456789", "shown": "here" });
    let key = stage.publish_suite("actions/secret.mjs", &[]).await;
    let ran = stage.run(&key, props).await.unwrap();
    assert_eq!(ran.ret.as_ref().unwrap()["shown"], "here");
    let told = format!("{ran:?}");
    let hex = data_encoding::HEXLOWER.encode(b"tok-canary");
    assert!(!told.contains("tok-canary") && !told.contains(&hex), "{told}");
}

async fn hosts_are_reached_by_permission(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let elsewhere = somewhere().await;
    let props = json!({ "url": elsewhere });
    stage.fails("actions/reaches-out.mjs", props.clone(), "localhost").await;
    let files = stage.publish_suite("actions/files.mjs", &["localhost"]).await;
    let ran = stage.run(&files, props).await.unwrap();
    assert_eq!(
        ran.ret,
        Some(json!({
            "local": ["of its own", 10, "own.txt"],
            "remote": ["from elsewhere", "note.txt", "text/plain"], "again": "of its own",
        })),
        "{:?}",
        ran.os
    );
    let request = json!({
        "method": "POST", "url": elsewhere.replace("note.txt", "echo"),
        "params": [{ "name": "a", "value": "1" }, { "name": "b", "value": "2", "disabled": true }],
        "headers": [{ "name": "x-note", "value": "hi" }],
        "auth": { "type": "bearer", "token": "t" },
        "body": { "mode": "fields", "contentType": "application/json",
                  "fields": [{ "name": "c", "value": "3" }] },
    });
    let key = stage.publish_suite("actions/http-request.mjs", &["localhost"]).await;
    let ran = stage.run(&key, json!({ "request": request })).await.unwrap();
    let wanted = json!(["POST", "a=1", "{\"c\":\"3\"} hi Bearer t", "POST"]);
    assert_eq!(ran.ret, Some(wanted), "{:?}", ran.os);
}

/// The URL of a file at a host that is no app's.
async fn somewhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = async |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 10).await.unwrap();
        let header = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
        let said = String::from_utf8_lossy(&body).into_owned();
        axum::Json(json!({
            "method": parts.method.as_str(), "query": parts.uri.query(),
            "body": format!("{said} {} {}", header("x-note"), header("authorization")),
        }))
    };
    let note = async || ([(CONTENT_TYPE, "text/plain")], "from elsewhere");
    let router =
        Router::new().route("/note.txt", get(note)).route("/echo", axum::routing::post(echo));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://localhost:{port}/note.txt")
}
