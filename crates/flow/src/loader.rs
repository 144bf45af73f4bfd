//! Versions in memory, ready for the sandbox.

use crate::bundle::Bundle;
use crate::manifest::{Manifest, StepSpec};
use crate::{FlowError, Inner};
use causeway_catalog::HostPattern;
use causeway_sandbox::{EgressRules, Program, ProgramKey, Runtime, SourceFile};
use causeway_store::db;
use causeway_types::{Place, Tenant, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A version in memory.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    /// Its program for each runtime that its steps need.
    programs: BTreeMap<Runtime, Arc<Program>>,
    files: Arc<Vec<SourceFile>>,
    /// The hosts of its connections, which decide what its code may reach.
    hosts: Hosts,
}

impl Loaded {
    /// The program that runs a step.
    pub(crate) fn program(&self, step: &StepSpec) -> Option<&Arc<Program>> {
        self.programs.get(&Manifest::runtime(step))
    }
}

/// The hosts of connections that exist, by the connections' names.
type Hosts = BTreeMap<String, Vec<String>>;

impl Inner {
    /// A version of the tenant, from memory or from the store.
    ///
    /// A version never changes, but a connection that it names may be made anew, for another app.
    pub(crate) async fn load(
        &self,
        tenant: Tenant,
        id: VersionId,
    ) -> Result<Arc<Loaded>, FlowError> {
        if let Some(loaded) = self.versions.get(&id).await {
            let hosts = self.hosts(tenant, &loaded.manifest).await?;
            if hosts == loaded.hosts {
                return Ok(loaded);
            }
            let files = Arc::clone(&loaded.files);
            return self.keep(tenant, id, loaded.manifest.clone(), files, hosts).await;
        }
        let bundle = self.bundle(tenant, id).await?;
        let hosts = self.hosts(tenant, &bundle.manifest).await?;
        let files = bundle.source_files();
        self.keep(tenant, id, bundle.manifest, files, hosts).await
    }

    async fn hosts(&self, tenant: Tenant, manifest: &Manifest) -> Result<Hosts, FlowError> {
        let mut hosts = Hosts::new();
        let names = manifest.connections();
        if names.is_empty() {
            return Ok(hosts);
        }
        let mut conn = self.store.read().await?;
        for name in names {
            // A connection that is gone has no hosts; the step that needs it says so itself.
            if let Some(connection) = db!(conn, connection::by_name(tenant, name))? {
                let of_connection = self.connect.hosts(&connection);
                hosts.insert(name.to_owned(), of_connection.iter().map(egress_host).collect());
            }
        }
        Ok(hosts)
    }

    async fn keep(
        &self,
        tenant: Tenant,
        id: VersionId,
        manifest: Manifest,
        files: Arc<Vec<SourceFile>>,
        hosts: Hosts,
    ) -> Result<Arc<Loaded>, FlowError> {
        let mut allowed: BTreeSet<String> = manifest.egress.iter().cloned().collect();
        allowed.extend(hosts.values().flatten().cloned());
        let egress = EgressRules::parse(&allowed).map_err(|error| crate::ManifestError::Rule {
            at: "egress".to_owned(),
            rule: error.to_string(),
        })?;
        let program = |runtime| {
            Arc::new(Program {
                key: ProgramKey { workspace: tenant.workspace, version: id },
                files: Arc::clone(&files),
                egress: egress.clone(),
                limits: manifest.sandbox_limits(),
                runtime,
            })
        };
        let programs =
            manifest.runtimes().into_iter().map(|runtime| (runtime, program(runtime))).collect();
        let loaded = Arc::new(Loaded { manifest, programs, files, hosts });
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
