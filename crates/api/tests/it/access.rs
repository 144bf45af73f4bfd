//! Who may not: without a key, with a wrong one, and as a stranger.

use crate::kit::{Json, World, component_body, files_body, request_as, value};
use crate::people::{Named, Somebody};
use crate::schema::operations;
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::Role;
use causeway_types::{Actor, Clock};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

on_both!(
    nothing_is_answered_without_a_good_key,
    a_stranger_finds_nothing_of_others,
    a_stream_ends_with_the_access_of_its_caller,
);

/// A path of the document with something in its placeholders.
fn filled(path: &str) -> String {
    path.replace("{id}", "wf_00000000000000000000000000").replace("{slug}", "demo")
}

async fn nothing_is_answered_without_a_good_key(database: TestDatabase) {
    let world = World::new(database).await;
    let now = world.clock.now();
    let hour = Duration::from_hours(1);
    let expired = world.new_key(world.tenant, Some(now.minus(hour)), None).await;
    let revoked = world.new_key(world.tenant, None, Some(now.minus(hour))).await;
    let unknown = world.new_key(world.other_tenant().await, None, None).await;
    let mut mistyped = unknown.clone();
    mistyped.replace_range(10..11, if &mistyped[10..11] == "a" { "b" } else { "a" });
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some("Bearer cwk_".into()),
        Some(format!("Bearer {mistyped}")),
        Some(format!("Basic {}", world.key)),
        Some(world.key.clone()),
        Some(format!("Bearer {expired}")),
        Some(format!("Bearer {revoked}")),
        Some(format!("Bearer {}x", world.key)),
        Some(format!("Bearer {}", "é".repeat(64))),
    ];
    let operations = operations();
    assert!(operations.len() >= 24);
    for operation in operations {
        // Programs prove themselves there in another way.
        if operation.body["security"].as_array().is_some_and(|ways| ways.contains(&json!({}))) {
            continue;
        }
        for header in &headers {
            let mut request =
                world.request(operation.method.clone(), &filled(operation.path), None);
            request.headers_mut().remove(header::AUTHORIZATION);
            if let Some(header) = header {
                request.headers_mut().insert(header::AUTHORIZATION, value(header));
            }
            // A key does not save a caller who has none.
            request.headers_mut().insert("idempotency-key", value("same"));
            let answer = world.send(request).await;
            answer.problem(401, "unauthenticated");
            assert!(!answer.html().contains(&world.key[4..]), "the answer repeats the key");
        }
    }

    // A key that was good and expires.
    let key = world.new_key(world.tenant, Some(now.plus(hour)), None).await;
    let list = || request_as(&key, Method::GET, "/api/v1/workflows", None);
    assert_eq!(world.send(list()).await.status, 200);
    world.clock.advance(hour);
    world.send(list()).await.problem(401, "unauthenticated");
}

