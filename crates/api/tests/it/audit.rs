//! Every operation that changes something leaves its event: each is called for real, and the chains
//! are looked at. An operation that is missing from the table fails.

use crate::kit::{
    Answer, Json as _, MANIFEST, Setup, World, component_body, files_body, request_as,
};
use crate::people::{Named, Somebody};
use crate::run::all_end;
use crate::schema::{Operation, operations};
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both, verify_chain};
use causeway_types::entity::{Role, VulnerabilityReport};
use causeway_types::{Actor, Clock as _, INSTALLATION, OsRandom, ReportId, WorkspaceId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

on_both!(every_change_leaves_its_event);

/// What an operation leaves in the chains.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    /// These events, perhaps among others.
    Events(&'static [&'static str]),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// What the operations leave, without those that only look.
fn table() -> BTreeMap<&'static str, Leaves> {
    use Leaves::{Events, Nothing};
    BTreeMap::from([
        ("create_deployment", Events(&["workflow_deployed"])),
        ("plan_deployment", Nothing("it only says what a deployment would do")),
        ("publish_component", Events(&["component_published"])),
        ("delete_component", Events(&["component_deleted"])),
        ("run_workflow", Events(&["workflow_run"])),
        ("replay_invocation", Events(&["invocation_replayed"])),
        ("cancel_invocation", Events(&["invocation_canceled"])),
        ("resume_invocation", Events(&["invocation_resumed"])),
        ("delete_invocation", Events(&["invocation_deleted"])),
        ("create_connection", Events(&["connection_created"])),
        ("delete_connection", Events(&["connection_deleted"])),
        ("test_connection", Nothing("what it finds is written down if it changes the connection")),
        ("revoke_connections", Events(&["revocation_started"])),
        ("export_credential", Events(&["credential_exported"])),
        ("set_call_policy", Events(&["connection_policy_set"])),
        ("proxy_post", Nothing("the use of the credential is counted, by the minute")),
        ("proxy_put", Nothing("the use of the credential is counted, by the minute")),
        ("proxy_patch", Nothing("the use of the credential is counted, by the minute")),
        ("proxy_delete", Nothing("the use of the credential is counted, by the minute")),
        ("create_connect_session", Events(&["connect_session_created"])),
        ("set_connect_settings", Events(&["connect_settings_set"])),
        ("set_oauth_client", Events(&["oauth_client_set"])),
        ("delete_oauth_client", Events(&["oauth_client_deleted"])),
        ("create_webhook_endpoint", Events(&["webhook_endpoint_created"])),
        ("change_webhook_endpoint", Events(&["webhook_endpoint_changed"])),
        ("rotate_webhook_endpoint_secret", Events(&["webhook_endpoint_secret_rotated"])),
        ("disable_webhook_endpoint", Events(&["webhook_endpoint_disabled"])),
        ("enable_webhook_endpoint", Events(&["webhook_endpoint_enabled"])),
        ("replay_webhook_endpoint", Events(&["webhooks_replayed"])),
        ("replay_webhook_delivery", Events(&["webhooks_replayed"])),
        ("delete_webhook_endpoint", Events(&["webhook_endpoint_deleted"])),
        ("rotate_keys", Events(&["rotation_started"])),
        ("create_api_key", Events(&["api_key_created"])),
        ("rotate_api_key", Events(&["api_key_rotated"])),
        ("revoke_api_key", Events(&["api_key_revoked"])),
        ("create_machine_client", Events(&["machine_client_created"])),
        ("rotate_machine_client_secret", Events(&["machine_client_secret_rotated"])),
        ("set_machine_client_keys", Events(&["machine_client_keys_changed"])),
        ("revoke_machine_client", Events(&["machine_client_revoked"])),
        ("issue_token", Events(&["access_token_issued"])),
        ("revoke_token", Events(&["access_token_revoked"])),
        ("create_identity_provider", Events(&["identity_provider_set"])),
        ("change_identity_provider", Events(&["identity_provider_set"])),
        ("delete_identity_provider", Events(&["identity_provider_deleted"])),
        ("set_sso_policy", Events(&["sso_policy_changed"])),
        ("revoke_session", Events(&["session_revoked"])),
        ("create_workspace", Events(&["workspace_created", "member_invited"])),
        ("create_project", Events(&["project_created"])),
        ("leave_workspace", Events(&["member_removed"])),
        ("deactivate_member", Events(&["member_deactivated"])),
        ("reactivate_member", Events(&["member_reactivated"])),
        ("remove_member", Events(&["member_removed"])),
        ("create_group", Events(&["group_created"])),
        ("change_group", Events(&["group_updated"])),
        ("set_group_members", Events(&["group_updated"])),
        ("change_group_members", Events(&["group_updated"])),
        ("delete_group", Events(&["group_deleted"])),
        ("create_role_grant", Events(&["role_granted"])),
        ("delete_role_grant", Events(&["role_revoked"])),
        ("create_invitation", Events(&["member_invited"])),
        ("revoke_invitation", Events(&["invitation_revoked"])),
        ("scim_create_user", Events(&["member_provisioned"])),
        ("scim_replace_user", Events(&["member_updated"])),
        ("scim_patch_user", Events(&["member_deactivated"])),
        ("scim_delete_user", Events(&["member_removed"])),
        ("scim_create_group", Events(&["group_created"])),
        ("scim_replace_group", Events(&["group_updated"])),
        ("scim_patch_group", Events(&["group_updated"])),
        ("scim_delete_group", Events(&["group_deleted"])),
        ("delete_security_report", Events(&["report_deleted"])),
        ("export_audit", Events(&["audit_exported"])),
        ("verify_audit", Nothing("it only looks")),
        ("set_audit_retention", Events(&["audit_retention_changed"])),
        ("create_staff_access_request", Events(&["access_requested"])),
        ("approve_staff_access_request", Events(&["access_approved"])),
        ("deny_staff_access_request", Events(&["access_denied"])),
        ("end_staff_access_request", Events(&["access_ended"])),
        ("approve_access_request", Events(&["access_approved"])),
        ("deny_access_request", Events(&["access_denied"])),
        ("end_access_request", Events(&["access_ended"])),
    ])
}

