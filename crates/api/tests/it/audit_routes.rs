//! The audit chain and the access review through the API.

use crate::kit::{Answer, Json as _, World, request_as};
use crate::people::{Named, Somebody};
use axum::http::Method;
use causeway_audit::Keeper;
use causeway_identity::action::ActionName;
use causeway_identity::{Denials, Scopes};
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_types::entity::Role;
use causeway_types::{Actor, Clock as _, NodeId, OsRandom};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    events_are_listed_and_filtered,
    a_whole_chain_is_verified_with_what_was_kept,
    a_broken_chain_is_a_problem_that_names_the_link,
    an_export_leaves_in_both_forms,
    a_retention_is_set_and_shown,
    what_is_wrong_is_refused,
    the_review_shows_who_has_what,
    a_program_needs_a_scope,
);

impl World {
    async fn auditor(&self) -> Somebody {
        self.member(self.tenant.workspace, Role::Auditor, None).await
    }

    /// What somebody gets in the workspace.
    async fn look(&self, person: &Somebody, path: &str) -> Answer {
        let named = Some(Named::Workspace(self.tenant.workspace));
        self.send(person.request(named, Method::GET, &format!("/api/v1/{path}"), None)).await
    }

    async fn tell(&self, person: &Somebody, method: Method, path: &str, body: &Value) -> Answer {
        let named = Some(Named::Workspace(self.tenant.workspace));
        self.send(person.request(named, method, &format!("/api/v1/{path}"), Some(body))).await
    }

    async fn verified(&self, person: &Somebody, body: &Value) -> Answer {
        self.tell(person, Method::POST, "audit/verify", body).await
    }

    /// Has every chain signed.
    async fn sign(&self) {
        let denials = Denials::new(self.store().clone(), self.clock.clone());
        let actor = Actor::Node(NodeId::generate(self.clock.now(), &OsRandom));
        let (store, keys) = (self.store().clone(), self.own_keys.clone());
        Keeper::new(store, keys, denials, self.clock.clone(), actor).close().await;
    }
}

fn seqs(page: &Value) -> Vec<i64> {
    let events = page["data"].as_array().unwrap();
    events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

async fn events_are_listed_and_filtered(database: TestDatabase) {
    let world = World::new(database).await;
    let client = world.oauth_client().await;
    let auditor = world.auditor().await;
    let all = world.look(&auditor, "audit").await.ok();
    let mut expected = seqs(&all);
    expected.sort_by(|a, b| b.cmp(a));
    assert_eq!(seqs(&all), expected, "newest first");
    let set =
        all["data"].as_array().unwrap().iter().find(|one| one["action"] == "oauth_client_set");
    let set = set.unwrap();
    assert!(set.text("actor").starts_with("key_"), "{set}");
    assert_eq!(set["detail"], json!({ "client": client, "app": "demo" }));
    assert_eq!(set["via"]["address"], "192.0.2.7");
    assert!(set["via"].text("request").starts_with("req_"));
    assert_eq!(set.text("hash").len(), 64);

    let found = world.look(&auditor, &format!("audit?about={client}")).await.ok();
    assert_eq!(found["data"].as_array().unwrap(), std::slice::from_ref(set));
    let actor = set.text("actor");
    let found = world.look(&auditor, &format!("audit?actor={actor}&action=oauth_client_set")).await;
    assert_eq!(found.ok()["data"][0], *set);
    let none = world.look(&auditor, "audit?since=2999-01-01T00:00:00Z").await.ok();
    assert_eq!((seqs(&none).len(), &none["next_cursor"]), (0, &Value::Null));
    let first = world.look(&auditor, "audit?limit=1").await.ok();
    let next = world.look(&auditor, &format!("audit?cursor={}", first.text("next_cursor"))).await;
    assert_eq!(seqs(&next.ok()), seqs(&all)[1..]);
}

async fn a_whole_chain_is_verified_with_what_was_kept(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let auditor = world.auditor().await;
    let before = world.verified(&auditor, &json!({})).await.ok();
    assert_eq!((&before["proven"], &before["checkpoints"]), (&json!(0), &json!(0)));
    world.sign().await;
    let listed = world.look(&auditor, "audit/checkpoints").await.ok();
    let kept = listed["data"].clone();
    let checked = world.verified(&auditor, &json!({ "checkpoints": kept })).await.ok();
    assert_eq!((&checked["kept"], &checked["checkpoints"]), (&json!(1), &json!(1)));
    assert_eq!(checked["proven"], kept[0]["seq"]);
    assert_eq!(checked.text("workspace_id"), world.tenant.workspace.to_string());
}

async fn a_broken_chain_is_a_problem_that_names_the_link(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let auditor = world.auditor().await;
    let mut tx = world.store().write(Actor::Machine).await.unwrap();
    assert_eq!(db!(tx, audit::prune(world.tenant.workspace, 1)).unwrap(), 1);
    tx.commit_bookkeeping(Bookkeeping::Expired).await.unwrap();
    let detail = world.verified(&auditor, &json!({})).await.problem(409, "audit_broken");
    assert!(detail.contains("the rows before row 2 are missing"), "{detail}");
}

async fn an_export_leaves_in_both_forms(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    world.sign().await;
    let auditor = world.auditor().await;
    let answer = world.look(&auditor, "audit/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/jsonl"));
    let lines: Vec<Value> =
        answer.html().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["type"], &lines.last().unwrap()["type"]),
        (&json!("chain"), &json!("end"))
    );
    assert!(lines.iter().any(|line| line["type"] == "checkpoint"));
    let answer = world.look(&auditor, "audit/export?format=ocsf&since=2000-01-01T00:00:00Z").await;
    let ocsf: Vec<Value> =
        answer.html().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = lines.iter().filter(|line| line["type"] == "event").count();
    // The first export is an event of the second.
    assert_eq!(ocsf.len(), events + 1);
    assert_eq!(ocsf.last().unwrap()["metadata"]["event_code"], "audit_exported");
    let newest = &world.look(&auditor, "audit?limit=1").await.ok()["data"][0];
    assert_eq!(
        (newest.text("action"), newest.text("actor")),
        ("audit_exported".into(), auditor.user.to_string())
    );
    let whole = world.verified(&auditor, &json!({})).await.ok();
    assert_eq!(newest["seq"], whole["last"]);
}

