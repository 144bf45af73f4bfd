//! The packages of versions: which of them a deploy brings, and that this node has them.

use crate::bundle::Bundle;
use crate::{Flow, FlowError, Inner};
use causeway_identity::{Permit, action};
use causeway_packages::{Dependencies, Wanted};
use causeway_sandbox::{Bind, Runtime};
use causeway_store::{WriteTx, db};
use causeway_types::entity::{Ecosystem, PackageFilter, PackageUse, Version, VersionPackage};
use causeway_types::{Tenant, VersionPackageId, chain};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often a node looks for layers that it lacks.
const LOOK: Duration = Duration::from_mins(1);
/// How often it deletes what no version uses: at every so manieth look.
const LOOKS: u32 = 60;
/// How long what no version uses is kept, so that what a plan has fetched is there for the deploy.
const UNUSED_KEPT: Duration = Duration::from_hours(24);

/// A package that a deploy brings or takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPackage {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// The version that the code will import; `None` if it is gone.
    pub version: Option<String>,
    /// The version that the active version has instead.
    pub before: Option<String>,
    /// What becomes of its install script.
    pub script: InstallScript,
}

/// What becomes of a package's install script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallScript {
    /// It has none.
    None,
    /// It does not run.
    LeftOut,
    /// The workflow lets it run, in a sandbox.
    Run,
}

impl Flow {
    /// The packages that active versions have.
    pub async fn packages(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        filter: &PackageFilter,
        after: VersionPackageId,
        limit: i64,
    ) -> Result<Vec<PackageUse>, FlowError> {
        let mut conn = self.inner.store.read().await?;
        Ok(db!(conn, package::page(permit.tenant(), filter, after, limit))?)
    }
}

impl Inner {
    /// Decides which packages a new version gets. What a plan decided holds for the deploy after it.
    pub(crate) async fn dependencies(
        &self,
        tenant: Tenant,
        digest: &str,
        bundle: &Bundle,
        before: Option<&Dependencies>,
    ) -> Result<Arc<Dependencies>, FlowError> {
        let key = (tenant.workspace, digest.to_owned());
        if let Some(known) = self.chosen.get(&key).await {
            return Ok(known);
        }
        let wanted = Wanted {
            workspace: tenant.workspace,
            files: &bundle.folder.files,
            runtimes: bundle.manifest.runtimes(),
            scripts: &bundle.manifest.install_scripts,
            tier: bundle.manifest.tier(self.config.minimum_tier),
            before,
        };
        let chosen = Arc::new(self.packages.resolve(&wanted).await?);
        self.chosen.insert(key, Arc::clone(&chosen)).await;
        Ok(chosen)
    }

    /// What sandboxes of a runtime are shown of packages.
    pub(crate) async fn binds(
        &self,
        dependencies: &Dependencies,
        runtime: Runtime,
    ) -> Result<Vec<Bind>, FlowError> {
        let mut binds = Vec::new();
        for layer in dependencies.layers.iter().filter(|layer| layer.runtime() == runtime) {
            binds.push(self.packages.mount(layer).await?);
        }
        Ok(binds)
    }

    /// Writes down which packages a version has.
    pub(crate) async fn note_packages(
        &self,
        tx: &mut WriteTx,
        version: &Version,
        dependencies: &Dependencies,
    ) -> Result<(), FlowError> {
        for layer in &dependencies.layers {
            let digest = layer.digest();
            for package in &layer.packages {
                let row = VersionPackage {
                    id: VersionPackageId::generate(version.created_at, &*self.random),
                    version_id: version.id,
                    workspace_id: version.workspace_id,
                    environment_id: version.environment_id,
                    ecosystem: layer.ecosystem,
                    place: package.place.clone(),
                    name: package.name.clone(),
                    version: package.version.clone(),
                    integrity: package.integrity.clone(),
                    layer: digest.clone(),
                };
                db!(tx, package::insert(&row))?;
            }
        }
        Ok(())
    }

