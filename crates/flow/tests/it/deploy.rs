//! What a deploy refuses.

use crate::kit::{World, owned};
use causeway_flow::{FlowError, PlanAction};
use causeway_identity::action;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Code, Coded};

on_both!(code_that_does_not_parse_is_not_deployed, code_is_read_once_and_not_run);

const MANIFEST: &str = "name: hello\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: one, run: ./one.mjs }\n  - { name: two, run: ./lib/two.ts }\n";
const ONE: (&str, &str) = ("one.mjs", "export default () => 1;");

async fn code_that_does_not_parse_is_not_deployed(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let broken = [
        ("workflow.yaml", MANIFEST),
        ONE,
        ("lib/two.ts", "import { n } from './three.mjs';\nexport default (): number => n;"),
        ("lib/three.mjs", "export const n = 3;\nexport const m = (4;"),
    ];
    let permit = world.permit::<action::Deploy>();
    let planned = world.flow.plan(&permit, owned(&broken)).await.err().unwrap();
    let deployed = world.deploy(&broken).await.err().unwrap();
    for error in [planned, deployed] {
        assert_eq!(error.code(), Code::SyntaxError);
        assert_eq!(
            error.public(),
            "lib/three.mjs:2:20: SyntaxError: Unexpected token ';'\n  export const m = (4;"
        );
    }
    assert!(matches!(
        world.flow.workflow_named(&world.permit(), "hello").await,
        Err(FlowError::NoWorkflowNamed(_))
    ));
    assert_eq!(world.pool.stats().live, 0, "its sandboxes are ended");

    let mended: Vec<_> =
        broken[..3].iter().copied().chain([("lib/three.mjs", "export const n = 3;")]).collect();
    let workflow = world.deploy(&mended).await.unwrap();
    let steps = world.run(workflow).await;
    assert!(steps.iter().all(|step| step.record.error.is_none()));
    // A version that once was accepted is not read again to go back to it.
    assert_eq!(
        world.flow.plan(&permit, owned(&mended)).await.unwrap().action,
        PlanAction::Unchanged
    );
    world.stop().await;
}

async fn code_is_read_once_and_not_run(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let files = [
        ("workflow.yaml", MANIFEST),
        ("one.mjs", "for (;;) {}"),
        ("lib/two.ts", "process.exit(1); export default 1;"),
    ];
    let permit = world.permit::<action::Deploy>();
    world.flow.plan(&permit, owned(&files)).await.unwrap();
    assert_eq!(world.pool.stats().started, 1);
    world.deploy(&files).await.unwrap();
    assert_eq!(world.pool.stats().started, 1, "the plan has read it");
    world.stop().await;
}