#[test]
fn every_changing_operation_says_what_it_leaves() {
    let operations = operations();
    let changing = operations.iter().filter(|one| one.method != Method::GET).map(|one| one.id);
    let table = table();
    for id in changing {
        assert!(table.contains_key(id), "say in the table which events `{id}` leaves");
    }
    for (id, leaves) in table {
        assert!(operations.iter().any(|one| one.id == id), "there is no operation `{id}`");
        if let Leaves::Nothing(why) = leaves {
            assert!(!why.is_empty(), "{id}");
        }
    }
}

/// Who calls.
#[derive(Clone, Copy)]
enum By<'a> {
    Person(&'a Somebody, Named),
    Program(&'a str),
}

/// Calls operations, and remembers which.
struct Caller<'a> {
    world: &'a World,
    table: BTreeMap<&'static str, Leaves>,
    operations: Vec<Operation>,
    /// The last row of each chain that was looked at.
    seen: HashMap<WorkspaceId, i64>,
    done: BTreeSet<&'static str>,
}

impl Caller<'_> {
    /// Calls an operation with these ids in its path; the answer's body.
    async fn call(&mut self, id: &'static str, by: By<'_>, ids: &[&str], body: Value) -> Value {
        let operation = self.operations.iter().find(|one| one.id == id);
        let operation = operation.unwrap_or_else(|| panic!("there is no operation `{id}`"));
        let mut path = operation.path.to_owned();
        for id in ids {
            let (start, end) = (path.find('{').unwrap(), path.find('}').unwrap());
            path.replace_range(start..=end, id);
        }
        let method = operation.method.clone();
        let body = Some(&body).filter(|body| !body.is_null());
        let mut request = match by {
            By::Person(person, named) => person.request(Some(named), method, &path, body),
            By::Program(key) => request_as(key, method, &path, body),
        };
        if id.starts_with("scim_") {
            let kind = header::HeaderValue::from_static("application/scim+json");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        self.send(id, request).await
    }

    async fn send(&mut self, id: &'static str, request: Request<Body>) -> Value {
        // What others left before is theirs.
        self.new_events().await;
        let answer: Answer = self.world.send(request).await;
        assert!((200..300).contains(&answer.status), "{id}: {} {}", answer.status, answer.html());
        let left = self.new_events().await;
        match self.table[id] {
            Leaves::Events(expected) => {
                for event in expected {
                    assert!(left.contains(*event), "{id} left {left:?}, and no `{event}`");
                }
            }
            Leaves::Nothing(_) => assert!(left.is_empty(), "{id} left {left:?}"),
        }
        self.done.insert(id);
        if answer.header("content-type").ends_with("json") { answer.json() } else { Value::Null }
    }

    /// The kinds of events since the last look, in all chains.
    async fn new_events(&mut self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut conn = self.world.store().read().await.unwrap();
        for workspace in db!(conn, workspace::all()).unwrap() {
            let seen = self.seen.entry(workspace.id).or_default();
            for row in db!(conn, audit::page(workspace.id, *seen, 1000)).unwrap() {
                *seen = row.seq;
                found.insert(row.action);
            }
        }
        found
    }
}

