//! Which crate may use which: the layout of `ARCHITECTURE.md` as data.

use super::Finding;
use super::tree::{Tree, line_of};
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A crate and the crates of ours that it may depend on. Every crate may use `types`.
struct Row {
    name: &'static str,
    uses: &'static [&'static str],
    why: &'static str,
}

const fn row(name: &'static str, uses: &'static [&'static str], why: &'static str) -> Row {
    Row { name, uses, why }
}

const TABLE: &[Row] = &[
    row("types", &[], "the words of the product: no I/O, nothing of ours below it"),
    row("crypto", &[], "sealing of bytes; it knows neither rows nor providers"),
    row("store-sqlite", &[], "the shared queries, checked against SQLite"),
    row("store-postgres", &[], "the shared queries, checked against PostgreSQL"),
    row("store", &["store-sqlite", "store-postgres"], "transactions, journal and audit chain"),
    row("vault", &["store", "crypto"], "the only crate that opens a seal"),
    row("net", &[], "the only crate that opens sockets outward"),
    row("catalog", &[], "app definitions are data; reading them needs nothing else"),
    row("identity", &["store", "vault", "net"], "API keys and permits"),
    row(
        "audit",
        &["store", "identity"],
        "signs with identity's keys what the store holds, and demands its permits",
    ),
    row(
        "disclosure",
        &["store", "identity", "net"],
        "keeps encrypted reports, demands identity's permit to read them, and mails them through net",
    ),
    row(
        "webhooks",
        &["store", "vault", "net", "identity"],
        "its functions demand identity's Permit (docs/adr/0004-permits.md); it seals what it keeps and sends through net",
    ),
    row(
        "connect",
        &["store", "vault", "net", "catalog", "identity", "webhooks"],
        "its functions demand identity's Permit (docs/adr/0004-permits.md)",
    ),
    row("sandbox", &["net"], "knows programs and steps, not workflows; sockets are net's"),
    row(
        "packages",
        &["net", "sandbox"],
        "chooses packages in a sandbox and fetches them through net; which versions use them is flow's",
    ),
    row(
        "flow",
        &["store", "vault", "catalog", "identity", "connect", "sandbox", "packages"],
        "its functions demand identity's Permit (docs/adr/0004-permits.md); it seals events and step records and reads which hosts an app has",
    ),
    row(
        "api",
        &[
            "store",
            "vault",
            "catalog",
            "identity",
            "audit",
            "disclosure",
            "webhooks",
            "connect",
            "sandbox",
            "flow",
        ],
        "translates requests; never opens a seal, so not crypto, and calls nobody, so not net",
    ),
    row(
        "causeway",
        &[
            "store",
            "vault",
            "net",
            "catalog",
            "identity",
            "audit",
            "disclosure",
            "webhooks",
            "connect",
            "sandbox",
            "packages",
            "flow",
            "api",
        ],
        "wires everything; crypto stays behind the vault",
    ),
    row("simulators", &["net", "catalog"], "stand-ins of third parties for tests and the demo"),
    row("testkit", &["net"], "starts counterparts for tests"),
    row("xtask", &["catalog", "testkit"], "the chores"),
];

/// What any crate may use in its tests beside what it may use anyway.
const IN_TESTS: &[&str] = &["testkit", "simulators"];

/// Packages of others that only some crates may name, and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (
        &["sqlx"],
        &["types", "store", "store-sqlite", "store-postgres", "xtask"],
        "SQL stands in the store alone",
    ),
    (
        &["hyper-rustls", "rustls-native-certs", "reqwest"],
        &["net", "simulators", "testkit"],
        "Only net opens sockets outward",
    ),
    (
        &["tokio-rustls", "hyper-util"],
        // causeway serves connections that come in, and sandbox those of its own code to linked
        // apps; clippy.toml keeps both from opening any.
        &["net", "simulators", "testkit", "causeway", "sandbox"],
        "Only net opens sockets outward",
    ),
    (&["pgp", "lettre"], &["disclosure"], "OpenPGP and mail are for reports of vulnerabilities"),
    (
        &["aws-config", "aws-sdk-kms"],
        &["vault"],
        "The KMS client makes its own connections and is the one exception (docs/adr/0005-aws-sdk-connections.md)",
    ),
    (
        &["nix", "caps", "seccompiler", "landlock"],
        &["sandbox"],
        "System calls that make a jail stand in the sandbox alone",
    ),
];

/// The binary that is released.
const RELEASED: &str = "causeway";
/// What it must not hold.
const NEVER_RELEASED: &[&str] = &["simulators", "testkit", "xtask"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package of the workspace, as `cargo metadata` shows it.
#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

pub(super) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let mut packages = metadata.packages;
    for package in &mut packages {
        let manifest = Path::new(&package.manifest_path);
        package.manifest_path =
            manifest.strip_prefix(root).unwrap_or(manifest).display().to_string();
    }
    Ok(packages)
}

