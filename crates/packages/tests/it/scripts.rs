//! Install scripts that a workflow allows.

use crate::kit::World;
use crate::stand_in::{Npm, OLD};
use causeway_packages::PackagesConfig;
use causeway_sandbox::{Runtime, Tier};
use causeway_types::{Code, Coded};
use serde_json::json;
use std::os::unix::fs::MetadataExt;

const ASKS: &str = r#"{ "dependencies": { "made": "^1.0.0" } }"#;

/// Publishes `made` with a script.
fn publish(world: &World, script: &str) {
    world.registry.publish(&Npm {
        manifest: json!({ "scripts": { "postinstall": script } }),
        ..Npm::new(
            "made",
            "1.0.0",
            &[("index.js", "module.exports = require('./out/made.js')"), ("make.js", MAKE)],
        )
    });
}

const MAKE: &str = "const fs = require('fs');
fs.mkdirSync('out');
fs.writeFileSync('out/made.js', 'module.exports = ' + JSON.stringify(process.env.npm_package_version));
fs.symlinkSync('/etc/passwd', 'out/link');";

#[tokio::test]
async fn what_an_allowed_script_writes_is_in_the_layer() {
    let world = World::new().await;
    publish(&world, "node make.js && echo made > out/note.txt");
    let packages = world.packages();
    let files = [("package.json", ASKS)];
    let found = world.resolve_with(&packages, &files, &["made"], None).await.unwrap();
    let layer = &found.layers[0];
    assert_eq!(layer.scripts, ["made"]);
    assert_eq!(layer.written.keys().collect::<Vec<_>>(), ["made/out/made.js", "made/out/note.txt"]);
    let step = "import made from 'made'; export default () => made;";
    assert_eq!(world.returned(&packages, &found, Runtime::Node, step).await, "1.0.0");
    // The same again takes what it wrote then.
    let again = world.resolve_with(&packages, &files, &["made"], Some(&found)).await.unwrap();
    assert_eq!(again, found);
    // Without its permission it is another layer.
    let without = world.resolve(&files).await.unwrap();
    assert_ne!(without.layers[0].digest(), layer.digest());
}

#[tokio::test]
async fn a_script_reaches_the_registry_alone() {
    let world = World::new().await;
    publish(&world, "node -e \"fetch('https://evil.example/').catch(() => {})\"");
    let files = [("package.json", ASKS)];
    let refused = world.resolve_with(&world.packages(), &files, &["made"], None).await.unwrap_err();
    assert_eq!(refused.code(), Code::InstallScriptFailed);
    assert!(refused.public().contains("evil.example:443"), "{}", refused.public());
}

#[tokio::test]
async fn a_script_that_fails_or_is_not_there_is_named() {
    let world = World::new().await;
    publish(&world, "echo it is broken >&2; exit 3");
    let (packages, files) = (world.packages(), [("package.json", ASKS)]);
    let refused = world.resolve_with(&packages, &files, &["made"], None).await.unwrap_err();
    assert_eq!(refused.code(), Code::InstallScriptFailed);
    let public = refused.public();
    assert!(public.contains("made (postinstall)") && public.contains("it is broken"), "{public}");
    let refused = world.resolve_with(&packages, &files, &["other"], None).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidLock);
    assert!(refused.public().contains("`other`"), "{}", refused.public());
}

/// npm, pip and the script, each where the workflow's own code runs.
#[tokio::test]
async fn what_chooses_and_installs_runs_in_no_weaker_tier_than_the_workflow() {
    let mut world = World::new().await;
    let needs_root = std::fs::metadata("/proc/self").unwrap().uid() != 0;
    if needs_root {
        eprintln!("NOT RUN: gVisor needs cgroups, which these tests have as root");
        return;
    }
    world.tier = Tier::Gvisor;
    publish(&world, "node make.js");
    world.registry.publish_wheel("greet", "1.0.0", &[], &[("greet.py", "")], OLD);
    let files = [("package.json", ASKS), ("requirements.txt", "greet")];
    let found = world.resolve_with(&world.packages(), &files, &["made"], None).await.unwrap();
    assert_eq!((found.layers.len(), found.made.len()), (2, 2));
    let started = |runtime, tier| world.pool.stats_in(runtime, tier).started;
    // npm, then the script; and pip.
    assert_eq!((started(Runtime::Node, Tier::Gvisor), started(Runtime::Node, Tier::Jail)), (2, 0));
    assert_eq!(
        (started(Runtime::Python, Tier::Gvisor), started(Runtime::Python, Tier::Jail)),
        (1, 0)
    );

    // The server's own is a floor.
    world.tier = Tier::Jail;
    let config = PackagesConfig { tier: Tier::Gvisor, ..world.config() };
    world.resolve_with(&world.packages_with(config), &files[1..], &[], None).await.unwrap();
    assert_eq!(world.pool.stats_in(Runtime::Python, Tier::Gvisor).started, 2);
}
