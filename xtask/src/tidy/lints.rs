//! Every package takes the workspace's lints. One that must use `unsafe` writes the table out
//! again, since cargo cannot inherit and override, and differs in that lint alone.

use super::Finding;
use super::tree::{Tree, line_of};
use anyhow::Context;
use toml::{Table, Value};

/// Packages that may use `unsafe`, and why.
const UNSAFE: &[(&str, &str)] =
    &[("crates/sandbox/Cargo.toml", "no crate wraps every system call that a jail takes")];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let workspace = parse(tree, "Cargo.toml")?;
    let wanted = workspace.get("workspace").and_then(|table| table.get("lints"));
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        if !path.ends_with("/Cargo.toml") {
            continue;
        }
        let manifest = parse(tree, path)?;
        let lints = manifest.get("lints");
        if lints.and_then(|table| table.get("workspace")) == Some(&Value::Boolean(true)) {
            continue;
        }
        let Some((_, _)) = UNSAFE.iter().find(|(package, _)| *package == path) else {
            findings.push(Finding::new(
                path,
                1,
                "the package does not take the workspace's lints",
                "A package without them is a place where the rules do not hold",
                "Add `[lints]` with `workspace = true`",
            ));
            continue;
        };
        for (group, name, level) in each(wanted) {
            let own = lints.and_then(|table| table.get(&group)).and_then(|table| table.get(&name));
            let right = if name == "unsafe_code" {
                own == Some(&Value::String("deny".to_owned()))
            } else {
                own == Some(&level)
            };
            if !right {
                findings.push(Finding::new(
                    path,
                    line_of(text, "[lints"),
                    format!("the lint `{name}` is not what the workspace says"),
                    "This package may differ in `unsafe_code` alone, which it denies and expects with a reason where it must",
                    "Copy the line from the root `Cargo.toml`",
                ));
            }
        }
    }
    Ok(findings)
}

fn parse(tree: &Tree, path: &str) -> anyhow::Result<Table> {
    let text = tree.text(path).with_context(|| format!("reading {path}"))?;
    text.parse().with_context(|| format!("reading {path}"))
}

/// Group, name and level of every lint of a table of lints.
fn each(lints: Option<&Value>) -> Vec<(String, String, Value)> {
    let groups = lints.and_then(Value::as_table).into_iter().flatten();
    groups
        .flat_map(|(group, lints)| {
            let lints = lints.as_table().into_iter().flatten();
            lints.map(move |(name, level)| (group.clone(), name.clone(), level.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: (&str, &str) = (
        "Cargo.toml",
        "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\ntodo = \"deny\"\n",
    );

    fn found(path: &str, manifest: &str) -> Vec<String> {
        let tree = Tree::of([WORKSPACE, (path, manifest)]);
        check(&tree).unwrap().into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_package_without_the_lints_is_found() {
        assert_eq!(found("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"), [""; 0]);
        let missing = found("crates/a/Cargo.toml", "[package]\nname = \"a\"\n");
        assert_eq!(missing, ["the package does not take the workspace's lints"]);
    }

    #[test]
    fn the_sandbox_may_differ_in_unsafe_code_alone() {
        let sandbox = "crates/sandbox/Cargo.toml";
        let rust = "[lints.rust]\nunsafe_code = \"deny\"\n";
        assert_eq!(found(sandbox, &format!("{rust}[lints.clippy]\ntodo = \"deny\"\n")), [""; 0]);
        assert_eq!(found(sandbox, rust), ["the lint `todo` is not what the workspace says"]);
    }
}