async fn a_retention_is_set_and_shown(database: TestDatabase) {
    let world = World::new(database).await;
    let admin = world.member(world.tenant.workspace, Role::Admin, None).await;
    assert_eq!(world.look(&admin, "audit/retention").await.ok()["days"], Value::Null);
    let set = world.tell(&admin, Method::PUT, "audit/retention", &json!({ "days": 90 })).await;
    assert_eq!(set.ok()["days"], 90);
    assert_eq!(world.look(&admin, "audit/retention").await.ok()["days"], 90);
    for (body, code) in [
        (json!({ "days": 29 }), "invalid_request"),
        (json!({ "days": 36_501 }), "invalid_request"),
        (json!({ "days": "90" }), "invalid_request"),
        (json!({}), "invalid_request"),
        (json!({ "days": 90, "forever": true }), "invalid_request"),
    ] {
        world.tell(&admin, Method::PUT, "audit/retention", &body).await.problem(400, code);
    }
    let forever = json!({ "days": null });
    world.tell(&admin, Method::PUT, "audit/retention", &forever).await.ok();
    assert_eq!(world.look(&admin, "audit/retention").await.ok()["days"], Value::Null);
    // It needs a fresh proof of who it is.
    world.clock.advance(Duration::from_mins(11));
    let stale = world.tell(&admin, Method::PUT, "audit/retention", &forever).await;
    stale.problem(403, "step_up_required");
}

async fn what_is_wrong_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let auditor = world.auditor().await;
    for query in [
        "about=%25",
        "about=conn_",
        "about=conn_%25",
        "actor=a%00b",
        "action=a%0Ab",
        "since=yesterday",
        "until=2026-08-01",
        "limit=0",
        "limit=101",
        "page=2",
    ] {
        world.look(&auditor, &format!("audit?{query}")).await.problem(400, "invalid_request");
    }
    world.look(&auditor, "audit?cursor=eA").await.problem(400, "invalid_cursor");
    for query in ["format=xml", "format=", "since=x", "from=x"] {
        world
            .look(&auditor, &format!("audit/export?{query}"))
            .await
            .problem(400, "invalid_request");
    }
    let one = json!({
        "workspace_id": world.tenant.workspace, "seq": 1, "hash": "00", "time": "now",
        "signing_key": "sgn_00000000000000000000000000", "signature": "00",
    });
    let many = vec![one.clone(); 1001];
    let answer = world.verified(&auditor, &json!({ "checkpoints": many })).await;
    answer.problem(400, "invalid_request");
    let answer = world.verified(&auditor, &json!({ "checkpoints": [{ "seq": 1 }] })).await;
    answer.problem(400, "invalid_request");
    // A made-up checkpoint does not hold, whatever it says.
    let answer = world.verified(&auditor, &json!({ "checkpoints": [one] })).await;
    answer.problem(409, "audit_broken");
}

async fn the_review_shows_who_has_what(database: TestDatabase) {
    let world = World::new(database).await;
    let auditor = world.auditor().await;
    let mut review = world.look(&auditor, "access-review").await.ok();
    assert_eq!(review["unused"], 0);
    let member = &review["members"][0];
    assert_eq!(member["roles"][0]["role"], "auditor");
    assert_eq!(member.text("id"), auditor.member.unwrap().to_string());
    let key = &review["api_keys"][0];
    assert!(key["actions"].as_array().unwrap().contains(&json!("workflows.deploy")), "{key}");
    assert_eq!(review["machine_clients"].as_array().unwrap().len(), 1);
    assert!(!review.to_string().contains("cwk_"), "no key, and no part of one");
    world.clock.advance(Duration::from_hours(24 * 90));
    let later = world.auditor().await;
    review = world.look(&later, "access-review").await.ok();
    assert!(review["unused"].as_u64().unwrap() >= 2, "{review}");
    assert_eq!(review["machine_clients"][0]["usage"]["unused"], true);
}

async fn a_program_needs_a_scope(database: TestDatabase) {
    let world = World::new(database).await;
    let usual = world.new_key(world.tenant, None, None).await;
    let refused = world.send(request_as(&usual, Method::GET, "/api/v1/audit", None)).await;
    refused.problem(403, "denied");
    let scopes = Scopes { actions: Some(vec![ActionName::ReadAudit]), ..Scopes::default() };
    let key = world.scoped_key(world.tenant, &scopes, None, None).await;
    world.send(request_as(&key, Method::GET, "/api/v1/audit", None)).await.ok();
    let refused = world.send(request_as(&key, Method::GET, "/api/v1/audit/export", None)).await;
    refused.problem(403, "denied");
    // Whoever has the machine has the chain: so has the first key.
    world.get("/api/v1/audit").await.ok();
    let verified = world.post("/api/v1/audit/verify", &json!({})).await.ok();
    assert_eq!(verified.text("workspace_id"), world.tenant.workspace.to_string());
    assert_eq!(world.get("/api/v1/audit/export").await.status, 200);
    let forever = json!({ "days": null });
    world.put("/api/v1/audit/retention", &forever).await.problem(403, "denied");
}
