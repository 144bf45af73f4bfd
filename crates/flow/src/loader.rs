//! Versions in memory, ready for the sandbox.

use crate::bundle::Bundle;
use crate::graph::{Code, Graph};
use crate::manifest::Manifest;
use crate::{FlowError, Inner};
use causeway_catalog::HostPattern;
use causeway_sandbox::{EgressRules, Program, ProgramKey, Runtime};
use causeway_store::db;
use causeway_types::{Place, Tenant, VersionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A version in memory.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    /// Its steps by position.
    pub(crate) graph: Graph,
    /// Its program for each runtime that its steps need.
    programs: BTreeMap<Runtime, Arc<Program>>,
}

impl Loaded {
    /// The program that runs a step's code.
    pub(crate) fn program(&self, code: &Code) -> Option<&Arc<Program>> {
        self.programs.get(&code.runtime)
    }
}

impl Inner {
    /// A version of the tenant, from memory or from the store.
    pub(crate) async fn load(
        &self,
        tenant: Tenant,
        id: VersionId,
    ) -> Result<Arc<Loaded>, FlowError> {
        if let Some(loaded) = self.versions.get(&id).await {
            return Ok(loaded);
        }
        let bundle = self.bundle(tenant, id).await?;
        let files = bundle.source_files();
        let manifest = bundle.manifest;
        let egress = EgressRules::parse(&manifest.egress).map_err(|error| {
            crate::ManifestError::Rule { at: "egress".to_owned(), rule: error.to_string() }
        })?;
        let tier = manifest.tier(self.config.minimum_tier);
        let program = |runtime, binds| {
            Arc::new(Program {
                key: ProgramKey { workspace: tenant.workspace, version: id },
                files: Arc::clone(&files),
                binds,
                egress: egress.clone(),
                limits: manifest.sandbox_limits(),
                runtime,
                tier,
            })
        };
        let mut programs = BTreeMap::new();
        for runtime in manifest.runtimes() {
            let binds = self.binds(&bundle.folder.dependencies, runtime).await?;
            programs.insert(runtime, program(runtime, binds));
        }
        let loaded = Arc::new(Loaded { graph: Graph::new(&manifest), manifest, programs });
        self.versions.insert(id, Arc::clone(&loaded)).await;
        Ok(loaded)
    }

    /// The content of a version of the tenant.
    pub(crate) async fn bundle(&self, tenant: Tenant, id: VersionId) -> Result<Bundle, FlowError> {
        let mut conn = self.store.read().await?;
        let version = db!(conn, workflow::version(tenant, id))?
            .ok_or_else(|| FlowError::Dangling { what: "content", of: id.to_string() })?;
        drop(conn);
        let bytes =
            self.vault.open(tenant.workspace, &Place::VersionBundle(id), &version.bundle).await?;
        Ok(Bundle::from_bytes(bytes.expose())?)
    }
}

/// A host of an app as the sandbox's rules take it. A port in the row narrows where the
/// credential may go; the guard still decides about the port of the connection.
pub(crate) fn egress_host(host: &HostPattern) -> String {
    match host.as_str().rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            name.to_owned()
        }
        _ => host.as_str().to_owned(),
    }
}
