//! Workflows that import packages of a registry.

use crate::kit::{World, owned};
use crate::stand_in::{Npm, OLD};
use causeway_flow::{InstallScript, PlanAction, StepView};
use causeway_identity::action;
use causeway_packages::PackagesError;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{Ecosystem, PackageFilter, PackageUse};
use causeway_types::{Code, Coded, VersionPackageId};
use serde_json::{Value, json};

on_both!(
    versions_keep_their_packages_and_say_which,
    what_the_registry_refuses_is_not_deployed,
    an_install_script_runs_if_its_package_is_named,
);

const MANIFEST: &str = "name: hello\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: a, run: ./a.mjs }\n  - { name: b, run: ./b.py }\n  - { name: c, run: ./c.sh }\n";
const STEPS: [(&str, &str); 3] = [
    ("a.mjs", "import greet from '@acme/greet'; export default () => greet;"),
    ("b.py", "from greet.words import word\ndef handler(pd):\n    return word"),
    ("c.sh", "ls -d /node_modules /python_modules >/dev/null 2>&1 || echo none > $CAUSEWAY_RESULT"),
];

/// The folder, asking for these versions.
fn folder(npm: &str, pypi: &str) -> Vec<(&'static str, String)> {
    let asks = json!({ "dependencies": { "@acme/greet": npm } }).to_string();
    let mut files = vec![
        ("workflow.yaml", MANIFEST.to_owned()),
        ("package.json", asks),
        ("requirements.txt", format!("greet=={pypi}\n")),
    ];
    files.extend(STEPS.map(|(path, text)| (path, text.to_owned())));
    files
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    files.iter().map(|(path, text)| (*path, text.as_str())).collect()
}

fn publish(world: &World, version: &str) {
    let text = format!("module.exports = 'node {version}';");
    world.registry.publish(&Npm::new("@acme/greet", version, &[("index.js", &text)]));
    let text = format!("word = 'python {version}'");
    let files = [("greet/__init__.py", ""), ("greet/words.py", &text)];
    world.registry.publish_wheel("greet", version, &[], &files, OLD);
}

fn returned(steps: &[StepView]) -> Value {
    steps
        .iter()
        .map(|step| {
            assert!(step.record.error.is_none(), "{:?}", step.record.error);
            step.record.return_value.as_ref().unwrap().get().parse::<Value>().unwrap()
        })
        .collect()
}

async fn versions_keep_their_packages_and_say_which(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    publish(&world, "1.0.0");
    let one = folder("^1.0.0", "1.0.0");
    let permit = world.permit::<action::Deploy>();
    let plan = world.flow.plan(&permit, owned(&borrowed(&one))).await.unwrap();
    let rows = |plan: &causeway_flow::Plan| -> Vec<_> {
        let row = |one: &causeway_flow::PlannedPackage| {
            (one.ecosystem, one.name.clone(), one.version.clone(), one.before.clone())
        };
        plan.packages.iter().map(row).collect()
    };
    let row = |ecosystem, name: &str, version: &str, before: Option<&str>| {
        (ecosystem, name.to_owned(), Some(version.to_owned()), before.map(str::to_owned))
    };
    assert_eq!(
        rows(&plan),
        [
            row(Ecosystem::Npm, "@acme/greet", "1.0.0", None),
            row(Ecosystem::Pypi, "greet", "1.0.0", None)
        ]
    );
    let made: Vec<_> = plan.made_locks.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(made, ["package-lock.json", "requirements.lock"]);

    // What was planned is deployed, whatever is published in between.
    publish(&world, "1.1.0");
    let workflow = world.deploy(&borrowed(&one)).await.unwrap();
    let first = json!(["node 1.0.0", "python 1.0.0", "none"]);
    assert_eq!(returned(&world.run(workflow).await), first);
    let plan = world.flow.plan(&permit, owned(&borrowed(&one))).await.unwrap();
    assert_eq!((plan.action, plan.packages.len()), (PlanAction::Unchanged, 0));

    let two = folder("^1.0.1", "1.1.0");
    let plan = world.flow.plan(&permit, owned(&borrowed(&two))).await.unwrap();
    assert_eq!(
        rows(&plan),
        [
            row(Ecosystem::Npm, "@acme/greet", "1.1.0", Some("1.0.0")),
            row(Ecosystem::Pypi, "greet", "1.1.0", Some("1.0.0"))
        ]
    );
    world.deploy(&borrowed(&two)).await.unwrap();
    assert_eq!(returned(&world.run(workflow).await), json!(["node 1.1.0", "python 1.1.0", "none"]));

    // Which workflows have this package, in which version?
    let permit_read = world.permit::<action::ReadWorkflows>();
    let uses = async |filter: PackageFilter| {
        let lowest = VersionPackageId::lowest();
        let found = world.flow.packages(&permit_read, &filter, lowest, 10).await.unwrap();
        let row = |one: PackageUse| (one.workflow, one.number, one.name, one.version);
        let mut rows: Vec<_> = found.into_iter().map(row).collect();
        rows.sort();
        rows
    };
    let npm = PackageFilter { name: Some("@acme/greet".into()), ..PackageFilter::default() };
    let hello = |name: &str| ("hello".to_owned(), 2, name.to_owned(), "1.1.0".to_owned());
    assert_eq!(uses(npm.clone()).await, [hello("@acme/greet")]);
    let old = PackageFilter { version: Some("1.0.0".into()), ..npm };
    assert_eq!(uses(old.clone()).await, []);
    let own = PackageFilter { workflow: Some(workflow), ..PackageFilter::default() };
    assert_eq!(uses(own).await, [hello("@acme/greet"), hello("greet")]);

    // Going back goes back to the packages, too, though `^1.0.0` would choose others today.
    let plan = world.flow.plan(&permit, owned(&borrowed(&one))).await.unwrap();
    assert_eq!(plan.action, PlanAction::Reactivate);
    assert_eq!(rows(&plan)[0], row(Ecosystem::Npm, "@acme/greet", "1.0.0", Some("1.1.0")));
    world.deploy(&borrowed(&one)).await.unwrap();
    assert_eq!(returned(&world.run(workflow).await), first);
    assert_eq!(uses(old).await.len(), 1);
    world.stop().await;
}