/// What a stranger is answered for an operation with somebody else's ids.
enum Stranger {
    /// Not found.
    NotFound,
    /// An empty page.
    Nothing,
    /// This problem.
    Problem(u16, &'static str),
    /// The operation names nothing that belongs to a tenant, or answers with the stranger's own.
    Own,
}

#[expect(clippy::too_many_lines, reason = "a line for each operation")]
async fn a_stranger_finds_nothing_of_others(database: TestDatabase) {
    use Stranger::{NotFound, Nothing, Own, Problem};
    let world = World::new(database).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let run = format!("/api/v1/workflows/{workflow}/events");
    let invocation = world.post(&run, &json!({ "event": {} })).await.ok().text("invocation_id");
    let connection = world.connection("acme-crm").await.text("id");
    let client = world.oauth_client().await;
    let (session, _) = world.session(json!({})).await;
    let published = component_body();
    let component = world.post("/api/v1/components", &published).await.ok().text("id");
    let linked = files_body(&[
        (
            "workflow.yaml",
            "name: mine\ntrigger: { http: { auth: none } }\nsteps: [{ name: a, run: ./a.mjs, connections: { crm: acme-crm } }]",
        ),
        ("a.mjs", ""),
    ]);

    let own_app = json!({ "app": "demo", "client_id": "mine" });
    let renewal = json!({ "customer": "ada@acme", "app": "demo", "reconnect_id": connection });
    let keyed =
        json!({ "customer": "bob", "app": "demo", "fields": { "api_key": world.demo.api_key() } });
    let named = json!({ "name": "acme-crm" });
    let none = json!({ "name": "no-such-connection" });
    let begun = world.post("/api/v1/connections/revocations", &none).await;
    assert_eq!(begun.status, 202, "{}", begun.html());
    let revocation = begun.json().text("id");
    let event = json!({ "event": {} });
    let nothing = json!({});
    let expected: BTreeMap<&str, (String, Option<&Value>, Stranger)> = [
        ("list_workflows", String::new(), None, Nothing),
        ("show_workflow", workflow.clone(), None, NotFound),
        ("list_components", String::new(), None, Nothing),
        ("show_component", component.clone(), None, NotFound),
        ("delete_component", component.clone(), None, NotFound),
        ("publish_component", String::new(), Some(&published), Own),
        ("run_workflow", workflow.clone(), Some(&event), NotFound),
        ("list_packages", format!("?workflow_id={workflow}"), None, Nothing),
        ("list_invocations", format!("?workflow_id={workflow}"), None, Nothing),
        ("tail_invocations", format!("?invocation_id={invocation}"), None, NotFound),
        ("show_invocation", invocation.clone(), None, NotFound),
        ("show_invocation_event", invocation.clone(), None, NotFound),
        ("replay_invocation", invocation.clone(), None, NotFound),
        ("cancel_invocation", invocation.clone(), None, NotFound),
        ("delete_invocation", invocation.clone(), None, NotFound),
        ("list_connections", "?customer=ada@acme".into(), None, Nothing),
        ("create_connection", String::new(), Some(&keyed), Own),
        ("show_connection", connection.clone(), None, NotFound),
        ("test_connection", connection.clone(), None, NotFound),
        ("export_credential", connection.clone(), None, Problem(403, "denied")),
        ("revoke_connections", String::new(), Some(&named), Own),
        ("show_connection_revocation", revocation.clone(), None, NotFound),
        ("list_connection_revocation_failures", revocation.clone(), None, NotFound),
        ("show_call_policy", connection.clone(), None, NotFound),
        ("set_call_policy", connection.clone(), Some(&nothing), NotFound),
        ("proxy_get", connection.clone(), None, NotFound),
        ("proxy_post", connection.clone(), Some(&nothing), NotFound),
        ("delete_connection", connection.clone(), None, NotFound),
        ("create_connect_session", String::new(), Some(&renewal), NotFound),
        ("show_connect_session", session.clone(), None, NotFound),
        ("list_oauth_clients", String::new(), None, Nothing),
        ("set_oauth_client", String::new(), Some(&own_app), Own),
        ("delete_oauth_client", client.clone(), None, NotFound),
        ("list_apps", String::new(), None, Own),
        ("show_app", "demo".into(), None, Own),
        ("show_keys", String::new(), None, Own),
        ("rotate_keys", String::new(), None, Own),
        ("plan_deployment", String::new(), Some(&linked), Problem(409, "missing_connection")),
        ("create_deployment", String::new(), Some(&linked), Problem(409, "missing_connection")),
    ]
    .into_iter()
    .map(|(id, given, body, expected)| (id, (given, body, expected)))
    .collect();

    let stranger = world.new_key(world.other_tenant().await, None, None).await;
    for operation in operations() {
        // What concerns people and their access is in `foreign.rs`.
        let Some((given, body, expected)) = expected.get(operation.id) else { continue };
        let path = if given.starts_with('?') {
            format!("{}{given}", operation.path)
        } else {
            let path = operation.path.replace("{id}", given).replace("{slug}", given);
            path.replace("{connection}", given).replace("{target}", "x")
        };
        let request = request_as(&stranger, operation.method.clone(), &path, *body);
        let answer = world.send(request).await;
        match expected {
            NotFound => drop(answer.problem(404, "not_found")),
            Problem(status, code) => drop(answer.problem(*status, code)),
            Nothing => assert_eq!(answer.ok()["data"], json!([]), "{}", operation.id),
            Own => drop(answer.ok()),
        }
        let shown = answer.html();
        for id in [&connection, &client, &session] {
            let mentioned = shown.contains(id.as_str());
            assert!(!mentioned || answer.status == 404, "{}: {shown}", operation.id);
        }
    }

    // Everything is still there for its owner.
    for path in [
        format!("/api/v1/workflows/{workflow}"),
        format!("/api/v1/invocations/{invocation}"),
        format!("/api/v1/connections/{connection}"),
        format!("/api/v1/connect-sessions/{session}"),
    ] {
        world.get(&path).await.ok();
    }
    assert_eq!(world.get("/api/v1/oauth-clients").await.ok()["data"][0]["id"], *client);
}

const TAIL: &str = "/api/v1/invocations/tail";

/// A stream of news that was opened.
struct Stream(Body);

impl Stream {
    async fn open(world: &World, request: Request<Body>) -> Self {
        let response = world.open(request).await;
        assert_eq!(response.status(), 200);
        Self(response.into_body())
    }

