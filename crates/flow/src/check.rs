//! Reading a version's code before it is accepted: as far as its runtime does before the first
//! line runs, and where its runtime would, in a sandbox that is ended afterwards.

use crate::bundle::Bundle;
use crate::manifest::Manifest;
use crate::{FlowError, Inner};
use causeway_sandbox::{EgressRules, FailureCode, Limits, Program, ProgramKey, Runtime};
use causeway_types::{Tenant, VersionId};
use std::sync::Arc;
use std::time::Duration;

/// What reading may take: no more than a parser needs for the largest version.
const CHECK_WALL: Duration = Duration::from_secs(10);
/// The same, of processor time.
const CHECK_CPU: Duration = Duration::from_secs(5);

impl Inner {
    /// Refuses code that does not parse, or imports what does not exist.
    pub(crate) async fn check_code(
        &self,
        tenant: Tenant,
        digest: &str,
        bundle: &Bundle,
    ) -> Result<(), FlowError> {
        let known = (tenant.workspace, digest.to_owned());
        if self.checked.contains_key(&known) {
            return Ok(());
        }
        let mut entries: Vec<String> =
            bundle.manifest.steps.iter().map(|step| Manifest::entry(step).to_owned()).collect();
        entries.sort();
        entries.dedup();
        // A key of its own: nothing else is ever put into this sandbox.
        let version = VersionId::generate(self.clock.now(), &*self.random);
        let program = Arc::new(Program {
            key: ProgramKey { workspace: tenant.workspace, version },
            files: bundle.source_files(),
            egress: EgressRules::default(),
            limits: Limits { wall: CHECK_WALL, cpu: CHECK_CPU, ..Limits::default() },
            runtime: Runtime::Node,
        });
        // A few at a time: whoever deploys must not take the sandboxes of whatever runs.
        let Ok(_turn) = self.checks.acquire().await else { return Ok(()) };
        let mut session = self.pool.checkout(&program).await.map_err(FlowError::NoSandbox)?;
        let read = session.check(&entries).await;
        drop(session);
        self.pool.evict(version).await;
        match read {
            Ok(()) => {
                self.checked.insert(known, ()).await;
                Ok(())
            }
            Err(failure) if failure.code == FailureCode::SyntaxError => {
                Err(FlowError::Syntax { message: failure.message })
            }
            Err(failure) => {
                Err(FlowError::Unreadable { code: failure.code, message: failure.message })
            }
        }
    }
}