async fn what_the_registry_refuses_is_not_deployed(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let files = folder("^1.0.0", "1.0.0");
    let refused = world.deploy(&borrowed(&files)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PackagesUnresolved, "{}", refused.public());
    publish(&world, "1.0.0");
    // A lock with a digest of something else.
    let digest = data_encoding::BASE64.encode(&[0; 64]);
    let lock = json!({
        "lockfileVersion": 3,
        "packages": {
            "": { "dependencies": { "@acme/greet": "^1.0.0" } },
            "node_modules/@acme/greet": { "version": "1.0.0", "integrity": format!("sha512-{digest}") },
        },
    });
    let lock = lock.to_string();
    let mut with_lock = borrowed(&files);
    with_lock.push(("package-lock.json", &lock));
    let refused = world.deploy(&with_lock).await.unwrap_err();
    assert_eq!(refused.code(), Code::IntegrityMismatch, "{}", refused.public());
    // Code that imports what the packages have not.
    let mut other = borrowed(&files);
    other[3].1 = "import missing from '@acme/missing'; export default missing;";
    let refused = world.deploy(&other).await.unwrap_err();
    assert_eq!(refused.code(), Code::SyntaxError, "{}", refused.public());
    assert!(refused.public().contains("@acme/missing"), "{}", refused.public());
    assert!(world.flow.workflow_named(&world.permit(), "hello").await.is_err());
    world.stop().await;
}

async fn an_install_script_runs_if_its_package_is_named(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    world.registry.publish(&Npm {
        manifest: json!({ "scripts": { "postinstall": "echo \"module.exports = 'made';\" > made.js" } }),
        ..Npm::new("maker", "1.0.0", &[("index.js", "try { module.exports = require('./made.js'); } catch { module.exports = 'not made'; }")])
    });
    let asks = r#"{ "dependencies": { "maker": "1.0.0" } }"#;
    let step = "import maker from 'maker'; export default () => maker;";
    let manifest = |more: &str| {
        format!(
            "name: maker\ntrigger: {{ http: {{ auth: none }} }}\n{more}steps:\n  - {{ name: a, run: ./a.mjs }}\n"
        )
    };
    let permit = world.permit::<action::Deploy>();
    for (more, script, gives) in [
        ("", InstallScript::LeftOut, "not made"),
        ("install_scripts: [maker]\n", InstallScript::Run, "made"),
    ] {
        let manifest = manifest(more);
        let files = [("workflow.yaml", manifest.as_str()), ("package.json", asks), ("a.mjs", step)];
        let plan = world.flow.plan(&permit, owned(&files)).await.unwrap();
        assert_eq!(plan.packages[0].script, script);
        let workflow = world.deploy(&files).await.unwrap();
        assert_eq!(returned(&world.run(workflow).await), json!([gives]));
    }
    let manifest = manifest("install_scripts: [other]\n");
    let files = [("workflow.yaml", manifest.as_str()), ("package.json", asks), ("a.mjs", step)];
    let refused = world.deploy(&files).await.unwrap_err();
    assert!(matches!(
        refused,
        causeway_flow::FlowError::Packages(PackagesError::NoSuchScript { .. })
    ));
    world.stop().await;
}