    async fn of_key(world: &World, key: &str) -> Self {
        Self::open(world, request_as(key, Method::GET, TAIL, None)).await
    }

    async fn of_person(world: &World, person: &Somebody) -> Self {
        let here = Some(Named::Environment(world.tenant.environment));
        Self::open(world, person.request(here, Method::GET, TAIL, None)).await
    }

    /// What it says at its end, which has to come.
    async fn end(self) -> String {
        // Out of time, it has no end.
        let rest = tokio::time::timeout(Duration::from_secs(30), self.0.collect()).await;
        let rest = rest.unwrap().unwrap().to_bytes();
        let text = String::from_utf8(rest.to_vec()).unwrap();
        assert!(text.contains("event: problem\ndata: "), "{text}");
        text
    }

    /// Reads until something is said.
    async fn news(&mut self, what: &str) {
        let mut text = String::new();
        while !text.contains(what) {
            let frame = tokio::time::timeout(Duration::from_secs(30), self.0.frame()).await;
            let bytes = frame.unwrap().unwrap().unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

/// Nobody waits here: a node hears of what was taken away, and what nobody tells of is looked at by
/// the clock.
async fn a_stream_ends_with_the_access_of_its_caller(database: TestDatabase) {
    let world = World::new(database).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let mut bystander = Stream::of_key(&world, &world.key).await;

    // A key that is revoked.
    let body = json!({ "name": "x", "scopes": { "actions": ["invocations.read"] } });
    let key = world.post("/api/v1/api-keys", &body).await.ok();
    let stream = Stream::of_key(&world, &key.text("api_key")).await;
    world.delete(&format!("/api/v1/api-keys/{}", key.text("id"))).await;
    assert!(stream.end().await.contains("unknown, expired or revoked"));

    // A token whose client is.
    let client = world.post("/api/v1/machine-clients", &body).await.ok();
    let pair = (client.text("id"), client.text("client_secret"));
    let form = json!({
        "grant_type": "client_credentials", "client_id": pair.0, "client_secret": pair.1,
    });
    let request = Request::post("/v1/oauth/token")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(form.to_string()))
        .unwrap();
    let token = world.send(request).await.ok().text("access_token");
    let stream = Stream::of_key(&world, &token).await;
    world.delete(&format!("/api/v1/machine-clients/{}", pair.0)).await;
    assert!(stream.end().await.contains("unknown, expired or revoked"));

    // A key that ends by itself.
    let scopes = Scopes::only(ActionName::ReadInvocations);
    let soon = world.clock.now().plus(Duration::from_mins(1));
    let key = world.scoped_key(world.tenant, &scopes, Some(soon), None).await;
    let stream = Stream::of_key(&world, &key).await;
    world.clock.advance(Duration::from_mins(1));
    assert!(stream.end().await.contains("unknown, expired or revoked"));

    // A session that is over, and a role that was taken.
    let person = world.member(world.tenant.workspace, Role::Viewer, None).await;
    let stream = Stream::of_person(&world, &person).await;
    let path = format!("/api/v1/sessions/{}", person.session);
    assert_eq!(world.send(person.request(None, Method::DELETE, &path, None)).await.status, 204);
    world.clock.advance(Duration::from_secs(3));
    assert!(stream.end().await.contains("Sign in again"));
    let person = world.member(world.tenant.workspace, Role::Viewer, None).await;
    let stream = Stream::of_person(&world, &person).await;
    let (workspace, member) = (world.tenant.workspace, person.member.unwrap());
    let mut tx = world.store().write(Actor::Machine).await.unwrap();
    let held = db!(tx, role_grant::of_member(workspace, member)).unwrap();
    assert!(db!(tx, role_grant::delete(workspace, held[0].id)).unwrap());
    let event = causeway_store::Audit::RoleRevoked {
        grant: held[0].id,
        member: Some(member),
        group: None,
        role: Role::Viewer,
    };
    tx.commit(workspace, world.clock.now(), event).await.unwrap();
    world.clock.advance(Duration::from_secs(3));
    assert!(stream.end().await.contains("`invocations.read`"));

    // All the time the others' goes on.
    let run = format!("/api/v1/workflows/{workflow}/events");
    let ran = world.post(&run, &json!({ "event": {} })).await.ok().text("invocation_id");
    bystander.news(&ran).await;
}
