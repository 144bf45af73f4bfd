//! npm: `package.json` and `package-lock.json`.

use crate::error::PackagesError;
use crate::inside::Run;
use crate::integrity::Integrity;
use crate::registry::Registry;
use crate::{Chosen, Inner, MadeLock, Package, Wanted};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

mod lock;

/// What a folder asks of npm.
const MANIFEST: &str = "package.json";
/// What it gets.
pub(crate) const LOCK: &str = "package-lock.json";
/// Locks of others.
const FOREIGN_LOCKS: [&str; 4] = ["yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"];
/// Beginnings of what is no version of a package of the registry.
const ELSEWHERE: [&str; 7] = ["file:", "link:", "workspace:", "git", "github:", "http:", "https:"];

/// The part of `package.json` that says which packages there are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(crate) dependencies: BTreeMap<String, String>,
    #[serde(rename = "optionalDependencies")]
    pub(crate) optional: BTreeMap<String, String>,
    overrides: Option<Value>,
}

#[derive(Deserialize)]
struct Answer {
    code: Value,
    said: String,
    lock: String,
}

impl Asked {
    /// What a folder asks for; `None` if for nothing, or if it brings its packages itself.
    fn read(files: &BTreeMap<String, Vec<u8>>) -> Result<Option<Self>, PackagesError> {
        let Some(text) = files.get(MANIFEST) else { return Ok(None) };
        let refuse = |what: String| PackagesError::Lock { file: MANIFEST, what };
        let asked: Self =
            serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        let brought = files.keys().any(|path| path.starts_with("node_modules/"));
        if brought || (asked.dependencies.is_empty() && asked.optional.is_empty()) {
            return Ok(None);
        }
        for (name, version) in asked.dependencies.iter().chain(&asked.optional) {
            let version = version.trim();
            let is_path = version.contains('/') && !version.starts_with("npm:");
            if is_path || ELSEWHERE.iter().any(|start| version.starts_with(start)) {
                return Err(refuse(format!(
                    "`{name}` is asked for as `{version}`, and packages come from the registry \
                     alone: name a version, or put the code into the folder"
                )));
            }
        }
        Ok(Some(asked))
    }

    /// As npm reads it. Nothing else of the author's file goes into the sandbox.
    fn manifest(&self) -> Value {
        let mut manifest = json!({
            "name": "workflow",
            "version": "0.0.0",
            "private": true,
            "dependencies": self.dependencies,
            "optionalDependencies": self.optional,
        });
        if let (Some(overrides), Some(fields)) = (&self.overrides, manifest.as_object_mut()) {
            fields.insert("overrides".to_owned(), overrides.clone());
        }
        manifest
    }

    fn digest(&self) -> String {
        let text = self.manifest().to_string();
        HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    }
}

impl Inner {
    /// The packages for Node.
    pub(crate) async fn npm(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Chosen>, PackagesError> {
        let Some(asked) = Asked::read(wanted.files)? else { return Ok(None) };
        if let Some(text) = wanted.files.get(LOCK) {
            let packages = lock::read(text, &asked, &self.registry)?;
            return Ok(Some(Chosen { packages, made: None }));
        }
        if let Some(other) = FOREIGN_LOCKS.iter().find(|name| wanted.files.contains_key(**name)) {
            return Err(PackagesError::Lock {
                file: MANIFEST,
                what: format!(
                    "the folder has {other}, which Causeway does not read: make the lock of npm \
                     with `npm install --package-lock-only`, or take {other} out to have one made"
                ),
            });
        }
        let of = asked.digest();
        let known = wanted.before.and_then(|before| before.made.get(LOCK));
        let made = match known.filter(|made| made.of == of) {
            Some(made) => made.clone(),
            None => MadeLock { text: self.make_npm_lock(wanted, &asked).await?, of },
        };
        let packages = lock::read(made.text.as_bytes(), &asked, &self.registry)?;
        Ok(Some(Chosen { packages, made: Some((LOCK, made)) }))
    }

    async fn make_npm_lock(
        &self,
        wanted: &Wanted<'_>,
        asked: &Asked,
    ) -> Result<String, PackagesError> {
        let toolbox = self.toolbox(Run::Npm).await?;
        let mut said = String::new();
        for before in self.moments() {
            let event = json!({
                "npm": toolbox.entry,
                "manifest": asked.manifest(),
                "registry": self.registry.npm(),
                "before": before,
            });
            let binds = toolbox.binds.clone();
            let answer: Answer = self.run(wanted, Run::Npm, &event, binds).await?;
            if answer.code == 0 {
                return Ok(answer.lock);
            }
            said = answer.said;
        }
        Err(PackagesError::Unresolved { tool: "npm", said })
    }
}

/// The path at which a registry has an archive unless it says otherwise.
fn usual_source(name: &str, version: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    format!("{name}/-/{file}-{version}.tgz")
}

/// Makes a package of what a lock says; in the error, what is wrong with it.
fn package(
    name: &str,
    version: &str,
    place: &str,
    resolved: Option<&str>,
    integrity: Option<&str>,
    registry: &Registry,
) -> Result<Package, PackagesError> {
    let refuse = |what: String| PackagesError::Lock { file: LOCK, what };
    let source = match resolved {
        None => usual_source(name, version),
        Some(resolved) => registry.npm_source(resolved).ok_or_else(|| PackagesError::Foreign {
            package: name.to_owned(),
            place: shown(resolved),
        })?,
    };
    let integrity = integrity
        .and_then(Integrity::parse)
        .filter(|integrity| matches!(integrity, Integrity::Sha512(_)))
        .ok_or_else(|| {
            refuse(format!(
                "`{name}` {version} has no digest of SHA-512: make the lock anew with \
                 `npm install --package-lock-only`"
            ))
        })?;
    Ok(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        integrity: integrity.text(),
        source,
        place: place.to_owned(),
        has_script: false,
    })
}

/// A URL without what may be a credential.
fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => causeway_types::RedactedUrl::new(url).to_string(),
        Err(_) => "a place that is no URL".to_owned(),
    }
}
