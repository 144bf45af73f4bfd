//! Keys that were rotated while this process runs.

use super::stored::{self, Opened};
use super::{OwnKeys, OwnKeysError};
use causeway_store::{Heard, Mark, Notices};
use causeway_types::{INSTALLATION, Timestamp, chain};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the keys are looked at if nothing is heard: with SQLite, another process on the same
/// machine tells nobody.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How often they are looked at for something that is signed with an unknown key, which anybody can
/// make up.
const SEEK_EVERY: Duration = Duration::from_secs(1);

impl OwnKeys {
    /// Takes up keys that were rotated by another process. True if there were any; otherwise it
    /// costs one query for each kind of key.
    ///
    /// # Errors
    /// See [`OwnKeysError`]; the keys that were open stay in use then.
    pub async fn renew(&self) -> Result<bool, OwnKeysError> {
        let _one = self.inner.looking.lock().await;
        self.look().await
    }

    /// The same because something is signed with a key that is not known here, at most once a
    /// second.
    pub(crate) async fn seek(&self, now: Timestamp) -> Result<bool, OwnKeysError> {
        let mut sought = self.inner.looking.lock().await;
        if sought.is_some_and(|at| now.since(at) < SEEK_EVERY) {
            return Ok(false);
        }
        *sought = Some(now);
        self.look().await
    }

    async fn look(&self) -> Result<bool, OwnKeysError> {
        let inner = &self.inner;
        if stored::listed(&inner.store).await? == self.signing().verifiers {
            return Ok(false);
        }
        let Opened { signing, .. } = stored::read(&inner.store, &inner.vault).await?;
        *inner.signing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signing);
        tracing::info!("took up new signing keys");
        Ok(true)
    }

    /// Takes up rotated keys until `shutdown`: when another node tells of it, and now and then. An
    /// error is logged, and the keys that are open stay in use.
    pub(crate) async fn follow(&self, shutdown: CancellationToken) {
        let notices = self.inner.store.notices();
        let mut heard = notices.heard();
        while !shutdown.is_cancelled() {
            let mark = notices.mark();
            if let Err(error) = self.renew().await {
                tracing::error!(error = chain(&error), "Causeway's own keys cannot be read again");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = installation_changed(notices, &mut heard, mark) => {}
            }
        }
    }
}

/// Waits until something is heard that may concern the installation.
async fn installation_changed(
    notices: &Notices,
    heard: &mut watch::Receiver<Heard>,
    mark: Option<Mark>,
) {
    loop {
        if heard.changed().await.is_err() {
            return std::future::pending().await;
        }
        if mark.is_none_or(|mark| !notices.holds(INSTALLATION, mark)) {
            return;
        }
    }
}
