//! What is denied is written down, wherever on a request's way that is.

use crate::kit::{Answer, Json as _, MANIFEST, World, files_body, request_as};
use crate::people::{Named, Somebody};
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::Role;
use causeway_types::{INSTALLATION, WorkspaceId};
use serde_json::{Value, json};

on_both!(
    an_app_that_a_program_may_not_touch,
    what_a_list_leaves_out_is_no_denial,
    going_further_than_one_may,
    the_page_that_invites_and_the_directory,
);

impl World {
    /// The denials since the last look, oldest first: who, what, why.
    async fn denials(&self, of: WorkspaceId, seen: &mut i64) -> Vec<(String, String, String)> {
        let mut conn = self.store().read().await.unwrap();
        let rows = db!(conn, audit::page(of, *seen, 1000)).unwrap();
        *seen = rows.last().map_or(*seen, |row| row.seq);
        let denied = rows.into_iter().filter(|row| row.action == "permission_denied");
        denied
            .map(|row| {
                let event: Value = serde_json::from_str(&row.detail).unwrap();
                (row.actor, event.text("permission"), event.text("reason"))
            })
            .collect()
    }

    /// A new key that is confined to an app that the installation does not have.
    async fn elsewhere(&self) -> String {
        let scopes = Scopes { apps: Some(vec!["elsewhere".into()]), ..Scopes::default() };
        self.scoped_key(self.tenant, &scopes, None, None).await
    }

    async fn send_as(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send(request_as(key, method, &format!("/api/v1/{path}"), body)).await
    }
}

async fn an_app_that_a_program_may_not_touch(database: TestDatabase) {
    let world = World::new(database).await;
    let connection = world.connection("crm").await.text("id");
    let client = world.oauth_client().await;
    let (session, _) = world.session(json!({})).await;
    let linked = MANIFEST.replace("./greet.mjs", "./greet.mjs\n    connections: { crm: crm }");
    let linked = files_body(&[("workflow.yaml", &linked), ("greet.mjs", "")]);
    let new = json!({
        "customer": "ada@acme", "app": "demo", "fields": { "api_key": world.demo.api_key() },
    });
    let link = json!({ "customer": "ada@acme", "app": "demo" });
    let of_app = json!({ "app": "demo", "client_id": "mine" });
    let not_there = |thing: &str, id: &str| format!("{thing}/{id}");
    let cases = [
        (Method::POST, "connections".to_owned(), Some(&new), (403, "denied"), "connections.write"),
        (
            Method::POST,
            "connect-sessions".into(),
            Some(&link),
            (403, "denied"),
            "connections.write",
        ),
        (
            Method::PUT,
            "oauth-clients".into(),
            Some(&of_app),
            (403, "denied"),
            "oauth_clients.manage",
        ),
        (
            Method::GET,
            not_there("connections", &connection),
            None,
            (404, "not_found"),
            "connections.read",
        ),
        (
            Method::DELETE,
            not_there("connections", &connection),
            None,
            (404, "not_found"),
            "connections.write",
        ),
        (
            Method::GET,
            not_there("connect-sessions", &session),
            None,
            (404, "not_found"),
            "connections.read",
        ),
        (
            Method::DELETE,
            not_there("oauth-clients", &client),
            None,
            (404, "not_found"),
            "oauth_clients.manage",
        ),
        (
            Method::POST,
            "deployments".into(),
            Some(&linked),
            (409, "missing_connection"),
            "workflows.deploy",
        ),
    ];
    let mut seen = 0;
    for (method, path, body, (status, code), permission) in cases {
        // Another key each time: repeats of the same are counted for a minute.
        let key = world.elsewhere().await;
        world.denials(world.tenant.workspace, &mut seen).await;
        world.send_as(&key, method, &path, body).await.problem(status, code);
        let denials = world.denials(world.tenant.workspace, &mut seen).await;
        let [(actor, what, why)] = denials.as_slice() else { panic!("{path}: {denials:?}") };
        assert!(actor.starts_with("key_"), "{path}: {actor}");
        assert_eq!((what.as_str(), why.as_str()), (permission, "app"), "{path}");
    }
}

