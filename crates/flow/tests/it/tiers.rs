//! The kinds of sandbox that workflows ask for, and what becomes of those that ask for too much.

use crate::kit::{World, owned, pool_config};
use causeway_flow::FlowConfig;
use causeway_sandbox::{PoolConfig, RuntimePaths, Tier};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::InvocationState;

on_both!(
    a_workflow_runs_in_the_tier_that_it_asks_for,
    no_step_runs_below_the_servers_own_tier,
    what_asks_for_more_than_there_is_deploys_and_does_not_run,
);

/// Three steps in three languages that return 1, under this line of a manifest.
fn files(line: &str) -> [(&'static str, String); 4] {
    let manifest = format!(
        "name: tiers\ntrigger: {{ http: {{ auth: none }} }}\n{line}\nsteps:\n  - {{ name: a, run: ./a.mjs }}\n  - {{ name: b, run: ./b.py }}\n  - {{ name: c, run: ./c.sh }}\n"
    );
    [
        ("workflow.yaml", manifest),
        ("a.mjs", "export default () => 1".to_owned()),
        ("b.py", "def handler(pd):\n    return 1".to_owned()),
        ("c.sh", "echo 1 > $CAUSEWAY_RESULT".to_owned()),
    ]
}

/// Deploys these, runs them, and expects success in a tier.
async fn assert_runs(world: &World, line: &str, tier: &str) {
    let files = files(line);
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let plan = world.flow.plan(&world.permit(), owned(&files)).await.unwrap();
    assert_eq!(plan.warnings, Vec::<String>::new());
    let workflow = world.deploy(&files).await.unwrap();
    let (invocation, steps) = world.run_whole(workflow).await;
    let errors: Vec<_> = steps.iter().filter_map(|step| step.record.error.as_ref()).collect();
    assert_eq!(invocation.state, InvocationState::Succeeded, "{errors:?}");
    assert_eq!(invocation.tier.as_deref(), Some(tier), "{line}");
    assert_eq!(steps.len(), 3);
    for step in steps {
        assert!(step.record.usage.peak_memory_bytes > 0, "{:?}", step.record.usage);
    }
}

async fn a_workflow_runs_in_the_tier_that_it_asks_for(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    assert_runs(&world, "", "jail").await;
    assert_runs(&world, "minimum_tier: jail", "jail").await;
    assert_runs(&world, "minimum_tier: gvisor", "gvisor").await;
    world.stop().await;
}

async fn no_step_runs_below_the_servers_own_tier(database: TestDatabase) {
    let config = FlowConfig { concurrency: 2, minimum_tier: Tier::Gvisor, ..FlowConfig::default() };
    let world = World::with(database, &[], pool_config(), config).await;
    assert_runs(&world, "minimum_tier: jail", "gvisor").await;
    world.stop().await;
}

async fn what_asks_for_more_than_there_is_deploys_and_does_not_run(database: TestDatabase) {
    let config = pool_config();
    let runtimes = RuntimePaths { runsc: "/nonexistent/runsc".into(), ..config.runtimes };
    let world = World::with_pool(database, &[], PoolConfig { runtimes, ..config }).await;
    for tier in ["gvisor", "vm"] {
        let files = files(&format!("minimum_tier: {tier}"));
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let plan = world.flow.plan(&world.permit(), owned(&files)).await.unwrap();
        let asks = format!("the workflow asks for sandboxes of the tier {tier} (`minimum_tier`)");
        assert!(matches!(&plan.warnings[..], [one] if one.starts_with(&asks)), "{plan:?}");
        let workflow = world.deploy(&files).await.unwrap();
        let (invocation, steps) = world.run_whole(workflow).await;
        assert_eq!(invocation.state, InvocationState::Failed);
        assert_eq!(invocation.error_code.as_deref(), Some("tier_unavailable"));
        assert_eq!(invocation.tier, None, "it has had no sandbox");
        let error = steps[0].record.error.as_ref().unwrap();
        assert_eq!((steps.len(), error.code.as_str()), (1, "tier_unavailable"));
        assert!(error.message.starts_with(&asks), "{}", error.message);
        assert!(error.message.contains("`causeway doctor`"), "{}", error.message);
    }
    assert_runs(&world, "", "jail").await;
    world.stop().await;
}
