//! Workflows whose steps take several runtimes.

use crate::kit::{World, owned, pool_config};
use causeway_flow::{FlowError, StepView};
use causeway_identity::action;
use causeway_sandbox::{PoolConfig, Runtime, RuntimePaths};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Code, Coded};
use serde_json::{Value, json};
use std::fmt::Write as _;

on_both!(
    steps_of_every_runtime_pass_results_on,
    a_step_that_leaves_a_thread_does_not_spoil_the_next,
    code_of_each_runtime_is_read_before_it_is_deployed,
    a_machine_without_a_runtime_refuses_what_needs_it,
);

/// What a step has returned.
fn returned(step: &StepView) -> Value {
    assert!(step.record.error.is_none(), "{:?}", step.record.error);
    step.record.return_value.as_ref().unwrap().get().parse().unwrap()
}

fn manifest(files: &[&str]) -> String {
    let mut yaml = "name: mixed\ntrigger: { http: { auth: none } }\nsteps:\n".to_owned();
    for (index, file) in files.iter().enumerate() {
        writeln!(yaml, "  - {{ name: s{index}, run: ./{file} }}").unwrap();
    }
    yaml
}

async fn steps_of_every_runtime_pass_results_on(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(&["a.mjs", "b.py", "c.sh", "d.mjs", "e.py"]);
    let files = [
        ("workflow.yaml", manifest.as_str()),
        ("a.mjs", "export default ({ $ }) => { $.export('more', [1]); return 1; }"),
        (
            "b.py",
            "def handler(pd):\n    return pd.steps['s0']['$return_value'] + pd.steps['s0']['more'][0]",
        ),
        ("c.sh", "jq '.s1[\"$return_value\"] + 1' $CAUSEWAY_STEPS > $CAUSEWAY_RESULT"),
        ("d.mjs", "export default ({ steps }) => steps.s2.$return_value + 1"),
        ("e.py", "async def handler(pd):\n    return pd.steps['s3']['$return_value'] + 1"),
    ];
    let workflow = world.deploy(&files).await.unwrap();
    // As often as not, one sandbox a runtime serves all of them.
    for _ in 0..2 {
        let steps = world.run(workflow).await;
        assert_eq!(steps.iter().map(returned).collect::<Value>(), json!([1, 2, 3, 4, 5]));
    }
    for runtime in Runtime::ALL {
        let stats = world.pool.stats_of(runtime);
        assert!(stats.live <= 1 && stats.idle == stats.live, "{runtime}: {stats:?}");
    }
    world.stop().await;
}

async fn a_step_that_leaves_a_thread_does_not_spoil_the_next(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(&["a.py", "b.py"]);
    let files = [
        ("workflow.yaml", manifest.as_str()),
        (
            "a.py",
            "import threading, time\ndef handler(pd):\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        ),
        ("b.py", "import threading\ndef handler(pd):\n    return threading.active_count()"),
    ];
    let workflow = world.deploy(&files).await.unwrap();
    let steps = world.run(workflow).await;
    assert_eq!(returned(&steps[1]), 1);
    world.stop().await;
}

async fn code_of_each_runtime_is_read_before_it_is_deployed(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (files, message) in [
        (
            &[("a.mjs", "export default 1"), ("b.py", "def handler(pd)\n    pass")],
            "b.py:1:16: SyntaxError: expected ':'\n  def handler(pd)",
        ),
        (
            &[("a.py", "handler = print"), ("b.sh", "fi")],
            "b.sh:1: syntax error near unexpected token `fi'",
        ),
    ] {
        let manifest = manifest(&files.map(|(name, _)| name));
        let mut all = vec![("workflow.yaml", manifest.as_str())];
        all.extend(files);
        let error = world.deploy(&all).await.unwrap_err();
        assert_eq!((error.code(), error.public().as_ref()), (Code::SyntaxError, message));
    }
    world.stop().await;
}

async fn a_machine_without_a_runtime_refuses_what_needs_it(database: TestDatabase) {
    let config = pool_config();
    let runtimes = RuntimePaths { python: "/nonexistent/python3".into(), ..config.runtimes };
    let config = PoolConfig { runtimes, ..config };
    let world = World::with_pool(database, &[], config).await;
    for file in ["a.py", "a.sh"] {
        let manifest = manifest(&[file]);
        let files = [("workflow.yaml", manifest.as_str()), (file, "")];
        let permit = world.permit::<action::Deploy>();
        let error = world.flow.plan(&permit, owned(&files)).await.err().unwrap();
        assert!(matches!(error, FlowError::NoRuntime { .. }), "{error:?}");
        assert_eq!(error.code(), Code::SandboxUnavailable);
        let public = error.public();
        assert!(
            public.contains("`causeway doctor`") && !public.contains("/nonexistent"),
            "{public}"
        );
    }
    let manifest = manifest(&["a.mjs"]);
    let files = [("workflow.yaml", manifest.as_str()), ("a.mjs", "export default () => 1")];
    let workflow = world.deploy(&files).await.unwrap();
    assert_eq!(returned(&world.run(workflow).await[0]), 1);
    world.stop().await;
}