async fn what_a_list_leaves_out_is_no_denial(database: TestDatabase) {
    let world = World::new(database).await;
    world.connection("crm").await;
    world.oauth_client().await;
    let key = world.elsewhere().await;
    for path in ["connections", "oauth-clients", "apps", "workflows"] {
        let listed = world.send_as(&key, Method::GET, path, None).await.ok();
        assert!(path == "apps" || listed["data"] == json!([]), "{path}: {listed}");
    }
    // Nor is it one that there is no such thing, or that the request is wrong.
    world.send_as(&key, Method::GET, "workflows/wf_00000000000000000000000000", None).await;
    world.send_as(&key, Method::POST, "connections", Some(&json!({ "app": 1 }))).await;
    assert!(world.denials(world.tenant.workspace, &mut 0).await.is_empty());
}

async fn going_further_than_one_may(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    let mut seen = 0;
    // A program gives another one more than it has.
    let scopes = Scopes {
        actions: Some(vec![ActionName::ManageMachineAccess]),
        apps: Some(vec!["demo".into()]),
        ..Scopes::default()
    };
    for wider in [
        json!({ "actions": ["members.manage"] }),
        json!({ "actions": ["machine_access.manage"], "apps": ["slack"] }),
    ] {
        let key = world.scoped_key(world.tenant, &scopes, None, None).await;
        let body = json!({ "name": "x", "scopes": wider });
        world.send_as(&key, Method::POST, "api-keys", Some(&body)).await.problem(403, "denied");
        let denials = world.denials(workspace, &mut seen).await;
        let [(_, what, why)] = denials.as_slice() else { panic!("{wider}: {denials:?}") };
        assert_eq!((what.as_str(), why.as_str()), ("machine_access.manage", "beyond"));
    }
    // A person gives a role that is not theirs to give, also with a key for repeats.
    let admin = world.member(workspace, Role::Admin, None).await;
    let other = world.member(workspace, Role::Viewer, None).await;
    let body = json!({ "member_id": other.member.unwrap(), "role": "owner" });
    let named = Some(Named::Workspace(workspace));
    let mut request = admin.request(named, Method::POST, "/api/v1/role-grants", Some(&body));
    request.headers_mut().insert("idempotency-key", crate::kit::value("once"));
    world.send(request).await.problem(403, "denied");
    let by_admin =
        |why: &str| (admin.user.to_string(), "members.manage".to_owned(), why.to_owned());
    assert_eq!(world.denials(workspace, &mut seen).await, [by_admin("beyond")]);
    // The staff decide no request of their own.
    let ada = world.member(INSTALLATION, Role::Admin, None).await;
    let here = Some(Named::Workspace(INSTALLATION));
    let wish = json!({
        "workspace_id": workspace, "role": "viewer", "reason": "ticket 4711: runs that hang",
        "minutes": 60,
    });
    let path = "/api/v1/staff/access-requests";
    let asked = world.send(ada.request(here, Method::POST, path, Some(&wish))).await.ok();
    let path = format!("{path}/{}/approve", asked.text("id"));
    world.send(ada.request(here, Method::POST, &path, None)).await.problem(403, "denied");
    let denials = world.denials(INSTALLATION, &mut 0).await;
    assert_eq!(denials, [(ada.user.to_string(), "staff.approve".into(), "beyond".into())]);
}

async fn the_page_that_invites_and_the_directory(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.tenant.workspace;
    let mut seen = 0;
    let invites = |person: &Somebody, role: &str| {
        let path = format!("/account/workspaces/{workspace}/invite");
        let mut request = person.request(None, Method::POST, &path, None);
        let form = header::HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, form);
        *request.body_mut() = Body::from(format!("email=bob%40example.com&role={role}"));
        request
    };
    let viewer = world.member(workspace, Role::Viewer, None).await;
    assert_eq!(world.send(invites(&viewer, "viewer")).await.status, 403);
    let admin = world.member(workspace, Role::Admin, None).await;
    assert_eq!(world.send(invites(&admin, "owner")).await.status, 403);
    let of = |person: &Somebody, why: &str| {
        (person.user.to_string(), "members.manage".to_owned(), why.to_owned())
    };
    let expected = [of(&viewer, "not_granted"), of(&admin, "beyond")];
    assert_eq!(world.denials(workspace, &mut seen).await, expected);

    // SCIM has a form of its own for what is wrong.
    let key = world.scoped_key(world.tenant, &Scopes::default(), None, None).await;
    let request: Request<Body> = request_as(&key, Method::GET, "/scim/v2/Users", None);
    assert_eq!(world.send(request).await.status, 403);
    let denials = world.denials(workspace, &mut seen).await;
    let [(_, what, why)] = denials.as_slice() else { panic!("{denials:?}") };
    assert_eq!((what.as_str(), why.as_str()), ("members.provision", "not_granted"));
}
