//! Publishing: from a folder to an immutable version of a component.

use super::definition::{Described, Named, check_props};
use super::{ComponentDetail, ComponentError, Definition};
use crate::check::{CHECK_CPU, CHECK_WALL};
use crate::folder::{Folder, digest_of};
use crate::manifest::runtime_of;
use crate::{Flow, FlowError, Inner};
use causeway_identity::{Permit, action};
use causeway_packages::{Dependencies, Wanted};
use causeway_sandbox::{
    ComponentCall, ComponentTask, EgressRules, FailureCode, Limits, Links, Program, ProgramKey,
    Runtime, StepCall,
};
use causeway_store::{Audit, Error as StoreError, db};
use causeway_types::entity::{Component, ComponentSeals};
use causeway_types::{ComponentId, InvocationId, Place, SecretBytes, Tenant, VersionId};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most versions of components that an environment has.
const MAX_COMPONENTS: usize = 2000;
/// The longest description that a component gives of itself, in bytes of JSON.
const MAX_DEFINITION: u64 = 256 << 10;

/// A component to publish.
pub struct NewComponent {
    /// Its folder's files by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The component's own file among them; if not named, `main` of `package.json` or the only file.
    pub entry: Option<String>,
    /// The hosts that its code may reach beyond those of its apps.
    pub egress: Vec<String>,
}

/// What publishing did.
pub struct Published {
    /// The component.
    pub detail: ComponentDetail,
    /// Whether it was not there before, with this content.
    pub is_new: bool,
}

impl Flow {
    /// Makes a folder a version of a component. One that is there already with the same content stays
    /// as it is.
    ///
    /// # Errors
    /// [`ComponentError`]. `VersionTaken` if it is there with other content.
    pub async fn publish(
        &self,
        permit: &Permit<action::Deploy>,
        new: NewComponent,
    ) -> Result<Published, ComponentError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        EgressRules::parse(&new.egress).map_err(|error| invalid(format!("`egress`: {error}")))?;
        let folder = Folder::new(new.files).map_err(FlowError::from)?;
        let entry = entry_of(&folder, new.entry)?;
        let dependencies = inner.packages_of(tenant, &folder).await?;
        let described = inner.describe(tenant, &folder, &entry, &dependencies).await?;
        let named = described.named()?;
        check_props(&described.props, named.kind)?;
        let apps = inner.apps_of(permit, &described)?;
        let folder_digest = folder.digest();
        let parts = [folder_digest.as_str(), &entry].into_iter();
        let digest =
            digest_of(parts.chain(new.egress.iter().map(String::as_str)).map(str::as_bytes));
        let Named { key, version, kind, name, description } = named;
        let now = inner.clock.now();
        let component = Component {
            id: ComponentId::generate(now, &*inner.random),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            key,
            version,
            kind,
            name,
            description,
            apps,
            digest,
            created_at: now,
        };
        let Described { annotations, props, .. } = described;
        let definition = Definition { entry, egress: new.egress, annotations, props };
        let seals = inner.seal_component(&component, &definition, &folder, &dependencies).await?;
        let detail = ComponentDetail { component, definition };
        match inner.insert_component(permit, &detail, &seals, &dependencies).await {
            // Somebody else published the same version at the same moment; now it is there.
            Err(ComponentError::Flow(FlowError::Store(StoreError::Conflict { .. }))) => {
                inner.insert_component(permit, &detail, &seals, &dependencies).await
            }
            done => done,
        }
    }
}

/// The path of the component's own file.
fn entry_of(folder: &Folder, named: Option<String>) -> Result<String, ComponentError> {
    let files = &folder.files;
    let main = || {
        let manifest: serde_json::Value =
            serde_json::from_slice(files.get("package.json")?).ok()?;
        Some(manifest.get("main")?.as_str()?.to_owned())
    };
    let only = || files.keys().next().filter(|_| files.len() == 1).cloned();
    let entry = named
        .or_else(main)
        .or_else(only)
        .ok_or_else(|| invalid("name its file: `entry`, or `main` in package.json".to_owned()))?;
    let entry = entry.trim_start_matches("./").to_owned();
    if !files.contains_key(&entry) {
        return Err(invalid(format!("its file `{entry}` is not in the folder")));
    }
    if runtime_of(&entry) != Some(Runtime::Node) {
        return Err(invalid(format!("its file `{entry}` does not end in .mjs, .js, .cjs or .ts")));
    }
    Ok(entry)
}

fn invalid(why: String) -> ComponentError {
    ComponentError::Invalid(why)
}

impl Inner {
    /// The packages that a component's `package.json` asks for.
    async fn packages_of(
        &self,
        tenant: Tenant,
        folder: &Folder,
    ) -> Result<Dependencies, ComponentError> {
        let wanted = Wanted {
            workspace: tenant.workspace,
            files: &folder.files,
            runtimes: BTreeSet::from([Runtime::Node]),
            scripts: &[],
            tier: self.config.minimum_tier,
            before: None,
        };
        Ok(self.packages.resolve(&wanted).await.map_err(FlowError::from)?)
    }

    /// The slugs of a component's apps, each between spaces. A program that is confined to some apps
    /// publishes nothing that uses others.
    fn apps_of(
        &self,
        permit: &Permit<action::Deploy>,
        described: &Described,
    ) -> Result<String, ComponentError> {
        let mut slugs = BTreeSet::new();
        for app in described.props.iter().filter_map(|prop| prop.app()) {
            let slug = self.connect.app_of_component(app);
            let slug = slug.filter(|slug| permit.covers_app(slug).is_ok());
            slugs.insert(slug.ok_or_else(|| ComponentError::UnknownApp(app.to_owned()))?);
        }
        Ok(slugs.into_iter().fold(" ".to_owned(), |all, slug| all + &slug + " "))
    }

