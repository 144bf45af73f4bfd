//! Steps in several languages, from the folder of the examples to the figures.

use crate::kit::{Home, PUBLIC_URL, eventually, run};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use std::path::Path;

on_both!(the_example_in_three_languages_runs);

async fn the_example_in_three_languages_runs(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/score-lead");
    let deployed = home.cli(&server, &["deploy", "--json", folder.to_str().unwrap()]).json();
    let trigger = deployed["trigger_url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap();
    let event = json!({
        "email": " Ada@Example.com ", "name": "Ada",
        "visits": [{ "path": "/pricing", "seconds": 41 }, { "path": "/pricing", "seconds": 20.5 }],
    });
    let invocation = server.finish(trigger, &event).await;
    assert_eq!(invocation["state"], "succeeded", "{invocation:#}");
    let steps = &invocation["steps"];
    assert_eq!(steps[0]["return_value"]["email"], "ada@example.com");
    assert_eq!(steps[1]["return_value"], json!({ "score": 60, "is_hot": true }));
    assert_eq!(steps[1]["exports"], json!({ "seconds": 30.8 }));
    assert_eq!(steps[1]["logs"][0]["text"], "ada@example.com: 2 visits");
    assert_eq!(steps[2]["return_value"], "Ada: 60 points, 30.8 s a page");

    let metrics = server.send(http::Request::get(server.url("/metrics")), "").await.text();
    for runtime in ["node", "python", "bash"] {
        let labels = format!("{{runtime=\"{runtime}\",tier=\"jail\"}} ");
        for name in ["causeway_sandboxes_started_total", "causeway_sandbox_wait_seconds_count"] {
            let figure = format!("{name}{labels}");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&figure)).unwrap();
            assert!(line.parse::<u64>().unwrap() > 0, "{name} of {runtime}: {line}");
        }
    }
    server.stop();
}

#[tokio::test]
async fn the_figures_of_the_sandboxes_move() {
    let flags = [
        "--concurrency=1",
        "--spare-sandboxes=0",
        "--sandbox-idle-seconds=1",
        "--sandbox-memory-mib=512",
    ];
    let home = Home::with_flags(TestDatabase::sqlite().await, &flags);
    let server = home.serve();
    let figure = async |name: &str| {
        let metrics = server.send(http::Request::get(server.url("/metrics")), "").await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse::<u64>().unwrap()
    };
    let sandboxes = async |state: &str| {
        let labels = format!("{{state=\"{state}\",runtime=\"node\",tier=\"jail\"}}");
        figure(&format!("causeway_sandboxes{labels}")).await
    };
    let total =
        async |name: &str| figure(&format!("{name}{{runtime=\"node\",tier=\"jail\"}}")).await;
    let evicted = async |reason: &str| {
        let labels = format!("{{reason=\"{reason}\",runtime=\"node\",tier=\"jail\"}}");
        figure(&format!("causeway_sandboxes_evicted_total{labels}")).await
    };
    let deploy = |name: &str, code: &str| {
        let manifest = "steps:\n  - { name: one, run: ./one.mjs }\n";
        home.deploy(&server, name, manifest, &[("one.mjs", code)])
    };
    let (one, two) =
        (deploy("one", "export default () => 1"), deploy("two", "export default () => 2"));
    let before = total("causeway_sandboxes_started_total").await;
    // One place: the second of one finds it warm, two takes it.
    for trigger in [&one, &one, &two] {
        let ended = server.finish(trigger, &Value::Null).await;
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
    }
    assert_eq!(total("causeway_sandboxes_started_total").await - before, 2);
    assert_eq!(total("causeway_sandboxes_warm_total").await, 1);
    assert_eq!(evicted("room").await, 1);
    assert_eq!(total("causeway_sandbox_wait_seconds_count").await, before + 3);
    assert_eq!(total("causeway_sandboxes_failed_total").await, 0);
    assert_eq!(total("causeway_sandbox_callers_waiting").await, 0);
    assert_eq!(total("causeway_sandbox_callers_refused_total").await, 0);
    assert_eq!(figure("causeway_sandbox_memory_limit_bytes").await, 536_870_912);
    eventually("the last one to be idle for its time", async || {
        (evicted("idle").await > 0).then_some(())
    })
    .await;
    assert_eq!((sandboxes("idle").await, sandboxes("live").await), (0, 0));
    assert_eq!(figure("causeway_sandbox_memory_bytes").await, 0);

    let slow = deploy("slow", "export default () => new Promise((ok) => setTimeout(ok, 60000))");
    let invocation = server.start_invocation(&slow, &Value::Null).await;
    eventually("a sandbox to be at work", async || {
        (sandboxes("busy").await > 0 && sandboxes("live").await > 0).then_some(())
    })
    .await;
    eventually("its memory", async || {
        (figure("causeway_sandbox_memory_bytes").await > 1 << 20).then_some(())
    })
    .await;
    assert!(server.get(&format!("invocations/{invocation}")).await["finished_at"].is_null());
    server.kill_9();
}

