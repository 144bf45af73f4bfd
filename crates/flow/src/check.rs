//! Reading a version's code before it is accepted: as far as its runtime does before the first
//! line runs, and where its runtime would, in a sandbox that is ended afterwards.

use crate::bundle::Bundle;
use crate::{FlowError, Inner};
use causeway_packages::{Dependencies, Layer};
use causeway_sandbox::{
    Bind, EgressRules, FailureCode, Limits, Program, ProgramKey, Runtime, SourceFile,
};
use causeway_types::{Tenant, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What reading may take: no more than a parser needs for the largest version.
pub(crate) const CHECK_WALL: Duration = Duration::from_secs(10);
/// The same, of processor time.
pub(crate) const CHECK_CPU: Duration = Duration::from_secs(5);

impl Inner {
    /// Refuses code that does not parse, or imports what does not exist.
    pub(crate) async fn check_code(
        &self,
        tenant: Tenant,
        digest: &str,
        bundle: &Bundle,
        dependencies: &Dependencies,
    ) -> Result<(), FlowError> {
        // The same files may be read with other packages.
        let layers = dependencies.layers.iter().map(Layer::digest);
        let known = (tenant.workspace, layers.fold(digest.to_owned(), |all, one| all + &one));
        if self.checked.contains_key(&known) {
            return Ok(());
        }
        let mut by_runtime: BTreeMap<Runtime, BTreeSet<String>> = BTreeMap::new();
        for step in bundle.manifest.all_steps() {
            if let Some(runtime) = step.runtime() {
                by_runtime.entry(runtime).or_default().insert(crate::graph::entry(step));
            }
        }
        let files = bundle.source_files();
        // A few at a time: whoever deploys must not take the sandboxes of whatever runs.
        let Ok(_turn) = self.checks.acquire().await else { return Ok(()) };
        for (runtime, entries) in by_runtime {
            let missing = |source| FlowError::NoRuntime { runtime, source };
            self.pool.has(runtime).await.map_err(missing)?;
            let entries: Vec<String> = entries.into_iter().collect();
            let binds = self.binds(dependencies, runtime).await?;
            self.read_code(tenant, runtime, (&files, binds), &entries).await?;
        }
        self.checked.insert(known, ()).await;
        Ok(())
    }

    /// Reads the files of one runtime's steps, and what they import.
    async fn read_code(
        &self,
        tenant: Tenant,
        runtime: Runtime,
        (files, binds): (&Arc<Vec<SourceFile>>, Vec<Bind>),
        entries: &[String],
    ) -> Result<(), FlowError> {
        // A key of its own: nothing else is ever put into this sandbox.
        let version = VersionId::generate(self.clock.now(), &*self.random);
        let program = Arc::new(Program {
            key: ProgramKey { workspace: tenant.workspace, version },
            files: Arc::clone(files),
            binds,
            egress: EgressRules::default(),
            limits: Limits { wall: CHECK_WALL, cpu: CHECK_CPU, ..Limits::default() },
            runtime,
            // Nothing of the code runs. A version that asks for more than this server has can be
            // deployed all the same.
            tier: self.config.minimum_tier,
        });
        let mut session = self.pool.checkout(&program).await.map_err(FlowError::NoSandbox)?;
        let read = session.check(entries).await;
        drop(session);
        self.pool.evict(version).await;
        match read {
            Ok(()) => Ok(()),
            Err(failure) if failure.code == FailureCode::SyntaxError => {
                Err(FlowError::Syntax { message: failure.message })
            }
            Err(failure) => {
                Err(FlowError::Unreadable { code: failure.code, message: failure.message })
            }
        }
    }
}
