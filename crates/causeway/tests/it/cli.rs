//! What the command line prints for programs, and that it means what it says.

use crate::kit::{Home, PUBLIC_URL, Server, contains, run};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::InvocationId;
use serde_json::{Value, json};
use std::fs;

on_both!(
    what_programs_read_has_its_fields,
    a_deleted_invocation_is_gone_for_good,
    deploying_shows_its_plan_first,
    triggers_and_their_times_are_shown,
    why_an_invocation_does_not_run_is_said,
);

const GREET: &str = "export default ({ event, $ }) => {
  console.log('hello', event.body.name);
  $.export('length', event.body.name.length);
  return `Hello, ${event.body.name}!`;
};";

const ONE_STEP: &str = "steps: [{ name: greet, run: ./greet.mjs }]";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("it has no text `{field}`: {value:#}"))
}

async fn what_programs_read_has_its_fields(database: TestDatabase) {
    let home = Home::new(database);
    for (field, prefix) in [
        ("workspace_id", "ws_"),
        ("project_id", "proj_"),
        ("api_key", "cwk_"),
        ("client_id", ""),
        ("client_secret", ""),
    ] {
        assert!(
            text(&home.made, field).starts_with(prefix) && !text(&home.made, field).is_empty(),
            "{field}"
        );
    }
    // Bootstrapping again makes a new key to the same workspace, with or without a server.
    let again = home.run_server_command(&["bootstrap", "--json"]).json();
    assert_eq!(
        (&again["created"], &again["workspace_id"]),
        (&json!(false), &home.made["workspace_id"])
    );
    assert_ne!(again["api_key"], home.made["api_key"]);
    let server = home.serve();
    let third = home.run_server_command(&["bootstrap", "--json"]).json();
    assert_eq!(third["project_id"], home.made["project_id"]);

    let folder = home.write_workflow("greets", ONE_STEP, &[("greet.mjs", GREET)]);
    let folder = folder.to_str().unwrap();
    let deployed = home.cli(&server, &["deploy", folder, "--json"]).json();
    assert!(text(&deployed, "workflow_id").starts_with("wf_"));
    assert!(text(&deployed, "version_id").starts_with("ver_"));
    assert!(text(&deployed, "trigger_url").starts_with(&format!("{PUBLIC_URL}/t/")));

    let ran = home
        .cli(&server, &["run", "greets", "--event", r#"{"body":{"name":"Ada"}}"#, "--json"])
        .json();
    let id = text(&ran, "id");
    for shown in [&ran, &home.cli(&server, &["invocations", "show", id, "--json"]).json()] {
        assert_eq!(shown["state"], "succeeded");
        assert_eq!(shown["workflow_id"], deployed["workflow_id"]);
        assert_eq!(shown["version_id"], deployed["version_id"]);
        let [step] = shown["steps"].as_array().unwrap().as_slice() else { panic!("{shown:#}") };
        assert_eq!((&step["name"], &step["state"]), (&json!("greet"), &json!("succeeded")));
        assert_eq!(step["exports"], json!({ "length": 3 }));
        assert_eq!(step["return_value"], "Hello, Ada!");
        let [line] = step["logs"].as_array().unwrap().as_slice() else { panic!("{step:#}") };
        assert_eq!((&line["stream"], &line["text"]), (&json!("stdout"), &json!("hello Ada")));
    }
    let with_event = home.cli(&server, &["invocations", "show", id, "--event", "--json"]).json();
    assert_eq!(with_event["event"], json!({ "body": { "name": "Ada" } }));

    let replayed = home.cli(&server, &["replay", id, "--json"]).json();
    assert_eq!((&replayed["replay_of"], &replayed["state"]), (&json!(id), &json!("succeeded")));
    assert_eq!(replayed["event_id"], ran["event_id"]);
    let listed = home
        .cli(&server, &["invocations", "list", "--workflow=greets", "--limit=1", "--json"])
        .json();
    assert_eq!(listed["data"][0]["id"], replayed["id"], "the newest first");
    let older =
        ["invocations", "list", "--limit=1", "--json", "--cursor", text(&listed, "next_cursor")];
    assert_eq!(home.cli(&server, &older).json()["data"][0]["id"], id);
    let failed = home.cli(&server, &["invocations", "list", "--state=failed", "--json"]).json();
    assert_eq!(failed["data"], json!([]));

    // A failed run is a failed command, with its record all the same.
    let failing = home.cli(&server, &["run", "greets", "--json"]);
    assert_eq!(failing.code, Some(1), "{failing:#?}");
    let record: Value = serde_json::from_str(failing.stdout.trim()).unwrap();
    assert_eq!((&record["state"], &record["error_code"]), (&json!("failed"), &json!("user_error")));
    assert!(text(&record["steps"][0]["error"], "stack").contains("greet.mjs:2"), "{record:#}");
    let said: Value = serde_json::from_str(failing.stderr.trim()).unwrap();
    assert!(text(&said, "error").ends_with("ended as failed"), "{said}");

    for (args, words) in [
        (vec!["run", "nothing"], "there is no workflow named `nothing`"),
        (vec!["invocations", "show", "inv_1"], "[invalid_id]"),
        (vec!["invocations", "show", "inv_01m7zxqqcfbfkcqjcqr05r38cm"], "[not_found]"),
        (vec!["run", "greets", "--event", "{"], "reading the event as JSON"),
        (vec!["connect", "--app=nothing", "--customer=ada"], "[unknown_app]"),
    ] {
        let refused = home.cli(&server, &args);
        assert!(refused.refusal().contains(words), "{args:?}: {refused:#?}");
    }
    let misused = home.cli(&server, &["deploy"]);
    assert_eq!(misused.code, Some(2), "{misused:#?}");

    the_same_by_file_and_variable(&home, server);
}

/// `causeway.toml` and `CAUSEWAY_*` say what flags say.
fn the_same_by_file_and_variable(home: &Home, server: Server) {
    server.stop();
    let place = home.place();
    let setting = |flag: &str| {
        place.iter().find_map(|one| one.strip_prefix(&format!("--{flag}="))).map(str::to_owned)
    };
    let settings: Vec<(&str, String)> =
        [("data_dir", "data-dir"), ("root_key", "root-key"), ("database_url", "database-url")]
            .into_iter()
            .filter_map(|(name, flag)| setting(flag).map(|value| (name, value)))
            .collect();
    let folder = home.path("configured");
    fs::create_dir(&folder).unwrap();
    let lines: Vec<String> =
        settings.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    fs::write(folder.join("causeway.toml"), lines.concat()).unwrap();
    let by_file = run(Home::bare().args(["bootstrap", "--json"]).current_dir(&folder)).json();
    let variables =
        settings.iter().map(|(name, value)| (format!("CAUSEWAY_{}", name.to_uppercase()), value));
    let by_variable = run(Home::bare().args(["bootstrap", "--json"]).envs(variables)).json();
    for made in [by_file, by_variable] {
        assert_eq!(made["workspace_id"], home.made["workspace_id"]);
    }
    // A flag goes before the file.
    let elsewhere = format!("--data-dir={}", home.path("elsewhere").display());
    let sqlite = format!("--database-url=sqlite:{}", home.path("elsewhere/causeway.db").display());
    let key = format!("--root-key=file:{}", home.path("elsewhere.key").display());
    let made = run(Home::bare()
        .args(["bootstrap", "--json", &elsewhere, &sqlite, &key])
        .current_dir(&folder))
    .json();
    assert_eq!(made["created"], true);
    assert_ne!(made["workspace_id"], home.made["workspace_id"]);
}

async fn a_deleted_invocation_is_gone_for_good(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let trigger = home.deploy(&server, "greets", ONE_STEP, &[("greet.mjs", GREET)]);
    let ran = server.finish(&trigger, &json!({ "name": "Ada" })).await;
    let kept = server.finish(&trigger, &json!({ "name": "Grace" })).await;
    let tenant = home.tenant();
    let id: InvocationId = text(&ran, "id").parse().unwrap();
    let mut conn = home.database.store.read().await.unwrap();
    let row = db!(conn, invocation::get(tenant, id)).unwrap().unwrap();
    let event = db!(conn, invocation::event(tenant, row.event_id)).unwrap().unwrap();
    let steps = db!(conn, invocation::steps(tenant.workspace, id)).unwrap();
    drop(conn);
    let remains = |what: &[u8]| {
        let files = fs::read_dir(home.data_dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| fs::read(path).unwrap());
        files.filter(|file| contains(file, what)).count()
    };
    let sealed = [event.body.as_bytes(), steps[0].record.as_bytes()];
    let sqlite = home.database.url.starts_with("sqlite");
    if sqlite {
        assert!(sealed.iter().all(|sealed| remains(sealed) > 0), "the search finds what is there");
    }

    let deleted = home.cli(&server, &["invocations", "delete", text(&ran, "id"), "--json"]).json();
    assert_eq!(deleted, json!({ "deleted": ran["id"] }));
    for path in [format!("invocations/{id}"), format!("invocations/{id}/event")] {
        assert_eq!(server.send(server.api("GET", &path), "").await.status, 404, "{path}");
    }
    let again = home.cli(&server, &["invocations", "delete", text(&ran, "id")]);
    assert!(again.refusal().contains("[not_found]"), "{again:#?}");
    let mut conn = home.database.store.read().await.unwrap();
    assert!(db!(conn, invocation::event(tenant, row.event_id)).unwrap().is_none());
    assert!(db!(conn, invocation::steps(tenant.workspace, id)).unwrap().is_empty());
    drop(conn);
    if sqlite {
        for sealed in sealed {
            assert_eq!(remains(sealed), 0, "no file of the data folder holds it any more");
        }
    }
    let other = server.get(&format!("invocations/{}", text(&kept, "id"))).await;
    assert_eq!(other["steps"][0]["return_value"], "Hello, Grace!");
}

async fn deploying_shows_its_plan_first(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let folder = home.write_workflow("greets", ONE_STEP, &[("greet.mjs", GREET)]);
    let path = folder.to_str().unwrap();
    let plan = home.cli(&server, &["deploy", path, "--plan", "--json"]).json();
    assert_eq!((&plan["action"], &plan["workflow_id"]), (&json!("create"), &Value::Null));
    assert_eq!(home.cli(&server, &["workflows", "list", "--json"]).json()["data"], json!([]));

    let shown = home.cli(&server, &["deploy", path]);
    let [plan, done] = ["The workflow greets will be created", "Deployed version 1"]
        .map(|words| shown.stdout.find(words).unwrap_or_else(|| panic!("{words}: {shown:#?}")));
    assert!(plan < done, "first the plan, then the deed");
    let first = home.cli(&server, &["workflows", "show", "greets", "--json"]).json();
    let unchanged = home.cli(&server, &["deploy", path, "--json"]).json();
    assert_eq!(unchanged["version_id"], first["active_version_id"]);

    fs::write(folder.join("greet.mjs"), GREET.replace("Hello", "Welcome")).unwrap();
    fs::write(folder.join("notes.txt"), "new").unwrap();
    let plan = home.cli(&server, &["deploy", path, "--plan"]);
    assert!(plan.stdout.contains("gets a new version"), "{plan:#?}");
    assert!(
        plan.stdout.contains("~ greet.mjs") && plan.stdout.contains("+ notes.txt"),
        "{plan:#?}"
    );
    let same = home.cli(&server, &["workflows", "show", "greets", "--json"]).json();
    assert_eq!(same, first, "a plan changes nothing");
    let second = home.cli(&server, &["deploy", path, "--json"]).json();
    assert_eq!((&second["number"], &second["workflow_id"]), (&json!(2), &first["id"]));
    assert_eq!(second["trigger_url"], first["trigger_url"], "the URL stays");

    fs::write(folder.join("greet.mjs"), GREET).unwrap();
    fs::remove_file(folder.join("notes.txt")).unwrap();
    let back = home.cli(&server, &["deploy", path, "--json"]).json();
    assert_eq!(
        back["version_id"], first["active_version_id"],
        "the same content is the same version"
    );

    for (manifest, words) in [
        (
            "steps: [{ name: greet, run: ./gone.mjs }]",
            vec!["`greet` runs `./gone.mjs`, which is not in the folder", "[invalid_code]"],
        ),
        (
            "steps: [{ name: greet, rum: ./greet.mjs }]",
            vec!["workflow.yaml", "rum", "line 3", "[invalid_manifest]"],
        ),
        ("steps: [\n", vec!["workflow.yaml", "line", "column"]),
        (
            "steps: [{ name: greet, run: ./greet.mjs, connections: { crm: acme } }]",
            vec!["`acme`", "causeway connect", "[missing_connection]"],
        ),
    ] {
        let folder = home.write_workflow("greets", manifest, &[]);
        let refused = home.cli(&server, &["deploy", folder.to_str().unwrap()]);
        assert!(
            words.iter().all(|words| refused.refusal().contains(words)),
            "{words:?}: {refused:#?}"
        );
    }
    let empty = home.path("empty");
    fs::create_dir(&empty).unwrap();
    let refused = home.cli(&server, &["deploy", empty.to_str().unwrap()]);
    assert!(refused.refusal().contains("has no workflow.yaml"), "{refused:#?}");
}

/// Writes a workflow whose manifest is this one, whole.
fn write_manifest(home: &Home, name: &str, rest: &str) -> String {
    let folder = home.write_workflow(name, "", &[("greet.mjs", GREET)]);
    fs::write(folder.join("workflow.yaml"), format!("name: {name}\n{rest}\n{ONE_STEP}\n")).unwrap();
    folder.to_str().unwrap().to_owned()
}

async fn triggers_and_their_times_are_shown(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let triggers = "triggers:
  hook: { http: { auth: none } }
  me: { manual: {} }
  morning: { schedule: { cron: 0 9 * * 1-5, timezone: Europe/Berlin } }
  often: { schedule: { every: 15m } }";
    let path = write_manifest(&home, "starts", triggers);
    let plan = home.cli(&server, &["deploy", &path, "--plan"]);
    for line in [
        "trigger hook (http): has a URL",
        "trigger me (manual): `causeway run`",
        "trigger morning (schedule): 0 9 * * 1-5 in Europe/Berlin, next 20",
        "trigger often (schedule): every 900 s, next 20",
    ] {
        assert!(plan.stdout.contains(line), "{line}: {plan:#?}");
    }
    let done = home.cli(&server, &["deploy", &path]);
    let url = format!("trigger hook (http): {PUBLIC_URL}/t/");
    assert!(done.stdout.contains(&url), "{done:#?}");
    assert!(done.stdout.contains(&format!("curl -X POST {PUBLIC_URL}/t/")), "{done:#?}");
    let shown = home.cli(&server, &["workflows", "show", "starts"]);
    assert!(shown.stdout.contains(&url), "{shown:#?}");

    let shown = home.cli(&server, &["workflows", "show", "starts", "--json"]).json();
    let names: Vec<&str> =
        shown["triggers"].as_array().unwrap().iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["hook", "me", "morning", "often"]);
    assert_eq!(shown["trigger_url"], shown["triggers"][0]["url"], "it is the only one");
    let next = shown["triggers"][2]["schedule"]["next"].as_array().unwrap().len();
    assert_eq!((next, &shown["triggers"][2]["url"]), (3, &Value::Null));

    for (broken, words) in [
        ("trigger: { schedule: { cron: 0 0 30 2 * } }", "`0 0 30 2 *` never comes"),
        (
            "trigger: { schedule: { cron: 0 0 * * *, timezone: Mars/Olympus } }",
            "`Mars/Olympus` is no time zone",
        ),
    ] {
        let path = write_manifest(&home, "starts", broken);
        let refused = home.cli(&server, &["deploy", &path]);
        assert!(refused.refusal().contains(words), "{refused:#?}");
        assert!(refused.refusal().contains("[invalid_manifest]"), "{refused:#?}");
    }
}

async fn why_an_invocation_does_not_run_is_said(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let bounds = "trigger: { http: { auth: none } }\nthrottle: { limit: 1, per: 365d }";
    let path = write_manifest(&home, "slow", bounds);
    let deployed = home.cli(&server, &["deploy", &path, "--json"]).json();
    let trigger = home.local(text(&deployed, "trigger_url"));
    let first = server.start_invocation(&trigger, &json!({ "name": "Ada" })).await;
    server.finished(&first).await;
    let said = home.cli(&server, &["explain", &first]);
    assert!(
        said.stdout.starts_with(&format!("{first} is succeeded. It succeeded at 20")),
        "{said:#?}"
    );
    let second = server.start_invocation(&trigger, &json!({ "name": "Grace" })).await;
    let said = home.cli(&server, &["explain", &second, "--json"]).json();
    assert_eq!((text(&said, "id"), text(&said, "state")), (second.as_str(), "queued"));
    let words = "It is queued behind no other: its workflow begins 1 in 31536000 s (`throttle`), and the \
                 next may begin at 20";
    assert!(text(&said, "explanation").starts_with(words), "{said:#}");
}
