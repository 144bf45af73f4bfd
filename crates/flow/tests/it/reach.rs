//! What a version's code may reach, while connections come and go.

use crate::kit::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;

on_both!(code_reaches_the_hosts_of_the_app_that_its_connection_is_to_now);

const MANIFEST: &str = "name: calls\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: call, run: ./call.mjs, connections: { crm: crm } }\n";
const CALL: &str = "export default async () => {
  for (const host of ['one.example', 'two.example']) await fetch(`http://${host}/`).catch(() => {});
};";

async fn code_reaches_the_hosts_of_the_app_that_its_connection_is_to_now(database: TestDatabase) {
    let world = World::new(database, &["one", "two"]).await;
    let reached = |one: bool, two: bool| {
        vec![("one.example".to_owned(), one), ("two.example".to_owned(), two)]
    };
    let connection = world.connect("one", "crm").await;
    let workflow = world.deploy(&[("workflow.yaml", MANIFEST), ("call.mjs", CALL)]).await.unwrap();
    for _ in 0..2 {
        world.run(workflow).await;
        assert_eq!(world.asked.take(), reached(true, false));
    }
    world.disconnect(connection).await;
    world.run(workflow).await;
    assert_eq!(world.asked.take(), [], "the step has no credential");
    world.connect("two", "crm").await;
    for _ in 0..2 {
        world.run(workflow).await;
        assert_eq!(world.asked.take(), reached(false, true));
    }
    world.stop().await;
}