async fn every_change_leaves_its_event(database: TestDatabase) {
    let world = World::with(database, Setup { concurrency: 2, ..Setup::default() }).await;
    let mut caller = Caller {
        world: &world,
        table: table(),
        operations: operations(),
        seen: HashMap::new(),
        done: BTreeSet::new(),
    };
    let workspace = world.tenant.workspace;
    let owner = world.member(workspace, Role::Owner, None).await;
    let inside = By::Person(&owner, Named::Environment(world.tenant.environment));
    let around = By::Person(&owner, Named::Workspace(workspace));
    workflows(&mut caller, inside).await;
    connections(&mut caller, inside).await;
    webhooks(&mut caller, inside).await;
    machine_access(&mut caller, inside).await;
    sign_in(&mut caller, around).await;
    members(&mut caller, around).await;
    directory(&mut caller).await;
    audit(&mut caller, around).await;
    staff(&mut caller, around).await;
    // At the end, since it takes its time.
    caller.call("rotate_keys", around, &[], json!({})).await;

    let all: BTreeSet<&str> = caller.table.keys().copied().collect();
    // Calls through the proxy are what `proxy.rs` makes.
    let missing: Vec<_> =
        all.difference(&caller.done).filter(|id| !id.starts_with("proxy_")).collect();
    assert!(missing.is_empty(), "call these too: {missing:?}");
    let mut conn = world.store().read().await.unwrap();
    for workspace in db!(conn, workspace::all()).unwrap() {
        verify_chain(&mut conn, workspace.id).await.unwrap().unwrap();
    }
    drop(conn);
    world.stop().await;
}

async fn workflows(caller: &mut Caller<'_>, by: By<'_>) {
    let body = files_body(&[("workflow.yaml", MANIFEST), ("greet.mjs", "export default () => 1")]);
    caller.call("plan_deployment", by, &[], body.clone()).await;
    let made = caller.call("create_deployment", by, &[], body).await;
    let workflow = made.text("workflow_id");
    let component = caller.call("publish_component", by, &[], component_body()).await;
    let component = component.text("id");
    caller.call("delete_component", by, &[&component], Value::Null).await;
    let ran = caller.call("run_workflow", by, &[&workflow], json!({ "event": {} })).await;
    let invocation = ran.text("invocation_id");
    all_end(caller.world).await;
    caller.call("replay_invocation", by, &[&invocation], Value::Null).await;
    all_end(caller.world).await;
    caller.call("delete_invocation", by, &[&invocation], Value::Null).await;

    let waits = MANIFEST.replace("steps:\n", "steps:\n  - { name: pause, delay: 1d }\n");
    let body = files_body(&[("workflow.yaml", &waits), ("greet.mjs", "export default () => 1")]);
    caller.call("create_deployment", by, &[], body).await;
    let ran = caller.call("run_workflow", by, &[&workflow], json!({ "event": {} })).await;
    let invocation = ran.text("invocation_id");
    caller.call("cancel_invocation", by, &[&invocation], Value::Null).await;

    let code = "export default ({ $ }) => $.flow.suspend()";
    let body = files_body(&[("workflow.yaml", MANIFEST), ("greet.mjs", code)]);
    caller.call("create_deployment", by, &[], body).await;
    let ran = caller.call("run_workflow", by, &[&workflow], json!({ "event": {} })).await;
    let invocation = ran.text("invocation_id");
    all_end(caller.world).await;
    caller.call("resume_invocation", by, &[&invocation], json!({ "data": 7 })).await;
    all_end(caller.world).await;
}

async fn connections(caller: &mut Caller<'_>, by: By<'_>) {
    let demo = &caller.world.demo;
    let client = json!({
        "app": "demo", "client_id": demo.client_id(), "client_secret": demo.client_secret(),
    });
    let connection = json!({
        "customer": "ada@acme", "app": "demo", "fields": { "api_key": demo.api_key() },
    });
    let client = caller.call("set_oauth_client", by, &[], client).await.text("id");
    let session = json!({ "customer": "ada@acme", "app": "demo" });
    caller.call("create_connect_session", by, &[], session).await;
    let settings = json!({ "company": "Acme", "credential_export": true });
    caller.call("set_connect_settings", by, &[], settings).await;
    let made = caller.call("create_connection", by, &[], connection).await.text("id");
    let policy = json!({ "rate": { "calls": 10, "seconds": 60 } });
    caller.call("set_call_policy", by, &[&made], policy).await;
    caller.call("test_connection", by, &[&made], Value::Null).await;
    caller.call("export_credential", by, &[&made], Value::Null).await;
    let which = json!({ "name": "no-such-connection" });
    caller.call("revoke_connections", by, &[], which).await;
    caller.call("delete_connection", by, &[&made], Value::Null).await;
    caller.call("delete_oauth_client", by, &[&client], Value::Null).await;
}

