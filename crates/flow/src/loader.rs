//! Versions in memory, ready for the sandbox.

use crate::bundle::Bundle;
use crate::manifest::Manifest;
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
    pub(crate) program: Arc<Program>,
    /// The apps of its connections, which decide what its code may reach.
    apps: Apps,
}

/// The apps of connections that exist, by the connections' names.
type Apps = BTreeMap<String, String>;

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
            let apps = self.apps(tenant, &loaded.manifest).await?;
            if apps == loaded.apps {
                return Ok(loaded);
            }
            let files = loaded.program.files.clone();
            return self.keep(tenant, id, loaded.manifest.clone(), files, apps).await;
        }
        let bundle = self.bundle(tenant, id).await?;
        let apps = self.apps(tenant, &bundle.manifest).await?;
        let files = bundle.source_files();
        self.keep(tenant, id, bundle.manifest, files, apps).await
    }

    async fn apps(&self, tenant: Tenant, manifest: &Manifest) -> Result<Apps, FlowError> {
        let mut apps = Apps::new();
        let names = manifest.connections();
        if names.is_empty() {
            return Ok(apps);
        }
        let mut conn = self.store.read().await?;
        for name in names {
            // A connection that is gone has no hosts; the step that needs it says so itself.
            if let Some(connection) = db!(conn, connection::by_name(tenant, name))? {
                apps.insert(name.to_owned(), connection.app);
            }
        }
        Ok(apps)
    }

    async fn keep(
        &self,
        tenant: Tenant,
        id: VersionId,
        manifest: Manifest,
        files: Vec<SourceFile>,
        apps: Apps,
    ) -> Result<Arc<Loaded>, FlowError> {
        let of_apps = apps.values().filter_map(|app| self.catalog.get(app));
        let mut hosts: BTreeSet<String> = manifest.egress.iter().cloned().collect();
        hosts.extend(of_apps.flat_map(|app| app.hosts.iter().map(egress_host)));
        let egress = EgressRules::parse(&hosts).map_err(|error| crate::ManifestError::Rule {
            at: "egress".to_owned(),
            rule: error.to_string(),
        })?;
        let loaded = Arc::new(Loaded {
            program: Arc::new(Program {
                key: ProgramKey { workspace: tenant.workspace, version: id },
                files,
                egress,
                limits: manifest.sandbox_limits(),
                runtime: Runtime::Node,
            }),
            manifest,
            apps,
        });
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
