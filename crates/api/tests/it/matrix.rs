//! Every operation of the document by every role, and by those who have none here: what may be
//! done stands below, operation by operation, and is not taken from the code.

use crate::kit::{Answer, World, request_as};
use crate::people::{Named, Somebody};
use crate::schema::{Operation, operations};
use causeway_identity::Scopes;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::INSTALLATION;
use causeway_types::entity::Role;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

on_both!(
    every_operation_lets_in_exactly_the_roles_of_the_matrix,
    a_role_in_one_project_opens_no_other,
    an_environment_of_somebody_else_is_not_there,
    a_member_of_another_workspace_finds_no_workspace,
);

/// Whom an operation lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// In an environment: the roles, a letter each (see [`letter`]).
    Environment(&'static str),
    /// In a workspace.
    Workspace(&'static str),
    /// In the installation only, by these roles there.
    Installation(&'static str),
    /// Whoever is signed in, for what is their own.
    Anybody,
    /// Everybody, without a credential.
    Open,
    /// Programs with a scope for it, no person.
    Program,
}

fn letter(role: Role) -> char {
    match role {
        Role::Owner => 'O',
        Role::Admin => 'A',
        Role::Developer => 'D',
        Role::Operator => 'P',
        Role::Viewer => 'V',
        Role::Auditor => 'U',
    }
}

/// The matrix. O owner, A admin, D developer, P operator, V viewer, U auditor.
#[expect(clippy::too_many_lines, reason = "a table, a line for each operation")]
fn matrix() -> BTreeMap<&'static str, Door> {
    use Door::{Anybody, Environment, Installation, Open, Program, Workspace};
    BTreeMap::from([
        ("list_workflows", Environment("OADPV")),
        ("show_workflow", Environment("OADPV")),
        ("run_workflow", Environment("OADP")),
        ("list_packages", Environment("OADPV")),
        ("list_components", Environment("OADPV")),
        ("show_component", Environment("OADPV")),
        ("publish_component", Environment("OAD")),
        ("delete_component", Environment("OAD")),
        ("plan_deployment", Environment("OAD")),
        ("create_deployment", Environment("OAD")),
        ("list_invocations", Environment("OADPV")),
        ("tail_invocations", Environment("OADPV")),
        ("show_invocation", Environment("OADPV")),
        ("show_invocation_event", Environment("OADPV")),
        ("replay_invocation", Environment("OADP")),
        ("cancel_invocation", Environment("OADP")),
        ("resume_invocation", Environment("OADP")),
        ("delete_invocation", Environment("OADP")),
        ("list_connections", Environment("OADPV")),
        ("show_connection", Environment("OADPV")),
        ("create_connection", Environment("OADP")),
        ("delete_connection", Environment("OADP")),
        ("test_connection", Environment("OADP")),
        ("revoke_connections", Environment("OADP")),
        ("show_connection_revocation", Environment("OADPV")),
        ("list_connection_revocation_failures", Environment("OADPV")),
        ("export_credential", Environment("OA")),
        ("show_call_policy", Environment("OADPV")),
        ("set_call_policy", Environment("OADP")),
        ("proxy_get", Environment("OAD")),
        ("proxy_post", Environment("OAD")),
        ("proxy_put", Environment("OAD")),
        ("proxy_patch", Environment("OAD")),
        ("proxy_delete", Environment("OAD")),
        ("create_connect_session", Environment("OADP")),
        ("show_connect_session", Environment("OADPV")),
        ("show_connect_settings", Environment("OADPV")),
        ("set_connect_settings", Environment("OA")),
        ("list_oauth_clients", Environment("OAD")),
        ("set_oauth_client", Environment("OAD")),
        ("delete_oauth_client", Environment("OAD")),
        ("list_webhook_endpoints", Environment("OADPV")),
        ("show_webhook_endpoint", Environment("OADPV")),
        ("create_webhook_endpoint", Environment("OAD")),
        ("change_webhook_endpoint", Environment("OAD")),
        ("delete_webhook_endpoint", Environment("OAD")),
        ("rotate_webhook_endpoint_secret", Environment("OAD")),
        ("enable_webhook_endpoint", Environment("OAD")),
        ("disable_webhook_endpoint", Environment("OAD")),
        ("replay_webhook_endpoint", Environment("OADP")),
        ("list_webhook_messages", Environment("OADPV")),
        ("show_webhook_message", Environment("OADPV")),
        ("list_webhook_deliveries", Environment("OADPV")),
        ("show_webhook_delivery", Environment("OADPV")),
        ("list_webhook_attempts", Environment("OADPV")),
        ("replay_webhook_delivery", Environment("OADP")),
        ("list_apps", Workspace("OADPVU")),
        ("show_app", Workspace("OADPVU")),
        ("show_keys", Workspace("OAU")),
        ("rotate_keys", Workspace("OA")),
        ("list_api_keys", Environment("OADPU")),
        ("show_api_key", Environment("OADPU")),
        ("create_api_key", Environment("OAD")),
        ("rotate_api_key", Environment("OAD")),
        ("revoke_api_key", Environment("OAD")),
        ("list_machine_clients", Environment("OADPU")),
        ("show_machine_client", Environment("OADPU")),
        ("create_machine_client", Environment("OAD")),
        ("rotate_machine_client_secret", Environment("OAD")),
        ("revoke_machine_client", Environment("OAD")),
        ("set_machine_client_keys", Environment("OAD")),
        ("issue_token", Open),
        ("revoke_token", Open),
        ("show_me", Anybody),
        ("list_sessions", Anybody),
        ("revoke_session", Anybody),
        ("list_identity_providers", Workspace("OAU")),
        ("create_identity_provider", Workspace("O")),
        ("change_identity_provider", Workspace("O")),
        ("delete_identity_provider", Workspace("O")),
        ("show_sso_policy", Workspace("OAU")),
        ("set_sso_policy", Workspace("O")),
        ("list_audit_events", Workspace("OAU")),
        ("export_audit", Workspace("OAU")),
        ("verify_audit", Workspace("OAU")),
        ("list_audit_checkpoints", Workspace("OAU")),
        ("show_audit_retention", Workspace("OAU")),
        ("set_audit_retention", Workspace("OA")),
        ("show_access_review", Workspace("OAU")),
        ("list_access_requests", Workspace("O")),
        ("approve_access_request", Workspace("O")),
        ("deny_access_request", Workspace("O")),
        ("end_access_request", Workspace("O")),
        ("list_staff_access_requests", Installation("OAP")),
        ("create_staff_access_request", Installation("OAP")),
        ("approve_staff_access_request", Installation("OA")),
        ("deny_staff_access_request", Installation("OA")),
        ("end_staff_access_request", Installation("OAP")),
        ("list_security_reports", Installation("OAP")),
        ("show_security_report", Installation("OAP")),
        ("delete_security_report", Installation("OAP")),
        ("list_workspaces", Installation("OA")),
        ("create_workspace", Installation("OA")),
        ("show_workspace", Workspace("OADPVU")),
        ("leave_workspace", Workspace("OADPVU")),
        ("list_projects", Workspace("OADPVU")),
        ("create_project", Workspace("OA")),
        ("list_members", Workspace("OADU")),
        ("show_member", Workspace("OADU")),
        ("remove_member", Workspace("OA")),
        ("deactivate_member", Workspace("OA")),
        ("reactivate_member", Workspace("OA")),
        ("list_groups", Workspace("OADU")),
        ("show_group", Workspace("OADU")),
        ("list_group_members", Workspace("OADU")),
        ("create_group", Workspace("OA")),
        ("change_group", Workspace("OA")),
        ("delete_group", Workspace("OA")),
        ("set_group_members", Workspace("OA")),
        ("change_group_members", Workspace("OA")),
        ("list_role_grants", Workspace("OADU")),
        ("create_role_grant", Workspace("OA")),
        ("delete_role_grant", Workspace("OA")),
        ("list_invitations", Workspace("OADU")),
        ("create_invitation", Workspace("OA")),
        ("revoke_invitation", Workspace("OA")),
        ("scim_service_provider_config", Program),
        ("scim_list_resource_types", Program),
        ("scim_show_resource_type", Program),
        ("scim_list_schemas", Program),
        ("scim_show_schema", Program),
        ("scim_list_users", Program),
        ("scim_create_user", Program),
        ("scim_show_user", Program),
        ("scim_replace_user", Program),
        ("scim_patch_user", Program),
        ("scim_delete_user", Program),
        ("scim_list_groups", Program),
        ("scim_create_group", Program),
        ("scim_show_group", Program),
        ("scim_replace_group", Program),
        ("scim_patch_group", Program),
        ("scim_delete_group", Program),
    ])
}

/// A path with something in its placeholders that is of the right kind and nobody's.
fn filled(operation: &Operation) -> String {
    let id = |prefix: &str| format!("{prefix}_00000000000000000000000000");
    let kind = [
        ("/workflows/", "wf"),
        ("/invocations/", "inv"),
        ("/connections/", "conn"),
        ("/proxy/", "conn"),
        ("/connect-sessions/", "cs"),
        ("/oauth-clients/", "oac"),
        ("/members/", "mem"),
        ("/groups/", "grp"),
        ("/role-grants/", "rg"),
        ("/invitations/", "ivt"),
        ("/api-keys/", "key"),
        ("/machine-clients/", "mc"),
        ("/identity-providers/", "idp"),
        ("/sessions/", "ses"),
        ("/access-requests/", "acr"),
        ("/security-reports/", "vr"),
        ("/projects/", "proj"),
        ("/webhook-endpoints/", "whe"),
        ("/webhook-messages/", "msg"),
        ("/webhook-deliveries/", "whd"),
        ("/workspaces/", "ws"),
    ]
    .into_iter()
    .find(|(part, _)| operation.path.contains(part))
    .map_or("wf", |(_, prefix)| prefix);
    let mut path = operation.path.replace("{slug}", "demo");
    while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
        path.replace_range(start..=end, &id(kind));
    }
    path
}

