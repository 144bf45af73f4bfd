//! Packages for Python.

use crate::kit::{DAY, World, names};
use crate::stand_in::OLD;
use causeway_packages::PackagesConfig;
use causeway_sandbox::Runtime;
use causeway_types::{Clock, Code, Coded, SystemClock};

const STEP: &str = "import greet\ndef handler(pd):\n    return greet.greet('Ada')";

fn publish(world: &World) -> String {
    let hello = [("hello.py", "def hello(name):\n    return f'hello {name}'\n")];
    world.registry.publish_wheel("say_hello", "2.1.0", &[], &hello, OLD);
    let greet = [(
        "greet/__init__.py",
        "from hello import hello\n\ndef greet(name):\n    return hello(name) + '!'\n",
    )];
    world.registry.publish_wheel("greet", "1.4.0", &["say-hello>=2"], &greet, OLD)
}

#[tokio::test]
async fn packages_are_chosen_by_pip_and_imported_by_a_step() {
    let world = World::new().await;
    publish(&world);
    let packages = world.packages();
    let files = [("requirements.txt", "greet~=1.4  # says hello\n")];
    let found = world.resolve_with(&packages, &files, &[], None).await.unwrap();
    assert_eq!(names(&found), ["greet 1.4.0", "say_hello 2.1.0"]);
    assert_eq!(world.returned(&packages, &found, Runtime::Python, STEP).await, "hello Ada!");

    // The lock that was made serves as one, beside the requirements or in their place.
    let lock = found.made["requirements.lock"].text.clone();
    assert!(lock.contains("greet==1.4.0 \\\n    --hash=sha256:"), "{lock}");
    for files in [
        vec![("requirements.txt", "greet~=1.4"), ("requirements.lock", &*lock)],
        vec![("requirements.txt", &*lock)],
    ] {
        let again = world.resolve(&files).await.unwrap();
        assert_eq!(again.layers, found.layers);
    }
    // What the version before had of the same lock needs neither pip nor the index.
    world.registry.asked();
    let files = [("requirements.txt", lock.as_str())];
    let again = world.resolve_with(&packages, &files, &[], Some(&found)).await.unwrap();
    assert_eq!(again.layers, found.layers);
    assert_eq!(world.registry.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wheel_with_another_digest_is_refused() {
    let world = World::new().await;
    publish(&world);
    let lock = format!(
        "greet==1.4.0 --hash=sha256:{}\nsay-hello==2.1.0 --hash=sha256:{}\n",
        "0".repeat(64),
        "1".repeat(64)
    );
    let refused = world.resolve(&[("requirements.txt", &lock)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PackagesUnresolved);
    assert!(refused.public().contains("DO NOT MATCH THE HASHES"), "{}", refused.public());
}

#[tokio::test]
async fn young_versions_are_refused() {
    let world = World::new().await;
    let yesterday = SystemClock.now().minus(DAY).to_string();
    world.registry.publish_wheel("greet", "1.9.0", &[], &[("greet.py", "")], &yesterday);
    let refused = world.resolve(&[("requirements.txt", "greet")]).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReleaseTooYoung, "{}", refused.public());
    let public = refused.public();
    assert!(public.contains("`greet` 1.9.0") && public.contains("24 hours"), "{public}");
    let config = PackagesConfig { cooldown_except: vec!["Greet".into()], ..world.config() };
    let packages = world.packages_with(config);
    let found = world.resolve_with(&packages, &[("requirements.txt", "greet")], &[], None).await;
    assert_eq!(names(&found.unwrap()), ["greet 1.9.0"]);
}

#[tokio::test]
async fn packages_that_would_have_to_be_built_are_refused() {
    let world = World::new().await;
    world.registry.publish_file("greet", "greet-1.0.0.tar.gz", b"setup.py would run".to_vec(), OLD);
    let refused = world.resolve(&[("requirements.txt", "greet")]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PackagesUnresolved);
    assert!(refused.public().contains("greet"), "{}", refused.public());
}

#[tokio::test]
async fn an_index_that_sends_elsewhere_is_not_followed() {
    let (world, other) = (World::new().await, crate::stand_in::StandIn::start());
    let sha256 = other.publish_wheel("greet", "1.0.0", &[], &[("greet.py", "")], OLD);
    let file = "greet-1.0.0-py3-none-any.whl";
    // Another port of this machine, which the sandbox's rules by host let through.
    let listing = serde_json::json!({
        "meta": { "api-version": "1.1" }, "name": "greet",
        "files": [{ "filename": file, "url": other.url(&format!("files/{file}")), "hashes": { "sha256": sha256 }, "upload-time": OLD }],
    });
    world.registry.put(
        "simple/greet/",
        "application/vnd.pypi.simple.v1+json",
        listing.to_string().into_bytes(),
    );
    let refused = world.resolve(&[("requirements.txt", "greet")]).await.unwrap_err();
    assert_eq!(refused.code(), Code::ForeignRegistry, "{}", refused.public());
}
