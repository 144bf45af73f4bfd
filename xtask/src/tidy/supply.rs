//! The part of `deny.toml` that needs no network: banned packages, licences, duplicates and
//! sources. `make deny` runs cargo-deny itself, with the advisories.

use super::Finding;
use super::spdx;
use super::tree::{Tree, line_of, numbered};
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const CONFIG: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";

#[derive(Deserialize)]
struct Config {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    #[serde(default)]
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    /// `name`, or `name@version`.
    #[serde(rename = "crate")]
    name: String,
    reason: Option<String>,
    /// Packages that may bring a banned one all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

impl Named {
    /// Whether it names this version; `name@1.2` names every `1.2.x`.
    fn is(&self, name: &str, version: &str) -> bool {
        match self.name.split_once('@') {
            None => self.name == name,
            Some((own, wanted)) => {
                own == name
                    && version
                        .strip_prefix(wanted)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '+']))
            }
        }
    }
}

/// What a build for one of the targets uses: versions by name, licences by name, and who brings
/// each.
#[derive(Default)]
pub(super) struct Used {
    versions: BTreeMap<String, BTreeSet<String>>,
    licences: BTreeMap<String, String>,
    bringers: BTreeMap<String, BTreeSet<String>>,
}

impl Used {
    /// Asks cargo, which knows what features switch on; `cargo metadata` shows more than that.
    pub(super) fn read(root: &Path, tree: &Tree) -> anyhow::Result<Self> {
        let mut used = Self::default();
        for target in config(tree)?.graph.targets {
            let output = Command::new("cargo")
                .args(["tree", "--workspace", "--all-features", "--edges", "normal,build,dev"])
                .args(["--prefix", "depth", "--format", "|{p}|{l}", "--target", &target])
                .current_dir(root)
                .output()
                .context("running cargo tree")?;
            ensure!(
                output.status.success(),
                "cargo tree failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let mut above = Vec::new();
            for line in String::from_utf8(output.stdout)?.lines() {
                used.add(line, &mut above);
            }
        }
        Ok(used)
    }

    /// Takes in a line of cargo's: `depth|name v1.2.3 (notes)|licence`, perhaps with ` (*)`.
    /// `above` are the names that lead to it, which this line changes.
    fn add(&mut self, line: &str, above: &mut Vec<String>) {
        let Some((depth, (package, licence))) =
            line.split_once('|').and_then(|(depth, rest)| Some((depth, rest.split_once('|')?)))
        else {
            return;
        };
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { return };
        let version = version.trim_start_matches('v').to_owned();
        above.truncate(depth.parse().unwrap_or(0));
        if let Some(bringer) = above.last() {
            self.bringers.entry(name.to_owned()).or_default().insert(bringer.clone());
        }
        above.push(name.to_owned());
        self.versions.entry(name.to_owned()).or_default().insert(version);
        self.licences.insert(name.to_owned(), licence.trim_end_matches(" (*)").to_owned());
    }
}

fn config(tree: &Tree) -> anyhow::Result<Config> {
    let text = tree.text(CONFIG).context("reading deny.toml")?;
    toml::from_str(text).context("reading deny.toml")
}

pub(super) fn check(tree: &Tree, used: &Used) -> anyhow::Result<Vec<Finding>> {
    let config = config(tree)?;
    let text = tree.text(CONFIG).unwrap_or_default();
    let lock = tree.text(LOCK).unwrap_or_default();
    let mut findings = sources(lock);
    findings.extend(banned(&config, used, lock));
    findings.extend(duplicates(&config, used, text, lock));
    for (name, licence) in &used.licences {
        let exception = config.licenses.exceptions.iter().find(|exception| exception.name == *name);
        let extra = exception.map_or(&[][..], |exception| &exception.allow);
        let allowed = |licence: &str| {
            config.licenses.allow.iter().chain(extra).any(|allowed| allowed == licence)
        };
        if !spdx::met(licence, &allowed) {
            findings.push(Finding::new(
                LOCK,
                line_of(lock, &format!("name = \"{name}\"")),
                format!("`{name}` is under `{licence}`"),
                "Causeway is passed on under Apache-2.0 with everything that it links",
                format!("Use another package, or allow the licence in `{CONFIG}` after reading it"),
            ));
        }
    }
    Ok(findings)
}

fn banned(config: &Config, used: &Used, lock: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ban in config.bans.deny.iter().filter(|ban| used.versions.contains_key(&ban.name)) {
        let bringers = used.bringers.get(&ban.name).into_iter().flatten();
        let others: Vec<&str> = bringers
            .filter(|bringer| !ban.wrappers.contains(bringer))
            .map(String::as_str)
            .collect();
        if !ban.wrappers.is_empty() && others.is_empty() {
            continue;
        }
        let reason = ban.reason.as_deref().unwrap_or("no reason given");
        let by =
            if others.is_empty() { String::new() } else { format!(" (by {})", others.join(", ")) };
        findings.push(Finding::new(
            LOCK,
            line_of(lock, &format!("name = \"{}\"", ban.name)),
            format!("`{}` is banned{by}: {reason}", ban.name),
            "What deny.toml bans is not linked",
            format!(
                "See who brings it with `cargo tree --workspace -i {}` and switch that feature off",
                ban.name
            ),
        ));
    }
    findings
}

/// Two versions of a package are compiled, reviewed and patched twice.
fn duplicates(config: &Config, used: &Used, text: &str, lock: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, versions) in used.versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let skipped = |version: &str| config.bans.skip.iter().any(|skip| skip.is(name, version));
        let left: Vec<&str> =
            versions.iter().map(String::as_str).filter(|version| !skipped(version)).collect();
        if left.len() > 1 {
            findings.push(Finding::new(
                LOCK,
                line_of(lock, &format!("name = \"{name}\"")),
                format!("`{name}` is there in the versions {}", left.join(", ")),
                "Each version is compiled, reviewed and patched for itself",
                format!("Agree on one, or skip the older in `{CONFIG}` with who brings it"),
            ));
        }
    }
    for skip in &config.bans.skip {
        let mut at = |what: String, why, remedy: &str| {
            findings.push(Finding::new(CONFIG, line_of(text, &skip.name), what, why, remedy));
        };
        if skip.reason.as_deref().is_none_or(str::is_empty) {
            at(
                format!("`{}` is skipped without a reason", skip.name),
                "An exception that nobody can argue with stays for ever",
                "Say who brings the second version",
            );
        }
        let needed = used.versions.iter().any(|(name, versions)| {
            versions.len() > 1 && versions.iter().any(|version| skip.is(name, version))
        });
        if !needed {
            at(
                format!("`{}` is skipped but not there twice", skip.name),
                "A list with more than it needs hides what is new",
                "Take the line out",
            );
        }
    }
    findings
}

