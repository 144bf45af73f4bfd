//! SCIM over HTTP: its media type, its errors, its parameters, and what a directory may not.

use crate::kit::{Answer, Json, World, request_as};
use crate::people::Named;
use axum::body::Body;
use axum::http::{Method, header};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_directory_learns_what_is_supported,
    a_directory_keeps_users,
    a_directory_keeps_groups,
    deactivating_ends_sessions_at_once,
    a_refusal_has_scims_form,
    filters_have_limits,
    no_query_fails_the_server,
    keys_without_the_scope_are_refused,
    what_belongs_to_others_is_not_there,
);

const SCIM: &str = "application/scim+json";

/// A directory with its key.
struct Directory<'a> {
    world: &'a World,
    key: String,
}

impl<'a> Directory<'a> {
    async fn of(world: &'a World) -> Self {
        let scopes = Scopes::only(ActionName::ProvisionMembers);
        Self { world, key: world.scoped_key(world.tenant, &scopes, None, None).await }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = Some(&body).filter(|body| !body.is_null());
        let mut request = request_as(&self.key, method, &format!("/scim/v2{path}"), body);
        request.headers_mut().insert(header::CONTENT_TYPE, SCIM.parse().unwrap());
        self.world.send(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn user(&self, email: &str) -> Value {
        let made = self.ask(Method::POST, "/Users", json!({ "userName": email })).await;
        assert_eq!(made.status, 201, "{}", made.html());
        made.ok()
    }
}

/// A filter as a query takes it.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Asserts a refusal in SCIM's form, and gives its detail.
#[track_caller]
fn refused(answer: &Answer, status: u16, scim_type: Option<&str>, code: &str) -> String {
    assert_eq!(answer.header("content-type"), SCIM);
    let error = answer.json();
    assert_eq!(answer.status, status, "{error}");
    assert_eq!(error["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(error["status"], status.to_string());
    assert_eq!(error.get("scimType").and_then(Value::as_str), scim_type, "{error}");
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["request_id"], answer.header("x-request-id"));
    error.text("detail")
}

async fn a_directory_learns_what_is_supported(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let config = directory.get("/ServiceProviderConfig").await;
    assert_eq!(config.header("content-type"), SCIM);
    let config = config.ok();
    assert_eq!(config["patch"]["supported"], true);
    for feature in ["bulk", "changePassword", "sort", "etag"] {
        assert_eq!(config[feature]["supported"], false, "{feature}");
    }
    assert_eq!(config["filter"], json!({ "supported": true, "maxResults": 100 }));
    let types = directory.get("/ResourceTypes").await.ok();
    assert_eq!(types["totalResults"], 2);
    for (name, urn) in [
        ("User", "urn:ietf:params:scim:schemas:core:2.0:User"),
        ("Group", "urn:ietf:params:scim:schemas:core:2.0:Group"),
    ] {
        let kind = directory.get(&format!("/ResourceTypes/{name}")).await.ok();
        assert_eq!(
            (&kind["endpoint"], &kind["schema"]),
            (&json!(format!("/{name}s")), &json!(urn))
        );
        let schema = directory.get(&format!("/Schemas/{urn}")).await.ok();
        assert_eq!(schema["id"], urn);
        let id = schema["attributes"].as_array().unwrap().iter().find(|one| one["name"] == "id");
        assert_eq!(id.unwrap()["mutability"], "readOnly");
    }
    assert_eq!(directory.get("/Schemas").await.ok()["Resources"].as_array().unwrap().len(), 2);
    for path in ["/Schemas/x", "/ResourceTypes/Machine"] {
        refused(&directory.get(path).await, 404, None, "not_found");
    }
    for path in ["/Me", "/Bulk", "/Users/", "/Users/x/y"] {
        refused(&directory.get(path).await, 404, None, "unknown_route");
    }
}

async fn a_directory_keeps_users(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let made =
        directory.ask(Method::POST, "/Users", json!({ "userName": "Ada@Example.com" })).await;
    assert_eq!(made.status, 201);
    let ada = made.ok();
    let at = format!("http://127.0.0.1:8400/scim/v2/Users/{}", ada.text("id"));
    assert_eq!((made.header("location"), ada["meta"].text("location")), (at.as_str(), at.clone()));
    let path = format!("/Users/{}", ada.text("id"));
    assert_eq!(directory.get(&path).await.ok(), ada);
    // Ids sort by age, to a millisecond.
    world.clock.advance(Duration::from_millis(1));
    directory.user("bob@example.com").await;

    let query = |filter: &str| format!("/Users?filter={}", encoded(filter));
    let found = directory.get(&query("userName eq \"ADA@example.com\"")).await.ok();
    assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(1), &json!(1)));
    assert_eq!(found["Resources"][0], ada);
    let found = directory.get(&query("userName eq \"f31c5b2e-no-such-user\"")).await.ok();
    assert_eq!((&found["totalResults"], &found["Resources"]), (&json!(0), &json!([])));
    let page = directory.get("/Users?startIndex=2&count=1&sortBy=userName&unknown=1").await.ok();
    assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(2), &json!(2)));
    assert_eq!(page["Resources"][0]["userName"], "bob@example.com");
    let narrow = directory.get("/Users?attributes=userName").await.ok();
    let fields: Vec<&String> = narrow["Resources"][0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "schemas", "userName"]);
    let narrow = directory.get(&format!("{path}?excludedAttributes=emails,groups")).await.ok();
    assert!(narrow.get("emails").is_none() && narrow.get("groups").is_none());

    let put = json!({ "userName": "ada@example.com", "displayName": "Ada" });
    assert_eq!(directory.ask(Method::PUT, &path, put).await.ok()["displayName"], "Ada");
    let out = json!({ "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    assert_eq!(directory.ask(Method::PATCH, &path, out).await.ok()["active"], false);
    assert_eq!(directory.ask(Method::DELETE, &path, Value::Null).await.status, 204);
    refused(&directory.get(&path).await, 404, None, "not_found");
}

async fn a_directory_keeps_groups(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let ada = directory.user("ada@example.com").await.text("id");
    let new = json!({ "displayName": "Crew", "members": [{ "value": ada }] });
    let made = directory.ask(Method::POST, "/Groups", new).await;
    assert_eq!(made.status, 201);
    let crew = made.ok();
    assert_eq!(crew["members"][0]["$ref"], format!("http://127.0.0.1:8400/scim/v2/Users/{ada}"));
    let path = format!("/Groups/{}", crew.text("id"));
    let user = directory.get(&format!("/Users/{ada}")).await.ok();
    assert_eq!(user["groups"][0]["$ref"], crew["meta"]["location"]);

    let rename =
        json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": "Bridge" }] });
    let changed = directory.ask(Method::PATCH, &path, rename.clone()).await;
    assert_eq!((changed.status, changed.body.len()), (204, 0));
    let shown =
        directory.ask(Method::PATCH, &format!("{path}?attributes=displayName"), rename).await;
    assert_eq!((shown.status, shown.ok()["displayName"].as_str()), (200, Some("Bridge")));
    let lean = directory.get(&format!("{path}?excludedAttributes=members")).await.ok();
    assert!(lean.get("members").is_none());
    let found = encoded(&format!("id eq \"{}\" and members eq \"{ada}\"", crew.text("id")));
    let found = directory.get(&format!("/Groups?attributes=id&filter={found}")).await.ok();
    assert_eq!(found["totalResults"], 1);
    let put = json!({ "displayName": "Bridge", "members": [] });
    assert_eq!(directory.ask(Method::PUT, &path, put).await.ok()["members"], json!([]));
    assert_eq!(directory.ask(Method::DELETE, &path, Value::Null).await.status, 204);
    refused(&directory.ask(Method::DELETE, &path, Value::Null).await, 404, None, "not_found");
}

async fn deactivating_ends_sessions_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let workspace = world.tenant.workspace;
    let (owner, viewer) = (
        world.member(workspace, Role::Owner, None).await,
        world.member(workspace, Role::Viewer, None).await,
    );
    let look = || {
        let named = Some(Named::Workspace(workspace));
        viewer.request(named, Method::GET, "/api/v1/workspace", None)
    };
    world.send(look()).await.ok();
    let out = json!({ "Operations": [{ "op": "replace", "value": { "active": false } }] });
    let path = format!("/Users/{}", viewer.member.unwrap());
    directory.ask(Method::PATCH, &path, out.clone()).await.ok();
    world.send(look()).await.problem(401, "unauthenticated");
    // The last owner stays, and the directory is told why.
    let path = format!("/Users/{}", owner.member.unwrap());
    let detail = refused(&directory.ask(Method::PATCH, &path, out).await, 409, None, "last_owner");
    assert!(detail.contains("last active owner"), "{detail}");
    refused(&directory.ask(Method::DELETE, &path, Value::Null).await, 409, None, "last_owner");
}