    /// Has a component describe itself, in a sandbox of its own that reaches nothing and is ended
    /// afterwards.
    async fn describe(
        &self,
        tenant: Tenant,
        folder: &Folder,
        entry: &str,
        dependencies: &Dependencies,
    ) -> Result<Described, ComponentError> {
        // A few at a time: whoever publishes must not take the sandboxes of whatever runs.
        let Ok(_turn) = self.checks.acquire().await else {
            return Err(FlowError::NoSandbox(causeway_sandbox::CheckoutError::Closed).into());
        };
        let missing = |source| FlowError::NoRuntime { runtime: Runtime::Node, source };
        self.pool.has(Runtime::Node).await.map_err(missing)?;
        let now = self.clock.now();
        let version = VersionId::generate(now, &*self.random);
        let limits = Limits {
            wall: CHECK_WALL,
            cpu: CHECK_CPU,
            output_bytes: MAX_DEFINITION,
            ..Limits::default()
        };
        let program = Arc::new(Program {
            key: ProgramKey { workspace: tenant.workspace, version },
            files: folder.source_files(),
            binds: self.binds(dependencies, Runtime::Node).await?,
            egress: EgressRules::default(),
            limits,
            runtime: Runtime::Node,
            tier: self.config.minimum_tier,
        });
        let mut session = self.pool.checkout(&program).await.map_err(FlowError::NoSandbox)?;
        let nothing = |json: &str| RawValue::from_string(json.to_owned()).map_err(unreadable);
        let call = StepCall {
            invocation: InvocationId::generate(now, &*self.random),
            step: "describe".to_owned(),
            attempt: 1,
            idempotency_key: version.to_string(),
            entry: entry.to_owned(),
            event: Arc::from(nothing("null")?),
            steps: nothing("{}")?,
            connections: SecretBytes::new(Vec::new()),
            apps: None,
            links: Links::default(),
            context: serde_json::Value::Null,
            component: Some(ComponentCall {
                task: ComponentTask::Describe,
                ..ComponentCall::default()
            }),
        };
        let outcome = session.step(call).await.outcome;
        drop(session);
        self.pool.evict(version).await;
        match outcome {
            Ok(success) => serde_json::from_str(success.return_value.get()).map_err(|error| {
                invalid(format!("what it says of itself has not the form: {error}"))
            }),
            Err(failure) => Err(match failure.code {
                FailureCode::SyntaxError => ComponentError::Syntax { message: failure.message },
                FailureCode::OutputLimit => invalid(format!(
                    "what it says of itself has more than {} KiB",
                    MAX_DEFINITION >> 10
                )),
                code => ComponentError::Undescribed { code, message: failure.message },
            }),
        }
    }

    async fn seal_component(
        &self,
        component: &Component,
        definition: &Definition,
        folder: &Folder,
        dependencies: &Dependencies,
    ) -> Result<ComponentSeals, ComponentError> {
        let (workspace, id) = (component.workspace_id, component.id);
        let bundle = folder.to_bytes(dependencies).map_err(FlowError::from)?;
        let definition = serde_json::to_vec(definition).map_err(unreadable)?;
        let seal = async |place, bytes: &[u8]| self.vault.seal(workspace, &place, bytes).await;
        Ok(ComponentSeals {
            definition: seal(Place::ComponentDefinition(id), &definition).await?,
            bundle: seal(Place::ComponentBundle(id), &bundle).await?,
        })
    }

    async fn insert_component(
        &self,
        permit: &Permit<action::Deploy>,
        detail: &ComponentDetail,
        seals: &ComponentSeals,
        dependencies: &Dependencies,
    ) -> Result<Published, ComponentError> {
        let ComponentDetail { component, definition } = detail;
        let tenant = permit.tenant();
        let mut tx = self.store.write(permit.actor()).await?;
        let versions = db!(tx, component::versions(tenant, &component.key))?;
        if let Some(known) = versions.into_iter().find(|one| one.version == component.version) {
            let (key, version) = (known.key.clone(), known.version.clone());
            if known.digest != component.digest {
                return Err(ComponentError::VersionTaken { key, version });
            }
            let detail = ComponentDetail { component: known, definition: definition.clone() };
            return Ok(Published { detail, is_new: false });
        }
        let count = db!(tx, component::count(tenant))?;
        if usize::try_from(count).unwrap_or(0) >= MAX_COMPONENTS {
            return Err(ComponentError::TooMany { most: MAX_COMPONENTS });
        }
        db!(tx, component::insert(component, seals))?;
        for layer in &dependencies.layers {
            let digest = layer.digest();
            for package in &layer.packages {
                db!(tx, component::insert_package(component, &digest, &package.integrity))?;
            }
        }
        let event = Audit::ComponentPublished {
            component: component.id,
            key: component.key.clone(),
            version: component.version.clone(),
            egress: definition.egress.clone(),
        };
        tx.commit(tenant.workspace, component.created_at, event).await?;
        Ok(Published { detail: detail.clone(), is_new: true })
    }
}

fn unreadable(source: serde_json::Error) -> ComponentError {
    FlowError::Stored { what: "component", source }.into()
}
