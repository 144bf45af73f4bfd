//! `package-lock.json` (npm's documentation, "package-lock.json", versions 2 and 3).

use super::{Asked, LOCK, package};
use crate::Package;
use crate::archive::is_plain;
use crate::error::PackagesError;
use crate::registry::Registry;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "lockfileVersion", default)]
    version: u64,
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "npm's own form")]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    dev: bool,
    optional: bool,
    in_bundle: bool,
    link: bool,
    has_install_script: bool,
    os: Words,
    cpu: Words,
    libc: Words,
    dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
}

/// A word or several: both are to be found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl Default for Words {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Words {
    /// Whether they let something be: listed, or not excluded.
    fn allow(&self, word: &str) -> bool {
        let words = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        };
        let excluded = words.iter().any(|one| one.strip_prefix('!') == Some(word));
        let listed = words.iter().filter(|one| !one.starts_with('!'));
        let is_open = listed.clone().next().is_none();
        !excluded && (is_open || listed.into_iter().any(|one| one == word || one == "any"))
    }
}

impl Entry {
    fn fits_here(&self) -> bool {
        let cpu = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        self.os.allow("linux") && self.cpu.allow(cpu) && self.libc.allow("glibc")
    }
}

/// The packages that a lock names for this machine.
pub(super) fn read(
    text: &[u8],
    asked: &Asked,
    registry: &Registry,
) -> Result<Vec<Package>, PackagesError> {
    let refuse = |what: String| PackagesError::Lock { file: LOCK, what };
    let lock: Lock = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
    if !matches!(lock.version, 2 | 3) {
        return Err(refuse(format!(
            "it has the version {} of its form, and 2 and 3 are read: make it anew with npm 7 or \
             later",
            lock.version
        )));
    }
    let Some(root) = lock.packages.get("") else {
        return Err(refuse("it does not say what it was made for".to_owned()));
    };
    for (has, wants) in
        [(&root.dependencies, &asked.dependencies), (&root.optional_dependencies, &asked.optional)]
    {
        let differs = |one: &&String| has.get(*one) != wants.get(*one);
        if let Some(name) = wants.keys().chain(has.keys()).find(differs) {
            return Err(refuse(format!(
                "it was made for another package.json, which asks otherwise for `{name}`: run \
                 `npm install --package-lock-only`"
            )));
        }
    }
    let mut packages = Vec::new();
    for (path, entry) in lock.packages.iter().filter(|(path, _)| !path.is_empty()) {
        // Of development's packages nothing is imported; what comes in another's archive is there.
        if entry.dev || entry.in_bundle {
            continue;
        }
        let Some(place) = path.strip_prefix("node_modules/").filter(|place| is_plain(place)) else {
            return Err(refuse(format!(
                "`{path}` is a package of the folder itself: workspaces are not installed"
            )));
        };
        let folder = place.rsplit("node_modules/").next().unwrap_or(place);
        let name = entry.name.as_deref().unwrap_or(folder);
        if entry.link {
            return Err(refuse(format!(
                "`{name}` is a link to a folder: packages come from the registry alone"
            )));
        }
        if !is_name(name) || !is_name(folder) {
            return Err(refuse(format!("`{path}` is no place of a package")));
        }
        if !entry.fits_here() {
            if entry.optional {
                continue;
            }
            return Err(refuse(format!("`{name}` is made for other machines than the server's")));
        }
        let Some(version) = entry.version.as_deref().filter(|version| is_version(version)) else {
            return Err(refuse(format!("`{name}` has no version")));
        };
        let (resolved, integrity) = (entry.resolved.as_deref(), entry.integrity.as_deref());
        let mut one = package(name, version, place, resolved, integrity, registry)?;
        one.has_script = entry.has_install_script;
        packages.push(one);
    }
    // Paths sort parents before what lies in them.
    packages.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(packages)
}

/// A name of npm: `name`, or `@scope/name`.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match name.strip_prefix('@') {
        Some(rest) => rest.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(name),
    }
}

fn is_version(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
}

#[cfg(test)]
mod tests;
