//! Whatever a directory sends is answered, refused or done, and never an accident.

use crate::scim_users::object;
use crate::world::World;
use causeway_identity::scim::{Filter, Kind, ListQuery, Resource, ScimError};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{Coded, Kind as ProblemKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

on_both!(filters_never_fail_the_server, changes_never_fail_the_server);

const CASES: usize = 300;

/// Filters that are right, or nearly.
fn filter() -> impl Strategy<Value = String> {
    let attribute = prop::sample::select(vec![
        "userName",
        "externalId",
        "displayName",
        "name.givenName",
        "emails.value",
        "emails",
        "emails[type eq \"work\"].value",
        "active",
        "id",
        "meta.created",
        "members",
        "members.value",
        "groups",
        "password",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    ]);
    let operator =
        prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "PR"]);
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("7".to_owned()),
        Just("\"2026-01-01T00:00:00Z\"".to_owned()),
        Just("\"ada@example.com\"".to_owned()),
        Just("\"\\u0000\"".to_owned()),
        Just("\"%' OR 1=1 --\"".to_owned()),
        ".{0,20}".prop_map(|text| Value::from(text).to_string()),
        ".{0,20}",
    ];
    let test = (attribute, operator, value).prop_map(|(a, o, v)| match o {
        "PR" => format!("{a} {o}"),
        _ => format!("{a} {o} {v}"),
    });
    test.prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

/// JSON of any kind, with the words of SCIM in it.
fn json_of_any_kind() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "userName",
        "name",
        "givenName",
        "formatted",
        "displayName",
        "emails",
        "members",
        "value",
        "type",
        "primary",
        "active",
        "externalId",
        "id",
        "$ref",
        "schemas",
        "title",
        "False",
        "work",
        "ada@example.com",
        "mem_00000000000000000000000000",
        "name.familyName",
        "emails[type eq \"work\"].value",
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone(), inner, 0..4).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Remove", "REPLACE", "test", ""]);
    let path = prop_oneof![
        Just(Value::Null),
        prop::sample::select(vec![
            "userName",
            "name",
            "name.givenName",
            "emails",
            "emails[type eq \"work\"]",
            "emails[primary eq true].value",
            "emails.value",
            "members",
            "members[value pr]",
            "members[value eq \"mem_0\"]",
            "members.value",
            "active",
            "externalId",
            "displayName",
            "id",
            "meta",
            "title",
            "addresses[type eq \"work\"].country",
            "emails[",
            "a b",
            "",
        ])
        .prop_map(Value::from),
        filter().prop_map(|filter| format!("emails[{filter}]").into()),
    ];
    (op, path, json_of_any_kind())
        .prop_map(|(op, path, value)| json!({ "op": op, "path": path, "value": value }))
}

fn one<T: std::fmt::Debug>(runner: &mut TestRunner, of: &impl Strategy<Value = T>) -> T {
    of.new_tree(runner).unwrap().current()
}

/// Asserts that an answer is one, or a refusal for the caller's own fault.
#[track_caller]
fn is_no_accident<T>(answer: Result<T, ScimError>, sent: &str) {
    if let Err(error) = answer {
        let kind = error.code().kind();
        let own = matches!(
            kind,
            ProblemKind::Invalid
                | ProblemKind::Missing
                | ProblemKind::Conflict
                | ProblemKind::Denied
        );
        assert!(own, "{kind:?} {error} {sent}");
        assert!(error.public().len() < 1000, "{sent}");
    }
}

async fn filters_never_fail_the_server(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    for _ in 0..3 {
        world.person(Role::Viewer).await;
    }
    let crew = object(json!({ "displayName": "Crew" }));
    world.scim.create_group(&permit, &crew).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let filters = prop_oneof![filter(), ".{0,60}"];
    let mut served = 0;
    for _ in 0..CASES {
        let text = one(&mut runner, &filters);
        let list =
            |filter| ListQuery { filter: Some(filter), start: 1, count: 10, relations: false };
        if let Ok(filter) = Filter::read(Kind::User, &text) {
            is_no_accident(world.scim.users(&permit, &list(filter)).await, &text);
            served += 1;
        }
        if let Ok(filter) = Filter::read(Kind::Group, &text) {
            is_no_accident(world.scim.groups(&permit, &list(filter)).await, &text);
            served += 1;
        }
    }
    assert!(served > CASES / 20, "only {served} filters could be served");
}

async fn changes_never_fail_the_server(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let _owner = world.person(Role::Owner).await;
    let user = world.person(Role::Viewer).await.member.to_string();
    let crew = object(json!({ "displayName": "Crew" }));
    let group =
        world.scim.create_group(&permit, &crew).await.unwrap()["id"].as_str().unwrap().to_owned();
    let mut runner = TestRunner::deterministic();
    let operations = prop::collection::vec(operation(), 0..4);
    let whole = prop::collection::vec(json_of_any_kind(), 1..2);
    for _ in 0..CASES {
        let change = object(json!({ "Operations": one(&mut runner, &operations) }));
        let sent = Value::from(change.clone()).to_string();
        is_no_accident(world.scim.patch_user(&permit, &user, &change).await, &sent);
        is_no_accident(world.scim.patch_group(&permit, &group, &change).await, &sent);
        let body = one(&mut runner, &whole).pop().unwrap_or_default();
        let body: Resource = body.as_object().cloned().unwrap_or_default();
        let sent = Value::from(body.clone()).to_string();
        is_no_accident(world.scim.create_user(&permit, &body).await, &sent);
        is_no_accident(world.scim.create_group(&permit, &body).await, &sent);
        is_no_accident(world.scim.replace_user(&permit, &user, &body).await, &sent);
        is_no_accident(world.scim.replace_group(&permit, &group, &body).await, &sent);
    }
    assert_eq!(world.owners().await, 1);
    // Whatever came of it can still be shown.
    world.scim.user(&permit, &user).await.unwrap();
    world.scim.group(&permit, &group, true).await.unwrap();
}
