//! Components through the contract: listed, shown, configured, run, and whose accounts they get.

use super::client::{Client, ask};
use super::shapes::{Choice, Component};
use super::stage::{Stage, asked};
use crate::kit::Json as _;
use causeway_identity::Scopes;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::json;
use std::time::Duration;

on_both!(
    components_are_listed_and_shown,
    choices_are_asked_for_page_by_page,
    props_follow_the_values,
    accounts_are_the_customers_own,
    another_place_has_other_components,
    runs_are_counted,
);

fn keys(page: &[Component]) -> Vec<&str> {
    page.iter().map(|one| one.key.as_str()).collect()
}

async fn components_are_listed_and_shown(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let client = stage.client();
    assert!(client.list_components(ask()).await.unwrap().data.is_empty());
    for entry in ["actions/spread.mjs", "actions/exports.mjs", "sources/new-item.mjs"] {
        stage.publish_suite(entry, &[]).await;
        stage.world.clock.advance(Duration::from_secs(1));
    }
    let all = client.list_components(ask()).await.unwrap();
    assert_eq!(keys(&all.data), ["suite-spread", "suite-exports", "suite-new-item"]);
    assert_eq!((all.page_info.count, all.page_info.total_count), (3, 3));
    let first = client.list_components(ask().query("limit", 2)).await.unwrap();
    let after = first.page_info.end_cursor.unwrap();
    let rest = client.list_components(ask().query("after", after)).await.unwrap();
    assert_eq!(keys(&rest.data), ["suite-new-item"]);
    for (name, value, wanted) in [
        ("component_type", "trigger", &["suite-new-item"][..]),
        ("component_type", "action", &["suite-spread", "suite-exports"]),
        ("app", "echo_app", &["suite-spread", "suite-new-item"]),
        ("app", "slack", &[]),
        ("q", "SAYS", &["suite-exports"]),
        ("registry", "public", &[]),
        ("registry", "private", &["suite-spread", "suite-exports", "suite-new-item"]),
        ("registry", "all", &["suite-spread", "suite-exports", "suite-new-item"]),
    ] {
        let page = client.list_components(ask().query(name, value)).await.unwrap();
        assert_eq!(keys(&page.data), wanted, "{name}={value}");
    }
    let actions = client.list_actions(ask()).await.unwrap();
    assert_eq!(keys(&actions.data), ["suite-spread", "suite-exports"]);
    let triggers = client.list_triggers(ask()).await.unwrap();
    assert_eq!(
        (keys(&triggers.data), triggers.data[0].component_type.as_str()),
        (vec!["suite-new-item"], "trigger")
    );

    let shown = client.show_action(ask().at("key", "suite-exports")).await.unwrap().data;
    assert_eq!((shown.name.as_str(), shown.version.as_str()), ("Exports", "0.0.1"));
    assert_eq!(shown.component_type, "action");
    assert_eq!(shown.description.as_deref(), Some("Says what it has done"));
    assert_eq!(shown.annotations, Some(json!({ "readOnlyHint": true, "destructiveHint": false })));
    let source = client.show_trigger(ask().at("key", "suite-new-item")).await.unwrap().data;
    let types: Vec<_> = source
        .configurable_props
        .iter()
        .map(|one| (one.name.as_str(), one.kind.as_str()))
        .collect();
    assert_eq!(
        types,
        [
            ("echo", "app"),
            ("db", "$.service.db"),
            ("timer", "$.interface.timer"),
            ("http", "$.interface.http"),
        ]
    );
    assert_eq!(source.configurable_props[0].rest["app"], "echo_app");
    let refused = client.show_action(ask().at("key", "suite-new-item")).await.unwrap_err();
    assert_eq!(refused.is(), (404, "not_found"));
    let refused = stage.run("suite-new-item", json!({})).await.unwrap_err();
    assert_eq!(refused.is(), (400, "invalid_request"));

    let asked = || {
        ask().body(
            json!({ "id": "suite-new-item", "external_user_id": "ada", "prop_name": "timer" }),
        )
    };
    let props = client.trigger_props(asked()).await.unwrap().dynamic_props.unwrap();
    assert_eq!(props.configurable_props.len(), 4);
    let choices = client.configure_trigger(asked()).await.unwrap();
    assert_eq!((choices.string_options, choices.errors.len()), (Some(Vec::new()), 0));

    // A newer version is the one that counts, unless another is named.
    let text = "export default { key: 'suite-exports', name: 'New', version: '0.0.2', type: 'action', props: {}, run: () => 2 };";
    stage.publish_text(text).await.ok();
    let newest = client.show_component(ask().at("key", "suite-exports")).await.unwrap().data;
    assert_eq!((newest.version.as_str(), newest.name.as_str()), ("0.0.2", "New"));
    let old = ask().at("key", "suite-exports").query("version", "0.0.1");
    assert_eq!(client.show_component(old).await.unwrap().data.name, "Exports");
    assert_eq!(stage.run("suite-exports", json!({})).await.unwrap().ret, Some(json!(2)));
    let body = json!({ "id": "suite-exports", "version": "9.9.9", "external_user_id": "ada" });
    assert_eq!(client.run_action(ask().body(body)).await.unwrap_err().is(), (404, "not_found"));
}

