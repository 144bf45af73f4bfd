//! Packages that a workflow's code imports: chosen, checked, fetched and unpacked when it is deployed.
//!
//! - A *lock* names each package with its version and the digest of its *archive*: `package-lock.json`
//!   of npm, or requirements with hashes for pip. Where a workflow has none, the real npm or pip makes
//!   one, in a sandbox whose way out leads to the registry only.
//! - *Archives* are fetched through the guard from the registry that the operator has set, and kept
//!   under their digests. Not a byte is unpacked before the digest is right.
//! - A *layer* is what the archives of one lock give together, unpacked by this crate, which runs
//!   nothing of them. It is a function of its [`Layer::digest`], so workspaces share it, and any node
//!   makes it again from the archives.
//! - An *install script* runs only if the workflow names its package, in a sandbox; what it writes is
//!   part of the layer's digest.

mod age;
mod archive;
mod cellar;
mod error;
mod inside;
mod integrity;
mod npm;
mod pypi;
mod registry;
mod scripts;

pub use archive::{MAX_LAYER_BYTES, MAX_LAYER_FILES};
pub use error::PackagesError;
pub use registry::{NPM_REGISTRY, PYPI_FILES, PYPI_INDEX};

use aws_lc_rs::digest;
use causeway_net::HttpClient;
use causeway_sandbox::{Bind, Pool, Purpose, Runtime, Tier};
use causeway_types::entity::Ecosystem;
use causeway_types::{Clock, Randomness, WorkspaceId};
use cellar::Cellar;
use data_encoding::HEXLOWER;
use registry::Registry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// The most packages that a lock may name.
pub const MAX_PACKAGES: usize = 2000;
/// Runs of npm, pip and install scripts at a time on a node: each may take 1 GiB of memory.
const RUNS: usize = 2;
/// How the layers of this code are told from those of another way of unpacking.
const FORM: &[u8] = b"causeway layer 1";

/// What the operator decides about packages.
#[derive(Debug, Clone)]
pub struct PackagesConfig {
    /// Where archives and layers are kept.
    pub folder: PathBuf,
    /// npm's registry, or a mirror of it.
    pub npm_registry: Url,
    /// The index of Python packages, or a mirror of it ("simple" API, PEP 503 and 691).
    pub pypi_index: Url,
    /// Hosts, beside the index's own, from which it hands out files.
    pub pypi_hosts: Vec<String>,
    /// How long a version must have been published before it may be used.
    pub cooldown: Duration,
    /// Packages that need not wait: names, or `@scope/*`.
    pub cooldown_except: Vec<String>,
    /// Root certificates to trust besides the machine's, PEM.
    pub extra_roots: Option<Vec<u8>>,
    /// The weakest kind of sandbox that npm, pip and install scripts run in.
    pub tier: Tier,
}

/// What packages are made with.
pub struct PackagesParts {
    /// Fetches.
    pub http: HttpClient,
    /// Runs npm, pip and scripts.
    pub pool: Arc<Pool>,
    /// The time, for ages.
    pub clock: Arc<dyn Clock>,
    /// For names of folders that are not finished.
    pub random: Arc<dyn Randomness>,
}

/// The packages of this node. Cloning gives another handle.
#[derive(Clone)]
pub struct Packages {
    inner: Arc<Inner>,
}

struct Inner {
    config: PackagesConfig,
    registry: Registry,
    cellar: Cellar,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    runs: Semaphore,
}

/// Which packages a workflow's folder asks for.
pub struct Wanted<'a> {
    /// Whose folder it is.
    pub workspace: WorkspaceId,
    /// Its files.
    pub files: &'a BTreeMap<String, Vec<u8>>,
    /// What its steps run on.
    pub runtimes: BTreeSet<Runtime>,
    /// The packages whose install scripts may run.
    pub scripts: &'a [String],
    /// The weakest kind of sandbox that the workflow's code may run in.
    pub tier: Tier,
    /// The packages of the version before: what it chose holds until something else is asked for.
    pub before: Option<&'a Dependencies>,
}

/// The packages of a version, with all that it takes to make its layers again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// One for each ecosystem of which there are packages.
    pub layers: Vec<Layer>,
    /// Locks that were made, by the name of the file that holds them in a folder.
    #[serde(default)]
    pub made: BTreeMap<String, MadeLock>,
}

/// A lock that the folder did not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeLock {
    /// The digest of what was asked for.
    pub of: String,
    /// The lock.
    pub text: String,
}

/// What the packages of one ecosystem give together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Where they come from.
    pub ecosystem: Ecosystem,
    /// Each of them; those that lie in others come after those.
    pub packages: Vec<Package>,
    /// The packages whose scripts have run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<String>,
    /// What these have written: base64 by the path in the layer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, String>,
}

/// One package in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive: `sha512-` and base64 (npm), `sha256:` and hexadecimal (PyPI).
    pub integrity: String,
    /// Where its archive is: a path below npm's registry; a URL of PyPI's files.
    pub source: String,
    /// Where it lies in the layer, for npm: `a`, `a/node_modules/b`. For PyPI, its file's name.
    pub place: String,
    /// Whether it has an install script.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_script: bool,
}

