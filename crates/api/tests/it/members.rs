//! Members, groups, roles, invitations, projects and workspaces over the API.

use crate::kit::{Answer, Json, World, request_as, value};
use crate::people::{Named, Somebody};
use axum::http::Method;
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{INSTALLATION, WorkspaceId};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    an_owner_looks_after_members,
    an_invitation_shows_its_link_once,
    members_change_only_after_a_fresh_sign_in,
    who_has_a_project_has_no_members,
    what_belongs_to_others_is_not_there,
    the_last_owner_stays,
    a_program_with_scopes_for_it_looks_after_members,
    staff_make_workspaces,
    wrong_requests_are_refused,
);

impl World {
    async fn as_person(
        &self,
        person: &Somebody,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let named = Some(Named::Workspace(self.tenant.workspace));
        self.send(person.request(named, method, &format!("/api/v1{path}"), body)).await
    }

    async fn owner(&self) -> Somebody {
        self.member(self.tenant.workspace, Role::Owner, None).await
    }
}

fn place(person: &Somebody) -> String {
    person.member.unwrap().to_string()
}

async fn an_owner_looks_after_members(database: TestDatabase) {
    let world = World::new(database).await;
    let (owner, viewer) =
        (world.owner().await, world.member(world.tenant.workspace, Role::Viewer, None).await);
    let ask = async |method: Method, path: &str, body: Value| {
        let body = Some(&body).filter(|body| !body.is_null());
        world.as_person(&owner, method, path, body).await
    };
    let all = ask(Method::GET, "/members?limit=1", Value::Null).await.ok();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    let next = format!("/members?cursor={}", all.text("next_cursor"));
    assert_eq!(
        ask(Method::GET, &next, Value::Null).await.ok()["data"].as_array().unwrap().len(),
        1
    );

    let id = place(&viewer);
    let grant = json!({ "member_id": id, "role": "developer" });
    let grant = ask(Method::POST, "/role-grants", grant).await;
    assert_eq!(grant.status, 201);
    let shown = ask(Method::GET, &format!("/members/{id}"), Value::Null).await.ok();
    assert_eq!(
        (shown["roles"].as_array().unwrap().len(), shown["member"]["state"].as_str()),
        (2, Some("active"))
    );
    let grants = ask(Method::GET, "/role-grants", Value::Null).await.ok();
    assert_eq!(grants["data"].as_array().unwrap().len(), 3);
    let path = format!("/role-grants/{}", grant.ok().text("id"));
    assert_eq!(ask(Method::DELETE, &path, Value::Null).await.status, 204);

    let group = ask(Method::POST, "/groups", json!({ "name": "Crew" })).await;
    assert_eq!(group.status, 201);
    let group = format!("/groups/{}", group.ok().text("id"));
    let inside = format!("{group}/members");
    ask(Method::PUT, &inside, json!({ "members": [id] })).await.ok();
    let listed = ask(Method::GET, &inside, Value::Null).await.ok();
    assert_eq!(listed["data"][0]["id"], *id);
    ask(Method::POST, &inside, json!({ "remove": [id] })).await.ok();
    ask(Method::PATCH, &group, json!({ "name": "Bridge" })).await.ok();
    let shown = ask(Method::GET, &group, Value::Null).await.ok();
    assert_eq!((&shown["group"]["name"], &shown["members"]), (&json!("Bridge"), &json!(0)));
    assert_eq!(
        ask(Method::GET, "/groups", Value::Null).await.ok()["data"].as_array().unwrap().len(),
        1
    );
    assert_eq!(ask(Method::DELETE, &group, Value::Null).await.status, 204);

    let made = ask(Method::POST, "/projects", json!({ "name": "Beside" })).await;
    assert_eq!((made.status, made.ok()["environments"].as_array().unwrap().len()), (201, 2));
    let shown = ask(Method::GET, "/workspace", Value::Null).await.ok();
    assert_eq!(shown["projects"].as_array().unwrap().len(), 2);
    let listed = ask(Method::GET, "/projects", Value::Null).await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);

    // Deactivated, the viewer is out at the next request, and in again after signing in anew.
    let look =
        async |person: &Somebody| world.as_person(person, Method::GET, "/workspace", None).await;
    look(&viewer).await.ok();
    let state = ask(Method::POST, &format!("/members/{id}/deactivate"), Value::Null).await.ok();
    assert_eq!(state["state"], "deactivated");
    look(&viewer).await.problem(401, "unauthenticated");
    ask(Method::POST, &format!("/members/{id}/reactivate"), Value::Null).await.ok();
    look(&viewer).await.problem(401, "unauthenticated");
    assert_eq!(ask(Method::DELETE, &format!("/members/{id}"), Value::Null).await.status, 204);
    ask(Method::GET, &format!("/members/{id}"), Value::Null).await.problem(404, "not_found");

    // Whoever leaves says which workspace.
    let second = world.owner().await;
    let leave = async |workspace: WorkspaceId| {
        let body = json!({ "workspace_id": workspace });
        world.as_person(&second, Method::POST, "/workspace/leave", Some(&body)).await
    };
    leave(INSTALLATION).await.problem(400, "invalid_request");
    assert_eq!(leave(world.tenant.workspace).await.status, 204);
    look(&second).await.problem(401, "unauthenticated");
}

