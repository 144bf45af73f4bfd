//! The engines, put together.

use super::ground::Ground;
use crate::config::Config;
use crate::{JAIL, wiring};
use anyhow::Context;
use causeway_api::{Api, ApiParts, RateLimits};
use causeway_audit::{AuditLog, Keeper};
use causeway_catalog::Catalog;
use causeway_connect::{Connect, ConnectParts, NoCrash};
use causeway_disclosure::{Disclosure, DisclosureParts};
use causeway_flow::{Flow, FlowConfig, FlowParts};
use causeway_identity::{
    Denials, MachineAccess, MachineParts, Members, MembersParts, SignIn, SignInParts, StaffAccess,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_packages::{Packages, PackagesConfig, PackagesParts};
use causeway_sandbox::{GuardedEgress, Limits, Pool, PoolConfig};
use causeway_types::Actor;
use causeway_webhooks::{Webhooks, WebhooksConfig, WebhooksParts};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a sandbox is used, in all.
const MAX_AGE: Duration = Duration::from_hours(24);

/// What does the server's work.
pub(super) struct Parts {
    pub(super) catalog: Arc<Catalog>,
    pub(super) connect: Connect,
    pub(super) webhooks: Webhooks,
    pub(super) pool: Arc<Pool>,
    pub(super) flow: Flow,
    pub(super) disclosure: Disclosure,
    pub(super) sign_in: SignIn,
    pub(super) machine: MachineAccess,
    pub(super) denials: Denials,
    pub(super) keeper: Keeper,
}

impl Parts {
    /// Makes them. The workers begin at once.
    ///
    /// # Errors
    /// If the configuration does not fit, or sandboxes cannot be made here.
    pub(super) async fn start(config: &Config, ground: &Ground) -> anyhow::Result<Self> {
        let catalog =
            Arc::new(Catalog::load(config.apps_dir.as_deref()).context("loading the catalogue")?);
        let (guard, extra_roots) = (guard(config), extra_roots(config)?);
        let http =
            HttpClient::new(guard.clone(), &HttpConfig { extra_roots_pem: extra_roots.clone() })?;
        let disclosure = Disclosure::new(DisclosureParts {
            store: ground.store.clone(),
            clock: Arc::clone(&ground.clock),
            random: Arc::clone(&ground.random),
            public_url: ground.public_url.clone(),
            config: config.edge.disclosure(
                ground.clock.now(),
                guard.clone(),
                extra_roots.clone(),
            )?,
        });
        let webhooks = webhooks(ground, &http);
        let connect = connect(ground, &http, &webhooks, &catalog)?;
        let packages_config =
            config.packages.config(&config.data_dir, extra_roots.clone(), config.minimum_tier);
        let pool = Pool::new(pool_config(config)?, Arc::new(GuardedEgress::new(guard)))
            .await
            .context("preparing the sandboxes; `causeway doctor` says more")?;
        let pool = Arc::new(pool);
        let packages = packages(packages_config, ground, &http, &pool)?;
        let flow = flow(config, ground, &connect, &pool, packages).await?;
        let denials = Denials::new(ground.store.clone(), Arc::clone(&ground.clock));
        let keeper = Keeper::new(
            ground.store.clone(),
            ground.own_keys.clone(),
            denials.clone(),
            Arc::clone(&ground.clock),
            Actor::Node(flow.node()),
        );
        let (sign_in, machine) = (sign_in(ground, http), machine(ground));
        Ok(Self {
            catalog,
            connect,
            webhooks,
            pool,
            flow,
            disclosure,
            sign_in,
            machine,
            denials,
            keeper,
        })
    }

    /// The interfaces to them.
    ///
    /// # Errors
    /// If the process records metrics already.
    pub(super) fn api(&self, config: &Config, ground: &Ground) -> anyhow::Result<Api> {
        let Ground { store, vault, own_keys, clock, random, public_url } = ground;
        Ok(Api::new(ApiParts {
            flow: self.flow.clone(),
            connect: self.connect.clone(),
            webhooks: self.webhooks.clone(),
            vault: vault.clone(),
            members: Members::new(MembersParts {
                store: store.clone(),
                vault: vault.clone(),
                token_key: own_keys.token().clone(),
                clock: Arc::clone(clock),
                random: Arc::clone(random),
            }),
            catalog: Arc::clone(&self.catalog),
            authenticator: self.machine.authenticator(),
            machine: self.machine.clone(),
            sign_in: self.sign_in.clone(),
            audit: AuditLog::new(store.clone(), own_keys.clone(), Arc::clone(clock)),
            denials: self.denials.clone(),
            staff: StaffAccess::new(store.clone(), Arc::clone(clock), Arc::clone(random)),
            disclosure: self.disclosure.clone(),
            trusted_proxies: config.edge.trusted_proxies.clone(),
            rate_limits: RateLimits::new(&config.edge.rate_limits),
            store: store.clone(),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            metrics: causeway_api::install_metrics().context("installing the metrics")?,
            public_url: public_url.clone(),
        }))
    }
}

fn guard(config: &Config) -> Guard {
    let guard = GuardConfig { allow: config.net_allow.clone(), ..GuardConfig::default() };
    Guard::new(guard, SystemResolver)
}

/// The root certificates to trust besides the system's, PEM.
fn extra_roots(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    config.net_extra_roots.as_deref().map(read).transpose()
}

fn webhooks(ground: &Ground, http: &HttpClient) -> Webhooks {
    let parts = WebhooksParts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        http: http.clone(),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
    };
    Webhooks::new(parts, WebhooksConfig::default())
}

