//! `causeway serve`.

use crate::cli::ServerArgs;
use crate::config::Config;
use crate::output::Output;
use crate::{JAIL, wiring};
use anyhow::Context;
use axum::serve::ListenerExt;
use causeway_api::{Api, ApiParts};
use causeway_catalog::Catalog;
use causeway_connect::{Connect, ConnectParts, NoCrash};
use causeway_flow::{Flow, FlowConfig, FlowParts};
use causeway_identity::Authenticator;
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_sandbox::{GuardedEgress, Limits, Pool, PoolConfig};
use causeway_types::Actor;
use causeway_vault::Vault;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long running steps may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How often unfinished key rotations are taken up.
const ROTATIONS: Duration = Duration::from_mins(1);

pub(crate) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<()> {
    log();
    no_core_dumps()?;
    let config = Config::read(args)?;
    let _alone = wiring::lock_data_dir(&config)?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "listening on {}: is another program using the port? --listen takes another",
            config.listen
        )
    })?;
    let address = listener.local_addr().context("reading the address that is listened on")?;
    let public_url = match config.public_url.clone() {
        Some(url) => url,
        None => format!("http://{address}").parse().context("making the public URL")?,
    };
    let store = wiring::open_store(&config).await?;
    let root = wiring::root_key(&config, &store).await?;
    let vault = wiring::unlock(store.clone(), root).await?;
    let own_keys = wiring::own_keys(&store, &vault).await?;

    let catalog =
        Arc::new(Catalog::load(config.apps_dir.as_deref()).context("loading the catalogue")?);
    let guard = Guard::new(
        GuardConfig { allow: config.net_allow.clone(), ..GuardConfig::default() },
        SystemResolver,
    );
    let http = http_client(&config, guard.clone())?;
    let (clock, random) = (wiring::clock(), wiring::random());
    let base = public_url.as_str().trim_end_matches('/');
    let connect = Connect::new(ConnectParts {
        store: store.clone(),
        vault: vault.clone(),
        http,
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
    let rotating = tokio::spawn(take_up_rotations(vault.clone(), Actor::Node(flow.node())));

    let api = Api::new(ApiParts {
        flow: flow.clone(),
        connect: connect.clone(),
        vault,
        catalog,
        authenticator: Authenticator::new(
            store.clone(),
            own_keys.token().clone(),
            Arc::clone(&clock),
        ),
        store: store.clone(),
        clock,
        random,
        metrics: causeway_api::install_metrics().context("installing the metrics")?,
        public_url,
    });
    let ready =
        json!({ "listening": address.to_string(), "database": store.kind(), "node": flow.node() });
    output.result(&ready, |_| format!("Causeway listens on http://{address} ({}).", store.kind()));
    tracing::info!(listen = %address, database = store.kind(), node.id = %flow.node(), "serving");

    let service = api.router().into_make_service_with_connect_info::<SocketAddr>();
    let stop = tokio::spawn(stop_signal());
    tokio::select! {
        served = axum::serve(listener.tap_io(without_delay), service) => served.context("serving")?,
        stopped = stop => stopped.context("waiting for the signal to stop")??,
    }
    tracing::info!("stopping");
    stopping.cancel();
    rotating.abort();
    refreshing.await.context("ending the background refresh")?;
    flow.stop(GRACE).await;
    pool.shutdown().await;
    connect.close().await;
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

fn http_client(config: &Config, guard: Guard) -> anyhow::Result<HttpClient> {
    let extra_roots_pem = match &config.net_extra_roots {
        Some(path) => {
            Some(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?)
        }
        None => None,
    };
    Ok(HttpClient::new(guard, &HttpConfig { extra_roots_pem })?)
}

/// Each piece of news leaves as it comes, without waiting until the one before has arrived.
fn without_delay(connection: &mut TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
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

/// Ctrl-C, or what service managers send.
async fn stop_signal() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Logs go to standard error: JSON lines, or text on a terminal. `RUST_LOG` filters them.
fn log() {
    use std::io::IsTerminal;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.init();
    } else {
        lines.json().init();
    }
}