async fn a_refusal_has_scims_form(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let ada = directory.user("ada@example.com").await.text("id");
    let again =
        directory.ask(Method::POST, "/Users", json!({ "userName": "ADA@example.com" })).await;
    refused(&again, 409, Some("uniqueness"), "taken");
    let wrong = directory.ask(Method::POST, "/Users", json!({ "userName": "ada" })).await;
    refused(&wrong, 400, Some("invalidValue"), "invalid_email");
    let none = directory.ask(Method::POST, "/Users", json!({ "displayName": "Ada" })).await;
    refused(&none, 400, Some("invalidValue"), "invalid_request");
    let path = format!("/Users/{ada}");
    let change = json!({ "Operations": [{ "op": "replace", "path": "nothing", "value": 1 }] });
    refused(
        &directory.ask(Method::PATCH, &path, change).await,
        400,
        Some("invalidPath"),
        "invalid_request",
    );
    for query in ["startIndex=x", "count=1.5", "count=", "startIndex=99999999999999999999"] {
        let answer = directory.get(&format!("/Users?{query}")).await;
        refused(&answer, 400, Some("invalidValue"), "invalid_request");
    }
    let names = vec!["userName"; 101].join(",");
    let answer = directory.get(&format!("{path}?attributes={names}")).await;
    refused(&answer, 400, Some("invalidValue"), "invalid_request");
    for (body, status, code) in [
        ("{", 400, "invalid_json"),
        ("[]", 400, "invalid_request"),
        ("\"x\"", 400, "invalid_request"),
        ("", 400, "invalid_json"),
        (&"[".repeat(100_000), 400, "invalid_json"),
    ] {
        let mut request = request_as(&directory.key, Method::POST, "/scim/v2/Users", None);
        *request.body_mut() = Body::from(body.to_owned());
        let answer = world.send(request).await;
        refused(&answer, status, Some("invalidSyntax"), code);
    }
    let mut request = request_as(&directory.key, Method::POST, "/scim/v2/Users", None);
    request.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    *request.body_mut() = Body::from("{}");
    refused(&world.send(request).await, 400, Some("invalidSyntax"), "invalid_request");
    let large = json!({ "userName": "x@example.com", "displayName": "x".repeat(1 << 20) });
    let answer = directory.ask(Method::POST, "/Users", large).await;
    refused(&answer, 413, Some("invalidSyntax"), "body_too_large");
    // A password, wherever it stands, does not come back in a refusal.
    let secret = json!({ "userName": "canary-password", "password": "canary-password" });
    let answer = directory.ask(Method::POST, "/Users", secret).await;
    assert!(!answer.html().contains("canary"), "{}", answer.html());
}

