//! `causeway serve`.

use super::claim_link;
use crate::cli::ServerArgs;
use crate::config::Config;
use crate::listen::Doors;
use crate::output::Output;
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
    is_claimed,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_sandbox::{GuardedEgress, Limits, Pool, PoolConfig};
use causeway_types::Actor;
use causeway_vault::Vault;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long running steps may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Files that the server may have open at a time, if the system allows that many.
const OPEN_FILES: u64 = 65_536;
/// How long the last answers may take to leave, after that.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How often unfinished key rotations are taken up.
const ROTATIONS: Duration = Duration::from_mins(1);
/// How often sign-ins and sessions that are over are deleted.
const PRUNING: Duration = Duration::from_mins(5);

#[expect(clippy::too_many_lines, reason = "starts every part, one after the other, and stops them")]
pub(crate) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<()> {
    log();
    no_core_dumps()?;
    many_open_files();
    let config = Config::read(args)?;
    let _alone = wiring::lock_data_dir(&config)?;
    let mut doors = Doors::open(&config).await?;
    let store = wiring::open_store(&config).await?;
    let root = wiring::root_key(&config, &store).await?;
    let vault = wiring::unlock(store.clone(), root).await?;
    let own_keys = wiring::own_keys(&store, &vault).await?;
    if !is_claimed(&store).await? {
        doors = doors.confine().await?;
    }
    let public_url = match config.public_url.clone() {
        Some(url) => url,
        None => doors.url().parse().context("making the public URL")?,
    };

    let catalog =
        Arc::new(Catalog::load(config.apps_dir.as_deref()).context("loading the catalogue")?);
    let guard = Guard::new(
        GuardConfig { allow: config.net_allow.clone(), ..GuardConfig::default() },
        SystemResolver,
    );
    let extra_roots = extra_roots(&config)?;
    let http =
        HttpClient::new(guard.clone(), &HttpConfig { extra_roots_pem: extra_roots.clone() })?;
    let (clock, random) = (wiring::clock(), wiring::random());
    let disclosure = Disclosure::new(DisclosureParts {
        store: store.clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        public_url: public_url.clone(),
        config: config.edge.disclosure(clock.now(), guard.clone(), extra_roots)?,
    });
    let base = public_url.as_str().trim_end_matches('/');
    let connect = Connect::new(ConnectParts {
        store: store.clone(),
        vault: vault.clone(),
        http: http.clone(),
        catalog: Arc::clone(&catalog),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        callback_url: format!("{base}/connect/callback")
            .parse()
            .context("making the callback URL")?,
        crash: Arc::new(NoCrash),
    });
    let pool = Arc::new(
        Pool::new(pool_config(&config)?, Arc::new(GuardedEgress::new(guard)))
            .await
            .context("preparing the sandboxes; `causeway doctor` says more")?,
    );
    let flow = Flow::start(
        FlowParts {
            store: store.clone(),
            vault: vault.clone(),
            connect: connect.clone(),
            catalog: Arc::clone(&catalog),
            pool: Arc::clone(&pool),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
        },
        FlowConfig { concurrency: config.concurrency, ..FlowConfig::default() },
    )
    .await
    .context("starting the workers")?;
    let stopping = CancellationToken::new();
    let refreshing = tokio::spawn({
        let (connect, stopping) = (connect.clone(), stopping.clone());
        async move { connect.run_background(stopping).await }
    });
    let mailing = tokio::spawn({
        let (disclosure, node, stopping) = (disclosure.clone(), flow.node(), stopping.clone());
        async move { disclosure.run_mailer(node, stopping).await }
    });
    let rotating = tokio::spawn(take_up_rotations(vault.clone(), Actor::Node(flow.node())));

    let sign_in = SignIn::new(SignInParts {
        store: store.clone(),
        vault: vault.clone(),
        http,
        token_key: own_keys.token().clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        public_url: public_url.clone(),
    });
    let machine = MachineAccess::new(MachineParts {
        store: store.clone(),
        keys: own_keys.clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        issuer: base.to_owned(),
    });
    // It notes what the last requests used, so it ends after them.
    let served = CancellationToken::new();
    let noting = tokio::spawn({
        let (machine, served) = (machine.clone(), served.clone());
        async move { machine.run_background(served).await }
    });
    let pruning = tokio::spawn(prune_sign_ins(sign_in.clone()));
    let denials = Denials::new(store.clone(), Arc::clone(&clock));
    let keeper = Keeper::new(
        store.clone(),
        own_keys.clone(),
        denials.clone(),
        Arc::clone(&clock),
        Actor::Node(flow.node()),
    );
    let keeping = tokio::spawn({
        let (keeper, stopping) = (keeper.clone(), stopping.clone());
        async move { keeper.run(stopping).await }
    });
    claim_link::announce(&store, &own_keys, &public_url).await?;

    let members = Members::new(MembersParts {
        store: store.clone(),
        vault: vault.clone(),
        token_key: own_keys.token().clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
    });
    let api = Api::new(ApiParts {
        flow: flow.clone(),
        connect: connect.clone(),
        vault,
        members,
        catalog,
        authenticator: machine.authenticator(),
        machine,
        sign_in,
        audit: AuditLog::new(store.clone(), own_keys.clone(), Arc::clone(&clock)),
        denials,
        staff: StaffAccess::new(store.clone(), Arc::clone(&clock), Arc::clone(&random)),
        disclosure,
        trusted_proxies: config.edge.trusted_proxies.clone(),
        rate_limits: RateLimits::new(&config.edge.rate_limits),
        store: store.clone(),
        clock,
        random,
        metrics: causeway_api::install_metrics().context("installing the metrics")?,
        public_url,
    });
    // Before anybody hears that the server is ready: who stops it then gets a clean stop.
    let stop = stop_signal().context("listening for the signal to stop")?;
    let mut ready = doors.shown();
    ready.insert("database".to_owned(), store.kind().into());
    ready.insert("node".to_owned(), flow.node().to_string().into());
    let url = doors.url();
    let serving = doors.serve(api.routers(config.edge.split()), &store);
    output.result(&ready, |_| format!("Causeway listens on {url} ({}).", store.kind()));
    tracing::info!(listen = url, database = store.kind(), node.id = %flow.node(), "serving");

    stop.await;
    tracing::info!("stopping");
    serving.stop();
    stopping.cancel();
    rotating.abort();
    pruning.abort();
    refreshing.await.context("ending the background refresh")?;
    mailing.await.context("ending the mailer")?;
    flow.stop(GRACE).await;
    serving.ended(LAST_ANSWERS).await;
    served.cancel();
    noting.await.context("writing when API keys were used last")?;
    pool.shutdown().await;
    connect.close().await;
    keeping.await.context("ending the watch over the audit chains")?;
    // The last: whatever was done until now is in the chains, and signed.
    keeper.close().await;
    store.close().await;
    Ok(())
}

