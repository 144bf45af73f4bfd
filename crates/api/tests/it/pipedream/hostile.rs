//! Components that mean harm: to whoever publishes them, to whoever configures them, and to the
//! accounts that they get.

use super::client::ask;
use super::stage::{Stage, asked};
use super::upstream::KEY;
use crate::kit::Json as _;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use data_encoding::HEXLOWER;
use serde_json::json;

on_both!(
    what_a_component_says_of_itself_is_bounded,
    what_never_ends_is_ended,
    no_code_gets_the_credential,
    a_version_does_not_change,
);

/// A component with a change to it.
fn component(props: &str, more: &str) -> String {
    format!(
        "const ring = {{}}; ring.ring = ring;
         export default {{ key: 'hostile', name: 'Hostile', version: '0.0.1', type: 'action',
           props: {props}, run: () => 1, {more} }};"
    )
}

async fn what_a_component_says_of_itself_is_bounded(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let endless = "get label() { for (;;); }";
    for (text, status, code, words) in [
        (
            component("{ a: { type: 'string', label: 'x'.repeat(10 << 20) } }", ""),
            400,
            "invalid_component",
            "256 KiB",
        ),
        (
            component("{ a: { type: 'string', default: ring } }", ""),
            400,
            "invalid_component",
            "contains itself",
        ),
        (
            component("{ a: { type: 'string', default: 1n } }", ""),
            400,
            "invalid_component",
            "BigInt",
        ),
        (
            component("{ a: { get type() { throw new Error('got me') } } }", ""),
            400,
            "invalid_component",
            "got me",
        ),
        (
            component("new Proxy({}, { ownKeys() { throw new Error('trapped') } })", ""),
            400,
            "invalid_component",
            "trapped",
        ),
        (
            component(&format!("{{ a: {{ type: 'string', {endless} }} }}"), ""),
            400,
            "invalid_component",
            "_limit)",
        ),
        (component("{ a: 7 }", ""), 400, "invalid_component", "defined by a number"),
        (component("{ a: { type: 'data_store' } }", ""), 400, "invalid_component", "not there yet"),
        (
            component("{ a: { type: 'app', app: 'no_such_app' } }", ""),
            400,
            "unknown_app",
            "no_such_app",
        ),
        (
            component("{ a: { propDefinition: [{ app: 'x' }, 'gone'] } }", ""),
            400,
            "invalid_component",
            "no such definition",
        ),
        (
            component(
                "Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`p${n}`, { type: 'any' }]))",
                "",
            ),
            400,
            "invalid_component",
            "201 props",
        ),
        (component("{}", "key: '../up'"), 400, "invalid_component", "`key`"),
        (component("{}", "version: 'next'"), 400, "invalid_component", "three numbers"),
        (component("{}", "type: 'app'"), 400, "invalid_component", "neither"),
        ("export default 7;".to_owned(), 400, "invalid_component", "a value of type number"),
        ("export default () => 1;".to_owned(), 400, "invalid_component", "is a function"),
        ("export default {".to_owned(), 400, "syntax_error", "component.mjs:1"),
        ("for (;;); export default {};".to_owned(), 400, "invalid_component", "_limit)"),
        (
            "process.exit(3); export default {};".to_owned(),
            400,
            "invalid_component",
            "process_exited",
        ),
    ] {
        let answer = stage.publish_text(&text).await;
        let shown = &text[..text.len().min(300)];
        let detail = answer.problem(status, code);
        assert!(detail.contains(words) && detail.len() < 3000, "{shown}: {detail}");
    }
    assert!(
        stage.world.get("/api/v1/components").await.ok()["data"].as_array().unwrap().is_empty()
    );
}

