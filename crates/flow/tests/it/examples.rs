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

on_both!(contacts_are_imported, discounts_are_approved);

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
    for (answer, granted) in [
        (json!({ "approved": true, "by": "sales" }), Some("sales")),
        (json!({ "approved": false }), None),
    ] {
        let id = world.begin_on(workflow, &event(40)).await;
        let (_, steps) = world.until(id, |one| one.waits_for == Some(WaitsFor::Resume)).await;
        let asked = returned(&steps[1]);
        assert_eq!(asked["question"], "40 % for acme?");
        let token = asked["resume_url"].as_str().unwrap().rsplit_once('/').unwrap().1;
        let data = RawValue::from_string(answer.to_string()).unwrap();
        world.flow.use_link(LinkKind::Resume, token, &data).await.unwrap();
        let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
        assert_eq!(invocation.state, InvocationState::Succeeded);
        let last = steps.last().unwrap();
        let by = (last.step.name == "grant").then(|| returned(last)["by"].clone());
        assert_eq!(by, granted.map(Value::from));
    }
    world.stop().await;
}
