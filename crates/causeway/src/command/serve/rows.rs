//! Keeping up with the operator's rows while the server runs.

use crate::looks::Looks;
use anyhow::Context as _;
use causeway_catalog::{Catalog, Change, Look};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the operator's folder is looked at.
const TURN: Duration = Duration::from_secs(3);

/// Reads rows anew when their files change, and at each SIGHUP, until `stopping`.
///
/// # Errors
/// If the process cannot listen for signals.
pub(super) async fn keep_up(
    catalog: Arc<Catalog>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let mut looks = Looks::new(TURN, stopping)?;
    while let Some(asked) = looks.next().await {
        let look = if asked { Look::Everything } else { Look::Changed };
        let own = Arc::clone(&catalog);
        let reloaded = tokio::task::spawn_blocking(move || own.reload(look))
            .await
            .context("reading the catalogue anew")?;
        for fault in reloaded.faults {
            let error = anyhow::Error::from(fault);
            tracing::error!(
                error = format!("{error:#}"),
                "this row cannot be used, so the one before stays: mend it, and try it with \
                 `causeway apps check`"
            );
        }
        for change in reloaded.changes {
            tell(change);
        }
    }
    Ok(())
}

fn tell(change: Change) {
    match change {
        Change::Added { slug } => tracing::info!(app = slug, "a row was added"),
        Change::Removed { slug } => tracing::warn!(
            app = slug,
            "a row is gone: connections to this app cannot be used until it is back"
        ),
        Change::Changed { slug, new_hosts } if new_hosts.is_empty() => {
            tracing::info!(app = slug, "a row has changed");
        }
        Change::Changed { slug, new_hosts } => tracing::warn!(
            app = slug,
            hosts = new_hosts.join(" "),
            "a row has changed: these hosts receive the credentials of its connections from now on"
        ),
    }
}