    /// Sees to it that this node has the layers of active versions before their events come, and
    /// deletes what no version uses.
    pub(crate) async fn keep_packages(&self) {
        for look in 0_u32.. {
            if let Err(error) = self.fetch_layers().await {
                tracing::warn!(
                    error = chain(&error),
                    "looking for layers of packages that are lacking"
                );
            }
            if look % LOOKS == 0
                && let Err(error) = self.delete_unused().await
            {
                tracing::warn!(
                    error = chain(&error),
                    "could not delete packages that no version uses"
                );
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn fetch_layers(&self) -> Result<(), FlowError> {
        let mut conn = self.store.read().await?;
        let active = db!(conn, package::active_layers())?;
        drop(conn);
        for lacking in active.iter().filter(|one| !self.packages.has(&one.layer)) {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            // It may have been here when the version was last loaded.
            self.versions.invalidate(&lacking.version_id).await;
            // One that cannot be had keeps no other waiting; its events wait, and say why.
            if let Err(error) = self.load(lacking.tenant(), lacking.version_id).await {
                tracing::warn!(
                    version.id = %lacking.version_id,
                    error = chain(&error),
                    "a version's packages cannot be had"
                );
            }
        }
        Ok(())
    }

    async fn delete_unused(&self) -> Result<(), FlowError> {
        let mut conn = self.store.read().await?;
        let layers = db!(conn, package::layers_in_use())?.into_iter().collect();
        let archives = db!(conn, package::archives_in_use())?.into_iter().collect();
        drop(conn);
        let gone = self.packages.collect(layers, &archives, UNUSED_KEPT).await?;
        if gone > 0 {
            tracing::info!(count = gone, "deleted packages that no version uses");
        }
        Ok(())
    }
}

/// The versions of each package.
type Versions<'a> = BTreeMap<(&'static str, &'a str), BTreeSet<&'a str>>;

fn versions(dependencies: &Dependencies) -> Versions<'_> {
    let mut all = Versions::new();
    for layer in &dependencies.layers {
        for package in &layer.packages {
            let versions = all.entry((layer.ecosystem.as_str(), &package.name)).or_default();
            versions.insert(&package.version);
        }
    }
    all
}

/// How the packages differ. Of one name there may be several versions; one that is replaced by one
/// is a change, and so is one whose install script runs from now on.
pub(crate) fn diff(before: &Dependencies, after: &Dependencies) -> Vec<PlannedPackage> {
    let (old, new) = (versions(before), versions(after));
    let none = BTreeSet::new();
    let names: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let mut changes = Vec::new();
    for (ecosystem, name) in names {
        let had = old.get(&(ecosystem, name)).unwrap_or(&none);
        let has = new.get(&(ecosystem, name)).unwrap_or(&none);
        let gone: Vec<_> = had.difference(has).copied().collect();
        let come: Vec<_> = has.difference(had).copied().collect();
        let ecosystem =
            if ecosystem == Ecosystem::Npm.as_str() { Ecosystem::Npm } else { Ecosystem::Pypi };
        let mut add = |version: Option<&str>, before: Option<&str>| {
            changes.push(PlannedPackage {
                ecosystem,
                name: name.to_owned(),
                version: version.map(str::to_owned),
                before: before.map(str::to_owned),
                script: version
                    .map_or(InstallScript::None, |version| script(after, ecosystem, name, version)),
            });
        };
        // What stays the same, but for its script, which runs from now on.
        for version in had.intersection(has) {
            let runs = |all| script(all, ecosystem, name, version) == InstallScript::Run;
            if runs(after) && !runs(before) {
                add(Some(version), Some(version));
            }
        }
        if let ([one], [other]) = (gone.as_slice(), come.as_slice()) {
            add(Some(other), Some(one));
            continue;
        }
        for version in come {
            add(Some(version), None);
        }
        for version in gone {
            add(None, Some(version));
        }
    }
    changes
}

fn script(
    dependencies: &Dependencies,
    ecosystem: Ecosystem,
    name: &str,
    version: &str,
) -> InstallScript {
    let found =
        dependencies.layers.iter().filter(|layer| layer.ecosystem == ecosystem).find_map(|layer| {
            let has = |one: &&causeway_packages::Package| {
                one.has_script && one.name == name && one.version == version
            };
            layer.packages.iter().find(has).map(|_| layer.scripts.iter().any(|one| one == name))
        });
    match found {
        None => InstallScript::None,
        Some(true) => InstallScript::Run,
        Some(false) => InstallScript::LeftOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_packages::{Layer, Package};

    fn packages(named: &[(&str, &str)]) -> Dependencies {
        let package = |(name, version): &(&str, &str)| Package {
            name: (*name).into(),
            version: (*version).into(),
            integrity: String::new(),
            source: String::new(),
            place: format!("{name}-{version}"),
            has_script: *name == "c",
        };
        let layer = Layer {
            ecosystem: Ecosystem::Npm,
            packages: named.iter().map(package).collect(),
            scripts: Vec::new(),
            written: BTreeMap::new(),
        };
        Dependencies { layers: vec![layer], made: BTreeMap::new() }
    }

    #[test]
    fn the_plan_tells_new_from_changed_and_gone() {
        let before = packages(&[("a", "1"), ("b", "1"), ("d", "1"), ("d", "2"), ("e", "1")]);
        let after =
            packages(&[("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("d", "3"), ("d", "4")]);
        let changes: Vec<_> = diff(&before, &after)
            .into_iter()
            .map(|one| (one.name, one.version, one.before, one.script))
            .collect();
        let row = |name: &str, version: Option<&str>, before: Option<&str>, script| {
            (name.to_owned(), version.map(str::to_owned), before.map(str::to_owned), script)
        };
        assert_eq!(
            changes,
            [
                row("b", Some("2"), Some("1"), InstallScript::None),
                row("c", Some("1"), None, InstallScript::LeftOut),
                row("d", Some("3"), None, InstallScript::None),
                row("d", Some("4"), None, InstallScript::None),
                row("d", None, Some("1"), InstallScript::None),
                row("e", None, Some("1"), InstallScript::None),
            ]
        );
    }
}
