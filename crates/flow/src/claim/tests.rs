use super::*;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, on_both};
use causeway_types::entity::{
    Environment, EnvironmentKind, Event, Gate, Invocation, InvocationState, Project, TriggerKind,
    Version, Workflow, Workspace,
};
use causeway_types::{
    Clock, EnvironmentId, EventId, OsRandom, ProjectId, SystemClock, Tenant, Timestamp, VersionId,
    WorkflowId, WorkspaceId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey};
use std::collections::BTreeSet;

on_both!(
    claiming_goes_on_while_there_is_room,
    what_memory_holds_already_is_not_claimed_again,
    a_sweep_takes_up_what_the_node_owns_and_does_not_know,
    only_open_invocations_of_the_tenant_count,
);

/// Places in the memory of a node that has little.
const PLACES: usize = 4;

struct World {
    database: TestDatabase,
    vault: Vault,
    tenant: Tenant,
    workflow: WorkflowId,
    version: VersionId,
    _key: tempfile::TempDir,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl World {
    async fn new(database: TestDatabase) -> Self {
        let now = now();
        let tenant = Tenant {
            workspace: WorkspaceId::generate(now, &OsRandom),
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        };
        let key = tempfile::tempdir().unwrap();
        let path = key.path().join("root.key");
        let root = FileKey::create(&path, database.folder(), &OsRandom).unwrap();
        let vault = Vault::unlock(
            database.store.clone(),
            RootKey::File(root),
            DEFAULT_KEY_LIFETIME,
            Arc::new(SystemClock),
            Arc::new(OsRandom),
        )
        .await
        .unwrap();
        let mut tx = database.store.write(Actor::Machine).await.unwrap();
        let workspace = Workspace { id: tenant.workspace, name: "w".into(), created_at: now };
        db!(tx, workspace::insert(&workspace)).unwrap();
        let project = Project {
            id: tenant.project,
            workspace_id: tenant.workspace,
            name: "p".into(),
            created_at: now,
        };
        db!(tx, workspace::insert_project(&project)).unwrap();
        let environment = Environment {
            id: tenant.environment,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            kind: EnvironmentKind::Production,
            created_at: now,
        };
        db!(tx, workspace::insert_environment(&environment)).unwrap();
        db!(tx, audit::insert_head(tenant.workspace)).unwrap();
        vault.create_data_key(&mut tx, tenant.workspace, now).await.unwrap();
        let event = Audit::WorkspaceCreated { workspace: tenant.workspace, name: "w".into() };
        tx.commit(tenant.workspace, now, event).await.unwrap();
        let workflow = WorkflowId::generate(now, &OsRandom);
        let version = VersionId::generate(now, &OsRandom);
        let world = Self { database, vault, tenant, workflow, version, _key: key };
        world.add_workflow().await;
        world
    }

    async fn add_workflow(&self) {
        let now = now();
        let place = Place::VersionBundle(self.version);
        let bundle = self.vault.seal(self.tenant.workspace, &place, b"{}").await.unwrap();
        let workflow = Workflow {
            id: self.workflow,
            workspace_id: self.tenant.workspace,
            environment_id: self.tenant.environment,
            name: "flow".into(),
            active_version_id: None,
            created_at: now,
            updated_at: now,
        };
        let version = Version {
            id: self.version,
            workspace_id: self.tenant.workspace,
            environment_id: self.tenant.environment,
            workflow_id: self.workflow,
            number: 1,
            digest: "d".into(),
            bundle,
            created_at: now,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, workflow::insert(&workflow)).unwrap();
        db!(tx, workflow::insert_version(&version)).unwrap();
        tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
    }

    /// Stores invocations as they are after an event each.
    async fn store(&self, count: usize, owner: Option<NodeId>) -> BTreeSet<InvocationId> {
        let now = now();
        let mut ids = BTreeSet::new();
        let mut events = Vec::new();
        let mut invocations = Vec::new();
        for _ in 0..count {
            let event_id = EventId::generate(now, &OsRandom);
            let place = Place::EventBody(event_id);
            events.push(Event {
                id: event_id,
                workspace_id: self.tenant.workspace,
                environment_id: self.tenant.environment,
                workflow_id: self.workflow,
                trigger_kind: TriggerKind::Http,
                trigger_name: "http".into(),
                dedupe_key: None,
                body: self.vault.seal(self.tenant.workspace, &place, b"{}").await.unwrap(),
                received_at: now,
            });
            let id = InvocationId::generate(now, &OsRandom);
            ids.insert(id);
            invocations.push(Invocation {
                id,
                workspace_id: self.tenant.workspace,
                environment_id: self.tenant.environment,
                workflow_id: self.workflow,
                version_id: self.version,
                event_id,
                replay_of: None,
                parent_id: None,
                item_index: None,
                waits_for: None,
                state: InvocationState::Queued,
                gate: Gate::Open,
                next_step: 0,
                attempts: 0,
                wake_at: None,
                error_code: None,
                tier: None,
                owner,
                fence: 1,
                response: None,
                created_at: now,
                started_at: None,
                finished_at: None,
            });
        }
        let (events, invocations): (Vec<_>, Vec<_>) =
            (events.iter().collect(), invocations.iter().collect());
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, dialect::insert_events(&events)).unwrap();
        db!(tx, dialect::insert_invocations(&invocations)).unwrap();
        tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
        ids
    }

