//! `causeway claim-link`: how a new installation gets its first owner.
//!
//! The link is as good as a password until it is used. So it is shown to whoever sits at the
//! machine, on standard output of this command or on the terminal that the server was started in,
//! and never written to a log.

use crate::cli::ServerArgs;
use crate::config::Config;
use crate::listen;
use crate::output::{Output, note};
use crate::wiring;
use anyhow::Context;
use causeway_identity::{CLAIM_LIFETIME, NewClaimLink, OwnKeys, is_claimed, make_claim_link};
use causeway_store::Store;
use causeway_types::Actor;
use serde_json::{Value, json};
use std::io::IsTerminal;
use url::Url;

pub(crate) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<()> {
    let config = Config::read(args)?;
    // A running server may go on: both use the database as it allows.
    wiring::make_data_dir(&config)?;
    let store = wiring::open_store(&config).await?;
    let root = wiring::root_key(&config, &store).await?;
    let vault = wiring::unlock(store.clone(), root).await?;
    let own_keys = wiring::own_keys(&store, &vault).await?;
    let public_url = match config.public_url.clone() {
        Some(url) => url,
        None => reached_at(&config, &store).await?.parse().context("making the public URL")?,
    };
    let link = new_link(&store, &own_keys).await?;
    store.close().await;
    let shown = json!({
        "claim_url": url_of(&public_url, &link),
        "expires_at": link.expires_at,
    });
    output.result(&shown, |shown| {
        let field =
            |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!(
            "Open this link in a browser to become the owner of this installation. It works once, until {}:\n{}",
            field("expires_at"),
            field("claim_url")
        )
    });
    Ok(())
}

/// Where a server with this configuration is reached.
async fn reached_at(config: &Config, store: &Store) -> anyhow::Result<String> {
    let wanted = config.listen;
    let at = if is_claimed(store).await? { wanted } else { listen::confined(wanted) };
    Ok(listen::url(at, config.edge.tls.is_some()))
}

/// Tells whoever started the server how to claim the installation, if nobody has.
pub(crate) async fn announce(
    store: &Store,
    own_keys: &OwnKeys,
    public_url: &Url,
) -> anyhow::Result<()> {
    if is_claimed(store).await? {
        return Ok(());
    }
    if !std::io::stderr().is_terminal() {
        tracing::warn!(
            "this installation has no owner: run `causeway claim-link` on this machine and open the link that it prints"
        );
        return Ok(());
    }
    let link = new_link(store, own_keys).await?;
    note(format!(
        "\nThis installation has no owner yet. Open this link in a browser to become its owner.\n\
         It works once, for {} hours. Whoever opens it first has everything: do not pass it on.\n\n  {}\n",
        CLAIM_LIFETIME.as_secs() / 3600,
        url_of(public_url, &link)
    ));
    Ok(())
}

async fn new_link(store: &Store, own_keys: &OwnKeys) -> anyhow::Result<NewClaimLink> {
    let (clock, random) = (wiring::clock(), wiring::random());
    make_claim_link(store, own_keys.token(), &*clock, &*random, Actor::Machine)
        .await
        .context("making a claim link")
}

fn url_of(public_url: &Url, link: &NewClaimLink) -> String {
    format!("{}/auth/claim/{}", public_url.as_str().trim_end_matches('/'), link.token.expose())
}
