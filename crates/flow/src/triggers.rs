//! The triggers of a workflow: what a deploy starts and stops, and what is shown of them.

use crate::manifest::{Manifest, Rhythm, ScheduleTrigger, TriggerSpec};
use crate::{Flow, FlowError, Inner};
use causeway_identity::{Permit, action};
use causeway_store::{WriteTx, db};
use causeway_types::entity::{CatchUp, Schedule, Trigger, TriggerKind, Workflow};
use causeway_types::{Place, SecretString, Tenant, Timestamp, TriggerId, WorkflowId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many of a schedule's next times are shown.
const SHOWN: usize = 3;

/// A trigger of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerView {
    /// Its name in the workflow.
    pub name: String,
    /// Its kind.
    pub kind: TriggerKind,
    /// Its times, if it is a schedule.
    pub schedule: Option<TriggerSchedule>,
}

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerSchedule {
    /// The cron expression, if it is one.
    pub cron: Option<String>,
    /// The interval in seconds, if it is one.
    pub every_seconds: Option<i64>,
    /// The time zone of the cron expression.
    pub timezone: String,
    /// What becomes of times that were missed.
    pub catch_up: CatchUp,
    /// The next times.
    pub next: Vec<Timestamp>,
}

/// A trigger of an active version.
pub struct DeployedTrigger {
    /// What it is.
    pub view: TriggerView,
    /// The unguessable part of its URL, if it has one.
    pub token: Option<SecretString>,
}

impl Flow {
    /// What starts a workflow. Nothing before the first deploy.
    pub async fn workflow_triggers(
        &self,
        permit: &Permit<action::ReadWorkflows>,
        workflow: &Workflow,
    ) -> Result<Vec<DeployedTrigger>, FlowError> {
        let tenant = permit.tenant();
        let Some(version) = workflow.active_version_id else { return Ok(Vec::new()) };
        let manifest = self.inner.bundle(tenant, version).await?.manifest;
        self.inner.deployed_triggers(tenant, workflow.id, &manifest).await
    }
}

impl Inner {
    /// Triggers with fresh URLs, for those of a manifest that have none yet, by name. Their workflow is
    /// still to be set.
    pub(crate) async fn new_triggers(
        &self,
        tenant: Tenant,
        manifest: &Manifest,
    ) -> Result<BTreeMap<String, Trigger>, FlowError> {
        let mut fresh = BTreeMap::new();
        for (name, spec) in manifest.triggers() {
            if matches!(spec, TriggerSpec::Http(_)) {
                fresh.insert(name.to_owned(), self.new_trigger(tenant, name).await?);
            }
        }
        Ok(fresh)
    }

    async fn new_trigger(&self, tenant: Tenant, name: &str) -> Result<Trigger, FlowError> {
        let now = self.clock.now();
        let token = self.new_token();
        let id = TriggerId::generate(now, &*self.random);
        let place = Place::TriggerToken(id);
        Ok(Trigger {
            id,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            workflow_id: WorkflowId::lowest(),
            kind: TriggerKind::Http,
            name: name.to_owned(),
            token_digest: crate::inbox::token_digest(&token).to_vec(),
            token: self.vault.seal(tenant.workspace, &place, token.as_bytes()).await?,
            created_at: now,
        })
    }

    /// Makes a manifest's triggers those of its workflow, in the transaction that makes its version the
    /// active one: URLs that the workflow has had stay, schedules that have not changed keep their rhythm,
    /// and those that are gone stop.
    pub(crate) async fn start_triggers(
        &self,
        tx: &mut WriteTx,
        (tenant, workflow): (Tenant, WorkflowId),
        manifest: &Manifest,
        fresh: BTreeMap<String, Trigger>,
    ) -> Result<(), FlowError> {
        let known = db!(tx, workflow::triggers(tenant, workflow))?;
        for (name, trigger) in fresh {
            if known.iter().all(|one| one.name != name) {
                db!(tx, workflow::insert_trigger(&Trigger { workflow_id: workflow, ..trigger }))?;
            }
        }
        let mut known = by_name(db!(tx, schedule::of_workflow(tenant, workflow))?);
        for (name, spec) in manifest.schedules() {
            let known = known.remove(name);
            let schedule = self.schedule((tenant, workflow), name, spec, known.as_ref())?;
            match known {
                Some(before) if before == schedule => {}
                Some(_) => db!(tx, schedule::update(&schedule))?,
                None => db!(tx, schedule::insert(&schedule))?,
            }
        }
        for gone in known.into_values() {
            db!(tx, schedule::delete(tenant, gone.id))?;
        }
        match manifest.bound(tenant, workflow) {
            Some(bound) => db!(tx, bound::set(&bound))?,
            None => db!(tx, bound::delete(tenant, workflow))?,
        }
        Ok(())
    }

