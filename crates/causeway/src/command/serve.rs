//! `causeway serve`: every part is put together, works until the signal to stop, and ends in the
//! order in which nothing that was promised is lost.

mod background;
mod ground;
mod parts;
mod process;
mod rows;

use super::claim_link;
use crate::cli::ServerArgs;
use crate::config::Config;
use crate::listen::{Doors, Serving};
use crate::output::Output;
use crate::wiring;
use background::Background;
use causeway_api::Routers;
use ground::Ground;
use parts::Parts;
pub(crate) use parts::pool_config;
use std::time::Duration;

/// How long running steps may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last answers may take to leave, after that.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<()> {
    process::log();
    process::no_core_dumps()?;
    process::many_open_files();
    let config = Config::read(args)?;
    let _alone = wiring::lock_data_dir(&config)?;
    let (ground, doors) = Ground::open(&config).await?;
    let parts = Parts::start(&config, &ground).await?;
    let background = Background::start(&parts, &ground);
    claim_link::announce(&ground.store, &ground.own_keys, &ground.public_url).await?;
    let routers = parts.api(&config, &ground)?.routers(config.edge.split());
    // Before anybody hears that the server is ready: who stops it then gets a clean stop.
    let stop = process::stop_signal()?;
    let serving = serve(doors, routers, &parts, &ground, output);
    stop.await;
    tracing::info!("stopping");
    end(serving, background, &parts, &ground).await
}

/// Begins to answer, and says so.
fn serve(
    doors: Doors,
    routers: Routers,
    parts: &Parts,
    ground: &Ground,
    output: Output,
) -> Serving {
    let (kind, node, url) = (ground.store.kind(), parts.flow.node(), doors.url());
    let mut ready = doors.shown();
    ready.insert("database".to_owned(), kind.into());
    ready.insert("node".to_owned(), node.to_string().into());
    let serving = doors.serve(routers, &ground.store);
    output.result(&ready, |_| format!("Causeway listens on {url} ({kind})."));
    tracing::info!(listen = url, database = kind, node.id = %node, "serving");
    serving
}

/// Ends everything: first what begins something, then what is under way, last what writes it down.
async fn end(
    serving: Serving,
    background: Background,
    parts: &Parts,
    ground: &Ground,
) -> anyhow::Result<()> {
    serving.stop();
    let last = background.stop().await?;
    parts.flow.stop(GRACE).await;
    serving.ended(LAST_ANSWERS).await;
    last.stop().await?;
    parts.pool.shutdown().await;
    parts.connect.close().await;
    // Whatever was done until now is in the chains, and signed.
    parts.keeper.close().await;
    ground.store.close().await;
    Ok(())
}
