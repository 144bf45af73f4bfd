//! The unmodified `axios` and `requests`, from the registries that npm and pip of this machine are set
//! up for.

use crate::kit::{World, guard, real_config};
use causeway_net::{HttpClient, HttpConfig, RequestLimits};
use causeway_sandbox::Runtime;
use serde_json::{Value, json};
use std::path::Path;

/// Whether both registries answer. A machine without them cannot say anything about real packages,
/// and the test says so.
async fn reachable(world: &World) -> bool {
    let config = real_config(world.folder.path());
    let http = HttpClient::new(guard(), &HttpConfig::default()).unwrap();
    for url in
        [config.npm_registry.join("axios").unwrap(), config.pypi_index.join("requests/").unwrap()]
    {
        let limits = RequestLimits { max_response_bytes: 64 << 20, ..RequestLimits::default() };
        let request = http::Request::get(url.as_str()).body(bytes::Bytes::new()).unwrap();
        match http.request(request, limits).await {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => {
                println!("{url} answers {}: real packages are not tried", answer.status());
                return false;
            }
            Err(error) => {
                println!("{error}: real packages are not tried");
                return false;
            }
        }
    }
    true
}

#[tokio::test]
async fn axios_and_requests_are_imported_unmodified() {
    let world = World::new().await;
    if !reachable(&world).await {
        return;
    }
    let packages = world.packages_with(real_config(&world.folder.path().join("packages")));
    let files = [
        ("package.json", r#"{ "dependencies": { "axios": "^1.6.0" } }"#),
        ("requirements.txt", "requests>=2.31\n"),
    ];
    let found = world.resolve_with(&packages, &files, &[], None).await.unwrap();
    let step = "import axios from 'axios'; export default () => typeof axios.create;";
    assert_eq!(world.returned(&packages, &found, Runtime::Node, step).await, "function");
    let step = "import requests\ndef handler(pd):\n    return requests.__name__";
    assert_eq!(world.returned(&packages, &found, Runtime::Python, step).await, "requests");
}

#[tokio::test]
async fn the_example_gets_what_its_lock_names() {
    let world = World::new().await;
    if !reachable(&world).await {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/import-rows");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (asks, lock) = (read("package.json"), read("package-lock.json"));
    let packages = world.packages_with(real_config(&world.folder.path().join("packages")));
    let files = [("package.json", asks.as_str()), ("package-lock.json", lock.as_str())];
    let found = world.resolve_with(&packages, &files, &[], None).await.unwrap();
    assert!(found.made.is_empty());
    let event = json!({ "body": "name, score\nAda, 3\n\nLin, 4\n" });
    let report = world.run_on(&event, &packages, &found, Runtime::Node, &read("rows.mjs")).await;
    let rows: Value = report.outcome.unwrap().return_value.get().parse().unwrap();
    assert_eq!(rows, json!([{ "name": "Ada", "score": "3" }, { "name": "Lin", "score": "4" }]));
}
