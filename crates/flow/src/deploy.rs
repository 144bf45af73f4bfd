//! From a folder to an immutable version: first a plan, then the change.

use crate::bundle::Bundle;
use crate::dependencies::PlannedPackage;
use crate::execute::no_tier;
use crate::triggers::{DeployedTrigger, TriggerView};
use crate::{Flow, FlowError, Inner};
use causeway_identity::{Permit, action};
use causeway_packages::Dependencies;
use causeway_sandbox::CheckoutError;
use causeway_store::{Audit, db};
use causeway_types::entity::{Version, Workflow};
use causeway_types::{Place, VersionId, WorkflowId, chain};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a deploy would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The workflow's name.
    pub workflow: String,
    /// The workflow, if it exists.
    pub workflow_id: Option<WorkflowId>,
    /// What would happen to it.
    pub action: PlanAction,
    /// The digest of the content.
    pub digest: String,
    /// How the files differ from those of the active version.
    pub files: Vec<(String, Change)>,
    /// What would start it.
    pub triggers: Vec<TriggerView>,
    /// The connections that it uses.
    pub connections: Vec<PlannedConnection>,
    /// The hosts that its code may reach.
    pub egress: Vec<String>,
    /// How its packages differ from those of the active version.
    pub packages: Vec<PlannedPackage>,
    /// Locks that the folder has not and that were made: the file's name, and its text.
    pub made_locks: Vec<(String, String)>,
    /// What would be deployed all the same and would not work as it is.
    pub warnings: Vec<String>,
}

/// A connection that a workflow uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedConnection {
    /// Its name.
    pub name: String,
    /// Its app.
    pub app: String,
    /// Its state.
    pub state: String,
    /// Whether code gets the credential itself and not a placeholder.
    pub exposed: bool,
}

/// What a deploy would do to the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanAction {
    /// Make it.
    Create,
    /// Give it a new version.
    Update,
    /// Make an earlier version active again.
    Reactivate,
    /// Nothing: the active version has this content.
    Unchanged,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// Its content differs.
    Changed,
    /// It is gone.
    Removed,
}

/// What a deploy did.
pub struct Deployment {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The active version.
    pub version_id: VersionId,
    /// Its number.
    pub number: i64,
    /// What was done.
    pub action: PlanAction,
    /// What starts it.
    pub triggers: Vec<DeployedTrigger>,
}

