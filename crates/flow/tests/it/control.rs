//! Steps that decide which steps run, and the expressions that they decide by.

use crate::kit::{World, returned};
use causeway_flow::StepView;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{Invocation, InvocationState};
use causeway_types::{Code, Coded, chain};
use serde_json::{Value, json};

on_both!(
    one_arm_runs_and_the_choice_has_its_result,
    a_filter_ends_what_follows,
    values_requests_and_answers_are_written_without_code,
    an_expression_that_throws_fails_its_step,
    who_goes_on_after_a_restart_knows_which_arm_was_taken,
    code_in_braces_that_does_not_parse_is_refused,
);

fn manifest(steps: &str) -> String {
    format!("name: control\ntrigger: {{ http: {{ auth: none }} }}\nsteps:\n{steps}")
}

fn names(steps: &[StepView]) -> Vec<&str> {
    steps.iter().map(|one| one.step.name.as_str()).collect()
}

/// Runs a workflow of these steps; it has no other files.
async fn run(world: &World, steps: &str, event: &Value) -> (Invocation, Vec<StepView>) {
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    world.run_on(workflow, event).await
}

async fn one_arm_runs_and_the_choice_has_its_result(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = r#"
  - name: size
    branch:
      - if: "{{ event.people > 100 }}"
        steps:
          - { name: big, value: big }
          - name: kind
            switch:
              on: "{{ event.kind }}"
              cases:
                - { is: lead, steps: [{ name: lead, value: "a {{ steps.big.$return_value }} lead" }] }
                - { is: [deal, 7], steps: [{ name: deal, value: { of: "{{ event.kind }}" } }] }
              default: [{ name: other, value: [other] }]
      - if: "{{ event.people > 10 }}"
        steps: [{ name: middling, value: 10 }]
  - { name: last, value: "{{ [steps.size.$return_value, steps.kind?.$return_value] }}" }
"#;
    for (event, expected, ran) in [
        (
            json!({ "people": 500, "kind": "lead" }),
            json!(["a big lead", "a big lead"]),
            &["size", "big", "kind", "lead", "last"][..],
        ),
        (
            json!({ "people": 500, "kind": 7 }),
            json!([{ "of": 7 }, { "of": 7 }]),
            &["size", "big", "kind", "deal", "last"],
        ),
        (
            json!({ "people": 500, "kind": "7" }),
            json!([["other"], ["other"]]),
            &["size", "big", "kind", "other", "last"],
        ),
        (json!({ "people": 50 }), json!([10, null]), &["size", "middling", "last"]),
        (json!({ "people": 1 }), json!([null, null]), &["size", "last"]),
    ] {
        let (invocation, steps) = run(&world, steps, &event).await;
        assert_eq!(invocation.state, InvocationState::Succeeded, "{event}");
        assert_eq!(names(&steps), ran, "{event}");
        assert_eq!(returned(steps.last().unwrap()), expected, "{event}");
    }
    world.stop().await;
}

async fn a_filter_ends_what_follows(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = r#"
  - { name: only_leads, filter: "{{ event.kind === 'lead' }}" }
  - name: outer
    branch:
      - if: "{{ event.stop // a comment does not reach what follows\n }}"
        steps:
          - { name: stop, end: "{{ event.why }} it is" }
          - { name: never, value: 1 }
      - steps: []
  - { name: last, value: 2 }
"#;
    let steps = steps.replace("- steps: []", "- steps: [{ name: on, value: 3 }]");
    for (event, ran, exit) in [
        (
            json!({ "kind": "deal" }),
            &["only_leads"][..],
            Some("the condition of the filter is false"),
        ),
        (
            json!({ "kind": "lead", "stop": true, "why": "enough" }),
            &["only_leads", "outer", "stop"],
            Some("enough it is"),
        ),
        (json!({ "kind": "lead", "stop": false }), &["only_leads", "outer", "on", "last"], None),
    ] {
        let (invocation, steps) = run(&world, &steps, &event).await;
        assert_eq!(invocation.state, InvocationState::Succeeded, "{event}");
        assert_eq!(names(&steps), ran, "{event}");
        assert_eq!(steps.last().unwrap().record.exit.as_deref(), exit, "{event}");
    }
    world.stop().await;
}