pub(super) fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let path = &package.manifest_path;
        let name = short(&package.name);
        let text = tree.text(path).unwrap_or_default();
        let Some(row) = TABLE.iter().find(|row| row.name == name) else {
            findings.push(Finding::new(
                path,
                1,
                format!("`{name}` is not in the table of crates"),
                "A crate has a place in the layout before it has contents",
                "Give it a row in `xtask/src/tidy/edges.rs` and a line in `ARCHITECTURE.md`",
            ));
            continue;
        };
        let below = reachable(packages, name);
        for dependency in &package.dependencies {
            let at = line_of(text, &dependency.name);
            let to = short(&dependency.name);
            let in_tests = dependency.kind.as_deref() == Some("dev");
            if dependency.path.is_some() {
                let allowed = to == name
                    || to == "types"
                    || row.uses.contains(&to)
                    // A test may put together by hand whatever its crate stands on anyway.
                    || (in_tests && (IN_TESTS.contains(&to) || below.contains(&to)));
                if !allowed {
                    findings.push(Finding::new(
                        path,
                        at,
                        format!("`{name}` may not use `{to}` ({})", row.why),
                        "Dependencies point inward, so that a crate can be understood without those above it",
                        "Move the code to the crate that may, or argue the new edge in an ADR and add it to `xtask/src/tidy/edges.rs`",
                    ));
                }
            }
            let reserved = RESERVED
                .iter()
                .find(|(names, crates, _)| names.contains(&to) && !crates.contains(&name));
            if let Some((_, crates, why)) = reserved.filter(|_| !in_tests) {
                findings.push(Finding::new(
                    path,
                    at,
                    format!("`{name}` may not use `{to}`"),
                    why,
                    format!("Go through {}", crates.join(" or ")),
                ));
            }
        }
    }
    for crate_name in reachable(packages, RELEASED) {
        if NEVER_RELEASED.contains(&crate_name) {
            findings.push(Finding::new(
                "crates/causeway/Cargo.toml",
                1,
                format!("the released binary holds `{crate_name}`"),
                "What stands in for third parties in tests must not be reachable in production",
                "Depend on it under `[dev-dependencies]` alone",
            ));
        }
    }
    findings
}

/// The crates of ours that end up in a crate's binary.
fn reachable<'a>(packages: &'a [Package], from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        let package = packages.iter().find(|package| short(&package.name) == name);
        for dependency in package.into_iter().flat_map(|package| &package.dependencies) {
            let ours = dependency.path.is_some() && dependency.kind.as_deref() != Some("dev");
            if ours && found.insert(short(&dependency.name)) {
                open.push(short(&dependency.name));
            }
        }
    }
    found
}

fn short(name: &str) -> &str {
    name.strip_prefix("causeway-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(ToOwned::to_owned),
            path: name.starts_with("causeway-").then(|| "somewhere".to_owned()),
        });
        Package {
            name: name.to_owned(),
            manifest_path: format!("crates/{}/Cargo.toml", short(name)),
            dependencies: dependencies.collect(),
        }
    }

    fn found(packages: &[Package]) -> Vec<String> {
        let tree =
            Tree::of([("crates/net/Cargo.toml", "[package]\n\n[dependencies]\ncauseway-vault\n")]);
        check(packages, &tree).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_found_at_its_line() {
        let packages =
            [package("causeway-net", &[("causeway-types", None), ("causeway-vault", None)])];
        let tree =
            Tree::of([("crates/net/Cargo.toml", "[package]\n\n[dependencies]\ncauseway-vault\n")]);
        let findings = check(&packages, &tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 4);
        assert!(findings[0].what.starts_with("`net` may not use `vault`"));
    }

    #[test]
    fn test_helpers_are_for_tests() {
        assert_eq!(
            found(&[package("causeway-net", &[("causeway-testkit", Some("dev"))])]),
            [""; 0]
        );
        assert_eq!(found(&[package("causeway-net", &[("causeway-testkit", None)])]).len(), 1);
    }

    #[test]
    fn a_reserved_package_is_found() {
        let expected = ["`flow` may not use `sqlx`"];
        assert_eq!(found(&[package("causeway-flow", &[("sqlx", None)])]), expected);
    }

    #[test]
    fn a_simulator_in_the_release_is_found_through_others() {
        let packages = [
            package("causeway", &[("causeway-api", None)]),
            package("causeway-api", &[("causeway-simulators", None)]),
        ];
        let what = found(&packages);
        assert!(what.contains(&"the released binary holds `simulators`".to_owned()), "{what:?}");
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(found(&[package("causeway-new", &[])]), ["`new` is not in the table of crates"]);
    }
}
