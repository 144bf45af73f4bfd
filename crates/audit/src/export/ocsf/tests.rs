use super::*;
use causeway_types::Timestamp;

fn row(actor: &str, detail: &Value) -> AuditRow {
    AuditRow {
        seq: 7,
        at: Timestamp::from_micros(1_790_000_000_123_456),
        actor: actor.to_owned(),
        action: detail["action"].as_str().unwrap().to_owned(),
        detail: detail.to_string(),
        hash: vec![0xab; 32],
    }
}

fn shown(actor: &str, detail: &Value) -> Value {
    let text = line(WorkspaceId::lowest(), &row(actor, detail));
    assert!(text.ends_with('\n') && text.lines().count() == 1);
    let event: Value = serde_json::from_str(&text).unwrap();
    check(&event);
    event
}

/// What version 1.3.0 of the schema requires of the classes that are used here, by
/// `events/base_event.json`, `events/iam/*.json` and `events/application/api_activity.json` of
/// github.com/ocsf/ocsf-schema at that version, with the constraints of the objects.
fn check(event: &Value) {
    for name in
        ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"]
    {
        assert!(!event[name].is_null(), "`{name}` is missing: {event}");
    }
    let number = |name: &str| event[name].as_u64().unwrap();
    assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
    assert_eq!(number("category_uid"), number("class_uid") / 1000);
    assert_eq!(event["metadata"]["version"], "1.3.0");
    assert!(event["metadata"]["product"]["vendor_name"].is_string());
    let some = |object: &Value, names: &[&str]| {
        assert!(names.iter().any(|name| object[*name].is_string()), "{names:?}: {event}");
    };
    let activities: &[u64] = match number("class_uid") {
        3001 => {
            some(&event["user"], &["account", "name", "uid"]);
            &[1, 2, 5, 6, 99]
        }
        3002 => {
            some(&event["user"], &["account", "name", "uid"]);
            some(&event["service"], &["name", "uid"]);
            &[1, 2]
        }
        3004 => {
            some(&event["entity"], &["name", "uid"]);
            &[1, 2, 3, 4]
        }
        3005 => {
            some(&event["user"], &["account", "name", "uid"]);
            assert!(!event["privileges"].as_array().unwrap().is_empty());
            &[1, 2]
        }
        6003 => {
            some(&event["api"], &["operation"]);
            some(&event["src_endpoint"], &["ip", "svc_name"]);
            some(&event["actor"]["user"], &["name", "uid"]);
            &[1, 2, 3, 4, 99]
        }
        other => panic!("class {other} is not checked here"),
    };
    assert!(activities.contains(&number("activity_id")), "{event}");
}

/// The names of the events, as they stand in the chain.
fn events() -> Vec<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/src/audit.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (_, body) = source.split_once("pub enum Audit {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let names = body.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {"));
    let snake = |name: &str| {
        let mut text = String::new();
        for letter in name.trim_end_matches("{},").trim().chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(letter.to_ascii_lowercase());
        }
        text
    };
    let mut names: Vec<String> = names.filter(|name| !name.starts_with(' ')).map(snake).collect();
    let empty = body.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {},"));
    names.extend(empty.map(snake));
    assert!(names.len() > 50, "{names:?}");
    names
}

#[test]
fn every_event_has_a_class() {
    for name in events() {
        let count = table::RULES.iter().filter(|rule| rule.action == name).count();
        assert_eq!(count, 1, "`{name}` has no rule, or two, in export/ocsf/table.rs");
        shown("nod_0", &json!({ "action": name }));
    }
}

#[test]
fn every_class_is_of_an_event() {
    let events = events();
    for rule in table::RULES {
        assert!(events.iter().any(|name| name == rule.action), "there is no `{}`", rule.action);
    }
}

#[test]
fn a_sign_in_is_an_authentication() {
    let event = shown(
        "usr_1",
        &json!({
            "action": "signed_in", "user": "usr_1", "session": "ses_1", "provider": "idp_1",
            "mfa": true, "via": { "request": "req_1", "address": "192.0.2.7" },
        }),
    );
    assert_eq!(event["class_uid"], 3002);
    assert_eq!(event["type_uid"], 300_201);
    assert_eq!(event["time"], 1_790_000_000_123_u64);
    assert_eq!((&event["status_id"], &event["severity_id"]), (&json!(1), &json!(1)));
    assert_eq!((&event["is_mfa"], &event["session"]["uid"]), (&json!(true), &json!("ses_1")));
    assert_eq!(event["src_endpoint"]["ip"], "192.0.2.7");
    assert_eq!(event["metadata"]["correlation_uid"], "req_1");
    assert_eq!(event["unmapped"]["event"]["provider"], "idp_1");
    assert_eq!(event["unmapped"]["hash"], "ab".repeat(32));
}

#[test]
fn what_was_refused_has_failed() {
    let event = shown(
        "anonymous",
        &json!({ "action": "sign_in_refused", "provider": "idp_1", "reason": "domain", "email": null }),
    );
    assert_eq!((&event["status_id"], &event["status_detail"]), (&json!(2), &json!("domain")));
    assert_eq!(event["user"]["name"], "unknown");
    let event = shown(
        "key_1",
        &json!({ "action": "permission_denied", "permission": "keys.rotate", "reason": "not_granted", "times": 12 }),
    );
    assert_eq!((&event["class_uid"], &event["count"]), (&json!(6003), &json!(12)));
    assert_eq!(event["api"]["operation"], "keys.rotate");
    assert_eq!(event["actor"]["user"]["type_id"], 4);
}

#[test]
fn a_role_is_a_privilege() {
    let event = shown(
        "usr_1",
        &json!({ "action": "role_granted", "grant": "rg_1", "member": "mem_1", "group": null, "role": "admin", "project": "proj_1" }),
    );
    assert_eq!(event["class_uid"], 3005);
    assert_eq!(event["privileges"], json!(["admin in proj_1"]));
    assert_eq!(event["user"]["uid"], "mem_1");
}

#[test]
fn the_staff_is_shown_with_its_request() {
    let event =
        shown("usr_1 acr_1", &json!({ "action": "invocation_replayed", "invocation": "inv_1" }));
    assert_eq!(event["actor"]["user"]["uid"], "usr_1");
    assert_eq!(event["actor"]["authorizations"][0]["policy"]["uid"], "acr_1");
    assert_eq!(event["resources"][0]["uid"], "inv_1");
}

#[test]
fn an_event_of_another_version_is_shown_all_the_same() {
    let event = shown("key_1", &json!({ "action": "something_new", "thing": 1 }));
    assert_eq!((&event["class_uid"], &event["activity_id"]), (&json!(6003), &json!(99)));
    assert_eq!(event["unmapped"]["event"]["thing"], 1);
}
