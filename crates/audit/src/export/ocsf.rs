//! Events in the Open Cybersecurity Schema Framework, version 1.3.0: <https://schema.ocsf.io/1.3.0>.
//!
//! Each event becomes one of five classes ([`table`]). What the class has no attribute for stands
//! under `unmapped`, the whole event and its hash among it, so that nothing is lost.

mod table;

use causeway_types::entity::AuditRow;
use causeway_types::{Actor, WorkspaceId};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use table::{Class, Rule};

/// The version of the schema.
const SCHEMA: &str = "1.3.0";
/// `activity_id` of what the class has no word for.
const OTHER: u8 = 99;

/// An event as a line.
pub(super) fn line(workspace: WorkspaceId, row: &AuditRow) -> String {
    format!("{}\n", Value::Object(event(workspace, row)))
}

fn event(workspace: WorkspaceId, row: &AuditRow) -> Map<String, Value> {
    let detail: Map<String, Value> = serde_json::from_str(&row.detail).unwrap_or_default();
    let rule = table::rule(&row.action);
    let (class, activity) = (rule.class, rule.activity);
    let mut out = Map::new();
    let mut set = |name: &str, value: Value| out.insert(name.to_owned(), value);
    set("category_uid", class.category().into());
    set("category_name", class.category_name().into());
    set("class_uid", class.uid().into());
    set("class_name", class.name().into());
    set("activity_id", activity.into());
    set("activity_name", rule.activity_name().into());
    set("type_uid", (u64::from(class.uid()) * 100 + u64::from(activity)).into());
    set("time", row.at.as_millis().into());
    let (severity_id, severity) = if rule.failed { (2, "Low") } else { (1, "Informational") };
    set("severity_id", severity_id.into());
    set("severity", severity.into());
    let (status_id, status) = if rule.failed { (2, "Failure") } else { (1, "Success") };
    set("status_id", status_id.into());
    set("status", status.into());
    set("message", row.action.replace('_', " ").into());
    if let Some(times) = detail.get("times").and_then(Value::as_i64) {
        set("count", times.into());
    }
    if let Some(reason) = text(&detail, "reason").filter(|_| rule.failed) {
        set("status_detail", reason.into());
    }
    set("metadata", metadata(workspace, row, &detail));
    set("actor", actor(&row.actor));
    set("src_endpoint", endpoint(&detail));
    for (name, value) in subject(&rule, row, &detail) {
        set(name, value);
    }
    let unmapped = json!({
        "workspace_id": workspace,
        "actor": row.actor,
        "event": detail,
        "hash": HEXLOWER.encode(&row.hash),
    });
    set("unmapped", unmapped);
    out
}

fn metadata(workspace: WorkspaceId, row: &AuditRow, detail: &Map<String, Value>) -> Value {
    let mut metadata = json!({
        "version": SCHEMA,
        "product": {
            "name": "Causeway",
            "vendor_name": "Causeway",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "log_name": "audit",
        "event_code": row.action,
        "sequence": row.seq,
        "uid": format!("{workspace}/{}", row.seq),
    });
    let request = detail.get("via").and_then(|via| via.get("request"));
    if let (Some(request), Some(metadata)) = (request, metadata.as_object_mut()) {
        metadata.insert("correlation_uid".to_owned(), request.clone());
    }
    metadata
}

/// Who acted. `type_id` of a user: 0 unknown, 1 a person, 3 the system, 4 a service.
fn actor(actor: &str) -> Value {
    let user = |uid: &str, kind: &str, type_id: u8| json!({ "user": { "uid": uid, "name": uid, "type": kind, "type_id": type_id } });
    // A member of the staff acts under a request: `usr_… acr_…`.
    let (first, request) = match actor.split_once(' ') {
        Some((user, request)) => (user, Some(request)),
        None => (actor, None),
    };
    match (first.split('_').next().unwrap_or_default(), request) {
        ("usr", None) => user(first, "User", 1),
        ("usr", Some(request)) => json!({
            "user": { "uid": first, "name": first, "type": "Staff", "type_id": 1 },
            "authorizations": [{ "decision": "Approved", "policy": { "uid": request, "name": "staff access" } }],
        }),
        ("key", _) => user(first, "API key", 4),
        ("mc", _) => user(first, "OAuth client", 4),
        ("cs", _) => user(first, "Customer", OTHER),
        ("nod", _) => user(first, "Causeway", 3),
        _ if first == Actor::Machine.to_string() => user(first, "Command line", 3),
        _ => user(first, "Unknown", 0),
    }
}

/// From where: the caller's address, or Causeway itself.
fn endpoint(detail: &Map<String, Value>) -> Value {
    match detail.get("via").and_then(|via| via.get("address")) {
        Some(address) => json!({ "ip": address }),
        None => json!({ "svc_name": "causeway" }),
    }
}

/// What it was done to, in the attributes that the class has for it.
fn subject(rule: &Rule, row: &AuditRow, detail: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let uid = text(detail, rule.subject).unwrap_or_default();
    match rule.class {
        Class::Authentication => {
            let mut attributes =
                vec![("user", person(detail, uid)), ("service", json!({ "name": "Causeway" }))];
            if let Some(session) = text(detail, "session") {
                attributes.push(("session", json!({ "uid": session })));
            }
            if let Some(mfa) = detail.get("mfa").filter(|mfa| mfa.is_boolean()) {
                attributes.push(("is_mfa", mfa.clone()));
            }
            attributes
        }
        Class::AccountChange => vec![("user", person(detail, uid))],
        Class::UserAccess => {
            vec![("user", person(detail, uid)), ("privileges", privileges(detail))]
        }
        Class::EntityManagement => {
            let name = ["name", "app", "email"].into_iter().find_map(|field| text(detail, field));
            let entity = json!({
                "uid": if uid.is_empty() { rule.entity } else { uid },
                "name": name.unwrap_or(rule.entity),
                "type": rule.entity,
            });
            let mut attributes = vec![("entity", entity)];
            if let Some(reason) = text(detail, "reason") {
                attributes.push(("comment", reason.into()));
            }
            attributes
        }
        Class::ApiActivity => {
            let operation = text(detail, "permission").unwrap_or(&row.action);
            let mut attributes = vec![("api", json!({ "operation": operation }))];
            if !uid.is_empty() {
                let resource = json!({ "uid": uid, "type": rule.entity });
                attributes.push(("resources", json!([resource])));
            }
            attributes
        }
    }
}

/// A user; one that nothing is known of is `unknown`.
fn person(detail: &Map<String, Value>, uid: &str) -> Value {
    let mut user = Map::new();
    if !uid.is_empty() {
        user.insert("uid".to_owned(), uid.into());
    }
    if let Some(email) = text(detail, "email") {
        user.insert("email_addr".to_owned(), email.into());
    }
    let name = text(detail, "email").unwrap_or(if uid.is_empty() { "unknown" } else { uid });
    user.insert("name".to_owned(), name.into());
    Value::Object(user)
}

/// The role that is given or taken, with the project that it is confined to.
fn privileges(detail: &Map<String, Value>) -> Value {
    let role = text(detail, "role").unwrap_or("access");
    match text(detail, "project") {
        Some(project) => json!([format!("{role} in {project}")]),
        None => json!([role]),
    }
}

fn text<'a>(detail: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    detail.get(field).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