/// Everything comes from the registry of the Rust project or from this repository.
fn sources(lock: &str) -> Vec<Finding> {
    numbered(lock)
        .filter(|(_, line)| line.starts_with("source = \"git+"))
        .map(|(number, line)| {
            Finding::new(
                LOCK,
                number,
                format!("`{line}` is no release"),
                "A commit in somebody's repository is neither published nor immutable",
                "Use a released version",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
[graph]
targets = ["x"]
[licenses]
allow = ["MIT"]
exceptions = [{ crate = "roots", allow = ["CDLA-Permissive-2.0"] }]
[bans]
deny = [{ crate = "openssl", reason = "one TLS" }, { crate = "rsa", reason = "slow", wrappers = ["pgp"] }]
skip = [{ crate = "old@1.0", reason = "brought by x" }, { crate = "gone@1.0.0", reason = "was" }]
"#;

    fn found(lines: &[&str]) -> Vec<String> {
        let mut used = Used::default();
        let mut above = Vec::new();
        for line in lines {
            used.add(line, &mut above);
        }
        let tree = Tree::of([(CONFIG, DENY), (LOCK, "source = \"git+https://x.example\"\n")]);
        let mut found: Vec<_> =
            check(&tree, &used).unwrap().into_iter().map(|finding| finding.what).collect();
        found.retain(|what| !what.contains("not there twice") && !what.contains("git+"));
        found
    }

    #[test]
    fn bans_licences_and_duplicates_are_found() {
        assert_eq!(found(&["0|a v1.0.0|MIT", "0|a v1.0.0|MIT (*)"]), [""; 0]);
        assert_eq!(found(&["0|a v1.0.0|GPL-3.0"]), ["`a` is under `GPL-3.0`"]);
        assert_eq!(found(&["0|roots v1.0.0|CDLA-Permissive-2.0"]), [""; 0]);
        let banned = found(&["0|a v1.0.0|MIT", "1|openssl v1.0.0|MIT"]);
        assert_eq!(banned, ["`openssl` is banned (by a): one TLS"]);
        let twice = found(&["0|a v1.0.0+x|MIT", "0|a v2.0.0|MIT"]);
        assert_eq!(twice, ["`a` is there in the versions 1.0.0+x, 2.0.0"]);
        assert_eq!(found(&["0|old v1.0.3+x|MIT", "0|old v2.0.0|MIT"]), [""; 0]);
        assert_eq!(found(&["0|old v1.1.0|MIT", "0|old v2.0.0|MIT"]).len(), 1);
    }

    #[test]
    fn a_banned_package_comes_in_through_its_wrapper_alone() {
        let through = ["0|a v1.0.0|MIT", "1|pgp v1.0.0|MIT", "2|rsa v1.0.0|MIT", "2|b v1.0.0|MIT"];
        assert_eq!(found(&through), [""; 0]);
        let beside = [&through[..], &["1|rsa v1.0.0|MIT (*)"]].concat();
        assert_eq!(found(&beside), ["`rsa` is banned (by a): slow"]);
    }

    #[test]
    fn a_skip_that_is_not_needed_and_a_git_source_are_found() {
        let tree = Tree::of([(CONFIG, DENY), (LOCK, "source = \"git+https://x.example\"\n")]);
        let found = check(&tree, &Used::default()).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