#[tokio::test]
async fn the_doctor_names_what_a_runtime_lacks() {
    let home = Home::new(TestDatabase::sqlite().await);
    let doctor = |flags: &[&str]| {
        let ran = run(Home::bare().args(["doctor", "--json"]).args(home.place()).args(flags));
        assert_eq!(ran.code, Some(0), "Node alone is enough: {ran:#?}");
        let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        move |runtime: &str| {
            let check = format!("runtime: {runtime}");
            let found = findings.iter().find(|finding| finding["check"] == check).unwrap();
            (found["outcome"].to_string(), found["detail"].to_string())
        }
    };
    let all = doctor(&[]);
    for (runtime, words) in [("node", "bin/node"), ("python", "(Python 3."), ("bash", "jq")] {
        let (outcome, detail) = all(runtime);
        assert_eq!(outcome, "\"ok\"", "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
    let (outcome, detail) = doctor(&["--python=/nonexistent/python3"])("python");
    assert_eq!(outcome, "\"warning\"");
    assert!(detail.contains("/nonexistent/python3") && detail.contains("`python3`"), "{detail}");
    let (outcome, detail) = doctor(&["--bash=/etc/passwd"])("bash");
    assert_eq!(outcome, "\"warning\"");
    assert!(detail.contains("/etc/passwd is not a 64-bit ELF program"), "{detail}");
    let (outcome, detail) = doctor(&["--python=/bin/true"])("python");
    assert_eq!(outcome, "\"warning\"");
    assert!(detail.contains("answers what no Python does"), "{detail}");
}

#[tokio::test]
async fn the_doctor_makes_a_sandbox_of_each_tier_and_says_what_is_missing() {
    let home = Home::new(TestDatabase::sqlite().await);
    let doctor = |flags: &[&str]| {
        let ran = run(Home::bare().args(["doctor", "--json"]).args(home.place()).args(flags));
        let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        let found = |tier: &str| {
            let check = format!("tier: {tier}");
            findings.iter().find(|finding| finding["check"] == check).cloned().unwrap_or_default()
        };
        (ran.code, found("jail"), found("gvisor"), found("vm"))
    };
    let (code, jail, gvisor, vm) = doctor(&[]);
    assert_eq!((code, &jail["outcome"], &gvisor["outcome"]), (Some(0), &json!("ok"), &json!("ok")));
    assert!(jail["detail"].as_str().unwrap().ends_with("the weakest that steps run in"), "{jail}");
    // No machine that tests run on has Firecracker where it is looked for.
    assert_eq!(vm["outcome"], json!("warning"));
    let detail = vm["detail"].as_str().unwrap();
    assert!(
        detail.contains("the tier `vm`") && detail.contains("causeway image build"),
        "{detail}"
    );

    let without = ["--runsc", "/nonexistent/runsc"];
    let (code, _, gvisor, _) = doctor(&without);
    assert_eq!((code, &gvisor["outcome"]), (Some(0), &json!("warning")));
    let detail = gvisor["detail"].as_str().unwrap();
    assert!(detail.contains("reading /nonexistent/runsc"), "{detail}");
    assert!(detail.contains("install Debian's `runsc`"), "{detail}");

    for tier in ["gvisor", "vm"] {
        let flags = [&without[..], &["--sandbox-minimum-tier", tier]].concat();
        let (code, _, gvisor, vm) = doctor(&flags);
        assert_ne!(code, Some(0), "the server is to run nothing weaker");
        let found = if tier == "vm" { vm } else { gvisor };
        assert_eq!(found["outcome"], "error", "{tier}: {found}");
    }
}
