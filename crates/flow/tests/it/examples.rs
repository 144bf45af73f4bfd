//! The workflows of `examples/` that need nothing but a CRM.

use crate::kit::{World, owned, returned};
use causeway_flow::LinkKind;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::WorkflowId;
use causeway_types::entity::{InvocationState, WaitsFor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::Path;

on_both!(contacts_are_imported, discounts_are_approved, companies_are_counted);

/// Where the examples expect the demo CRM.
const DEMO: &str = "http://127.0.0.1:8401";

/// Deploys an example as it is, but for the address of the CRM.
async fn deploy(world: &World, name: &str, crm: &str) -> WorkflowId {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().replace(DEMO, crm);
        files.push((path.file_name().unwrap().to_str().unwrap().to_owned(), text));
    }
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    world.flow.deploy(&world.permit(), owned(&files)).await.unwrap().workflow_id
}

async fn contacts_are_imported(database: TestDatabase) {
    let world = World::new(database, &["crm"]).await;
    world.connect("crm", "acme-crm").await;
    let workflow = deploy(&world, "import-contacts", world.app_url("crm")).await;
    let contacts = json!([
        { "email": "new@acme.example", "name": "New" },
        { "email": "office@tinkers.example", "name": "Known" },
        { "name": "Nowhere" },
        { "email": "bad@acme.example" },
        { "email": "other@acme.example", "name": "Other" },
    ]);
    let event = json!({ "body": { "contacts": contacts } });
    let (invocation, steps) = world.run_on(workflow, &event).await;
    assert_eq!(
        invocation.state,
        InvocationState::Succeeded,
        "{:?}",
        steps.last().unwrap().record.error
    );
    let results = returned(&steps[0]);
    let added: Vec<&str> = results
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["body"]["email"].as_str())
        .collect();
    assert_eq!(added, ["new@acme.example", "other@acme.example"]);
    let failures = &steps[0].record.exports["failures"];
    let failures: Value = serde_json::from_str(failures.get()).unwrap();
    assert_eq!((&failures[0]["index"], failures.as_array().unwrap().len()), (&json!(3), 1));
    world.stop().await;
}

async fn discounts_are_approved(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let workflow = deploy(&world, "approve-discount", DEMO).await;
    let event = |percent: u32| json!({ "body": { "customer": "acme", "percent": percent } });
    let (_, steps) = world.run_on(workflow, &event(10)).await;
    assert_eq!(
        returned(steps.last().unwrap()),
        json!({ "customer": "acme", "percent": 10, "by": "rule" })
    );
    for (answer, by) in [
        (json!({ "by": "sales" }), Some("sales")),
        (Value::Null, Some("somebody with the link")),
        (Value::Null, None),
    ] {
        let id = world.begin_on(workflow, &event(40)).await;
        let (_, steps) = world.until(id, |one| one.waits_for == Some(WaitsFor::Resume)).await;
        let asked = returned(&steps[1]);
        assert_eq!(asked["question"], "40 % for acme?");
        let (kind, link) =
            if by.is_some() { (LinkKind::Resume, "yes") } else { (LinkKind::Cancel, "no") };
        let token = asked[link].as_str().unwrap().rsplit_once('/').unwrap().1;
        let data = RawValue::from_string(answer.to_string()).unwrap();
        world.flow.use_link(kind, token, &data).await.unwrap();
        let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
        let granted = steps.last().filter(|last| last.step.name == "grant").map(returned);
        assert_eq!(granted.as_ref().and_then(|value| value["by"].as_str()), by);
        let expected =
            if by.is_some() { InvocationState::Succeeded } else { InvocationState::Canceled };
        assert_eq!(invocation.state, expected);
    }
    world.stop().await;
}

async fn companies_are_counted(database: TestDatabase) {
    let world = World::new(database, &["crm"]).await;
    world.connect("crm", "acme-crm").await;
    let workflow = deploy(&world, "weekly-report", world.app_url("crm")).await;
    let (invocation, steps) = world.run_on(workflow, &json!({})).await;
    let error = steps.last().and_then(|last| last.record.error.as_ref());
    assert_eq!(invocation.state, InvocationState::Succeeded, "{error:?}");
    let report = returned(&steps[2]);
    assert_eq!(report["text"], "5 companies, redwood.example has the most contacts.");
    assert_eq!(report["week"], "by hand");
    assert_eq!(report["companies"][0], json!({ "company": "redwood.example", "contacts": 2 }));
    world.stop().await;
}
