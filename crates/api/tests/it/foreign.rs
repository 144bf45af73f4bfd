//! Ids of another tenant: every operation that takes one answers as if it did not exist.

use crate::kit::{World, component_body, request_as};
use crate::people::{Named, Somebody};
use crate::schema::{Operation, operations};
use axum::http::Method;
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::INSTALLATION;
use causeway_types::entity::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both!(an_id_of_another_tenant_is_not_there);

/// The part of a path before an id, and the id of a record of that kind.
type Records = BTreeMap<&'static str, String>;

/// One record of each kind in the world's own workspace.
async fn records(world: &World, owner: &Somebody) -> Records {
    let workflow = world.deploy("hello").await["workflow_id"].as_str().unwrap().to_owned();
    let run = format!("/api/v1/workflows/{workflow}/events");
    let ran = world.post(&run, &json!({ "event": {} })).await.ok();
    let connection = world.connection("acme-crm").await;
    let (session, _) = world.session(json!({})).await;
    let here = Named::Workspace(world.tenant.workspace);
    let environment = Named::Environment(world.tenant.environment);
    let make = async |named, path: &str, body: Value| -> Value {
        let path = format!("/api/v1/{path}");
        world.send(owner.request(Some(named), Method::POST, &path, Some(&body))).await.ok()
    };
    // What is shown only once stands beside the record.
    let id = |made: &Value| {
        let beside = made.as_object().into_iter().flatten().find_map(|(_, one)| one["id"].as_str());
        made["id"].as_str().or(beside).unwrap_or_else(|| panic!("{made}")).to_owned()
    };
    let group = id(&make(here, "groups", json!({ "name": "Crew" })).await);
    let grant = json!({ "group_id": group, "role": "viewer" });
    let invitation = json!({ "email": "grace@example.com", "role": "viewer" });
    let provider = json!({
        "kind": "oidc", "name": "Own", "issuer": "https://id.example.com",
        "client_id": "causeway", "client_secret": "s3cr3t-of-the-client",
    });
    let staff = world.member(INSTALLATION, Role::Operator, None).await;
    let asked = json!({
        "workspace_id": world.tenant.workspace, "role": "viewer", "minutes": 5,
        "reason": "A customer reports a stuck run",
    });
    let asked = staff.request(
        Some(Named::Workspace(INSTALLATION)),
        Method::POST,
        "/api/v1/staff/access-requests",
        Some(&asked),
    );
    // None has this name, so it revokes nothing.
    let revocation = json!({ "name": "of-nobody" });
    let revocation = id(&make(environment, "connections/revocations", revocation).await);
    let component = id(&make(environment, "components", component_body()).await);
    let endpoint = json!({ "url": "https://example.com/hooks" });
    let endpoint = id(&make(environment, "webhook-endpoints", endpoint).await);
    world.tell_by_webhook("acme-crm").await;
    let delivery = &world.get("/api/v1/webhook-deliveries").await.ok()["data"][0];
    let (message, delivery) = (delivery["message_id"].clone(), delivery["id"].clone());
    BTreeMap::from([
        ("webhook-endpoints", endpoint),
        ("webhook-messages", message.as_str().unwrap().to_owned()),
        ("webhook-deliveries", delivery.as_str().unwrap().to_owned()),
        ("components", component),
        ("workflows", workflow),
        ("invocations", ran["invocation_id"].as_str().unwrap().to_owned()),
        ("connections", id(&connection)),
        ("revocations", revocation),
        ("connect-sessions", session),
        ("oauth-clients", world.oauth_client().await),
        ("members", owner.member.unwrap().to_string()),
        ("sessions", owner.session.to_string()),
        ("role-grants", id(&make(here, "role-grants", grant).await)),
        ("invitations", id(&make(here, "invitations", invitation).await)),
        ("identity-providers", id(&make(here, "identity-providers", provider).await)),
        ("access-requests", id(&world.send(asked).await.ok())),
        ("api-keys", id(&make(environment, "api-keys", json!({ "name": "one" })).await)),
        (
            "machine-clients",
            id(&make(environment, "machine-clients", json!({ "name": "one" })).await),
        ),
        ("Users", owner.member.unwrap().to_string()),
        ("Groups", group.clone()),
        ("groups", group),
    ])
}

/// A body that the operation takes.
fn body(operation: &Operation) -> Value {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "eve@example.com",
    });
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Theirs",
    });
    let patch = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "displayName", "value": "Theirs" }],
    });
    match operation.id {
        "run_workflow" => json!({ "event": {} }),
        "change_group" | "change_identity_provider" => json!({ "name": "Theirs" }),
        "set_machine_client_keys" => json!({ "public_keys": null }),
        "set_group_members" => json!({ "members": [] }),
        "change_group_members" => json!({ "add": [], "remove": [] }),
        "scim_replace_user" => user,
        "scim_replace_group" => group,
        "scim_patch_user" | "scim_patch_group" => patch,
        _ => json!({}),
    }
}

async fn an_id_of_another_tenant_is_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let theirs = world.other_tenant().await;
    let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
    let stranger = world.member(theirs.workspace, Role::Owner, None).await;
    let records = records(&world, &owner).await;
    let provisioning = Scopes::only(ActionName::ProvisionMembers);
    let directory = world.scoped_key(theirs, &provisioning, None, None).await;
    let program = world.new_key(theirs, None, None).await;
    // An environment that exports nothing says so before it looks at the id.
    let exports = json!({ "credential_export": true });
    let here = Some(Named::Environment(theirs.environment));
    let settings = "/api/v1/connect-settings";
    world.send(stranger.request(here, Method::PUT, settings, Some(&exports))).await.ok();
    let mut asked = 0;
    for operation in operations() {
        let Some((before, _)) = operation.path.split_once("/{id}") else { continue };
        let kind = before.rsplit('/').next().unwrap();
        // The staff's own doors: the staff does see the requests and reports of all.
        if operation.path.contains("/staff/") || kind == "security-reports" {
            continue;
        }
        let id = records.get(kind).unwrap_or_else(|| panic!("make a record for {kind}"));
        let path = operation.path.replace("{id}", id);
        let (method, body) = (operation.method.clone(), body(&operation));
        if operation.path.starts_with("/scim/") {
            let answer = world.send(request_as(&directory, method, &path, Some(&body))).await;
            assert_eq!(answer.status, 404, "{}", operation.id);
            asked += 1;
            continue;
        }
        for named in [Named::Environment(theirs.environment), Named::Workspace(theirs.workspace)] {
            let request = stranger.request(Some(named), method.clone(), &path, Some(&body));
            let answer = world.send(request).await;
            // What is done in an environment cannot be asked for without one.
            if answer.status != 400 || !answer.html().contains("environment_required") {
                answer.problem(404, "not_found");
                asked += 1;
            }
        }
        // With a program's key of theirs: what it may not at all, it is not told about either.
        let answer = world.send(request_as(&program, method, &path, Some(&body))).await;
        assert!(matches!(answer.status, 401 | 403 | 404), "{}: {}", operation.id, answer.status);
    }
    assert!(asked >= 40, "{asked} requests");
    // Everything is still there for its owner.
    let here = Named::Workspace(world.tenant.workspace);
    for (kind, path) in [("members", "members"), ("groups", "groups")] {
        let path = format!("/api/v1/{path}/{}", records[kind]);
        world.send(owner.request(Some(here), Method::GET, &path, None)).await.ok();
    }
}
