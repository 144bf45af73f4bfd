//! What every part of the server stands on: the database, the keys, the world's address.

use crate::config::Config;
use crate::listen::{Doors, confined};
use crate::wiring;
use anyhow::Context;
use causeway_identity::{OwnKeys, is_claimed};
use causeway_store::Store;
use causeway_types::{Clock, Randomness};
use causeway_vault::Vault;
use std::sync::Arc;
use url::Url;

pub(super) struct Ground {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) own_keys: OwnKeys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Randomness>,
    /// The address under which the world reaches the server.
    pub(super) public_url: Url,
}

impl Ground {
    /// Takes the addresses, opens the database and unlocks the vault. As long as nobody has claimed
    /// the installation, the listeners keep to the loopback.
    ///
    /// # Errors
    /// If one of them cannot be had.
    pub(super) async fn open(config: &Config) -> anyhow::Result<(Self, Doors)> {
        let mut doors = Doors::open(config).await?;
        let store = wiring::open_store(config).await?;
        let root = wiring::root_key(config, &store).await?;
        let vault = wiring::unlock(store.clone(), root).await?;
        let own_keys = wiring::own_keys(&store, &vault).await?;
        if !is_claimed(&store).await? {
            doors = doors.confine().await?;
        }
        let public_url = match config.public_url.clone() {
            Some(url) => url,
            None => made_up(config, &doors)?,
        };
        let (clock, random) = (wiring::clock(), wiring::random());
        Ok((Self { store, vault, own_keys, clock, random, public_url }, doors))
    }

    /// The public URL without a slash at its end.
    pub(super) fn base(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }
}

/// The address listened on, as the public URL of who has configured none.
fn made_up(config: &Config, doors: &Doors) -> anyhow::Result<Url> {
    let url = doors.url();
    if config.edge.listen_api.is_some() || confined(config.listen) != config.listen {
        tracing::warn!(
            public_url = url,
            "there is no public_url, so links and sign-ins lead to this address; set it to the one by which others reach the server"
        );
    }
    url.parse().context("making the public URL")
}
