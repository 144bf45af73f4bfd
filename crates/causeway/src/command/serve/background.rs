//! What goes on beside the answers to requests, and how it ends.

use super::ground::Ground;
use super::parts::Parts;
use super::rows;
use anyhow::Context;
use causeway_identity::SignIn;
use causeway_types::Actor;
use causeway_vault::Vault;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often unfinished key rotations are taken up.
const ROTATIONS: Duration = Duration::from_mins(1);
/// How often sign-ins and sessions that are over are deleted.
const PRUNING: Duration = Duration::from_mins(5);

/// The tasks at work.
pub(super) struct Background {
    stopping: CancellationToken,
    refreshing: JoinHandle<()>,
    revoking: JoinHandle<()>,
    delivering: JoinHandle<()>,
    mailing: JoinHandle<()>,
    reading: JoinHandle<anyhow::Result<()>>,
    rotating: JoinHandle<()>,
    pruning: JoinHandle<()>,
    last: Last,
}

/// Those that end after the last request, because they write down what it did.
pub(super) struct Last {
    served: CancellationToken,
    noting: JoinHandle<()>,
    keeping: JoinHandle<()>,
}

impl Background {
    pub(super) fn start(parts: &Parts, ground: &Ground) -> Self {
        let (stopping, served) = (CancellationToken::new(), CancellationToken::new());
        let node = parts.flow.node();
        let refreshing = tokio::spawn({
            let (connect, stopping) = (parts.connect.clone(), stopping.clone());
            async move { connect.run_background(stopping).await }
        });
        let revoking = tokio::spawn({
            let (connect, stopping) = (parts.connect.clone(), stopping.clone());
            async move { connect.run_revocations(stopping).await }
        });
        let delivering = tokio::spawn({
            let (webhooks, stopping) = (parts.webhooks.clone(), stopping.clone());
            async move { webhooks.run(stopping).await }
        });
        let mailing = tokio::spawn({
            let (disclosure, stopping) = (parts.disclosure.clone(), stopping.clone());
            async move { disclosure.run_mailer(node, stopping).await }
        });
        let noting = tokio::spawn({
            let (machine, served) = (parts.machine.clone(), served.clone());
            async move { machine.run_background(served).await }
        });
        let keeping = tokio::spawn({
            let (keeper, stopping) = (parts.keeper.clone(), stopping.clone());
            async move { keeper.run(stopping).await }
        });
        let reading = tokio::spawn(rows::keep_up(Arc::clone(&parts.catalog), stopping.clone()));
        Self {
            stopping,
            refreshing,
            revoking,
            delivering,
            mailing,
            reading,
            rotating: tokio::spawn(take_up_rotations(ground.vault.clone(), Actor::Node(node))),
            pruning: tokio::spawn(prune_sign_ins(parts.sign_in.clone())),
            last: Last { served, noting, keeping },
        }
    }

    /// Ends whatever would begin something new.
    ///
    /// # Errors
    /// If a task has panicked.
    pub(super) async fn stop(self) -> anyhow::Result<Last> {
        self.stopping.cancel();
        self.rotating.abort();
        self.pruning.abort();
        self.refreshing.await.context("ending the background refresh")?;
        self.revoking.await.context("ending the revocation of connections")?;
        self.delivering.await.context("ending the delivery of webhooks")?;
        self.mailing.await.context("ending the mailer")?;
        self.reading.await.context("ending the watch over the catalogue")??;
        Ok(self.last)
    }
}

impl Last {
    /// Ends the rest, after the last request.
    ///
    /// # Errors
    /// If a task has panicked.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.served.cancel();
        self.noting.await.context("writing when API keys were used last")?;
        self.keeping.await.context("ending the watch over the audit chains")
    }
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
