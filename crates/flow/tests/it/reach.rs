//! What a version's code may reach, while connections come and go.

use crate::kit::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};

on_both!(code_reaches_the_hosts_of_the_app_that_its_connection_is_to_now);

const MANIFEST: &str = "name: calls\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: call, run: ./call.mjs, connections: { crm: crm } }\n  - { name: alone, run: ./call.mjs }\n";
/// The broker refuses requests without a credential, which says that the host is its own.
const CALL: &str = "export default async () => {
  const asked = {};
  for (const host of ['one.example', 'two.example']) {
    asked[host] = await fetch(`https://${host}/`).then(async (r) => (await r.json()).code, (e) => e.cause.code);
  }
  return asked;
};";

async fn code_reaches_the_hosts_of_the_app_that_its_connection_is_to_now(database: TestDatabase) {
    let world = World::new(database, &["one", "two"]).await;
    let (owned, closed) = ("credential_missing", "EGRESS_REFUSED");
    let connection = world.connect("one", "crm").await;
    let workflow = world.deploy(&[("workflow.yaml", MANIFEST), ("call.mjs", CALL)]).await.unwrap();
    for _ in 0..2 {
        let [linked, alone] = reached(&world, workflow).await;
        assert_eq!(linked, json!({ "one.example": owned, "two.example": closed }));
        assert_eq!(alone, json!({ "one.example": closed, "two.example": closed }));
    }
    world.disconnect(connection).await;
    let failed = world.run(workflow).await;
    assert_eq!(failed.len(), 1);
    assert!(failed[0].record.error.is_some(), "the step has no credential");
    world.connect("two", "crm").await;
    for _ in 0..2 {
        let [linked, _] = reached(&world, workflow).await;
        assert_eq!(linked, json!({ "one.example": closed, "two.example": owned }));
    }
    world.stop().await;
}

/// What each of the two steps reached.
async fn reached(world: &World, workflow: causeway_types::WorkflowId) -> [Value; 2] {
    let steps = world.run(workflow).await;
    assert_eq!(steps.len(), 2, "{:#?}", steps[0].record.error);
    [0, 1].map(|at| {
        let value = steps[at].record.return_value.as_ref().unwrap();
        // What is refused over a connection that was kept is told there, in an answer.
        serde_json::from_str(&value.get().replace("not_linked", "EGRESS_REFUSED")).unwrap()
    })
}
