//! Packages from a stand-in of the registries, from the plan of a deploy to the next start.

use crate::kit::{Home, PUBLIC_URL, run};
use crate::stand_in::{Npm, StandIn};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};

on_both!(packages_are_planned_deployed_listed_and_there_after_a_loss);

const STEPS: &str = "steps:\n  - { name: greet, run: ./greet.mjs }\n";
const STEP: &str =
    "import greet from 'greet'; export default ({ event }) => greet(event.body.name);";
const ASKS: &str = r#"{ "dependencies": { "greet": "^1.0.0" } }"#;

/// A registry with `greet`, and the flags of servers that use it.
fn registry() -> (StandIn, Vec<String>) {
    let registry = StandIn::start();
    registry.publish(&Npm {
        manifest: json!({ "scripts": { "postinstall": "exit 1" } }),
        ..Npm::new("greet", "1.0.0", &[("index.js", "module.exports = (name) => `hello ${name}`;")])
    });
    let flags = vec![
        "--net-allow=127.0.0.0/8".to_owned(),
        format!("--packages-npm-registry={}", registry.url("npm")),
        format!("--packages-pypi-index={}", registry.url("simple")),
    ];
    (registry, flags)
}

async fn packages_are_planned_deployed_listed_and_there_after_a_loss(database: TestDatabase) {
    let (registry, flags) = registry();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let home = Home::with_flags(database, &flags);
    let server = home.serve();
    let folder =
        home.write_workflow("hello", STEPS, &[("greet.mjs", STEP), ("package.json", ASKS)]);
    // What npm has installed for the author stays at home.
    std::fs::create_dir_all(folder.join("node_modules/greet")).unwrap();
    std::fs::write(folder.join("node_modules/greet/index.js"), "evil").unwrap();
    let folder_text = folder.to_str().unwrap();

    let plan = home.cli(&server, &["deploy", folder_text, "--plan"]);
    for line in [
        "  + greet 1.0.0 (npm), whose install script does not run",
        "  made package-lock.json, which the folder has not: `--write-locks` puts it there",
    ] {
        assert!(plan.stdout.lines().any(|one| one == line), "{plan:#?}");
    }
    assert!(!plan.stdout.contains("node_modules"), "{plan:#?}");

    let deployed = home.cli(&server, &["deploy", "--json", "--write-locks", folder_text]).json();
    assert_eq!(deployed["number"], 1);
    let lock = std::fs::read_to_string(folder.join("package-lock.json")).unwrap();
    assert!(lock.contains("sha512-"), "{lock}");
    // With its lock, the folder is what was deployed.
    let again = home.cli(&server, &["deploy", "--json", folder_text]).json();
    assert_eq!((&again["action"], &again["number"]), (&json!("unchanged"), &json!(1)));
    let trigger = deployed["trigger_url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap();
    let event = json!({ "name": "Ada" });
    let ended = server.finish(trigger, &event).await;
    assert_eq!(ended["steps"][0]["return_value"], "hello Ada", "{ended:#}");

    let listed =
        home.cli(&server, &["workflows", "packages", "--package", "greet", "--json"]).json();
    let one = &listed[0];
    assert_eq!(
        (&one["workflow"], &one["version"], &one["version_number"], &one["ecosystem"]),
        (&json!("hello"), &json!("1.0.0"), &json!(1), &json!("npm"))
    );
    assert!(one["integrity"].as_str().unwrap().starts_with("sha512-"));
    let none = ["workflows", "packages", "hello", "--package=greet@2.0.0", "--json"];
    assert_eq!(home.cli(&server, &none).json(), json!([]));

    // Lost with the machine, or never there, as on another node: it is made again, by digest.
    server.kill_9();
    std::fs::remove_dir_all(home.data_dir().join("packages")).unwrap();
    registry.asked();
    let server = home.serve();
    let ended = server.finish(trigger, &event).await;
    assert_eq!(ended["steps"][0]["return_value"], "hello Ada", "{ended:#}");
    assert_eq!(registry.asked(), ["npm/greet/-/greet-1.0.0.tgz"]);
    // From now on nobody is asked.
    server.kill_9();
    let server = home.serve();
    assert_eq!(server.finish(trigger, &event).await["state"], "succeeded");
    assert_eq!(registry.asked(), Vec::<String>::new());

    let young = registry
        .publish(&Npm { at: "2999-01-01T00:00:00.000Z", ..Npm::new("greet", "1.1.0", &[]) });
    let lock = json!({
        "lockfileVersion": 3,
        "packages": {
            "": { "dependencies": { "greet": "^1.0.0" } },
            "node_modules/greet": { "version": "1.1.0", "integrity": young },
        },
    });
    std::fs::write(folder.join("package-lock.json"), lock.to_string()).unwrap();
    let refused = home.cli(&server, &["deploy", folder_text]);
    assert!(refused.refusal().contains("release_too_young"), "{refused:#?}");
    assert!(refused.refusal().contains("`greet` 1.1.0"), "{refused:#?}");
    server.stop();
}

#[tokio::test]
async fn the_doctor_names_what_chooses_packages() {
    let home = Home::new(TestDatabase::sqlite().await);
    let doctor = |flags: &[&str], check: &str| {
        let ran = run(Home::bare().args(["doctor", "--json"]).args(home.place()).args(flags));
        let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        let found = findings.iter().find(|finding| finding["check"] == check).unwrap();
        (found["outcome"].to_string(), found["detail"].to_string())
    };
    let (outcome, detail) = doctor(&[], "packages: npm");
    assert!(outcome == "\"ok\"" && detail.contains("npm"), "{detail}");
    let (outcome, detail) = doctor(&[], "packages: pip");
    assert!(outcome == "\"ok\"" && detail.contains("pip"), "{detail}");
    let (outcome, detail) = doctor(&["--npm=/nonexistent/npm"], "packages: npm");
    assert!(outcome == "\"warning\"" && detail.contains("bring a lock"), "{detail}");
}