async fn choices_are_asked_for_page_by_page(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let client = stage.client();
    let key = stage.publish_suite("actions/prop-definitions.mjs", &[]).await;
    let shown = client.show_component(ask().at("key", &key)).await.unwrap().data;
    let item = shown.configurable_props.iter().find(|one| one.name == "item").unwrap();
    assert_eq!(
        (&item.rest["label"], &item.rest["description"]),
        (&json!("Your item"), &json!("One of the app's items"))
    );
    assert_eq!((&item.rest["remoteOptions"], &item.rest["useQuery"]), (&json!(true), &json!(true)));
    let kind = shown.configurable_props.iter().find(|one| one.name == "kind").unwrap();
    assert_eq!(kind.rest["options"], json!(["big", "small"]));
    let limit = shown.configurable_props.iter().find(|one| one.name == "limit").unwrap();
    assert_eq!((&limit.rest["default"], &limit.rest["max"]), (&json!(10), &json!(100)));

    let configure = async |more: serde_json::Value| {
        let mut body = json!({
            "id": key, "external_user_id": "ada", "blocking": true,
            "configured_props": { "echo": stage.linked(), "kind": { "__lv": { "label": "Big", "value": "big" } } },
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.configure_component(ask().body(body)).await.unwrap()
    };
    let first = configure(json!({ "prop_name": "item" })).await;
    let options =
        first.options.unwrap_or_else(|| panic!("{:?} {:?}", first.errors, first.observations));
    let wanted = Choice { label: "big item of page 0".into(), value: json!("page=0&kind=big") };
    assert_eq!(options, [wanted]);
    assert_eq!((first.context.as_ref().unwrap(), first.errors.len()), (&json!({ "next": 1 }), 0));
    let more =
        json!({ "prop_name": "item", "page": 1, "prev_context": first.context, "query": "x" });
    let second = configure(more).await.options.unwrap();
    assert_eq!(second[0].value, "page=1&kind=big&query=x&from=1");
    let colours = configure(json!({ "prop_name": "colour" })).await;
    assert_eq!(colours.string_options, Some(vec!["red".into(), "green".into()]));
    assert!(colours.options.is_none());
    let own = configure(json!({ "prop_name": "own", "page": 3 })).await.options.unwrap();
    assert_eq!((own[0].label.as_str(), &own[1].value), ("One", &json!({ "of": 6 })));
    let none = configure(json!({ "prop_name": "nothing" })).await;
    assert_eq!(none.errors, ["user_error: there is no prop `nothing`"]);
    assert_eq!(none.observations[0].err.as_ref().unwrap().name, "user_error");
    assert!(none.observations[0].err.as_ref().unwrap().stack.is_some());
}

async fn props_follow_the_values(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let client = stage.client();
    let key = stage.publish_suite("actions/reload.mjs", &[]).await;
    let values = json!({ "fields": ["size", "tone"] });
    let asked = || asked(&key, &values);
    let found = client.action_props(asked()).await.unwrap();
    assert!(found.errors.is_empty() && found.observations.is_empty(), "{found:?}");
    let found = found.dynamic_props.unwrap();
    let names: Vec<_> = found.configurable_props.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["fields", "hint", "size", "tone"]);
    assert_eq!(found.configurable_props[1].rest["hidden"], true);
    assert_eq!(found.configurable_props[2].rest["label"], "Value of size");
    assert!(found.id.starts_with("dyp_"));
    // The same props have the same id.
    assert_eq!(client.component_props(asked()).await.unwrap().dynamic_props.unwrap().id, found.id);

    let mut body = json!({
        "id": key, "external_user_id": "ada", "dynamic_props_id": found.id, "prop_name": "tone",
        "configured_props": values,
    });
    let choices = client.configure_action(ask().body(body.clone())).await.unwrap();
    assert_eq!(choices.string_options, Some(vec!["tone 1".into(), "tone 2".into()]));
    body["configured_props"] = json!({ "fields": ["size", "tone"], "size": "L", "tone": "soft" });
    let ran = client.run_action(ask().body(body.clone())).await.unwrap();
    assert_eq!(ran.ret, Some(json!({ "size": "L", "tone": "soft" })), "{:?}", ran.os);
    body["dynamic_props_id"] = json!(format!("dyp_{}", "0".repeat(26)));
    assert_eq!(client.run_action(ask().body(body)).await.unwrap_err().is(), (404, "not_found"));
}

async fn accounts_are_the_customers_own(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let client = stage.client();
    let key = stage.publish_suite("actions/leaves.mjs", &[]).await;
    let bobs = stage.account_of("bob").await;
    let nobodys = format!("apn_{}", "0".repeat(26));
    for (account, status) in [(bobs.as_str(), 404), (&nobodys, 404), ("apn_x", 404)] {
        let props = json!({ "echo": { "authProvisionId": account }, "throws": false });
        let refused = stage.run(&key, props.clone()).await.unwrap_err();
        assert_eq!(refused.status, status, "{account}");
        let mut body = json!({ "id": key, "external_user_id": "ada", "configured_props": props });
        assert_eq!(client.action_props(ask().body(body.clone())).await.unwrap_err().status, status);
        body["prop_name"] = json!("echo");
        assert_eq!(client.configure_action(ask().body(body)).await.unwrap_err().status, status);
    }
    // An account at another app.
    let other = stage.world.connection("demo-one").await.text("id").replacen("conn_", "apn_", 1);
    let props = json!({ "echo": { "authProvisionId": other }, "throws": false });
    let body = json!({ "id": key, "external_user_id": "ada@acme", "configured_props": props });
    assert_eq!(client.run_action(ask().body(body)).await.unwrap_err().is(), (404, "not_found"));
    // One for a prop that wants none, none for one that does, and nobody's name.
    let stray = json!({ "echo": stage.linked(), "throws": stage.linked() });
    assert_eq!(stage.run(&key, stray).await.unwrap_err().is(), (400, "invalid_request"));
    let text = json!({ "echo": "an account", "throws": false });
    assert_eq!(stage.run(&key, text).await.unwrap_err().is(), (400, "invalid_request"));
    let body = json!({ "id": key, "configured_props": {} });
    assert_eq!(
        client.run_action(ask().body(body)).await.unwrap_err().is(),
        (400, "invalid_request")
    );

    // A customer with a token acts for himself.
    let token = ask().body(json!({ "external_user_id": "bob" }));
    let token = client.create_token(token).await.unwrap().token;
    let bob = Client::browser(&stage.world, &token);
    let props = json!({ "echo": { "authProvisionId": bobs }, "throws": false });
    let ran = bob.run_action(ask().body(json!({ "id": key, "configured_props": props }))).await;
    assert_eq!(ran.unwrap().ret.unwrap()["status"], 200);
    let body = json!({ "id": key, "external_user_id": "ada", "configured_props": {} });
    assert_eq!(bob.run_action(ask().body(body)).await.unwrap_err().is(), (400, "invalid_request"));
    let adas = json!({ "echo": stage.linked(), "throws": false });
    let body = json!({ "id": key, "configured_props": adas });
    assert_eq!(bob.run_action(ask().body(body)).await.unwrap_err().is(), (404, "not_found"));
}

async fn another_place_has_other_components(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let world = &stage.world;
    let key = stage.publish_suite("actions/spread.mjs", &[]).await;
    let native = world.get("/api/v1/components").await.ok()["data"][0].text("id");
    let foreign = [world.project_beside().await, world.other_tenant().await];
    for tenant in foreign {
        let credential = world.new_key(tenant, None, None).await;
        let mut there = Client::with(world, &credential);
        there.project = Some(tenant.project.to_string());
        assert!(there.list_components(ask()).await.unwrap().data.is_empty());
        for id in [&key, &native] {
            let shown = there.show_component(ask().at("key", id)).await.unwrap_err();
            assert_eq!(shown.is(), (404, "not_found"), "{id}");
            let body = json!({ "id": id, "external_user_id": "ada", "configured_props": {} });
            assert_eq!(
                there.run_action(ask().body(body)).await.unwrap_err().is(),
                (404, "not_found")
            );
        }
    }
    // A program that is confined to another app sees nothing of it either.
    let scopes = Scopes {
        actions: Some(["components.run".parse().unwrap()].into()),
        apps: Some(["demo".to_owned()].into()),
        ..Scopes::default()
    };
    let confined = Client::with(world, &world.scoped_key(world.tenant, &scopes, None, None).await);
    assert!(confined.list_actions(ask()).await.unwrap().data.is_empty());
    let shown = confined.show_action(ask().at("key", &key)).await.unwrap_err();
    assert_eq!(shown.is(), (404, "not_found"));
}

async fn runs_are_counted(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let key = stage.publish_suite("actions/defaults.mjs", &[]).await;
    for _ in 0..3 {
        stage.run(&key, json!({})).await.unwrap();
    }
    stage.world.connect.write_counts().await.unwrap();
    let day = stage.client().usage(ask()).await.unwrap().data.remove(0);
    assert_eq!((day.action_run_credits_used, day.credits_used), (3, 3));
}
