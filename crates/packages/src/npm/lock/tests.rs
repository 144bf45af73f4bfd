use super::*;
use causeway_types::{Code, Coded};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::time::Duration;

fn registry(url: &str) -> Registry {
    let guard = causeway_net::Guard::new(
        causeway_net::GuardConfig::default(),
        causeway_net::SystemResolver,
    );
    let http = causeway_net::HttpClient::new(guard, &causeway_net::HttpConfig::default()).unwrap();
    let config = crate::PackagesConfig {
        folder: "unused".into(),
        npm_registry: url.parse().unwrap(),
        pypi_index: crate::PYPI_INDEX.parse().unwrap(),
        pypi_hosts: Vec::new(),
        cooldown: Duration::ZERO,
        cooldown_except: Vec::new(),
        extra_roots: None,
        tier: causeway_sandbox::Tier::Jail,
    };
    Registry::new(http, &config)
}

fn digest() -> String {
    format!("sha512-{}", BASE64.encode(&[1; 64]))
}

/// Reads a lock whose folder asks for `a`, with these entries beside it.
fn read_with(entries: &Value) -> Result<Vec<Package>, PackagesError> {
    let mut packages = json!({ "": { "dependencies": { "a": "^1.0.0" } } });
    for (place, entry) in entries.as_object().unwrap() {
        packages[place] = entry.clone();
    }
    let lock = json!({ "lockfileVersion": 3, "packages": packages }).to_string();
    let asked =
        Asked { dependencies: [("a".to_owned(), "^1.0.0".to_owned())].into(), ..Asked::default() };
    read(lock.as_bytes(), &asked, &registry("https://mirror.example/npm"))
}

fn entry(more: &Value) -> Value {
    let mut entry = json!({ "version": "1.2.3", "integrity": digest() });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

#[test]
fn packages_are_read_with_their_places() {
    let packages = read_with(&json!({
        "node_modules/a": entry(&json!({ "hasInstallScript": true })),
        "node_modules/a/node_modules/@s/b":
            entry(&json!({ "resolved": "https://registry.npmjs.org/@s/b/-/b-1.2.3.tgz" })),
        "node_modules/alias": entry(&json!({
            "name": "real", "resolved": "https://mirror.example/npm/real/-/real-1.2.3.tgz",
        })),
        "node_modules/dev": entry(&json!({ "dev": true })),
        "node_modules/a/node_modules/bundled": { "inBundle": true },
        "node_modules/mac": entry(&json!({ "optional": true, "os": ["darwin"] })),
        "node_modules/not-windows": entry(&json!({ "optional": true, "os": "!win32" })),
    }))
    .unwrap();
    let seen: Vec<_> = packages
        .iter()
        .map(|one| (one.place.as_str(), one.name.as_str(), one.source.as_str(), one.has_script))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", "a", "a/-/a-1.2.3.tgz", true),
            ("a/node_modules/@s/b", "@s/b", "@s/b/-/b-1.2.3.tgz", false),
            ("alias", "real", "real/-/real-1.2.3.tgz", false),
            ("not-windows", "not-windows", "not-windows/-/not-windows-1.2.3.tgz", false),
        ]
    );
}

#[test]
fn places_other_than_the_registry_are_refused() {
    for resolved in [
        "https://evil.example/a/-/a-1.2.3.tgz",
        "https://mirror.example/other/a/-/a-1.2.3.tgz",
        "https://mirror.example:8443/npm/a/-/a-1.2.3.tgz",
        "http://mirror.example/npm/a/-/a-1.2.3.tgz",
        "https://user:secret@mirror.example/npm/a/-/a-1.2.3.tgz",
        "https://mirror.example/npm/../evil/a.tgz",
        "git+ssh://git@github.com/evil/a.git#0123",
        "file:../a.tgz",
        "https://registry.npmjs.org.evil.example/a/-/a-1.2.3.tgz",
    ] {
        let refused =
            read_with(&json!({ "node_modules/a": entry(&json!({ "resolved": resolved })) }));
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::ForeignRegistry, "{resolved}");
        assert!(!refused.public().contains("secret"), "{}", refused.public());
    }
}

#[test]
fn what_no_lock_of_npm_holds_is_refused() {
    for (place, entry, word) in [
        (
            "node_modules/a",
            json!({ "version": "1.0.0", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" }),
            "digest",
        ),
        ("node_modules/a", json!({ "version": "1.0.0" }), "digest"),
        ("node_modules/a", json!({ "link": true, "resolved": "lib" }), "link"),
        ("lib", entry(&json!({})), "workspaces"),
        ("node_modules/../../etc", entry(&json!({})), "folder itself"),
        ("node_modules/a/b", entry(&json!({})), "no place"),
        ("node_modules/.bin", entry(&json!({})), "no place"),
        ("node_modules/a", entry(&json!({ "version": "../1" })), "no version"),
        ("node_modules/a", entry(&json!({ "os": ["win32"] })), "other machines"),
    ] {
        let refused = read_with(&json!({ place: entry })).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidLock);
        assert!(refused.public().contains(word), "{place}: {}", refused.public());
    }
}

#[test]
fn a_lock_of_something_else_is_refused() {
    let asked =
        Asked { dependencies: [("a".to_owned(), "^2.0.0".to_owned())].into(), ..Asked::default() };
    for (text, word) in [
        (
            json!({ "lockfileVersion": 3, "packages": { "": { "dependencies": { "a": "^1.0.0" } } } }),
            "asks otherwise for `a`",
        ),
        (json!({ "lockfileVersion": 1, "dependencies": {} }), "npm 7"),
        (json!({ "lockfileVersion": 3 }), "made for"),
    ] {
        let refused =
            read(text.to_string().as_bytes(), &asked, &registry("https://mirror.example/npm/"));
        let refused = refused.unwrap_err();
        assert!(refused.public().contains(word), "{}", refused.public());
    }
}
