//! The database goes away and comes back: callers are told, and nothing acknowledged is lost.

use crate::kit::{Counterpart, Home, Proxy, eventually};
use causeway_store::testing::TestDatabase;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back() {
    let mut database = TestDatabase::postgres().await;
    let (mut proxy, url) = Proxy::before(&database.url);
    database.url = url;
    let other = Counterpart::start().await;
    let home = Home::with_flags(database, &["--net-allow", &other.range()]);
    let server = home.serve();
    let step = format!(
        "export default async ({{ event }}) => {{
           await fetch('{0}/wait/a');
           return event.body.n;
         }};",
        other.url()
    );
    let manifest =
        "egress: [127.0.0.1]\nsteps: [{ name: a, run: ./a.mjs }, { name: b, run: ./b.mjs }]";
    let files = [
        ("a.mjs", step.as_str()),
        ("b.mjs", "export default ({ steps }) => steps.a.$return_value + 1;"),
    ];
    let trigger = home.deploy(&server, "waits", manifest, &files);
    // More than may run at once, so that some wait in memory.
    let mut acknowledged = Vec::new();
    for n in 0..12 {
        acknowledged.push(server.start_invocation(&trigger, &json!({ "n": n })).await);
    }
    other.called("a", 8).await;

    proxy.cut().await;
    // The steps end while nobody can write that down.
    other.open();
    let refused = server.post(&trigger, &json!({ "n": 99 })).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.json()["code"], "store_unavailable", "{refused:?}");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("cannot reach its database") && detail.contains("send it again"),
        "{detail}"
    );
    for path in ["invocations", "workflows", "connections", "keys"] {
        let refused = server.send(server.api("GET", path), "").await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (503, &json!("store_unavailable")),
            "{path}"
        );
    }
    let ready = server.send(http::Request::get(server.url("/readyz")), "").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    let alive = server.send(http::Request::get(server.url("/healthz")), "").await;
    assert_eq!(alive.status, 200, "it can say that it lives: {alive:?}");

    // It has tried to give back what it could not finish, and could not do that either.
    eventually("the server to feel it", async || {
        server.log().contains("could not give an invocation back").then_some(())
    })
    .await;
    proxy.restore();
    eventually("the server to be ready again", async || {
        let ready = server.send(http::Request::get(server.url("/readyz")), "").await;
        (ready.status == 200).then_some(())
    })
    .await;
    for (n, invocation) in acknowledged.iter().enumerate() {
        let ended = server.finished(invocation).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        assert_eq!(ended["steps"].as_array().unwrap().len(), 2);
        assert_eq!(ended["steps"][1]["return_value"], n + 1);
    }
    let fresh = server.finish(&trigger, &json!({ "n": 1 })).await;
    assert_eq!(fresh["state"], "succeeded");
}