async fn ask(
    world: &World,
    person: &Somebody,
    named: Option<Named>,
    operation: &Operation,
) -> Answer {
    let body = json!({});
    let request = person.request(named, operation.method.clone(), &filled(operation), Some(&body));
    // Its answer has no end: the head is enough.
    if operation.id == "tail_invocations" {
        let response = world.open(request).await;
        if response.status() == 200 {
            let (parts, _) = response.into_parts();
            return Answer { status: 200, headers: parts.headers, body: Vec::new() };
        }
        return Answer::read(response).await;
    }
    world.send(request).await
}

/// Whether an answer is that of somebody who was let in, whatever came of the request.
fn let_in(answer: &Answer) -> bool {
    // Whom the settings alone stand in the way of was let in.
    let is_off = answer.status == 403 && answer.json()["code"] == "credential_export_off";
    is_off || !matches!(answer.status, 401 | 403)
}

async fn every_operation_lets_in_exactly_the_roles_of_the_matrix(database: TestDatabase) {
    let world = World::new(database).await;
    let matrix = matrix();
    let known: BTreeSet<&str> = operations().iter().map(|one| one.id).collect();
    let covered: BTreeSet<&str> = matrix.keys().copied().collect();
    assert_eq!(known, covered, "say in the matrix who may do it");

    let mut people = Vec::new();
    for role in Role::ALL {
        let here = world.member(world.tenant.workspace, *role, None).await;
        let staff = world.member(INSTALLATION, *role, None).await;
        people.push((*role, here, staff));
    }
    let stranger = world.somebody("stranger@example.com").await;
    let environment = Some(Named::Environment(world.tenant.environment));
    let workspace = Some(Named::Workspace(world.tenant.workspace));
    let installation = Some(Named::Workspace(INSTALLATION));
    for operation in operations() {
        let id = operation.id;
        let door = matrix[id];
        let named = match door {
            Door::Environment(_) | Door::Program => environment,
            Door::Workspace(_) => workspace,
            Door::Installation(_) => installation,
            Door::Anybody | Door::Open => None,
        };
        for (role, here, staff) in &people {
            let expected = match door {
                Door::Environment(roles) | Door::Workspace(roles) | Door::Installation(roles) => {
                    roles.contains(letter(*role))
                }
                Door::Anybody | Door::Open => true,
                Door::Program => false,
            };
            let leaver;
            let person = match door {
                Door::Installation(_) => staff,
                // Whoever leaves cannot be asked again.
                _ if id == "leave_workspace" => {
                    leaver = world.member(world.tenant.workspace, *role, None).await;
                    &leaver
                }
                _ => here,
            };
            // What ends the person's own session is shown elsewhere.
            if door == Door::Anybody && operation.method == "DELETE" {
                continue;
            }
            let answer = ask(&world, person, named, &operation).await;
            assert_eq!(
                let_in(&answer),
                expected,
                "{id} as {role}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            if !expected && door != Door::Program {
                answer.problem(403, "denied");
            }
            // What is the installation's alone is nobody's elsewhere.
            if matches!(door, Door::Installation(_)) {
                ask(&world, here, workspace, &operation).await.problem(403, "denied");
            }
        }
        if matches!(door, Door::Open | Door::Anybody) {
            continue;
        }
        // Nobody, and somebody who is no member.
        let nobody = Somebody { cookie: String::new(), ..clone(&stranger) };
        let unknown = ask(&world, &nobody, named, &operation).await;
        let stranger = ask(&world, &stranger, named, &operation).await;
        // SCIM has a form of its own for what is wrong.
        if door == Door::Program {
            assert_eq!((unknown.status, stranger.status), (401, 404), "{id}");
        } else {
            unknown.problem(401, "unauthenticated");
            stranger.problem(404, "not_found");
        }
        // A program without any scope.
        let none = Scopes { actions: Some(Vec::new()), ..Scopes::default() };
        let key = world.scoped_key(world.tenant, &none, None, None).await;
        let body = json!({});
        let request = request_as(&key, operation.method.clone(), &filled(&operation), Some(&body));
        let answer = world.send(request).await;
        assert_eq!(answer.status, 403, "{id}: {}", String::from_utf8_lossy(&answer.body));
    }
}

