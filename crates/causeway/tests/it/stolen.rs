//! A copy of the data folder without its root key opens nothing, and says so.

use crate::kit::{Home, Ran, run};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use std::path::Path;

on_both!(a_copy_without_the_root_key_opens_nothing);

async fn a_copy_without_the_root_key_opens_nothing(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let files = [("echo.mjs", "export default ({ event }) => event.body;")];
    let trigger = home.deploy(&server, "echo", "steps: [{ name: echo, run: ./echo.mjs }]", &files);
    let ran = server.finish(&trigger, &json!({ "secret": "sealed" })).await;
    assert_eq!(ran["state"], "succeeded");
    server.kill_9();

    let copy = home.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(home.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue; // unpacked packages, of which there are none
        }
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }

    // With the right key the copy is whole: the workspace's key, and the installation's.
    let found = findings(&on_copy(&home, "doctor", &copy, &home.path("root.key")));
    assert_eq!(finding(&found, "data keys"), ("ok", "all 2 open"));

    let missing = home.path("missing.key");
    let checked = on_copy(&home, "doctor", &copy, &missing);
    assert_eq!(checked.code, Some(1), "{checked:#?}");
    let found = findings(&checked);
    let (outcome, detail) = finding(&found, "root key");
    assert_eq!(outcome, "error");
    assert!(detail.contains("missing.key: it does not exist"), "{detail}");
    assert!(detail.contains("put the file back from your copy"), "{detail}");
    let nothing = "none opens without the root key; nothing sealed can be read";
    assert_eq!(finding(&found, "data keys"), ("error", nothing));
    for command in ["serve", "bootstrap"] {
        let refused = on_copy(&home, command, &copy, &missing);
        assert!(refused.refusal().contains("put the file back from your copy"), "{refused:#?}");
        assert!(!missing.exists(), "no other key is made where data is sealed already");
    }

    // Another installation's key is a good key, and the wrong one.
    let stranger = Home::new(TestDatabase::sqlite().await);
    let other = stranger.path("root.key");
    let checked = on_copy(&home, "doctor", &copy, &other);
    assert_eq!(checked.code, Some(1), "{checked:#?}");
    let found = findings(&checked);
    assert_eq!(finding(&found, "root key").0, "ok");
    let (outcome, detail) = finding(&found, "data keys");
    assert_eq!(outcome, "error");
    assert!(detail.contains("Start Causeway with the root key that wrapped it"), "{detail}");
    let rewrap = format!("--to=file:{}", home.path("new.key").display());
    for command in [vec!["serve"], vec!["bootstrap"], vec!["keys", "rewrap", &rewrap]] {
        let refused = run(Home::bare().args(&command).args(on(&home, &copy, &other)));
        assert!(refused.refusal().contains("with the root key that wrapped it"), "{refused:#?}");
    }

    // The right key again: nothing of this has harmed the data.
    let server = home.serve();
    let shown = server.get(&format!("invocations/{}", ran["id"].as_str().unwrap())).await;
    assert_eq!(shown["steps"][0]["return_value"], json!({ "secret": "sealed" }));
}

/// Runs a command on a copy of the data folder with some key.
fn on_copy(home: &Home, command: &str, copy: &Path, key: &Path) -> Ran {
    run(Home::bare().args([command, "--json"]).args(on(home, copy, key)))
}

fn on(home: &Home, copy: &Path, key: &Path) -> Vec<String> {
    let mut place = home.place();
    place.drain(..2);
    place.push(format!("--data-dir={}", copy.display()));
    place.push(format!("--root-key=file:{}", key.display()));
    place
}

fn findings(checked: &Ran) -> Vec<Value> {
    serde_json::from_str(&checked.stdout).unwrap_or_else(|error| panic!("{error}: {checked:#?}"))
}

fn finding<'a>(found: &'a [Value], check: &str) -> (&'a str, &'a str) {
    let one = found.iter().find(|one| one["check"] == check);
    let one = one.unwrap_or_else(|| panic!("`{check}` was not looked at: {found:#?}"));
    (one["outcome"].as_str().unwrap(), one["detail"].as_str().unwrap())
}