    /// The row of a schedule, whose next time is that which it has if its rhythm is the same.
    fn schedule(
        &self,
        (tenant, workflow): (Tenant, WorkflowId),
        name: &str,
        spec: &ScheduleTrigger,
        known: Option<&Schedule>,
    ) -> Result<Schedule, FlowError> {
        let now = self.clock.now();
        let rhythm = rhythm(spec)?;
        let same = |one: &&Schedule| {
            one.cron == spec.cron && one.every_s == spec.every_s() && one.timezone == spec.zone()
        };
        let next = match known.filter(same) {
            Some(known) => Some(known.next_at),
            None => rhythm.after(now),
        };
        Ok(Schedule {
            id: known.map_or_else(|| TriggerId::generate(now, &*self.random), |one| one.id),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            workflow_id: workflow,
            name: name.to_owned(),
            cron: spec.cron.clone(),
            every_s: spec.every_s(),
            timezone: spec.zone().to_owned(),
            catch_up: spec.catch_up.into(),
            // A calendar that ends after the year 9999 leaves a time to every expression that has one.
            next_at: next.unwrap_or_else(|| now.plus(Duration::from_hours(24 * 365))),
            created_at: known.map_or(now, |one| one.created_at),
        })
    }

    /// What would start a workflow if this were its manifest.
    pub(crate) async fn planned_triggers(
        &self,
        tenant: Tenant,
        workflow: Option<WorkflowId>,
        manifest: &Manifest,
    ) -> Result<Vec<TriggerView>, FlowError> {
        let workflow = workflow.unwrap_or(WorkflowId::lowest());
        let mut conn = self.store.read().await?;
        let known = by_name(db!(conn, schedule::of_workflow(tenant, workflow))?);
        drop(conn);
        let view = |(name, spec): (&str, &TriggerSpec)| {
            let schedule = match spec {
                TriggerSpec::Schedule(spec) => {
                    let row = self.schedule((tenant, workflow), name, spec, known.get(name))?;
                    Some(TriggerSchedule {
                        next: rhythm(spec)?.upcoming(row.next_at, SHOWN),
                        cron: row.cron,
                        every_seconds: row.every_s,
                        timezone: row.timezone,
                        catch_up: row.catch_up,
                    })
                }
                TriggerSpec::Http(_) | TriggerSpec::Manual(_) => None,
            };
            Ok(TriggerView { name: name.to_owned(), kind: spec.kind(), schedule })
        };
        manifest.triggers().into_iter().map(view).collect()
    }

    /// What starts a workflow whose active version has this manifest.
    pub(crate) async fn deployed_triggers(
        &self,
        tenant: Tenant,
        workflow: WorkflowId,
        manifest: &Manifest,
    ) -> Result<Vec<DeployedTrigger>, FlowError> {
        let mut conn = self.store.read().await?;
        let with_url = db!(conn, workflow::triggers(tenant, workflow))?;
        drop(conn);
        let mut deployed = Vec::new();
        for view in self.planned_triggers(tenant, Some(workflow), manifest).await? {
            let row = with_url.iter().find(|row| (row.kind, &row.name) == (view.kind, &view.name));
            let token = match row {
                Some(row) => Some(self.trigger_token(row).await?),
                None => None,
            };
            deployed.push(DeployedTrigger { view, token });
        }
        Ok(deployed)
    }

    /// The unguessable part of a trigger's URL.
    async fn trigger_token(&self, trigger: &Trigger) -> Result<SecretString, FlowError> {
        self.vault
            .open(trigger.workspace_id, &Place::TriggerToken(trigger.id), &trigger.token)
            .await?
            .into_text()
            .ok_or_else(|| FlowError::Dangling { what: "token", of: trigger.id.to_string() })
    }
}

/// The times of a schedule whose manifest has been checked.
fn rhythm(spec: &ScheduleTrigger) -> Result<Rhythm, FlowError> {
    spec.rhythm().map_err(|(field, rule)| {
        crate::ManifestError::Rule { at: format!("schedule.{field}"), rule }.into()
    })
}

fn by_name(schedules: Vec<Schedule>) -> BTreeMap<String, Schedule> {
    schedules.into_iter().map(|one| (one.name.clone(), one)).collect()
}