    fn claimer(&self) -> (Claimer, mpsc::Receiver<Job>) {
        let (work, jobs) = mpsc::channel(PLACES);
        let claimer = Claimer {
            store: self.database.store.clone(),
            vault: self.vault.clone(),
            node: NodeId::generate(now(), &OsRandom),
            work,
            held: Arc::default(),
            stop: CancellationToken::new(),
        };
        (claimer, jobs)
    }

    async fn open_count(&self, tenant: Tenant) -> i64 {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, dialect::open_count(tenant, self.workflow)).unwrap()
    }
}

/// Takes everything that is put into a node's memory, until the claimer is gone.
async fn drain(mut jobs: mpsc::Receiver<Job>) -> Vec<Job> {
    let mut taken = Vec::new();
    while let Some(job) = jobs.recv().await {
        taken.push(job);
    }
    taken
}

async fn claiming_goes_on_while_there_is_room(database: TestDatabase) {
    let world = World::new(database).await;
    let ids = world.store(50, None).await;
    let (claimer, jobs) = world.claimer();
    let taken = tokio::spawn(drain(jobs));
    // No hint and no timer comes in between: whatever is left after a claim is claimed next.
    let mut claims = 0;
    while claimer.claim().await.unwrap() {
        claims += 1;
    }
    drop(claimer);
    let taken = taken.await.unwrap();
    assert_eq!(taken.iter().map(|job| job.claimed.id).collect::<BTreeSet<_>>(), ids);
    assert_eq!(taken.len(), 50);
    assert_eq!(claims, 50 / (PLACES / 2));
    assert!(taken.iter().all(|job| job.claimed.fence == 2 && !job.fresh));
}

async fn what_memory_holds_already_is_not_claimed_again(database: TestDatabase) {
    let world = World::new(database).await;
    world.store(1, None).await;
    let (claimer, mut jobs) = world.claimer();
    assert!(claimer.claim().await.unwrap());
    let job = jobs.recv().await.unwrap();
    assert!(!claimer.claim().await.unwrap());
    assert_eq!(claimer.sweep().await.unwrap(), 0, "it is in memory until it is dropped");
    let (id, fence) = (job.claimed.id, job.claimed.fence);
    drop(job);
    assert_eq!(claimer.sweep().await.unwrap(), 1);
    let job = jobs.recv().await.unwrap();
    assert_eq!((job.claimed.id, job.claimed.fence), (id, fence));
}

async fn a_sweep_takes_up_what_the_node_owns_and_does_not_know(database: TestDatabase) {
    let world = World::new(database).await;
    let (claimer, jobs) = world.claimer();
    // As after a commit whose answer was lost, and more of them than memory has places.
    let ids = world.store(9, Some(claimer.node)).await;
    let other = NodeId::generate(now(), &OsRandom);
    world.store(1, Some(other)).await;
    let taken = tokio::spawn(drain(jobs));
    assert_eq!(claimer.sweep().await.unwrap(), 9);
    drop(claimer);
    let taken = taken.await.unwrap();
    assert_eq!(taken.iter().map(|job| job.claimed.id).collect::<BTreeSet<_>>(), ids);
    // They may have been begun before, so they are not fresh.
    assert!(taken.iter().all(|job| job.claimed.fence == 1 && !job.fresh));
}

async fn only_open_invocations_of_the_tenant_count(database: TestDatabase) {
    let world = World::new(database).await;
    world.store(3, None).await;
    let claimed = world.store(1, Some(NodeId::generate(now(), &OsRandom))).await;
    assert_eq!(world.open_count(world.tenant).await, 4);
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    let advance = causeway_types::entity::Advance {
        workspace: world.tenant.workspace,
        id: *claimed.first().unwrap(),
        fence: 1,
        next_step: 1,
        attempts: 0,
        waits_for: None,
        item_of: None,
        links: None,
        ends_loop: false,
        wake_at: None,
        state: InvocationState::Succeeded,
        error_code: None,
        tier: None,
        response: None,
        started_at: now(),
        finished_at: Some(now()),
    };
    db!(tx, dialect::advance_all(&[&advance])).unwrap();
    tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
    assert_eq!(world.open_count(world.tenant).await, 3);
    let stranger = Tenant { workspace: WorkspaceId::generate(now(), &OsRandom), ..world.tenant };
    assert_eq!(world.open_count(stranger).await, 0);
}
