//! Every operation of the table by everybody who has no business there: nobody, strangers, programs
//! of another project or environment, programs without a scope, customers.

use super::client::{Ask, Client, Operation, TABLE, ask};
use super::shapes::Failure;
use crate::kit::World;
use causeway_identity::Scopes;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Tenant;
use serde_json::json;

on_both!(
    who_is_not_known_or_elsewhere_gets_nothing,
    a_program_may_do_what_its_scopes_say,
    a_customer_may_do_what_is_his,
    failures_have_one_shape,
);

/// Who may do an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Programs with this scope, in a project and environment that they name.
    Program(&'static str),
    /// These, and customers for what is their own.
    Both(&'static str),
    /// Programs with this scope, in their workspace or environment.
    Wide(&'static str),
    /// Whoever holds the token in the path, or a client that proves itself.
    Open,
}

fn door(operation: Operation) -> Door {
    use Door::{Both, Open, Program, Wide};
    match operation.number {
        1 | 3 => Open,
        2 | 8 | 11 => Program("connections.write"),
        4 | 6 | 9 | 61 => Both("connections.read"),
        5 | 7 => Both("connections.write"),
        10 => Program("connections.read"),
        // Customers may read the catalogue, and no project has to be named.
        12..=15 => Wide("apps.read"),
        16..=25 => Program("oauth_clients.manage"),
        26..=38 => Both("components.run"),
        51 => Program("webhooks.read"),
        52..=54 => Program("webhooks.manage"),
        55 | 57 => Wide("workspace.read"),
        56 | 58..=60 => Wide("projects.manage"),
        62..=66 => Both("proxy.use"),
        68 => Wide("connections.read"),
        69 => Wide("connections.write"),
        other => panic!("say who may do operation {other}"),
    }
}

/// A request of the operation that is of the right form and about nothing that exists.
fn filled(operation: Operation) -> Ask {
    let zeros = "0".repeat(26);
    let id = match operation.number {
        6 | 7 => format!("apn_{zeros}"),
        13 => "demo".to_owned(),
        15 => "crm".to_owned(),
        18..=20 => format!("ovr_{zeros}"),
        23..=25 => format!("oa_{zeros}"),
        _ => format!("proj_{zeros}"),
    };
    let mut filled = ask()
        .at("id", id)
        .at("ctok", "ctok_x")
        .at("app_id", "demo")
        .at("ext_id", "nobody")
        .at("key", "nothing")
        .at("url", "L3g");
    if (62..=66).contains(&operation.number) {
        let account = format!("apn_{zeros}");
        filled = filled.query("external_user_id", "nobody").query("account_id", account);
    }
    if matches!(operation.method, "POST" | "PUT" | "PATCH") {
        filled = filled.body(json!({}));
    }
    filled
}

async fn asked(client: &Client<'_>, operation: Operation) -> u16 {
    let answer = client.answer(operation.method, operation.path, &filled(operation)).await;
    if answer.status >= 400 && operation.number > 1 {
        let failure: Result<Failure, _> = serde_json::from_slice(&answer.body);
        assert!(failure.is_ok(), "{}: {}", operation.name, answer.html());
    }
    answer.status
}

async fn key(world: &World, tenant: Tenant, actions: &[&str]) -> String {
    let actions = actions.iter().map(|name| name.parse().unwrap()).collect();
    let scopes = Scopes { actions: Some(actions), ..Scopes::default() };
    world.scoped_key(tenant, &scopes, None, None).await
}

async fn who_is_not_known_or_elsewhere_gets_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let beside = world.project_beside().await;
    let theirs = world.other_tenant().await;
    let all = super::client::ACTIONS;
    let own = Client::with(&world, &key(&world, world.tenant, all).await);
    let foreign = [key(&world, beside, all).await, key(&world, theirs, all).await];
    for operation in TABLE.iter().copied() {
        let (door, name) = (door(operation), operation.name);
        if door == Door::Open {
            continue;
        }
        for nobody in ["", "x", "cwk_nothing", "ctok_nothing", "a.b.c"] {
            assert_eq!(asked(&Client::with(&world, nobody), operation).await, 401, "{name}");
        }
        if matches!(door, Door::Wide(_)) {
            continue;
        }
        for credential in &foreign {
            let stranger = Client::with(&world, credential);
            assert_eq!(asked(&stranger, operation).await, 404, "{name} as a stranger");
        }
        for environment in [None, Some("development"), Some("staging"), Some("")] {
            let mut wrong = own.clone();
            wrong.environment = environment;
            assert_eq!(asked(&wrong, operation).await, 400, "{name} in {environment:?}");
        }
        for (project, status) in [(None, 400), (Some("proj_x"), 404), (Some("main"), 404)] {
            let mut wrong = own.clone();
            wrong.project = project.map(str::to_owned);
            assert_eq!(asked(&wrong, operation).await, status, "{name} in {project:?}");
        }
    }
}

async fn a_program_may_do_what_its_scopes_say(database: TestDatabase) {
    let world = World::new(database).await;
    let none = Client::with(&world, &key(&world, world.tenant, &[]).await);
    for operation in TABLE.iter().copied() {
        let (Door::Program(scope) | Door::Both(scope) | Door::Wide(scope)) = door(operation) else {
            continue;
        };
        let name = operation.name;
        assert_eq!(asked(&none, operation).await, 403, "{name} without a scope");
        let one = Client::with(&world, &key(&world, world.tenant, &[scope]).await);
        let status = asked(&one, operation).await;
        assert!(!matches!(status, 401 | 403), "{name} with {scope}: {status}");
    }
}

async fn a_customer_may_do_what_is_his(database: TestDatabase) {
    let world = World::new(database).await;
    let program = Client::new(&world).await;
    let token = json!({ "external_user_id": "ada" });
    let token = program.create_token(ask().body(token)).await.unwrap().token;
    let mut named = Client::browser(&world, &token);
    named.project = Some(world.tenant.project.to_string());
    for customer in [Client::browser(&world, &token), named] {
        for operation in TABLE.iter().copied() {
            let (door, name) = (door(operation), operation.name);
            let status = asked(&customer, operation).await;
            match door {
                Door::Open => {}
                Door::Both(_) => assert!(!matches!(status, 401 | 403), "{name}: {status}"),
                Door::Wide("apps.read") => assert_eq!(status, 200, "{name}"),
                Door::Program(_) | Door::Wide(_) => assert_eq!(status, 403, "{name}"),
            }
        }
    }
}

async fn failures_have_one_shape(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    for (method, path, status, code) in [
        ("GET", "/v1/connect", 404, "unknown_route"),
        ("GET", "/v1/connect/nothing/at/all/here", 404, "unknown_route"),
        ("GET", "P/nothing", 404, "unknown_route"),
        ("GET", "P/tokens", 405, "wrong_method"),
        ("PATCH", "P/webhook", 405, "wrong_method"),
        ("OPTIONS", "P/accounts", 405, "wrong_method"),
        ("POST", "P/tokens", 400, "invalid_json"),
    ] {
        let answer = client.answer(method, path, &ask()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.html());
        assert_eq!(answer.header("content-type"), "application/json");
        let failure: Failure = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(failure.code.as_deref(), Some(code), "{method} {path}");
        if status == 405 {
            assert!(!answer.header("allow").is_empty());
        }
    }
    let unknown = Client::with(&world, "nothing").answer("GET", "P/accounts", &ask()).await;
    assert_eq!((unknown.status, unknown.header("www-authenticate")), (401, "Bearer"));
    let mut large = client.request("POST", "P/tokens", &ask().body(json!({})));
    *large.body_mut() = "x".repeat(2 << 20).into();
    let large = world.send(large).await;
    assert_eq!(large.status, 413);
    let failure: Failure = serde_json::from_slice(&large.body).unwrap();
    assert_eq!(failure.code.as_deref(), Some("body_too_large"));
}