async fn webhooks(caller: &mut Caller<'_>, by: By<'_>) {
    let new = json!({ "url": "https://example.com/hooks" });
    let id = caller.call("create_webhook_endpoint", by, &[], new).await.text("id");
    let change = json!({ "description": "Ours" });
    caller.call("change_webhook_endpoint", by, &[&id], change).await;
    caller.call("rotate_webhook_endpoint_secret", by, &[&id], Value::Null).await;
    caller.world.tell_by_webhook("acme-crm").await;
    caller.call("disable_webhook_endpoint", by, &[&id], Value::Null).await;
    caller.call("enable_webhook_endpoint", by, &[&id], json!({ "replay": true })).await;
    caller.call("replay_webhook_endpoint", by, &[&id], json!({})).await;
    let all = caller.world.get("/api/v1/webhook-deliveries").await.ok();
    let delivery = all["data"][0].text("id");
    caller.call("replay_webhook_delivery", by, &[&delivery], Value::Null).await;
    caller.call("delete_webhook_endpoint", by, &[&id], Value::Null).await;
}

async fn machine_access(caller: &mut Caller<'_>, by: By<'_>) {
    let scopes = json!({ "actions": ["workflows.read"] });
    let new = json!({ "name": "one", "scopes": scopes });
    let key = caller.call("create_api_key", by, &[], new).await.text("id");
    caller.call("rotate_api_key", by, &[&key], json!({})).await;
    caller.call("revoke_api_key", by, &[&key], Value::Null).await;

    let new = json!({ "name": "two", "scopes": scopes });
    let client = caller.call("create_machine_client", by, &[], new).await.text("id");
    let rotated = caller.call("rotate_machine_client_secret", by, &[&client], json!({})).await;
    let none = json!({ "public_keys": null });
    caller.call("set_machine_client_keys", by, &[&client], none).await;
    let secret = rotated.text("client_secret");
    let form = |path: &str, pairs: &[(&str, &str)]| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", client.as_str()), ("client_secret", &secret)])
            .extend_pairs(pairs)
            .finish();
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap()
    };
    let grant = form("/v1/oauth/token", &[("grant_type", "client_credentials")]);
    let token = caller.send("issue_token", grant).await.text("access_token");
    let revocation = form("/v1/oauth/revoke", &[("token", &token)]);
    caller.send("revoke_token", revocation).await;
    caller.call("revoke_machine_client", by, &[&client], Value::Null).await;
}

async fn sign_in(caller: &mut Caller<'_>, by: By<'_>) {
    let new = json!({
        "kind": "google", "name": "Google", "client_id": "causeway", "client_secret": "secret",
    });
    let provider = caller.call("create_identity_provider", by, &[], new).await.text("id");
    let change = json!({ "client_id": "another" });
    caller.call("change_identity_provider", by, &[&provider], change).await;
    caller.call("delete_identity_provider", by, &[&provider], Value::Null).await;
    caller.call("set_sso_policy", by, &[], json!({ "session_minutes": 600 })).await;
    let person = caller.world.member(caller.world.tenant.workspace, Role::Viewer, None).await;
    let session = person.session.to_string();
    let own = By::Person(&person, Named::Workspace(caller.world.tenant.workspace));
    caller.call("revoke_session", own, &[&session], Value::Null).await;
}

