//! Fetching archives, and how old the versions are that they hold.

use crate::error::PackagesError;
use crate::integrity::Integrity;
use crate::{Inner, Package};
use causeway_types::Timestamp;
use causeway_types::entity::Ecosystem;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How many requests a deploy makes to a registry at a time.
const AT_ONCE: usize = 8;
const DAY: Duration = Duration::from_hours(24);

impl Inner {
    /// Refuses versions that are younger than the operator allows. What has once been old enough is
    /// not asked about again, so that a deploy needs no registry for what it has.
    pub(crate) async fn check_ages(
        self: &Arc<Self>,
        ecosystem: Ecosystem,
        packages: &[Package],
    ) -> Result<(), PackagesError> {
        if self.config.cooldown.is_zero() {
            return Ok(());
        }
        let mut unknown: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in packages.iter().filter(|package| !self.need_not_wait(&package.name)) {
            let known =
                Integrity::parse(&package.integrity).and_then(|one| self.cellar.published(&one));
            match known {
                Some(at) => self.check_age(package, Some(at))?,
                None => unknown.entry(&package.name).or_default().push(package),
            }
        }
        let names: Vec<String> = unknown.keys().map(|name| (*name).to_owned()).collect();
        let inner = Arc::clone(self);
        let asked = side_by_side(names, move |name| {
            let inner = Arc::clone(&inner);
            async move { inner.times(ecosystem, &name).await.map(|times| (name, times)) }
        })
        .await?;
        for (name, times) in asked {
            for package in unknown.get(name.as_str()).into_iter().flatten() {
                let key = match ecosystem {
                    Ecosystem::Npm => &package.version,
                    Ecosystem::Pypi => &package.place,
                };
                let at = times.get(key).copied();
                self.check_age(package, at)?;
                if let (Some(at), Some(integrity)) = (at, Integrity::parse(&package.integrity)) {
                    self.cellar
                        .note_published(&integrity, at)
                        .map_err(PackagesError::folder("noting an age"))?;
                }
            }
        }
        Ok(())
    }

    /// When the versions of a package were published, for npm; its files, for PyPI.
    async fn times(
        &self,
        ecosystem: Ecosystem,
        name: &str,
    ) -> Result<BTreeMap<String, Timestamp>, PackagesError> {
        match ecosystem {
            Ecosystem::Npm => self.registry.npm_times(name).await,
            Ecosystem::Pypi => {
                let files = self.registry.pypi_files(name).await?.into_iter();
                Ok(files
                    .filter_map(|file| Some((file.filename.clone(), file.uploaded()?)))
                    .collect())
            }
        }
    }

    fn check_age(&self, package: &Package, at: Option<Timestamp>) -> Result<(), PackagesError> {
        let age = at.map(|at| self.clock.now().since(at));
        if age.is_some_and(|age| age >= self.config.cooldown) {
            return Ok(());
        }
        Err(PackagesError::Young {
            package: package.name.clone(),
            version: package.version.clone(),
            hours: age.map(|age| age.as_secs() / 3600),
            days: self.config.cooldown.as_secs().div_ceil(DAY.as_secs()),
        })
    }

    fn need_not_wait(&self, name: &str) -> bool {
        self.config.cooldown_except.iter().any(|one| match one.strip_suffix('*') {
            Some(scope) => name.starts_with(scope),
            None => crate::pypi::normal(one) == crate::pypi::normal(name),
        })
    }

    /// The newest moment at which a version may have been published, if there is such a moment.
    fn published_before(&self) -> Option<String> {
        let cooldown = self.config.cooldown;
        (!cooldown.is_zero()).then(|| self.clock.now().minus(cooldown).to_string())
    }

    /// The moments to choose packages with, one after the other. If nothing fits that is old enough,
    /// whatever fits is chosen: the check of ages lets those through that need not wait, and says of
    /// the others how young they are.
    pub(crate) fn moments(&self) -> Vec<Option<String>> {
        let mut moments = vec![self.published_before()];
        if moments.iter().any(Option::is_some) {
            moments.push(None);
        }
        moments
    }

    /// Fetches the archives that this node has not.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        ecosystem: Ecosystem,
        packages: &[Package],
    ) -> Result<(), PackagesError> {
        let inner = Arc::clone(self);
        side_by_side(packages.to_vec(), move |package| {
            let inner = Arc::clone(&inner);
            async move { inner.fetch_one(ecosystem, &package).await }
        })
        .await
        .map(drop)
    }

    async fn fetch_one(
        &self,
        ecosystem: Ecosystem,
        package: &Package,
    ) -> Result<(), PackagesError> {
        let integrity = Integrity::parse(&package.integrity).ok_or(PackagesError::Lock {
            file: "the lock",
            what: format!("`{}` has no digest", package.name),
        })?;
        if self.cellar.archive(&integrity).exists() {
            return Ok(());
        }
        let unfinished = self.cellar.unfinished(&self.random_name());
        let fetched =
            self.registry.fetch(ecosystem, &package.source, &integrity, &unfinished).await;
        if let Ok(Ok(())) = fetched {
            return self
                .cellar
                .keep(&unfinished, &integrity)
                .map_err(PackagesError::folder("keeping an archive"));
        }
        // There may be nothing yet.
        drop(tokio::fs::remove_file(&unfinished).await);
        match fetched? {
            Ok(()) => Ok(()),
            Err(found) => Err(PackagesError::Integrity {
                package: package.name.clone(),
                version: package.version.clone(),
                wanted: integrity.text(),
                found,
            }),
        }
    }
}

/// Does something with each, a few at a time; the first failure ends it.
async fn side_by_side<I, T, F, W>(items: Vec<I>, work: F) -> Result<Vec<T>, PackagesError>
where
    I: Send + 'static,
    T: Send + 'static,
    F: Fn(I) -> W,
    W: Future<Output = Result<T, PackagesError>> + Send + 'static,
{
    let mut items = items.into_iter();
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for item in items.by_ref().take(AT_ONCE) {
        running.spawn(work(item));
    }
    while let Some(ended) = running.join_next().await {
        done.push(ended.unwrap_or(Err(PackagesError::Stopped))?);
        if let Some(item) = items.next() {
            running.spawn(work(item));
        }
    }
    Ok(done)
}