async fn filters_have_limits(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    directory.user("ada@example.com").await;
    let long = format!("userName eq \"{}\"", "a".repeat(10_000));
    let wide = vec!["active eq true"; 100].join(" or ");
    let deep = format!("{}active eq true{}", "(".repeat(100), ")".repeat(100));
    for filter in [
        long.as_str(),
        &"(".repeat(10_000),
        &"not (".repeat(2_000),
        &"a".repeat(10_000),
        &" ".repeat(10_000),
        &wide,
        &deep,
        "password sw \"a\"",
        "userName eq",
        "",
    ] {
        for kind in ["Users", "Groups"] {
            let answer = directory.get(&format!("/{kind}?filter={}", encoded(filter))).await;
            let detail = refused(&answer, 400, Some("invalidFilter"), "invalid_request");
            assert!(detail.len() < 400, "{detail}");
        }
    }
}

async fn no_query_fails_the_server(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    directory.user("ada@example.com").await;
    let text = prop_oneof![
        ".{0,40}",
        "(userName|emails|active|id|members)( |\\[)(eq|co|pr)( )?(\"[a-z@.]{0,9}\"|true|null)?\\]?",
        Just("userName sw \"%\u{0}'; --\"".to_owned()),
    ];
    let mut runner = TestRunner::deterministic();
    let mut one = || text.new_tree(&mut runner).unwrap().current();
    for round in 0..150 {
        let kind = if round % 2 == 0 { "Users" } else { "Groups" };
        let (filter, attributes, start) = (encoded(&one()), encoded(&one()), encoded(&one()));
        let query = match round % 3 {
            0 => format!("filter={filter}"),
            1 => format!("filter={filter}&attributes={attributes}&excludedAttributes={start}"),
            _ => format!("startIndex={start}&count={attributes}"),
        };
        let answer = directory.get(&format!("/{kind}?{query}")).await;
        assert!(matches!(answer.status, 200 | 400), "{}: {query}", answer.status);
        let id = format!("x{}", encoded(&one()).replace('+', "%20"));
        let answer = directory.get(&format!("/{kind}/{id}")).await;
        assert!(matches!(answer.status, 200 | 400 | 404), "{}: {id}", answer.status);
    }
}