fn connect(
    ground: &Ground,
    http: &HttpClient,
    webhooks: &Webhooks,
    catalog: &Arc<Catalog>,
) -> anyhow::Result<Connect> {
    let callback_url = format!("{}/connect/callback", ground.base());
    let apps = Arc::clone(catalog);
    Ok(Connect::new(ConnectParts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        http: http.clone(),
        webhooks: webhooks.clone(),
        words: Arc::new(move |report| causeway_api::connection_event(&apps, report)),
        catalog: Arc::clone(catalog),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
        callback_url: callback_url.parse().context("making the callback URL")?,
        crash: Arc::new(NoCrash),
    }))
}

fn packages(
    config: PackagesConfig,
    ground: &Ground,
    http: &HttpClient,
    pool: &Arc<Pool>,
) -> anyhow::Result<Packages> {
    let parts = PackagesParts {
        http: http.clone(),
        pool: Arc::clone(pool),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
    };
    Packages::new(parts, config).context("preparing the folder of packages")
}

async fn flow(
    config: &Config,
    ground: &Ground,
    connect: &Connect,
    pool: &Arc<Pool>,
    packages: Packages,
) -> anyhow::Result<Flow> {
    let parts = FlowParts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        connect: connect.clone(),
        pool: Arc::clone(pool),
        packages,
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
        public_url: ground.base().to_owned(),
    };
    let config = FlowConfig {
        concurrency: config.concurrency,
        minimum_tier: config.minimum_tier,
        ..FlowConfig::default()
    };
    Flow::start(parts, config).await.context("starting the workers")
}

pub(crate) fn pool_config(config: &Config) -> anyhow::Result<PoolConfig> {
    Ok(PoolConfig {
        launcher: vec!["/proc/self/exe".into(), JAIL.into()],
        runtimes: config.runtimes()?,
        max_sandboxes: config.concurrency + config.spare_sandboxes,
        max_per_version: config.concurrency,
        max_waiting: config.concurrency * 4,
        spare: config.spare_sandboxes,
        spare_limits: Limits::default(),
        idle: config.sandbox_idle,
        max_age: MAX_AGE,
        memory: config.sandbox_memory,
        clock: wiring::clock(),
    })
}

fn sign_in(ground: &Ground, http: HttpClient) -> SignIn {
    SignIn::new(SignInParts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        http,
        token_key: ground.own_keys.token().clone(),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
        public_url: ground.public_url.clone(),
    })
}

fn machine(ground: &Ground) -> MachineAccess {
    MachineAccess::new(MachineParts {
        store: ground.store.clone(),
        keys: ground.own_keys.clone(),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
        issuer: ground.base().to_owned(),
    })
}