async fn members(caller: &mut Caller<'_>, by: By<'_>) {
    let workspace = caller.world.tenant.workspace;
    caller.call("create_project", by, &[], json!({ "name": "Second" })).await;
    let invitation = json!({ "email": "new@example.com", "role": "viewer" });
    let made = caller.call("create_invitation", by, &[], invitation).await;
    let id = made["invitation"].text("id");
    caller.call("revoke_invitation", by, &[&id], Value::Null).await;

    let person = caller.world.member(workspace, Role::Viewer, None).await;
    let member = person.member.unwrap().to_string();
    caller.call("deactivate_member", by, &[&member], Value::Null).await;
    caller.call("reactivate_member", by, &[&member], Value::Null).await;
    let group = caller.call("create_group", by, &[], json!({ "name": "Crew" })).await.text("id");
    caller.call("change_group", by, &[&group], json!({ "name": "The crew" })).await;
    caller.call("set_group_members", by, &[&group], json!({ "members": [member] })).await;
    caller.call("change_group_members", by, &[&group], json!({ "remove": [member] })).await;
    let grant = json!({ "group_id": group, "role": "operator" });
    let grant = caller.call("create_role_grant", by, &[], grant).await.text("id");
    caller.call("delete_role_grant", by, &[&grant], Value::Null).await;
    caller.call("delete_group", by, &[&group], Value::Null).await;
    caller.call("remove_member", by, &[&member], Value::Null).await;

    let leaver = caller.world.member(workspace, Role::Viewer, None).await;
    let own = By::Person(&leaver, Named::Workspace(workspace));
    caller.call("leave_workspace", own, &[], json!({ "workspace_id": workspace })).await;
}

async fn directory(caller: &mut Caller<'_>) {
    let scopes = Scopes::only(ActionName::ProvisionMembers);
    let key = caller.world.scoped_key(caller.world.tenant, &scopes, None, None).await;
    let by = By::Program(&key);
    let user = json!({ "userName": "ada@example.com" });
    let ada = caller.call("scim_create_user", by, &[], user).await.text("id");
    let user = json!({ "userName": "ada@example.com", "displayName": "Ada Lovelace" });
    caller.call("scim_replace_user", by, &[&ada], user).await;
    let patch = |operation: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [operation],
        })
    };
    let off = patch(json!({ "op": "replace", "path": "active", "value": false }));
    caller.call("scim_patch_user", by, &[&ada], off).await;
    let group = json!({ "displayName": "Crew" });
    let crew = caller.call("scim_create_group", by, &[], group).await.text("id");
    let group = json!({ "displayName": "The crew", "members": [{ "value": ada }] });
    caller.call("scim_replace_group", by, &[&crew], group).await;
    let out = patch(json!({ "op": "remove", "path": format!("members[value eq \"{ada}\"]") }));
    caller.call("scim_patch_group", by, &[&crew], out).await;
    caller.call("scim_delete_group", by, &[&crew], Value::Null).await;
    caller.call("scim_delete_user", by, &[&ada], Value::Null).await;
}

async fn audit(caller: &mut Caller<'_>, by: By<'_>) {
    caller.call("export_audit", by, &[], Value::Null).await;
    caller.call("verify_audit", by, &[], json!({})).await;
    caller.call("set_audit_retention", by, &[], json!({ "days": 365 })).await;
}

async fn staff(caller: &mut Caller<'_>, owner: By<'_>) {
    let world = caller.world;
    let (ada, bob) = (
        world.member(INSTALLATION, Role::Owner, None).await,
        world.member(INSTALLATION, Role::Admin, None).await,
    );
    let one = By::Person(&ada, Named::Workspace(INSTALLATION));
    let two = By::Person(&bob, Named::Workspace(INSTALLATION));
    let new = json!({ "name": "Beta", "owner_email": "owner@beta.example" });
    caller.call("create_workspace", one, &[], new).await;

    let wish = json!({
        "workspace_id": world.tenant.workspace, "role": "viewer",
        "reason": "ticket 4711: runs that hang", "minutes": 60,
    });
    for (decide, decider, end, ender) in [
        ("approve_staff_access_request", two, "end_staff_access_request", one),
        ("approve_access_request", owner, "end_access_request", owner),
    ] {
        let asked = caller.call("create_staff_access_request", one, &[], wish.clone()).await;
        caller.call(decide, decider, &[&asked.text("id")], Value::Null).await;
        caller.call(end, ender, &[&asked.text("id")], Value::Null).await;
    }
    for (deny, decider) in [("deny_staff_access_request", two), ("deny_access_request", owner)] {
        let asked = caller.call("create_staff_access_request", one, &[], wish.clone()).await;
        caller.call(deny, decider, &[&asked.text("id")], Value::Null).await;
    }

    let now = world.clock.now();
    let report = VulnerabilityReport {
        id: ReportId::generate(now, &OsRandom),
        message: "-----BEGIN PGP MESSAGE-----".to_owned(),
        received_at: now,
        mailed_at: None,
    };
    let mut tx = world.store().write(Actor::Anonymous).await.unwrap();
    db!(tx, report::insert(&report)).unwrap();
    tx.commit(INSTALLATION, now, Audit::ReportReceived { report: report.id }).await.unwrap();
    caller.call("delete_security_report", one, &[&report.id.to_string()], Value::Null).await;
}