async fn an_invitation_shows_its_link_once(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.owner().await;
    let body = json!({ "email": "Ada@Example.com", "role": "viewer", "expires_in": 3600 });
    let made = world.as_person(&owner, Method::POST, "/invitations", Some(&body)).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    let link = made.text("url");
    let token = link.strip_prefix("http://127.0.0.1:8400/auth/invitations/").unwrap();
    assert!(token.starts_with("cwi_") && token.len() == 64, "{link}");
    let listed = world.as_person(&owner, Method::GET, "/invitations", None).await;
    assert!(!listed.html().contains(token));
    assert_eq!(listed.ok()["data"][0]["email"], "ada@example.com");

    // Nor is it kept for a repeated request: the second one is a new invitation.
    let named = Some(Named::Workspace(world.tenant.workspace));
    let mut links = Vec::new();
    for _ in 0..2 {
        let mut request = owner.request(named, Method::POST, "/api/v1/invitations", Some(&body));
        request.headers_mut().insert("idempotency-key", value("once"));
        links.push(world.send(request).await.ok().text("url"));
    }
    assert_ne!(links[0], links[1]);
    let listed = world.as_person(&owner, Method::GET, "/invitations", None).await.ok();
    let open = listed["data"].as_array().unwrap();
    assert_eq!(open.len(), 1, "one link works at a time");
    let path = format!("/invitations/{}", open[0].text("id"));
    assert_eq!(world.as_person(&owner, Method::DELETE, &path, None).await.status, 204);
    world.as_person(&owner, Method::DELETE, &path, None).await.problem(404, "not_found");
}

async fn members_change_only_after_a_fresh_sign_in(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    let (owner, viewer) = (world.owner().await, world.member(workspace, Role::Viewer, None).await);
    world.clock.advance(Duration::from_hours(2));
    let id = place(&viewer);
    world.as_person(&owner, Method::GET, "/members", None).await.ok();
    let nobody = json!({ "member_id": id, "role": "admin" });
    for (method, path, body) in [
        (Method::DELETE, format!("/members/{id}"), None),
        (Method::POST, format!("/members/{id}/deactivate"), None),
        (Method::POST, "/role-grants".to_owned(), Some(&nobody)),
        (Method::POST, "/invitations".to_owned(), Some(&nobody)),
        (Method::POST, "/groups".to_owned(), Some(&nobody)),
    ] {
        let answer = world.as_person(&owner, method, &path, body).await;
        answer.problem(403, "step_up_required");
    }
}

async fn who_has_a_project_has_no_members(database: TestDatabase) {
    let world = World::new(database).await;
    let (workspace, project) = (world.tenant.workspace, world.tenant.project);
    world.project_beside().await;
    let admin = world.member(workspace, Role::Owner, Some(project)).await;
    for path in ["/members", "/groups", "/role-grants", "/invitations"] {
        world.as_person(&admin, Method::GET, path, None).await.problem(403, "denied");
        let body = json!({ "name": "Mine" });
        if path != "/members" {
            let made = world.as_person(&admin, Method::POST, path, Some(&body)).await;
            made.problem(403, "denied");
        }
    }
    let grant = json!({ "member_id": place(&admin), "role": "admin" });
    let made = world.as_person(&admin, Method::POST, "/role-grants", Some(&grant)).await;
    made.problem(403, "denied");
    let shown = world.as_person(&admin, Method::GET, "/workspace", None).await.ok();
    let projects = shown["projects"].as_array().unwrap();
    assert_eq!((projects.len(), projects[0].text("id")), (1, project.to_string()));
}