impl Flow {
    /// Says what [`Flow::deploy`] would do, and changes nothing.
    pub async fn plan(
        &self,
        permit: &Permit<action::Deploy>,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Plan, FlowError> {
        let bundle = Bundle::new(files)?;
        let (mut plan, _) = self.inner.checked_plan(permit, &bundle).await?;
        plan.warnings.extend(self.inner.lack_of_tier(&bundle).await);
        Ok(plan)
    }

    /// Makes the files a version of their workflow, and that version the active one.
    pub async fn deploy(
        &self,
        permit: &Permit<action::Deploy>,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Deployment, FlowError> {
        let bundle = Bundle::new(files)?;
        match self.try_deploy(permit, &bundle).await {
            // Somebody else deployed the same workflow at the same moment; now it is there.
            Err(FlowError::Store(causeway_store::Error::Conflict { .. })) => {
                self.try_deploy(permit, &bundle).await
            }
            done => done,
        }
    }

    async fn try_deploy(
        &self,
        permit: &Permit<action::Deploy>,
        bundle: &Bundle,
    ) -> Result<Deployment, FlowError> {
        let inner = &self.inner;
        let tenant = permit.tenant();
        let (plan, dependencies) = inner.checked_plan(permit, bundle).await?;
        let now = inner.clock.now();
        // What is sealed is sealed before the transaction begins, and opened after it: a root key in
        // a KMS may take its time, and there is one writer.
        let version_id = VersionId::generate(now, &*inner.random);
        let sealed_bundle = inner
            .vault
            .seal(
                tenant.workspace,
                &Place::VersionBundle(version_id),
                &bundle.folder.to_bytes(&dependencies)?,
            )
            .await?;
        let workflow_id =
            plan.workflow_id.unwrap_or_else(|| WorkflowId::generate(now, &*inner.random));
        let fresh = inner.new_triggers(tenant, &bundle.manifest).await?;

        let mut tx = inner.store.write(permit.actor()).await?;
        let workflow = if let Some(workflow) = db!(tx, workflow::by_name(tenant, &plan.workflow))? {
            workflow
        } else {
            let workflow = Workflow {
                id: workflow_id,
                workspace_id: tenant.workspace,
                environment_id: tenant.environment,
                name: plan.workflow.clone(),
                active_version_id: None,
                created_at: now,
                updated_at: now,
            };
            db!(tx, workflow::insert(&workflow))?;
            workflow
        };
        let known = db!(tx, workflow::version_by_digest(tenant, workflow.id, &plan.digest))?;
        let version = if let Some(version) = known {
            version
        } else {
            let version = Version {
                id: version_id,
                workspace_id: tenant.workspace,
                environment_id: tenant.environment,
                workflow_id: workflow.id,
                number: db!(tx, workflow::newest_number(tenant, workflow.id))? + 1,
                digest: plan.digest.clone(),
                bundle: sealed_bundle,
                created_at: now,
            };
            db!(tx, workflow::insert_version(&version))?;
            inner.note_packages(&mut tx, &version, &dependencies).await?;
            version
        };
        if workflow.active_version_id == Some(version.id) {
            drop(tx);
        } else {
            db!(tx, workflow::activate(tenant, workflow.id, version.id, now))?;
            inner.start_triggers(&mut tx, (tenant, workflow.id), &bundle.manifest, fresh).await?;
            let event = Audit::WorkflowDeployed {
                workflow: workflow.id,
                version: version.id,
                number: version.number,
                install_scripts: bundle.manifest.install_scripts.clone(),
                exposes: bundle.manifest.exposed().into_iter().map(str::to_owned).collect(),
            };
            tx.commit(tenant.workspace, now, event).await?;
            inner.triggers.invalidate_all();
            inner.rescheduled.notify_one();
            inner.crowd.notify_one();
            if let Some(old) = workflow.active_version_id {
                inner.pool.evict(old).await;
            }
            let tier = bundle.manifest.tier(inner.config.minimum_tier);
            for runtime in bundle.manifest.runtimes() {
                inner.pool.prewarm(runtime, tier);
            }
        }
        let triggers = inner.deployed_triggers(tenant, workflow.id, &bundle.manifest).await?;
        Ok(Deployment {
            workflow_id: workflow.id,
            version_id: version.id,
            number: version.number,
            action: plan.action,
            triggers,
        })
    }
}

impl Inner {
    /// A plan whose code has been read.
    async fn checked_plan(
        &self,
        permit: &Permit<action::Deploy>,
        bundle: &Bundle,
    ) -> Result<(Plan, Arc<Dependencies>), FlowError> {
        let tenant = permit.tenant();
        let (mut plan, before, known) = self.plan(permit, bundle).await?;
        let dependencies = if let Some(version) = known {
            // The same content is the same version, with the packages that it has.
            Arc::new(self.bundle(tenant, version).await?.folder.dependencies)
        } else {
            let chosen = self.dependencies(tenant, &plan.digest, bundle, Some(&before)).await?;
            self.check_code(tenant, &plan.digest, bundle, &chosen).await?;
            chosen
        };
        plan.packages = crate::dependencies::diff(&before, &dependencies);
        let made = dependencies.made.iter();
        plan.made_locks = made.map(|(name, lock)| (name.clone(), lock.text.clone())).collect();
        Ok((plan, dependencies))
    }

    /// What is to be said to the author if this machine makes no sandboxes of the tier that the code
    /// would run in.
    async fn lack_of_tier(&self, bundle: &Bundle) -> Option<String> {
        let floor = self.config.minimum_tier;
        let tier = bundle.manifest.tier(floor);
        let Ok(_turn) = self.checks.acquire().await else { return None };
        match self.pool.has_tier(tier).await {
            Ok(()) => None,
            Err(CheckoutError::Tier { .. }) => Some(no_tier(tier, floor)),
            Err(other) => {
                tracing::warn!(error = chain(&other), "could not find out whether a tier is there");
                None
            }
        }
    }

    /// The plan without its packages, those of the active version, and the version that has this
    /// content already.
    async fn plan(
        &self,
        permit: &Permit<action::Deploy>,
        bundle: &Bundle,
    ) -> Result<(Plan, Dependencies, Option<VersionId>), FlowError> {
        let tenant = permit.tenant();
        if let Some(name) = bundle.manifest.exposed().first()
            && !self.connect.lets_credentials_out(tenant).await?
        {
            return Err(FlowError::ExposureOff { name: (*name).to_owned() });
        }
        let mut conn = self.store.read().await?;
        let mut connections = Vec::new();
        let mut egress = bundle.manifest.egress.clone();
        let exposed = bundle.manifest.exposed();
        for name in bundle.manifest.connections() {
            // A program that is confined to some apps reaches the others by no workflow either.
            let connection = db!(conn, connection::by_name(tenant, name))?
                .filter(|connection| permit.covers_app(&connection.app).is_ok())
                .ok_or_else(|| FlowError::MissingConnection { name: name.to_owned() })?;
            let hosts = self.connect.hosts(&connection);
            egress.extend(hosts.iter().map(crate::loader::egress_host));
            connections.push(PlannedConnection {
                exposed: exposed.contains(connection.name.as_str()),
                name: connection.name,
                app: connection.app,
                state: connection.state.to_string(),
            });
        }
        egress.sort();
        egress.dedup();

        let digest = bundle.folder.digest();
        let workflow = db!(conn, workflow::by_name(tenant, &bundle.manifest.name))?;
        let (mut action, mut before, mut same) = (PlanAction::Create, None, None);
        if let Some(workflow) = &workflow {
            let known = db!(conn, workflow::version_by_digest(tenant, workflow.id, &digest))?;
            same = known.as_ref().map(|version| version.id);
            action = match known {
                Some(version) if workflow.active_version_id == Some(version.id) => {
                    PlanAction::Unchanged
                }
                Some(_) => PlanAction::Reactivate,
                None => PlanAction::Update,
            };
            drop(conn);
            if let Some(active) = workflow.active_version_id {
                before = Some(self.bundle(tenant, active).await?);
            }
        }
        let (files, dependencies) = before
            .map(|bundle| (bundle.folder.files, bundle.folder.dependencies))
            .unwrap_or_default();
        let workflow_id = workflow.map(|workflow| workflow.id);
        let plan = Plan {
            workflow: bundle.manifest.name.clone(),
            workflow_id,
            triggers: self.planned_triggers(tenant, workflow_id, &bundle.manifest).await?,
            action,
            digest,
            files: diff(&files, &bundle.folder.files),
            connections,
            egress,
            packages: Vec::new(),
            made_locks: Vec::new(),
            warnings: Vec::new(),
        };
        Ok((plan, dependencies, same))
    }
}

fn diff(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
) -> Vec<(String, Change)> {
    let mut changes = BTreeMap::new();
    for (path, contents) in after {
        match before.get(path) {
            None => changes.insert(path.clone(), Change::Added),
            Some(old) if old != contents => changes.insert(path.clone(), Change::Changed),
            Some(_) => None,
        };
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        changes.insert(path.clone(), Change::Removed);
    }
    changes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_names_what_differs_and_nothing_else() {
        let files = |entries: &[(&str, &str)]| {
            entries
                .iter()
                .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
                .collect::<BTreeMap<_, _>>()
        };
        let changes = diff(
            &files(&[("same", "1"), ("gone", "1"), ("other", "1")]),
            &files(&[("same", "1"), ("new", "1"), ("other", "2")]),
        );
        assert_eq!(
            changes,
            [
                ("gone".to_owned(), Change::Removed),
                ("new".to_owned(), Change::Added),
                ("other".to_owned(), Change::Changed),
            ]
        );
    }
}
