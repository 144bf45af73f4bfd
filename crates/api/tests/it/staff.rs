//! The staff of a hosted installation: nothing of a workspace's, until it is asked for, approved
//! and written down.

use crate::kit::{Answer, Json as _, World};
use crate::people::{Named, Somebody};
use axum::http::Method;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{AccessRequestId, INSTALLATION};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    the_staff_has_no_standing_access,
    an_owner_lets_the_staff_in_and_sees_what_they_do,
    a_second_member_of_the_staff_approves,
    what_the_staff_may_not_get,
    an_access_ends_at_once_or_by_itself,
    requests_are_listed_in_pages_for_both_sides,
);

impl World {
    async fn staff(&self, role: Role) -> Somebody {
        self.member(INSTALLATION, role, None).await
    }

    async fn as_staff(&self, person: &Somebody, path: &str, body: &Value) -> Answer {
        let named = Some(Named::Workspace(INSTALLATION));
        let path = format!("/api/v1/staff/{path}");
        self.send(person.request(named, Method::POST, &path, Some(body))).await
    }

    async fn as_owner(&self, person: &Somebody, path: &str) -> Answer {
        let named = Some(Named::Workspace(self.tenant.workspace));
        let path = format!("/api/v1/{path}");
        self.send(person.request(named, Method::POST, &path, Some(&json!({})))).await
    }

    async fn inside(&self, person: &Somebody, method: Method, path: &str) -> Answer {
        let named = Some(Named::Environment(self.tenant.environment));
        let path = format!("/api/v1/{path}");
        self.send(person.request(named, method, &path, Some(&json!({})))).await
    }

    fn wish(&self) -> Value {
        json!({
            "workspace_id": self.tenant.workspace, "role": "operator",
            "reason": "ticket 4711: runs that hang", "minutes": 60,
        })
    }

    /// Asks for access; the request's id.
    async fn asked(&self, person: &Somebody) -> String {
        self.as_staff(person, "access-requests", &self.wish()).await.ok().text("id")
    }
}

async fn the_staff_has_no_standing_access(database: TestDatabase) {
    let world = World::new(database).await;
    for role in Role::ALL {
        let person = world.staff(*role).await;
        for path in ["workflows", "invocations", "connections", "audit", "members"] {
            world.inside(&person, Method::GET, path).await.problem(404, "not_found");
        }
    }
}

async fn an_owner_lets_the_staff_in_and_sees_what_they_do(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (
        world.staff(Role::Operator).await,
        world.member(world.tenant.workspace, Role::Owner, None).await,
    );
    let asked = world.as_staff(&ada, "access-requests", &world.wish()).await;
    assert_eq!((asked.status, asked.ok().text("state")), (201, "pending".into()));
    let id = asked.ok().text("id");
    world.inside(&ada, Method::GET, "workflows").await.problem(404, "not_found");

    let approved = world.as_owner(&owner, &format!("access-requests/{id}/approve")).await.ok();
    assert_eq!(approved.text("state"), "active");
    assert_eq!(approved.text("decided_by"), owner.user.to_string());
    world.inside(&ada, Method::GET, "workflows").await.ok();
    world.inside(&ada, Method::GET, "invocations").await.ok();
    // What would outlive the time, or is nobody's business, stays closed.
    for path in ["api-keys", "machine-clients", "deployments", "invitations", "keys/rotate"] {
        world.inside(&ada, Method::POST, path).await.problem(403, "denied");
    }
    let deleted = world.inside(&ada, Method::DELETE, "connections/conn_00000000000000000000000000");
    deleted.await.problem(404, "not_found");
    let connection = world.connection("mine").await;
    let path = format!("connections/{}", connection.text("id"));
    world.inside(&ada, Method::DELETE, &path).await.ok();

    let named = Some(Named::Workspace(world.tenant.workspace));
    let audit =
        owner.request(named, Method::GET, &format!("/api/v1/audit?actor={}", ada.user), None);
    let events = world.send(audit).await.ok();
    let events = events["data"].as_array().unwrap();
    // What they were denied is told, too.
    let events: Vec<_> = events.iter().filter(|one| one["action"] != "permission_denied").collect();
    let told: Vec<_> = events.iter().map(|event| event.text("action")).collect();
    assert_eq!(told, ["connection_deleted", "connection_state_changed", "access_requested"]);
    assert_eq!(
        events[0].text("actor"),
        format!("{} {id}", ada.user),
        "with the request that lets them"
    );
}