fn clone(person: &Somebody) -> Somebody {
    Somebody {
        user: person.user,
        session: person.session,
        member: person.member,
        cookie: person.cookie.clone(),
    }
}

/// The operations that are done in an environment.
fn in_environment() -> Vec<Operation> {
    let matrix = matrix();
    operations()
        .into_iter()
        .filter(|one| matches!(matrix.get(one.id), Some(Door::Environment(_))))
        .collect()
}

async fn a_role_in_one_project_opens_no_other(database: TestDatabase) {
    let world = World::new(database).await;
    let elsewhere = world.project_beside().await;
    let person = world.member(world.tenant.workspace, Role::Admin, Some(elsewhere.project)).await;
    let (inside, outside) =
        (Named::Environment(elsewhere.environment), Named::Environment(world.tenant.environment));
    for operation in in_environment() {
        ask(&world, &person, Some(outside), &operation).await.problem(403, "denied");
        let answer = ask(&world, &person, Some(inside), &operation).await;
        assert!(let_in(&answer), "{}: {}", operation.id, answer.status);
    }
    let matrix = matrix();
    for operation in operations() {
        if let Some(Door::Workspace(roles)) = matrix.get(operation.id)
            && *roles != "OADPVU"
        {
            let workspace = Named::Workspace(world.tenant.workspace);
            ask(&world, &person, Some(workspace), &operation).await.problem(403, "denied");
        }
    }
}

async fn an_environment_of_somebody_else_is_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let theirs = world.other_tenant().await;
    let person = world.member(world.tenant.workspace, Role::Owner, None).await;
    for operation in in_environment() {
        let named = Named::Environment(theirs.environment);
        ask(&world, &person, Some(named), &operation).await.problem(404, "not_found");
        ask(&world, &person, None, &operation).await.problem(400, "environment_required");
        let workspace = Named::Workspace(world.tenant.workspace);
        ask(&world, &person, Some(workspace), &operation)
            .await
            .problem(400, "environment_required");
    }
}

async fn a_member_of_another_workspace_finds_no_workspace(database: TestDatabase) {
    let world = World::new(database).await;
    let theirs = world.other_tenant().await;
    let person = world.member(theirs.workspace, Role::Owner, None).await;
    let matrix = matrix();
    for operation in operations() {
        let named = match matrix[operation.id] {
            Door::Environment(_) => Named::Environment(world.tenant.environment),
            Door::Workspace(_) => Named::Workspace(world.tenant.workspace),
            Door::Installation(_) => Named::Workspace(INSTALLATION),
            Door::Anybody | Door::Open | Door::Program => continue,
        };
        ask(&world, &person, Some(named), &operation).await.problem(404, "not_found");
    }
}
