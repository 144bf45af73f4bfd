//! A new data key while the server works: `kill -9` in the middle of it costs nothing.

use crate::kit::{Home, PATIENCE, Server, eventually};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

on_both!(a_rotation_goes_on_after_a_kill);

/// Each has an event and a step: two sealed records.
const INVOCATIONS: usize = 1_500;

async fn a_rotation_goes_on_after_a_kill(database: TestDatabase) {
    let home = Home::new(database);
    let server = Arc::new(home.serve());
    let files = [("echo.mjs", "export default ({ event }) => event.body.n;")];
    let trigger = home.deploy(&server, "echo", "steps: [{ name: echo, run: ./echo.mjs }]", &files);
    let invocations = fill(&server, &trigger).await;
    for invocation in &invocations {
        server.tail(invocation).await;
    }
    let before = home.cli(&server, &["keys", "show", "--json"]).json();
    assert_eq!(
        (before["data_keys"].as_array().unwrap().len(), &before["rotation"]),
        (1, &Value::Null)
    );

    let begun = home.cli(&server, &["keys", "rotate", "--no-wait", "--json"]).json();
    assert_eq!(begun["rotation"]["state"], "running");
    let again = home.cli(&server, &["keys", "rotate"]);
    assert!(again.refusal().contains("rotation"), "{again:#?}");
    let total = begun["rotation"]["total"].as_i64().unwrap();
    assert!(total >= 2 * i64::try_from(INVOCATIONS).unwrap(), "{begun:#}");
    let server = Arc::into_inner(server).unwrap();
    // Without a pause between looks: it is over soon.
    let under_way = async { while server.get("keys").await["rotation"]["done"] == 0 {} };
    tokio::time::timeout(PATIENCE, under_way).await.unwrap();
    server.kill_9();

    let server = home.serve();
    let keys = home.cli(&server, &["keys", "show", "--json"]).json();
    let at = keys["rotation"]["done"].as_i64().unwrap();
    assert!(at > 0 && at < total, "it was killed in the middle: {at} of {total}");
    let keys = eventually("the rotation to have passed every record", async || {
        let keys = server.get("keys").await;
        (keys["rotation"]["state"] != "running").then_some(keys)
    })
    .await;
    assert_eq!(keys["rotation"]["id"], begun["rotation"]["id"], "the same one went on");
    assert_eq!(keys["rotation"]["done"], total, "and passed each record once");
    let states: Vec<&str> = keys["data_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["retired", "active"]);

    for (n, invocation) in invocations.iter().enumerate() {
        let shown = server.get(&format!("invocations/{invocation}")).await;
        assert_eq!(shown["steps"][0]["return_value"], n);
        let event = server.get(&format!("invocations/{invocation}/event")).await;
        assert_eq!(event["body"]["n"], n);
    }
    let ran = server.finish(&trigger, &json!({ "n": 7 })).await;
    assert_eq!(ran["state"], "succeeded", "the trigger and the version open too: {ran:#}");
    server.stop();
    assert_eq!(home.run_server_command(&["doctor"]).code, Some(0));
}

/// Posts the events, many at a time; gives their invocations in the events' order.
async fn fill(server: &Arc<Server>, trigger: &str) -> Vec<String> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (server, trigger, next) = (Arc::clone(server), trigger.to_owned(), Arc::clone(&next));
        callers.spawn(async move {
            let mut started = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= INVOCATIONS {
                    return started;
                }
                started.push((n, server.start_invocation(&trigger, &json!({ "n": n })).await));
            }
        });
    }
    let mut all: Vec<(usize, String)> = callers.join_all().await.into_iter().flatten().collect();
    all.sort();
    all.into_iter().map(|(_, invocation)| invocation).collect()
}