async fn a_second_member_of_the_staff_approves(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, bob, eve) = (
        world.staff(Role::Admin).await,
        world.staff(Role::Admin).await,
        world.staff(Role::Operator).await,
    );
    let id = world.asked(&ada).await;
    let path = format!("access-requests/{id}/approve");
    let own = world.as_staff(&ada, &path, &json!({})).await.problem(403, "denied");
    assert!(own.contains("of their own"), "{own}");
    world.as_staff(&eve, &path, &json!({})).await.problem(403, "denied");
    world.as_staff(&bob, &path, &json!({})).await.ok();
    world.inside(&ada, Method::GET, "workflows").await.ok();
    world.inside(&bob, Method::GET, "workflows").await.problem(404, "not_found");
    let again = world.as_staff(&bob, &format!("access-requests/{id}/deny"), &json!({})).await;
    again.problem(409, "access_settled");
}

async fn what_the_staff_may_not_get(database: TestDatabase) {
    let world = World::new(database).await;
    let ada = world.staff(Role::Operator).await;
    for (field, value, status, code) in [
        ("role", json!("owner"), 400, "invalid_request"),
        ("role", json!("developer"), 400, "invalid_request"),
        ("role", json!("king"), 400, "invalid_request"),
        ("reason", json!("why not"), 400, "invalid_request"),
        ("minutes", json!(481), 400, "invalid_request"),
        ("minutes", json!(0), 400, "invalid_request"),
        ("minutes", json!(1.5), 400, "invalid_request"),
        ("workspace_id", json!(INSTALLATION), 404, "not_found"),
        ("workspace_id", json!("ws_7zzzzzzzzzzzzzzzzzzzzzzzzz"), 404, "not_found"),
        ("workspace_id", json!("acme"), 400, "invalid_request"),
        ("forever", json!(true), 400, "invalid_request"),
    ] {
        let mut wish = world.wish();
        wish[field] = value;
        world.as_staff(&ada, "access-requests", &wish).await.problem(status, code);
    }
    world.asked(&ada).await;
    let twice = world.as_staff(&ada, "access-requests", &world.wish()).await;
    twice.problem(409, "taken");
}

async fn an_access_ends_at_once_or_by_itself(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (
        world.staff(Role::Operator).await,
        world.member(world.tenant.workspace, Role::Owner, None).await,
    );
    for by_owner in [true, false] {
        let id = world.asked(&ada).await;
        world.as_owner(&owner, &format!("access-requests/{id}/approve")).await.ok();
        world.inside(&ada, Method::GET, "workflows").await.ok();
        let path = format!("access-requests/{id}/end");
        let ended = if by_owner {
            world.as_owner(&owner, &path).await
        } else {
            world.as_staff(&ada, &path, &json!({})).await
        };
        assert_eq!(ended.ok().text("state"), "ended");
        world.inside(&ada, Method::GET, "workflows").await.problem(404, "not_found");
    }
    let id = world.asked(&ada).await;
    world.as_owner(&owner, &format!("access-requests/{id}/approve")).await.ok();
    world.clock.advance(Duration::from_mins(59));
    world.inside(&ada, Method::GET, "workflows").await.ok();
    world.clock.advance(Duration::from_mins(1));
    world.inside(&ada, Method::GET, "workflows").await.problem(404, "not_found");
    let late = world.as_staff(&ada, &format!("access-requests/{id}/end"), &json!({})).await;
    assert!(late.problem(409, "access_settled").contains("is expired"));
}

async fn requests_are_listed_in_pages_for_both_sides(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let mut asked = Vec::new();
    let mut staff = Vec::new();
    for _ in 0..3 {
        let person = world.staff(Role::Operator).await;
        asked.push(world.asked(&person).await);
        staff.push(person);
        world.clock.advance(Duration::from_secs(1));
    }
    asked.reverse();
    for (person, named, path) in [
        (&owner, world.tenant.workspace, "/api/v1/access-requests"),
        (&staff[0], INSTALLATION, "/api/v1/staff/access-requests"),
    ] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        loop {
            let query = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
            let path = format!("{path}?limit=2{query}");
            let named = Some(Named::Workspace(named));
            let page = world.send(person.request(named, Method::GET, &path, None)).await.ok();
            seen.extend(page["data"].as_array().unwrap().iter().map(|one| one.text("id")));
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(seen, asked, "{path}");
    }
    let unknown = AccessRequestId::highest();
    let answer = world.as_owner(&owner, &format!("access-requests/{unknown}/approve")).await;
    answer.problem(404, "not_found");
    let theirs = world.other_tenant().await;
    let stranger = world.member(theirs.workspace, Role::Owner, None).await;
    let named = Some(Named::Workspace(theirs.workspace));
    for verb in ["approve", "deny", "end"] {
        let path = format!("/api/v1/access-requests/{}/{verb}", asked[0]);
        let request = stranger.request(named, Method::POST, &path, Some(&json!({})));
        world.send(request).await.problem(404, "not_found");
    }
}