async fn what_belongs_to_others_is_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.owner().await;
    let theirs = world.other_tenant().await.workspace;
    let them = world.member(theirs, Role::Owner, None).await;
    let there = async |path: &str, body: Value| {
        let path = format!("/api/v1{path}");
        let named = Some(Named::Workspace(theirs));
        world.send(them.request(named, Method::POST, &path, Some(&body))).await.ok()
    };
    let group = there("/groups", json!({ "name": "Theirs" })).await.text("id");
    let grant = json!({ "group_id": group, "role": "viewer" });
    let grant = there("/role-grants", grant).await.text("id");
    let invitation = json!({ "email": "x@example.com", "role": "viewer" });
    let invitation = there("/invitations", invitation).await["invitation"].text("id");
    let project = there("/projects", json!({ "name": "Theirs" })).await.text("id");
    let member = place(&them);
    let mine = place(&owner);
    for (method, path, body) in [
        (Method::GET, format!("/members/{member}"), Value::Null),
        (Method::DELETE, format!("/members/{member}"), Value::Null),
        (Method::POST, format!("/members/{member}/deactivate"), Value::Null),
        (Method::POST, format!("/members/{member}/reactivate"), Value::Null),
        (Method::GET, format!("/groups/{group}"), Value::Null),
        (Method::PATCH, format!("/groups/{group}"), json!({ "name": "Mine" })),
        (Method::DELETE, format!("/groups/{group}"), Value::Null),
        (Method::GET, format!("/groups/{group}/members"), Value::Null),
        (Method::PUT, format!("/groups/{group}/members"), json!({ "members": [mine] })),
        (Method::POST, format!("/groups/{group}/members"), json!({ "add": [mine] })),
        (Method::DELETE, format!("/role-grants/{grant}"), Value::Null),
        (Method::DELETE, format!("/invitations/{invitation}"), Value::Null),
        (Method::POST, "/role-grants".into(), json!({ "member_id": member, "role": "viewer" })),
        (Method::POST, "/role-grants".into(), json!({ "group_id": group, "role": "viewer" })),
        (
            Method::POST,
            "/role-grants".into(),
            json!({ "member_id": mine, "role": "viewer", "project_id": project }),
        ),
        (
            Method::POST,
            "/invitations".into(),
            json!({ "email": "y@example.com", "role": "viewer", "project_id": project }),
        ),
    ] {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = world.as_person(&owner, method, &path, body).await;
        let detail = answer.problem(404, "not_found");
        assert!(!detail.contains("Theirs"), "{path}: {detail}");
    }
    let mine = world.as_person(&owner, Method::GET, "/members", None).await.ok();
    assert_eq!(mine["data"].as_array().unwrap().len(), 1);
}

async fn the_last_owner_stays(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.owner().await;
    let id = place(&owner);
    let shown = world.as_person(&owner, Method::GET, &format!("/members/{id}"), None).await.ok();
    let grant = shown["roles"][0].text("id");
    let leave = json!({ "workspace_id": world.tenant.workspace });
    for (method, path, body) in [
        (Method::DELETE, format!("/members/{id}"), None),
        (Method::POST, format!("/members/{id}/deactivate"), None),
        (Method::DELETE, format!("/role-grants/{grant}"), None),
        (Method::POST, "/workspace/leave".to_owned(), Some(&leave)),
    ] {
        let answer = world.as_person(&owner, method, &path, body).await;
        answer.problem(409, "last_owner");
    }
}

async fn a_program_with_scopes_for_it_looks_after_members(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.owner().await;
    let ask = async |key: &str, method: Method, path: &str, body: Option<&Value>| {
        world.send(request_as(key, method, &format!("/api/v1{path}"), body)).await
    };
    // The usual scopes reach no people.
    ask(&world.key, Method::GET, "/members", None).await.problem(403, "denied");
    ask(&world.key, Method::GET, "/workspace", None).await.ok();
    let mut actions = vec![ActionName::ReadMembers, ActionName::ManageMembers];
    let viewer = Scopes { actions: Some(actions.clone()), ..Scopes::default() };
    let key = world.scoped_key(world.tenant, &viewer, None, None).await;
    ask(&key, Method::GET, "/members", None).await.ok();
    let invitation = json!({ "email": "ada@example.com", "role": "viewer" });
    let refused = ask(&key, Method::POST, "/invitations", Some(&invitation)).await;
    assert!(refused.problem(403, "denied").contains("viewer"));
    actions.extend([
        ActionName::ReadWorkspace,
        ActionName::ReadWorkflows,
        ActionName::ReadInvocations,
        ActionName::ReadConnections,
        ActionName::ReadWebhooks,
        ActionName::ReadApps,
    ]);
    let wider = Scopes { actions: Some(actions), ..Scopes::default() };
    let key = world.scoped_key(world.tenant, &wider, None, None).await;
    assert_eq!(ask(&key, Method::POST, "/invitations", Some(&invitation)).await.status, 201);
    let path = format!("/members/{}", place(&owner));
    ask(&key, Method::DELETE, &path, None).await.problem(403, "denied");
    let leave = json!({ "workspace_id": world.tenant.workspace });
    ask(&key, Method::POST, "/workspace/leave", Some(&leave)).await.problem(404, "not_found");
}