/// A core dump would hold keys.
fn no_core_dumps() -> anyhow::Result<()> {
    rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    )
    .context("switching core dumps off")
}

/// Each connection is an open file, and many systems allow a process 1,024 unless it asks for more.
fn many_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if current.is_some_and(|current| current < wanted) {
        let more = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, more) {
            tracing::warn!(%error, "the process may not open more files");
        }
    }
}

/// The root certificates to trust besides the system's, PEM.
fn extra_roots(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    config.net_extra_roots.as_deref().map(read).transpose()
}

fn pool_config(config: &Config) -> anyhow::Result<PoolConfig> {
    Ok(PoolConfig {
        launcher: vec!["/proc/self/exe".into(), JAIL.into()],
        node: config.node()?,
        max_sandboxes: config.concurrency + config.spare_sandboxes,
        max_per_version: config.concurrency,
        max_waiting: config.concurrency * 4,
        spare: config.spare_sandboxes,
        spare_limits: Limits::default(),
        idle: Duration::from_mins(5),
        clock: wiring::clock(),
    })
}

/// Takes up key rotations that a stop or another node left unfinished.
async fn take_up_rotations(vault: Vault, actor: Actor) {
    let mut turns = tokio::time::interval(ROTATIONS);
    loop {
        turns.tick().await;
        if let Err(error) = vault.resume_rotations(actor).await {
            let error = anyhow::Error::from(error);
            tracing::warn!(error = format!("{error:#}"), "key rotations are unfinished");
        }
    }
}

/// Deletes sign-ins and sessions that are over.
async fn prune_sign_ins(sign_in: SignIn) {
    let mut turns = tokio::time::interval(PRUNING);
    loop {
        turns.tick().await;
        if let Err(error) = sign_in.prune().await {
            let error = anyhow::Error::from(error);
            tracing::warn!(error = format!("{error:#}"), "sign-ins that are over were not deleted");
        }
    }
}

/// Ctrl-C, or what service managers send. From this call on neither ends the process by itself.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Logs go to standard error: JSON lines, or text on a terminal. `RUST_LOG` filters them.
fn log() {
    use std::io::IsTerminal;
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // What it would tell of its work at lower levels is about keys and what is encrypted.
    if let Ok(quiet) = "pgp=warn".parse() {
        filter = filter.add_directive(quiet);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.init();
    } else {
        lines.json().init();
    }
}
