//! pip: `requirements.txt`, and the lock in the same form with digests.

use crate::error::PackagesError;
use crate::inside::Run;
use crate::integrity::Integrity;
use crate::registry::IndexFile;
use crate::{Chosen, Inner, MadeLock, Package, Wanted};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use lines::Requirement;
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;

mod lines;

/// What a folder asks of pip; with versions and digests for all, it is a lock itself.
pub(crate) const REQUIREMENTS: &str = "requirements.txt";
/// What it gets.
pub(crate) const LOCK: &str = "requirements.lock";

#[derive(Deserialize)]
struct Answer {
    code: i64,
    said: String,
    packages: Vec<File>,
}

/// A file that pip has chosen.
#[derive(Deserialize)]
struct File {
    name: String,
    version: String,
    url: String,
    sha256: String,
}

impl Inner {
    /// The packages for Python.
    pub(crate) async fn pypi(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Chosen>, PackagesError> {
        let Some(text) = wanted.files.get(REQUIREMENTS) else { return Ok(None) };
        let asked = lines::read(REQUIREMENTS, text)?;
        if asked.is_empty() || wanted.files.keys().any(|path| path.starts_with("python_modules/")) {
            return Ok(None);
        }
        if let Some(text) = wanted.files.get(LOCK) {
            let lock = lines::read(LOCK, text)?;
            check_lock(&lock, &asked)?;
            let packages = self.locked(wanted, &lock).await?;
            return Ok(Some(Chosen { packages, made: None }));
        }
        if asked.iter().all(Requirement::is_locked) {
            let packages = self.locked(wanted, &asked).await?;
            return Ok(Some(Chosen { packages, made: None }));
        }
        let of = HEXLOWER
            .encode(digest::digest(&digest::SHA256, text_of(&asked, false).as_bytes()).as_ref());
        let known = wanted.before.and_then(|before| before.made.get(LOCK));
        if let Some(made) = known.filter(|made| made.of == of) {
            let lock = lines::read(LOCK, made.text.as_bytes())?;
            let packages = self.locked(wanted, &lock).await?;
            return Ok(Some(Chosen { packages, made: Some((LOCK, made.clone())) }));
        }
        let mut answer = Err(PackagesError::Stopped);
        for before in self.moments() {
            answer = self.choose(wanted, &text_of(&asked, false), false, before).await;
            if !matches!(answer, Err(PackagesError::Unresolved { .. })) {
                break;
            }
        }
        let packages = answer?;
        let made = MadeLock { text: self.lock_text(&packages).await?, of };
        Ok(Some(Chosen { packages, made: Some((LOCK, made)) }))
    }

    /// The files of a lock. Which of them fit this machine is pip's to say, once: what the version
    /// before had of the same lock holds.
    async fn locked(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        lock: &[Requirement],
    ) -> Result<Vec<Package>, PackagesError> {
        let known = wanted.before.into_iter().flat_map(|before| &before.layers).find(|layer| {
            layer.runtime() == causeway_sandbox::Runtime::Python && fits(&layer.packages, lock)
        });
        if let Some(layer) = known {
            return Ok(layer.packages.clone());
        }
        let packages = self.choose(wanted, &text_of(lock, true), true, None).await?;
        // pip has checked the same; here it is checked outside of the sandbox.
        match packages.iter().find(|package| !is_in(package, lock)) {
            None => Ok(packages),
            Some(other) => Err(PackagesError::Lock {
                file: LOCK,
                what: format!("`{}` {} is not in it", other.name, other.version),
            }),
        }
    }

    /// Has pip choose files.
    async fn choose(
        &self,
        wanted: &Wanted<'_>,
        requirements: &str,
        hashes: bool,
        before: Option<String>,
    ) -> Result<Vec<Package>, PackagesError> {
        let toolbox = self.toolbox(Run::Pip).await?;
        let event = json!({
            "pip": toolbox.entry,
            "requirements": requirements,
            "index": self.registry.pypi(),
            "hashes": hashes,
            "before": before,
        });
        let answer: Answer = self.run(wanted, Run::Pip, &event, toolbox.binds).await?;
        if answer.code != 0 {
            return Err(PackagesError::Unresolved { tool: "pip", said: answer.said });
        }
        let mut packages: Vec<Package> =
            answer.packages.into_iter().map(|file| self.package(file)).collect::<Result<_, _>>()?;
        packages.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(packages)
    }

    fn package(&self, file: File) -> Result<Package, PackagesError> {
        let refuse = |what: String| PackagesError::Lock { file: REQUIREMENTS, what };
        let source = self.registry.pypi_source(&file.url).ok_or_else(|| {
            let place = url::Url::parse(&file.url).ok().map(causeway_types::RedactedUrl::new);
            PackagesError::Foreign {
                package: file.name.clone(),
                place: place.map_or_else(String::new, |place| place.to_string()),
            }
        })?;
        let place = url::Url::parse(&source)
            .ok()
            .and_then(|url| url.path_segments()?.next_back().map(str::to_owned))
            .map(|name| name.replace("%2B", "+").replace("%2b", "+"))
            .filter(|name| {
                name.strip_suffix(".whl").is_some() && name.len() <= 255 && !name.contains('%')
            })
            .ok_or_else(|| {
                refuse(format!("`{}` comes as something else than a wheel", file.name))
            })?;
        let integrity = Integrity::parse(&format!("sha256:{}", file.sha256))
            .ok_or_else(|| refuse(format!("the index gives no digest for `{}`", file.name)))?;
        Ok(Package {
            name: file.name,
            version: file.version,
            integrity: integrity.text(),
            source,
            place,
            has_script: false,
        })
    }

    /// The lock of what was chosen: with the digests of every wheel of each version, as far as the
    /// index lists them, so that it serves on other machines too.
    async fn lock_text(&self, packages: &[Package]) -> Result<String, PackagesError> {
        let mut text = String::from(
            "# Made by Causeway: what requirements.txt asked for when it was deployed.\n",
        );
        for package in packages {
            let files = self.registry.pypi_files(&package.name).await?;
            let own = package.integrity.trim_start_matches("sha256:").to_owned();
            let mut digests: Vec<String> = files
                .iter()
                .filter(|file| is_wheel_of(file, package))
                .filter_map(|file| file.sha256().map(str::to_owned))
                .collect();
            digests.push(own);
            digests.sort();
            digests.dedup();
            // A text in memory takes everything.
            let _ = write!(text, "{}=={}", normal(&package.name), package.version);
            for digest in digests {
                let _ = write!(text, " \\\n    --hash=sha256:{digest}");
            }
            text.push('\n');
        }
        Ok(text)
    }
}

fn is_wheel_of(file: &IndexFile, package: &Package) -> bool {
    let mut parts = file.filename.strip_suffix(".whl").unwrap_or_default().split('-');
    let (name, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    normal(name) == normal(&package.name) && same_version(version, &package.version)
}

/// Whether a lock is one, and of what the folder asks for.
fn check_lock(lock: &[Requirement], asked: &[Requirement]) -> Result<(), PackagesError> {
    let refuse = |what: String| Err(PackagesError::Lock { file: LOCK, what });
    if let Some(open) = lock.iter().find(|one| !one.is_locked()) {
        return refuse(format!(
            "`{}` has no version with `==`, or no `--hash=sha256:…`: make the lock with \
             `pip-compile --generate-hashes --output-file {LOCK} {REQUIREMENTS}`",
            open.name
        ));
    }
    let differs = |one: &&Requirement| {
        let found = lock.iter().find(|locked| locked.name == one.name);
        match (found, &one.pinned) {
            (None, _) => !one.has_marker,
            (Some(locked), Some(version)) => {
                !locked.pinned.as_ref().is_some_and(|locked| same_version(locked, version))
            }
            (Some(_), None) => false,
        }
    };
    match asked.iter().find(differs) {
        Some(one) => refuse(format!(
            "it was made for another {REQUIREMENTS}, which asks otherwise for `{}`: make it anew, \
             or take it out to have one made",
            one.name
        )),
        None => Ok(()),
    }
}

/// Whether packages are the files of a lock: each is in it, and none is missing.
fn fits(packages: &[Package], lock: &[Requirement]) -> bool {
    let has = |one: &Requirement| packages.iter().any(|package| normal(&package.name) == one.name);
    packages.iter().all(|package| is_in(package, lock))
        && lock.iter().all(|one| one.has_marker || has(one))
}

fn is_in(package: &Package, lock: &[Requirement]) -> bool {
    let digest = package.integrity.trim_start_matches("sha256:");
    lock.iter().any(|one| {
        one.name == normal(&package.name) && one.hashes.iter().any(|hash| hash == digest)
    })
}

/// The text that pip reads.
fn text_of(requirements: &[Requirement], with_hashes: bool) -> String {
    let mut text = String::new();
    for one in requirements {
        text.push_str(&one.asked);
        for hash in one.hashes.iter().filter(|_| with_hashes) {
            let _ = write!(text, " --hash=sha256:{hash}");
        }
        text.push('\n');
    }
    text
}

/// A name as the index compares it (PEP 503).
pub(crate) fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.extend(other.to_lowercase()),
        }
    }
    normal
}

/// Whether two texts are one version: wheels write `+` and `-` as `_`, and `1.0` may be `1.0.0`.
pub(crate) fn same_version(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text = text.to_ascii_lowercase().replace(['+', '-'], "_");
        let text = text.trim_start_matches('v');
        let (release, rest) =
            match text.find(|letter: char| letter != '.' && !letter.is_ascii_digit()) {
                Some(at) => text.split_at(at),
                None => (text, ""),
            };
        let mut parts: Vec<&str> = release.trim_end_matches('.').split('.').collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.trim_matches('0').is_empty())
        {
            parts.pop();
        }
        format!("{} {}", parts.join("."), rest.trim_start_matches(['.', '_']))
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_compared_as_the_index_does() {
        assert_eq!(normal("Flask_SQL--Alchemy.x"), "flask-sql-alchemy-x");
        for (one, other, same) in [
            ("1.0", "1.0.0", true),
            ("2024.02", "2024.02.0", true),
            ("1.0_local", "1.0+local", true),
            ("1.0rc1", "1.0.0rc1", true),
            ("1.0", "1.1", false),
            ("1.0rc1", "1.0", false),
            ("10", "1", false),
        ] {
            assert_eq!(same_version(one, other), same, "{one} {other}");
        }
    }
}