impl Layer {
    /// What it is addressed by, in hexadecimal: SHA-256 over the digest and place of each archive
    /// and over what scripts wrote, each preceded by its length.
    pub fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |part: &[u8]| {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        };
        add(FORM);
        add(self.ecosystem.as_str().as_bytes());
        for package in &self.packages {
            for part in [&package.place, &package.integrity, &package.name, &package.version] {
                add(part.as_bytes());
            }
        }
        add(b"written");
        for (path, contents) in &self.written {
            add(path.as_bytes());
            add(contents.as_bytes());
        }
        HEXLOWER.encode(context.finish().as_ref())
    }

    /// The runtime that imports from it.
    pub fn runtime(&self) -> Runtime {
        match self.ecosystem {
            Ecosystem::Npm => Runtime::Node,
            Ecosystem::Pypi => Runtime::Python,
        }
    }

    /// Where a sandbox has it: where Node looks from `/code`, and where Python's runner does.
    fn place(&self) -> &'static str {
        match self.ecosystem {
            Ecosystem::Npm => "/node_modules",
            Ecosystem::Pypi => "/python_modules",
        }
    }
}

impl Packages {
    /// Prepares the folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(parts: PackagesParts, config: PackagesConfig) -> Result<Self, PackagesError> {
        let PackagesParts { http, pool, clock, random } = parts;
        let registry = Registry::new(http, &config);
        let cellar = Cellar::open(config.folder.clone())?;
        let runs = Semaphore::new(RUNS);
        let inner = Inner { config, registry, cellar, pool, clock, random, runs };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Decides which packages a folder gets, checks and fetches them, and unpacks their layers.
    ///
    /// # Errors
    /// See [`PackagesError`].
    pub async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Dependencies, PackagesError> {
        let inner = &self.inner;
        let mut all = Dependencies::default();
        if wanted.runtimes.contains(&Runtime::Node)
            && let Some(chosen) = inner.npm(wanted).await?
        {
            inner.add(wanted, Ecosystem::Npm, chosen, &mut all).await?;
        }
        if wanted.runtimes.contains(&Runtime::Python)
            && let Some(chosen) = inner.pypi(wanted).await?
        {
            inner.add(wanted, Ecosystem::Pypi, chosen, &mut all).await?;
        }
        let has = |name: &String| all.layers.iter().any(|layer| layer.scripts.contains(name));
        if let Some(name) = wanted.scripts.iter().find(|name| !has(name)) {
            return Err(PackagesError::NoSuchScript { package: name.clone() });
        }
        Ok(all)
    }

    /// The layer on this node's disk, unpacked now if it is not there. What it takes is fetched if
    /// this node has it not: the archives are those that the digests name, and nothing is chosen.
    ///
    /// # Errors
    /// See [`PackagesError`].
    pub async fn mount(&self, layer: &Layer) -> Result<Bind, PackagesError> {
        let source = self.inner.unpacked(layer).await?;
        Ok(Bind { source, target: layer.place().into(), purpose: Purpose::Map })
    }

    /// Whether this node has a layer.
    pub fn has(&self, digest: &str) -> bool {
        self.inner.cellar.layer(digest).is_some()
    }

    /// Deletes the layers and archives that are older than `age` and not among those in use; gives
    /// how many.
    ///
    /// # Errors
    /// If the folder cannot be read, or something in it not be deleted.
    pub async fn collect(
        &self,
        layers: HashSet<String>,
        archives: &HashSet<String>,
        age: Duration,
    ) -> Result<usize, PackagesError> {
        let archives = archives.iter().filter_map(|text| integrity::file_name(text)).collect();
        let (inner, now) = (Arc::clone(&self.inner), self.inner.clock.now());
        let work = move || inner.cellar.collect(&layers, &archives, now.minus(age));
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(PackagesError::Stopped))
    }
}

/// The packages of one ecosystem, chosen and not yet fetched.
struct Chosen {
    packages: Vec<Package>,
    /// The lock, if it was made now or by the version before.
    made: Option<(&'static str, MadeLock)>,
}

impl Inner {
    /// Checks, fetches and unpacks what was chosen.
    async fn add(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        ecosystem: Ecosystem,
        chosen: Chosen,
        all: &mut Dependencies,
    ) -> Result<(), PackagesError> {
        let Chosen { packages, made } = chosen;
        all.made.extend(made.map(|(name, lock)| (name.to_owned(), lock)));
        if packages.is_empty() {
            return Ok(());
        }
        if packages.len() > MAX_PACKAGES {
            return Err(PackagesError::TooMany { found: packages.len() });
        }
        self.check_ages(ecosystem, &packages).await?;
        let mut layer =
            Layer { ecosystem, packages, scripts: Vec::new(), written: BTreeMap::new() };
        self.run_scripts(wanted, &mut layer).await?;
        self.unpacked(&layer).await?;
        all.layers.push(layer);
        Ok(())
    }

    /// The folder of a layer, made if it is not there.
    async fn unpacked(self: &Arc<Self>, layer: &Layer) -> Result<PathBuf, PackagesError> {
        if let Some(found) = self.cellar.layer(&layer.digest()) {
            return Ok(found);
        }
        self.fetch(layer.ecosystem, &layer.packages).await?;
        let (cellar, layer) = (self.cellar.clone(), layer.clone());
        let name = self.random_name();
        let work = move || cellar.unpack(&layer, &name);
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(PackagesError::Stopped))
    }

    fn random_name(&self) -> String {
        let mut noise = [0_u8; 16];
        self.random.fill(&mut noise);
        HEXLOWER.encode(&noise)
    }
}
