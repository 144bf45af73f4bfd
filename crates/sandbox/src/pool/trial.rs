//! Trying a tier, for `causeway doctor`: only a sandbox that has run something proves it.

use super::{CheckoutError, Pool, PoolConfig, PoolError};
use crate::egress::{Egress, EgressFuture, EgressRefused, EgressRequest, EgressRules};
use crate::program::{Limits, Program, ProgramKey, Runtime, SourceFile};
use crate::tier::Tier;
use causeway_types::{OsRandom, VersionId, WorkspaceId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The file that is read in the sandbox.
const FILE: &str = "trial.mjs";

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No pool could be made.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No sandbox could be made.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// What was tried in it failed.
    #[error("running Node in a sandbox: {0}")]
    Step(String),
}

/// Makes one sandbox of a tier, and has Node read a file in it; how long that took.
pub async fn try_tier(config: PoolConfig, tier: Tier) -> Result<Duration, TrialError> {
    let clock = Arc::clone(&config.clock);
    let pool = Pool::new(PoolConfig { spare: 0, ..config }, Arc::new(Nowhere)).await?;
    let program = Arc::new(Program {
        key: ProgramKey {
            workspace: WorkspaceId::generate(clock.now(), &OsRandom),
            version: VersionId::generate(clock.now(), &OsRandom),
        },
        files: Arc::new(vec![SourceFile {
            path: FILE.to_owned(),
            contents: b"export default () => 1".to_vec(),
        }]),
        egress: EgressRules::default(),
        limits: Limits::default(),
        runtime: Runtime::Node,
        tier,
        binds: Vec::new(),
    });
    let begun = Instant::now();
    let mut session = pool.checkout(&program).await?;
    let read = session.check(&[FILE.to_owned()]).await;
    drop(session);
    let took = begun.elapsed();
    pool.shutdown().await;
    read.map(|()| took).map_err(|failure| TrialError::Step(failure.message))
}

/// The way out of a sandbox that connects to nothing.
struct Nowhere;

impl Egress for Nowhere {
    fn connect<'a>(&'a self, _request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async {
            let message = "this sandbox is a trial".to_owned();
            Err(EgressRefused { code: "EGRESS_REFUSED", message })
        })
    }
}