async fn values_requests_and_answers_are_written_without_code(database: TestDatabase) {
    let world = World::new(database, &["crm"]).await;
    world.connect("crm", "crm").await;
    let url = world.app_url("crm");
    let steps = format!(
        r#"
  - name: add
    request:
      url: "{url}/crm/contacts"
      headers: {{ x-api-key: "{{{{ connections.crm.$auth.api_key }}}}" }}
      body: {{ email: "{{{{ event.email }}}}", name: "{{{{ event.first }}}} L", title: "{{{{ null }}}}" }}
    connections: {{ crm: crm }}
  - name: nobody
    request: {{ url: "{url}/crm/contacts/{{{{ 'no such' }}}}", headers: {{ x-api-key: "{{{{ connections.crm.$auth.api_key }}}}" }}, any_status: true }}
    connections: {{ crm: crm }}
  - name: shape
    value: {{ status: "{{{{ steps.nobody.$return_value.status }}}}", __proto__: "{{{{ null }}}}", text: "{{{{ {{ a: {{ b: 1 }} }} }}}}!" }}
  - name: missing
    request: {{ url: "{url}/crm/contacts/none", headers: {{ x-api-key: "{{{{ connections.crm.$auth.api_key }}}}" }} }}
    connections: {{ crm: crm }}
"#
    );
    let event = json!({ "email": "ada@acme.example", "first": "A" });
    let (invocation, steps) = run(&world, &steps, &event).await;
    let made = returned(&steps[0]);
    assert_eq!(made["status"], 201, "{made} {:?}", steps[0].record.error);
    assert_eq!((&made["body"]["email"], &made["body"]["name"]), (&event["email"], &json!("A L")));
    assert_eq!(
        returned(&steps[2]),
        json!({ "status": 404, "__proto__": null, "text": "{\"a\":{\"b\":1}}!" })
    );
    let error = steps[3].record.error.as_ref().unwrap();
    assert!(error.message.contains("/crm/contacts/none answered 404"), "{}", error.message);
    assert_eq!(invocation.state, InvocationState::Failed);
    world.stop().await;
}

async fn an_expression_that_throws_fails_its_step(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (step, why) in [
        ("value: '{{ steps.nowhere.$return_value }}'", "reading '$return_value'"),
        ("filter: '{{ event.count }}'", "the condition gives the number 1, and has to give true"),
        ("value: '{{ nothing }}'", "nothing is not defined"),
        ("value: '{{ process.exit(0) }}'", "process.exit(0)"),
        ("value: '{{ (() => { const a = {}; a.a = a; return a })() }}'", "contains itself"),
        ("branch: [{ if: '{{ null }}', steps: [{ name: in, value: 1 }] }]", "gives null"),
        (
            "for_each: { items: '{{ 7 }}', steps: [{ name: in, value: 1 }] }",
            "the items are the number 7",
        ),
    ] {
        let steps = format!("  - {{ name: bad, {step} }}\n  - {{ name: last, value: 1 }}\n");
        let (invocation, steps) = run(&world, &steps, &json!({ "count": 1 })).await;
        assert_eq!(names(&steps), ["bad"], "{step}");
        assert_eq!(invocation.state, InvocationState::Failed);
        let error = steps[0].record.error.as_ref().unwrap();
        assert!(error.message.contains(why), "{step}: {}", error.message);
    }
    world.stop().await;
}

async fn who_goes_on_after_a_restart_knows_which_arm_was_taken(database: TestDatabase) {
    let mut world = World::new(database, &[]).await;
    let steps = r#"
  - name: size
    branch:
      - if: "{{ event.big }}"
        steps: [{ name: big, value: big }, { name: pause, delay: 5s }, { name: after, value: after }]
      - steps: [{ name: small, value: small }]
  - { name: last, value: "{{ [steps.big.$return_value, steps.size.$return_value] }}" }
"#;
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    let id = world.begin_on(workflow, &json!({ "big": true })).await;
    world.until(id, |one| one.state == InvocationState::Waiting).await;
    world.restart().await;
    let (_, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(names(&steps), ["size", "big", "pause", "after", "last"]);
    assert_eq!(returned(&steps[4]), json!(["big", "after"]));
    world.stop().await;
}

async fn code_in_braces_that_does_not_parse_is_refused(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "  - { name: bad, filter: '{{ event.a === }}' }\n  - { name: last, value: 1 }\n";
    let refused = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap_err();
    assert_eq!(refused.code(), Code::SyntaxError);
    let message = refused.public();
    assert!(message.contains(".causeway/steps/bad.mjs"), "{message}");
    let own = [
        ("workflow.yaml", manifest("  - { name: a, value: 1 }\n")),
        (".causeway/x", String::new()),
    ];
    let own = own.each_ref().map(|(path, text)| (*path, text.as_str()));
    let refused = world.deploy(&own).await.unwrap_err();
    let refused = chain(&refused);
    assert!(refused.contains("`.causeway/x` stands where"), "{refused}");
    world.stop().await;
}
