//! Several triggers of one workflow, and those that have no URL.

use crate::kit::{World, owned};
use causeway_flow::{FlowError, TriggerView};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::TriggerKind;
use serde_json::value::RawValue;
use serde_json::{Value, json};

on_both!(each_http_trigger_keeps_its_url_by_its_name, who_runs_it_by_hand_is_told_of,);

fn files(triggers: &str) -> [(&str, String); 2] {
    [
        ("workflow.yaml", format!("name: many\n{triggers}\nsteps: [{{ name: a, run: ./a.mjs }}]")),
        ("a.mjs", "export default ({ event, $ }) => ({ event, ...$.context.trigger })".to_owned()),
    ]
}

/// Deploys, and gives the unguessable part of each URL by its trigger's name.
async fn deploy(world: &World, triggers: &str) -> Vec<(String, Option<String>)> {
    let files = files(triggers);
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let deployed = world.flow.deploy(&world.permit(), owned(&files)).await.unwrap();
    let token = |one: causeway_flow::DeployedTrigger| {
        (one.view.name, one.token.map(|token| token.expose().to_owned()))
    };
    deployed.triggers.into_iter().map(token).collect()
}

/// What a step saw of an event sent to a URL.
async fn send(world: &World, token: &str) -> Result<Value, FlowError> {
    let trigger = world.flow.trigger(token).await?;
    let event = RawValue::from_string("{\"n\":1}".into()).unwrap();
    let accepted = world.flow.accept(&trigger, event, None).await?;
    let (_, steps) = world.until(accepted.invocation.unwrap(), |one| one.state.is_final()).await;
    let seen = steps[0].record.return_value.as_ref().unwrap();
    Ok(serde_json::from_str(seen.get()).unwrap())
}

async fn each_http_trigger_keeps_its_url_by_its_name(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let one = deploy(&world, "trigger: { http: { auth: none } }").await;
    let url = one[0].1.clone().unwrap();
    assert_eq!(one, [("http".to_owned(), Some(url.clone()))]);
    let several = "triggers:
  http: { http: { auth: none } }
  other: { http: { auth: none } }
  nightly: { schedule: { every: 1d } }";
    let all = deploy(&world, several).await;
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["http", "nightly", "other"]);
    assert_eq!((all[0].1.as_ref(), &all[1].1), (Some(&url), &None), "the URL is as before");
    let other = all[2].1.clone().unwrap();
    assert_ne!(other, url);
    assert_eq!(
        send(&world, &url).await.unwrap(),
        json!({ "event": { "n": 1 }, "name": "http", "kind": "http" })
    );
    assert_eq!(send(&world, &other).await.unwrap()["name"], "other");

    let without = deploy(&world, "triggers: { other: { http: { auth: none } } }").await;
    assert_eq!(without, [("other".to_owned(), Some(other.clone()))]);
    let gone = send(&world, &url).await;
    assert!(matches!(gone, Err(FlowError::NoTrigger)), "{gone:?}");
    let again = deploy(&world, several).await;
    assert_eq!(again, all, "and comes back with its URL");
    assert!(send(&world, &url).await.is_ok());
    world.stop().await;
}

async fn who_runs_it_by_hand_is_told_of(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (triggers, name) in [
        ("trigger: { manual: {} }", "manual"),
        ("triggers: { me: { manual: {} }, hook: { http: { auth: none } } }", "me"),
        ("trigger: { http: { auth: none } }", "manual"),
    ] {
        let files = files(triggers);
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let plan = world.flow.plan(&world.permit(), owned(&files)).await.unwrap();
        let kinds = |one: &TriggerView| (one.kind == TriggerKind::Manual).then(|| one.name.clone());
        let manual: Vec<_> = plan.triggers.iter().filter_map(kinds).collect();
        assert_eq!(manual, if triggers.contains("manual") { vec![name] } else { vec![] });
        let workflow = world.deploy(&files).await.unwrap();
        let steps = world.run(workflow).await;
        let seen: Value =
            serde_json::from_str(steps[0].record.return_value.as_ref().unwrap().get()).unwrap();
        assert_eq!(seen, json!({ "event": {}, "name": name, "kind": "manual" }));
    }
    world.stop().await;
}