async fn what_never_ends_is_ended(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let text = component(
        "{ waits: { type: 'string', options: () => new Promise(() => {}) },
           many: { type: 'string', options: () => Array.from({ length: 1e5 }, (_, n) => `choice ${n}`) },
           odd: { type: 'string', options: () => 7 },
           more: { type: 'boolean', optional: true, reloadProps: true } }",
        "additionalProps() { return this.more ? { bad: { type: 'nonsense' } } : { deep: { type: 'any', default: ring } }; }",
    );
    stage.publish_text(&text).await.ok();
    let client = stage.client();
    for (prop, words) in
        [("waits", "never ends"), ("many", "output_limit"), ("odd", "`options` gives a list")]
    {
        let body = json!({ "id": "hostile", "external_user_id": "ada", "prop_name": prop });
        let choices = client.configure_component(ask().body(body)).await.unwrap();
        assert!(choices.options.is_none() && choices.string_options.is_none());
        assert!(choices.errors[0].contains(words), "{prop}: {:?}", choices.errors);
    }
    for (values, words) in [(json!({ "more": true }), "`nonsense`"), (json!({}), "contains itself")]
    {
        let found = client.component_props(asked("hostile", &values)).await.unwrap();
        assert!(found.dynamic_props.is_none());
        assert!(found.errors[0].contains(words), "{:?}", found.errors);
    }
    let long = json!({ "more": "x".repeat(65 << 10) });
    assert_eq!(stage.run("hostile", long).await.unwrap_err().is(), (400, "invalid_request"));
    let body = json!({ "id": "hostile", "external_user_id": "ada", "stash_id": "NEW" });
    assert_eq!(
        client.run_action(ask().body(body)).await.unwrap_err().is(),
        (400, "invalid_request")
    );
}

async fn no_code_gets_the_credential(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let key = stage.publish_suite("actions/leaves.mjs", &[]).await;
    for throws in [false, true] {
        let props = json!({ "echo": stage.linked(), "throws": throws });
        let ran = stage.run(&key, props).await.unwrap();
        let told = format!("{ran:?}");
        assert!(!told.contains(KEY) && !told.contains(&HEXLOWER.encode(KEY.as_bytes())), "{told}");
        let held = ran.exports["key"].as_str().unwrap();
        assert!(!held.is_empty() && held != KEY, "a placeholder: {held}");
        assert_eq!(ran.ret.is_some(), !throws, "{told}");
        // It was good for the call all the same.
        assert!(told.contains("/base/back"), "{told}");
        if let Some(ret) = ran.ret {
            assert_eq!((&ret["status"], &ret["key"]), (&json!(200), &json!(held)));
        }
    }
}

async fn a_version_does_not_change(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let first = stage.publish_text(&component("{}", "")).await.ok();
    assert_eq!(first["created"], true);
    let again = stage.publish_text(&component("{}", "")).await.ok();
    assert_eq!((&again["created"], &again["id"]), (&json!(false), &first["id"]));
    let other = stage.publish_text(&component("{}", "description: 'Other'")).await;
    other.problem(409, "component_version_taken");
    // The same files, which may reach more.
    let files =
        json!({ "component.mjs": data_encoding::BASE64.encode(component("{}", "").as_bytes()) });
    let wider = stage.publish(&files, "component.mjs", &["api.example.com"]).await;
    wider.problem(409, "component_version_taken");
    let wrong = stage.publish(&files, "component.mjs", &["https://x"]).await;
    wrong.problem(400, "invalid_component");
    let elsewhere = stage.publish(&files, "other.mjs", &[]).await;
    elsewhere.problem(400, "invalid_component");

    let path = format!("/api/v1/components/{}", first.text("id"));
    let shown = stage.world.get(&path).await.ok();
    assert_eq!(
        (shown.text("key"), shown.text("entry")),
        ("hostile".into(), "component.mjs".into())
    );
    assert_eq!(stage.world.delete(&path).await.status, 204);
    assert_eq!(stage.world.delete(&path).await.status, 404);
    assert_eq!(stage.world.get(&path).await.status, 404);
    assert_eq!(stage.run("hostile", json!({})).await.unwrap_err().is(), (404, "not_found"));
    // Its key and version are free again.
    assert_eq!(
        stage.publish_text(&component("{}", "description: 'Other'")).await.ok()["created"],
        true
    );
}
