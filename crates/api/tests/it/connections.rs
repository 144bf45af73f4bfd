//! Connections through the API: what is found, a test, many revoked, and the one way out for a
//! credential with each of its locks.

use crate::kit::{Answer, Json as _, World, request_as};
use crate::people::{Named, Somebody};
use axum::http::Method;
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::{AuditRow, Role};
use causeway_types::{Clock as _, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    connections_are_found_by_name_age_and_use,
    a_connection_is_tried,
    many_are_revoked_in_one_go,
    a_credential_leaves_only_where_the_settings_let_it,
    a_credential_leaves_only_by_a_scope_that_names_it,
    a_credential_leaves_only_after_a_fresh_sign_in,
    the_audit_says_who_took_which_credential,
);

fn names(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|one| one.text("name")).collect()
}

async fn connections_are_found_by_name_age_and_use(database: TestDatabase) {
    let world = World::new(database).await;
    world.connection("old").await;
    world.clock.advance(Duration::from_hours(24));
    let between = world.clock.now();
    world.clock.advance(Duration::from_hours(1));
    world.connection("new").await;
    let find = async |query: String| world.get(&format!("/api/v1/connections?{query}")).await;
    assert_eq!(names(&find(String::new()).await.ok()), ["new", "old"]);
    assert_eq!(names(&find("name=old".into()).await.ok()), ["old"]);
    assert_eq!(names(&find(format!("created_before={between}")).await.ok()), ["old"]);
    assert_eq!(names(&find(format!("unused_since={between}")).await.ok()), ["old"]);
    assert!(names(&find(format!("unused_since={between}&name=new")).await.ok()).is_empty());
    let detail = find("unused_since=30d".into()).await.problem(400, "invalid_request");
    assert!(detail.contains("`unused_since` is a time such as"), "{detail}");
}

async fn a_connection_is_tried(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    let tried = world.post(&format!("/api/v1/connections/{id}/test"), &Value::Null).await.ok();
    assert_eq!((&tried["works"], &tried["problem"]), (&json!(true), &Value::Null));
    assert_eq!(tried["connection"]["state"], "healthy");
}

async fn many_are_revoked_in_one_go(database: TestDatabase) {
    let world = World::new(database).await;
    world.connection("crm").await;
    let path = "/api/v1/connections/revocations";
    let detail = world.post(path, &json!({})).await.problem(400, "invalid_request");
    assert!(detail.contains("say which connections"), "{detail}");
    let begun = world.post(path, &json!({ "app": "demo" })).await;
    assert_eq!(begun.status, 202);
    let begun = begun.json();
    assert_eq!((&begun["state"], &begun["found"]), (&json!("revoking"), &json!(1)));
    let listed = world.get("/api/v1/connections").await.ok();
    assert_eq!(listed["data"][0]["state"], "revoked");
    let (id, stop) = (begun.text("id"), CancellationToken::new());
    world.connect.revoke_due(&stop).await.unwrap();
    let ended = world.get(&format!("{path}/{id}")).await.ok();
    assert_eq!((&ended["state"], &ended["not_offered"]), (&json!("done"), &json!(1)));
    let failures = world.get(&format!("{path}/{id}/failures")).await.ok();
    assert_eq!(failures, json!({ "data": [], "next_cursor": null }));
}

impl World {
    /// Lets credentials out of the environment, as an admin.
    async fn let_out(&self) -> Somebody {
        let admin = self.member(self.tenant.workspace, Role::Admin, None).await;
        let settings = json!({ "credential_export": true });
        let place = Some(Named::Environment(self.tenant.environment));
        let path = "/api/v1/connect-settings";
        let set = admin.request(place, Method::PUT, path, Some(&settings));
        self.send(set).await.ok();
        admin
    }

    async fn exporting_key(&self) -> String {
        let scopes = Scopes::only(ActionName::ExportCredentials);
        self.scoped_key(self.tenant, &scopes, None, None).await
    }

    async fn export(&self, key: &str, id: &str) -> Answer {
        let path = format!("/api/v1/connections/{id}/credential-export");
        self.send(request_as(key, Method::POST, &path, None)).await
    }

    async fn export_by(&self, person: &Somebody, id: &str) -> Answer {
        let place = Some(Named::Environment(self.tenant.environment));
        let path = format!("/api/v1/connections/{id}/credential-export");
        self.send(person.request(place, Method::POST, &path, None)).await
    }

    /// The events of credentials that left.
    async fn exports(&self) -> Vec<AuditRow> {
        let mut conn = self.store().read().await.unwrap();
        let rows = db!(conn, audit::page(self.tenant.workspace, 0, 1000)).unwrap();
        rows.into_iter().filter(|row| row.action == "credential_exported").collect()
    }
}

async fn a_credential_leaves_only_where_the_settings_let_it(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    let key = world.exporting_key().await;
    let detail = world.export(&key, &id).await.problem(403, "credential_export_off");
    assert!(detail.contains("credential_export"), "{detail}");
    assert!(world.exports().await.is_empty());
    world.let_out().await;
    let answer = world.export(&key, &id).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let exported = answer.ok();
    assert_eq!(exported["connection"], id);
    assert_eq!(exported["values"], json!({ "api_key": world.demo.api_key() }));
}

async fn a_credential_leaves_only_by_a_scope_that_names_it(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    world.let_out().await;
    // A key with all that keys have unless they are given more.
    let detail = world.export(&world.key, &id).await.problem(403, "denied");
    assert!(detail.contains("`credentials.export`"), "{detail}");
    // Confined to another app.
    let scopes =
        Scopes { apps: Some(vec!["github".into()]), ..Scopes::only(ActionName::ExportCredentials) };
    let key = world.scoped_key(world.tenant, &scopes, None, None).await;
    world.export(&key, &id).await.problem(403, "denied");
    // A role that does not carry it.
    let developer = world.member(world.tenant.workspace, Role::Developer, None).await;
    world.export_by(&developer, &id).await.problem(403, "denied");
    assert!(world.exports().await.is_empty());
    assert_eq!(world.export(&world.exporting_key().await, &id).await.status, 200);
}

async fn a_credential_leaves_only_after_a_fresh_sign_in(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    let admin = world.let_out().await;
    assert_eq!(world.export_by(&admin, &id).await.status, 200);
    world.clock.advance(Duration::from_mins(11));
    let detail = world.export_by(&admin, &id).await.problem(403, "step_up_required");
    assert!(detail.contains("/auth/step-up"), "{detail}");
    assert_eq!(world.exports().await.len(), 1);
}

async fn the_audit_says_who_took_which_credential(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    let admin = world.let_out().await;
    let before: Timestamp = world.clock.now();
    world.export_by(&admin, &id).await.ok();
    let rows = world.exports().await;
    let [event] = &rows[..] else { panic!("{rows:#?}") };
    assert_eq!((event.actor.clone(), event.at), (admin.user.to_string(), before));
    assert!(event.detail.contains(&id), "{}", event.detail);
}