async fn staff_make_workspaces(database: TestDatabase) {
    let world = World::new(database).await;
    let staff = world.member(INSTALLATION, Role::Admin, None).await;
    let ask = async |method: Method, path: &str, body: Option<&Value>| {
        let named = Some(Named::Workspace(INSTALLATION));
        world.send(staff.request(named, method, &format!("/api/v1{path}"), body)).await
    };
    // Ids sort by age, to a millisecond.
    world.clock.advance(Duration::from_millis(1));
    let new = json!({ "name": "Globex", "owner_email": "Hank@Globex.example" });
    let made = ask(Method::POST, "/workspaces", Some(&new)).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    assert_eq!(made["owner"]["invitation"]["role"], "owner");
    assert!(made["owner"].text("url").contains("/auth/invitations/cwi_"));
    assert_eq!(made["project"]["environments"].as_array().unwrap().len(), 2);
    let listed = ask(Method::GET, "/workspaces", None).await.ok();
    let names: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|one| one.text("name")).collect();
    assert_eq!(names, ["Acme", "Globex"]);
    // Whoever made it is not in it.
    let id: WorkspaceId = made["workspace"].text("id").parse().unwrap();
    let look = staff.request(Some(Named::Workspace(id)), Method::GET, "/api/v1/workspace", None);
    world.send(look).await.problem(404, "not_found");
    let wrong = json!({ "name": "Globex", "owner_email": "nobody" });
    ask(Method::POST, "/workspaces", Some(&wrong)).await.problem(400, "invalid_email");
}

async fn wrong_requests_are_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.owner().await;
    let id = place(&owner);
    let long = "x".repeat(101);
    for (path, body, code) in [
        ("/groups", json!({ "name": "" }), "invalid_request"),
        ("/groups", json!({ "name": long }), "invalid_request"),
        ("/groups", json!({ "name": "a\u{0}" }), "invalid_request"),
        ("/groups", json!({ "name": "a", "roles": ["owner"] }), "invalid_request"),
        ("/projects", json!({ "name": " a" }), "invalid_request"),
        ("/projects", json!({ "name": "Main" }), "taken"),
        ("/role-grants", json!({ "role": "viewer" }), "invalid_request"),
        ("/role-grants", json!({ "role": "king", "member_id": id }), "invalid_request"),
        ("/role-grants", json!({ "role": "viewer", "member_id": "grp_x" }), "invalid_request"),
        ("/role-grants", json!({ "role": "owner", "member_id": id }), "taken"),
        ("/invitations", json!({ "email": "ada", "role": "viewer" }), "invalid_email"),
        ("/invitations", json!({ "email": "аda@example.com", "role": "viewer" }), "invalid_email"),
        (
            "/invitations",
            json!({ "email": "a@example.com", "role": "viewer", "expires_in": 1 }),
            "invalid_request",
        ),
        (
            "/invitations",
            json!({ "email": "a@example.com", "role": "viewer", "expires_in": 2_592_001 }),
            "invalid_request",
        ),
        (
            "/invitations",
            json!({ "email": "a@example.com", "role": "viewer", "expires_in": u64::MAX }),
            "invalid_request",
        ),
        ("/workspace/leave", json!({}), "invalid_request"),
    ] {
        let answer = world.as_person(&owner, Method::POST, path, Some(&body)).await;
        let status = if code == "taken" { 409 } else { 400 };
        answer.problem(status, code);
    }
    let both =
        json!({ "role": "viewer", "member_id": id, "group_id": "grp_00000000000000000000000000" });
    let answer = world.as_person(&owner, Method::POST, "/role-grants", Some(&both)).await;
    answer.problem(400, "invalid_request");
    for path in ["/members/grp_00000000000000000000000000", "/members/x", "/groups/mem_0"] {
        world.as_person(&owner, Method::GET, path, None).await.problem(400, "invalid_id");
    }
}