async fn keys_without_the_scope_are_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let ask = async |request| world.send(request).await;
    let answer = ask(request_as(&world.key, Method::GET, "/scim/v2/Users", None)).await;
    refused(&answer, 403, None, "denied");
    let answer = ask(request_as("cwk_wrong", Method::GET, "/scim/v2/Users", None)).await;
    refused(&answer, 401, None, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    // Nor does any person provision.
    let named = Some(Named::Workspace(world.tenant.workspace));
    let answer = ask(owner.request(named, Method::GET, "/scim/v2/Users", None)).await;
    refused(&answer, 403, None, "denied");
    let body = json!({ "userName": "eve@example.com" });
    let answer = ask(owner.request(named, Method::POST, "/scim/v2/Users", Some(&body))).await;
    refused(&answer, 403, None, "denied");
}

async fn what_belongs_to_others_is_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = Directory::of(&world).await;
    let theirs = world.other_tenant().await;
    let scopes = Scopes::only(ActionName::ProvisionMembers);
    let there =
        Directory { world: &world, key: world.scoped_key(theirs, &scopes, None, None).await };
    let user = there.user("ada@example.com").await.text("id");
    let group = there.ask(Method::POST, "/Groups", json!({ "displayName": "Theirs" })).await.ok();
    let rename =
        json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": "x" }] });
    let put = json!({ "userName": "x@example.com", "displayName": "x" });
    for path in [format!("/Users/{user}"), format!("/Groups/{}", group.text("id"))] {
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PUT, put.clone()),
            (Method::PATCH, rename.clone()),
            (Method::DELETE, Value::Null),
        ] {
            refused(&directory.ask(method, &path, body).await, 404, None, "not_found");
        }
    }
    for kind in ["Users", "Groups"] {
        assert_eq!(directory.get(&format!("/{kind}")).await.ok()["totalResults"], 0);
    }
    // The same address is free here, and a user of theirs comes into no group here.
    directory.user("ada@example.com").await;
    let new = json!({ "displayName": "Mine", "members": [{ "value": user }] });
    let answer = directory.ask(Method::POST, "/Groups", new).await;
    refused(&answer, 400, Some("invalidValue"), "invalid_request");
}
