//! The store's promises, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use causeway_store::testing::TestDatabase;
use causeway_store::{
    Audit, AuditBreak, Bookkeeping, Error, Journal, JournalOp, JournalResult, Store, WriteTx, db,
    on_both, verify_chain,
};
use causeway_types::entity::{
    Advance, Environment, EnvironmentKind, Event, Gate, Invocation, InvocationState, Node, Project,
    Step, StepState, TriggerKind, Version, Workflow, Workspace,
};
use causeway_types::place::Sealed;
use causeway_types::{
    Actor, Clock, Code, Coded as _, EnvironmentId, EventId, InvocationId, NodeId, OsRandom,
    ProjectId, StepId, SystemClock, Tenant, Timestamp, VersionId, WorkflowId, WorkspaceId,
};
use std::time::Duration;

on_both!(
    a_change_and_its_audit_event_commit_together,
    a_change_without_commit_leaves_nothing,
    a_changed_audit_row_is_found,
    a_removed_audit_row_is_found,
    a_cut_tail_of_the_audit_chain_is_found,
    concurrent_writers_keep_the_audit_chain_whole,
    a_tenant_finds_only_its_own,
    the_journal_answers_after_the_commit,
    a_repeated_event_is_stored_once,
    a_bad_write_fails_alone,
    a_writer_that_lost_its_lease_is_refused,
    a_dead_nodes_invocations_are_claimed_once,
    ids_come_back_in_order_of_age,
);

/// A workspace with a workflow and a version to run.
struct World {
    tenant: Tenant,
    workflow: WorkflowId,
    version: VersionId,
}

fn now() -> Timestamp {
    SystemClock.now()
}

async fn world(store: &Store) -> World {
    let now = now();
    let tenant = Tenant {
        workspace: WorkspaceId::generate(now, &OsRandom),
        project: ProjectId::generate(now, &OsRandom),
        environment: EnvironmentId::generate(now, &OsRandom),
    };
    let workflow = WorkflowId::generate(now, &OsRandom);
    let version = VersionId::generate(now, &OsRandom);
    let mut tx = store.write(Actor::Machine).await.unwrap();
    db!(
        tx,
        workspace::insert(&Workspace { id: tenant.workspace, name: "w".into(), created_at: now })
    )
    .unwrap();
    db!(
        tx,
        workspace::insert_project(&Project {
            id: tenant.project,
            workspace_id: tenant.workspace,
            name: "p".into(),
            created_at: now,
        })
    )
    .unwrap();
    db!(
        tx,
        workspace::insert_environment(&Environment {
            id: tenant.environment,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            kind: EnvironmentKind::Production,
            created_at: now,
        })
    )
    .unwrap();
    db!(tx, audit::insert_head(tenant.workspace)).unwrap();
    db!(
        tx,
        workflow::insert(&Workflow {
            id: workflow,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            name: "flow".into(),
            active_version_id: Some(version),
            created_at: now,
            updated_at: now,
        })
    )
    .unwrap();
    db!(
        tx,
        workflow::insert_version(&Version {
            id: version,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            workflow_id: workflow,
            number: 1,
            digest: "d".into(),
            bundle: Sealed::from_bytes(vec![1]),
            created_at: now,
        })
    )
    .unwrap();
    let event = Audit::WorkspaceCreated { workspace: tenant.workspace, name: "w".into() };
    tx.commit(tenant.workspace, now, event).await.unwrap();
    World { tenant, workflow, version }
}

impl World {
    fn accept(&self, owner: Option<NodeId>, dedupe_key: Option<&str>) -> (InvocationId, JournalOp) {
        let now = now();
        let event = Event {
            id: EventId::generate(now, &OsRandom),
            workspace_id: self.tenant.workspace,
            environment_id: self.tenant.environment,
            workflow_id: self.workflow,
            trigger_kind: TriggerKind::Http,
            trigger_name: "http".into(),
            dedupe_key: dedupe_key.map(str::to_owned),
            body: Sealed::from_bytes(vec![7; 64]),
            received_at: now,
        };
        let id = InvocationId::generate(now, &OsRandom);
        let invocation = Invocation {
            id,
            workspace_id: self.tenant.workspace,
            environment_id: self.tenant.environment,
            workflow_id: self.workflow,
            version_id: self.version,
            event_id: event.id,
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
        };
        (id, JournalOp::Accept { tenant: self.tenant, event, invocation })
    }

    fn step(&self, id: InvocationId, fence: i64) -> JournalOp {
        let now = now();
        JournalOp::Step {
            step: Step {
                id: StepId::generate(now, &OsRandom),
                workspace_id: self.tenant.workspace,
                invocation_id: id,
                position: 0,
                name: "s".into(),
                attempt: 1,
                state: StepState::Succeeded,
                error_code: None,
                record: Sealed::from_bytes(vec![9]),
                started_at: now,
                finished_at: now,
            },
            advance: Advance {
                workspace: self.tenant.workspace,
                id,
                fence,
                next_step: 1,
                attempts: 0,
                waits_for: None,
                item_of: None,
                links: None,
                ends_loop: false,
                wake_at: None,
                state: InvocationState::Succeeded,
                error_code: None,
                tier: Some("jail".into()),
                response: None,
                started_at: now,
                finished_at: Some(now),
            },
        }
    }

    async fn get(&self, store: &Store, id: InvocationId) -> Option<Invocation> {
        let mut conn = store.read().await.unwrap();
        db!(conn, invocation::get(self.tenant, id)).unwrap()
    }
}

async fn chain(store: &Store, workspace: WorkspaceId) -> Result<i64, AuditBreak> {
    let mut conn = store.read().await.unwrap();
    verify_chain(&mut conn, workspace).await.unwrap()
}

/// Adds an audited change: another version made active.
async fn change(store: &Store, world: &World) {
    let mut tx = store.write(Actor::Machine).await.unwrap();
    db!(tx, workflow::activate(world.tenant, world.workflow, world.version, now())).unwrap();
    let event = Audit::WorkflowDeployed {
        workflow: world.workflow,
        version: world.version,
        number: 1,
        exposes: Vec::new(),
        install_scripts: Vec::new(),
    };
    tx.commit(world.tenant.workspace, now(), event).await.unwrap();
}

/// Does to the database what somebody with its password could.
async fn tamper(store: &Store, sql: &'static str) {
    match store {
        Store::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(|_| ()),
        Store::Postgres { pool, .. } => sqlx::query(sql).execute(pool).await.map(|_| ()),
    }
    .unwrap();
}

async fn a_change_and_its_audit_event_commit_together(database: TestDatabase) {
    let world = world(&database.store).await;
    change(&database.store, &world).await;
    assert_eq!(chain(&database.store, world.tenant.workspace).await, Ok(2));
}

async fn a_change_without_commit_leaves_nothing(database: TestDatabase) {
    let world = world(&database.store).await;
    let mut tx = database.store.write(Actor::Machine).await.unwrap();
    let other = VersionId::generate(now(), &OsRandom);
    db!(tx, workflow::activate(world.tenant, world.workflow, other, now())).unwrap();
    drop(tx);
    let mut conn = database.store.read().await.unwrap();
    let workflow = db!(conn, workflow::get(world.tenant, world.workflow)).unwrap().unwrap();
    assert_eq!(workflow.active_version_id, Some(world.version));
}

async fn a_changed_audit_row_is_found(database: TestDatabase) {
    let world = world(&database.store).await;
    for _ in 0..3 {
        change(&database.store, &world).await;
    }
    tamper(&database.store, "UPDATE audit SET actor = 'somebody else' WHERE seq = 2").await;
    assert_eq!(
        chain(&database.store, world.tenant.workspace).await,
        Err(AuditBreak::Changed { seq: 2 })
    );
}

async fn a_removed_audit_row_is_found(database: TestDatabase) {
    let world = world(&database.store).await;
    for _ in 0..3 {
        change(&database.store, &world).await;
    }
    tamper(&database.store, "DELETE FROM audit WHERE seq = 2").await;
    assert_eq!(
        chain(&database.store, world.tenant.workspace).await,
        Err(AuditBreak::Gap { expected: 2, found: 3 })
    );
}

async fn a_cut_tail_of_the_audit_chain_is_found(database: TestDatabase) {
    let world = world(&database.store).await;
    for _ in 0..3 {
        change(&database.store, &world).await;
    }
    tamper(&database.store, "DELETE FROM audit WHERE seq = 4").await;
    assert_eq!(
        chain(&database.store, world.tenant.workspace).await,
        Err(AuditBreak::Cut { expected: 4, found: 3 })
    );
}

async fn concurrent_writers_keep_the_audit_chain_whole(database: TestDatabase) {
    let world = std::sync::Arc::new(world(&database.store).await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, world) = (database.store.clone(), world.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    change(&store, &world).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(chain(&database.store, world.tenant.workspace).await, Ok(81));
}

async fn a_tenant_finds_only_its_own(database: TestDatabase) {
    let (mine, other) = (world(&database.store).await, world(&database.store).await);
    let mut conn = database.store.read().await.unwrap();
    assert!(db!(conn, workflow::get(mine.tenant, mine.workflow)).unwrap().is_some());
    for stranger in [
        other.tenant,
        Tenant { environment: other.tenant.environment, ..mine.tenant },
        Tenant { workspace: other.tenant.workspace, ..mine.tenant },
    ] {
        assert!(db!(conn, workflow::get(stranger, mine.workflow)).unwrap().is_none());
        assert!(db!(conn, workflow::version(stranger, mine.version)).unwrap().is_none());
        let page = db!(conn, workflow::page(stranger, WorkflowId::lowest(), 100)).unwrap();
        assert!(page.iter().all(|workflow| workflow.id != mine.workflow));
    }
}

async fn the_journal_answers_after_the_commit(database: TestDatabase) {
    let world = world(&database.store).await;
    let journal = Journal::start(&database.store, NodeId::generate(now(), &OsRandom));
    let mut writes = Vec::new();
    for _ in 0..500 {
        let (id, op) = world.accept(None, None);
        let journal = journal.clone();
        writes.push((id, tokio::spawn(async move { journal.write(op).await })));
    }
    for (id, write) in writes {
        assert_eq!(write.await.unwrap().unwrap(), JournalResult::Done);
        assert!(world.get(&database.store, id).await.is_some(), "answered, so it is there");
    }
}

async fn a_repeated_event_is_stored_once(database: TestDatabase) {
    let world = world(&database.store).await;
    let journal = Journal::start(&database.store, NodeId::generate(now(), &OsRandom));
    let (first, op) = world.accept(None, Some("key-1"));
    assert_eq!(journal.write(op).await.unwrap(), JournalResult::Done);
    let (second, op) = world.accept(None, Some("key-1"));
    assert_eq!(journal.write(op).await.unwrap(), JournalResult::Duplicate(first));
    assert!(world.get(&database.store, second).await.is_none());
    let (_, op) = world.accept(None, Some("key-2"));
    assert_eq!(journal.write(op).await.unwrap(), JournalResult::Done);
}

async fn a_bad_write_fails_alone(database: TestDatabase) {
    let world = world(&database.store).await;
    let journal = Journal::start(&database.store, NodeId::generate(now(), &OsRandom));
    let mut writes = Vec::new();
    for number in 0..40 {
        let (id, mut op) = world.accept(None, None);
        if number == 20
            && let JournalOp::Accept { invocation, .. } = &mut op
        {
            invocation.version_id = VersionId::generate(now(), &OsRandom);
        }
        let journal = journal.clone();
        writes.push((number, id, tokio::spawn(async move { journal.write(op).await })));
    }
    for (number, id, write) in writes {
        let written = write.await.unwrap();
        assert_eq!(written.is_ok(), number != 20, "{number}");
        assert_eq!(world.get(&database.store, id).await.is_some(), number != 20, "{number}");
    }
}

async fn a_writer_that_lost_its_lease_is_refused(database: TestDatabase) {
    let world = world(&database.store).await;
    let (old, new) = (NodeId::generate(now(), &OsRandom), NodeId::generate(now(), &OsRandom));
    let journal = Journal::start(&database.store, old);
    let (id, op) = world.accept(Some(old), None);
    journal.write(op).await.unwrap();
    let mut tx = database.store.write(Actor::Node(new)).await.unwrap();
    assert_eq!(db!(tx, invocation::release_all_of(old, true)).unwrap(), 1);
    assert_eq!(db!(tx, dialect::claim(new, 10)).unwrap(), [id]);
    tx.commit_bookkeeping(Bookkeeping::Lease).await.unwrap();
    assert_eq!(journal.write(world.step(id, 1)).await.unwrap(), JournalResult::LeaseLost);
    assert_eq!(journal.write(world.step(id, 2)).await.unwrap(), JournalResult::Done);
    // And not a second time: it has ended.
    assert_eq!(journal.write(world.step(id, 2)).await.unwrap(), JournalResult::LeaseLost);
    let mut conn = database.store.read().await.unwrap();
    assert_eq!(db!(conn, invocation::steps(world.tenant.workspace, id)).unwrap().len(), 1);
}

async fn a_dead_nodes_invocations_are_claimed_once(database: TestDatabase) {
    let world = world(&database.store).await;
    let dead = NodeId::generate(now(), &OsRandom);
    let journal = Journal::start(&database.store, dead);
    let past = now().minus(Duration::from_mins(1));
    let mut tx = database.store.write(Actor::Machine).await.unwrap();
    db!(tx, node::heartbeat(&Node { id: dead, started_at: past, lease_until: past })).unwrap();
    tx.commit_bookkeeping(Bookkeeping::Lease).await.unwrap();
    for _ in 0..50 {
        journal.write(world.accept(Some(dead), None).1).await.unwrap();
    }
    let mut conn = database.store.read().await.unwrap();
    assert_eq!(db!(conn, node::dead(now())).unwrap(), [dead]);
    drop(conn);
    let mut tx = database.store.write(Actor::Machine).await.unwrap();
    db!(tx, invocation::release_all_of(dead, true)).unwrap();
    tx.commit_bookkeeping(Bookkeeping::Lease).await.unwrap();
    let claimers: Vec<_> = (0..5)
        .map(|_| {
            let store = database.store.clone();
            tokio::spawn(async move {
                let node = NodeId::generate(now(), &OsRandom);
                let mut tx = store.write(Actor::Node(node)).await.unwrap();
                let ids = db!(tx, dialect::claim(node, 20)).unwrap();
                tx.commit_bookkeeping(Bookkeeping::Lease).await.unwrap();
                ids
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for claimer in claimers {
        claimed.extend(claimer.await.unwrap());
    }
    claimed.sort();
    let count = claimed.len();
    claimed.dedup();
    assert_eq!((count, claimed.len()), (50, 50));
}

async fn ids_come_back_in_order_of_age(database: TestDatabase) {
    let world = world(&database.store).await;
    let journal = Journal::start(&database.store, NodeId::generate(now(), &OsRandom));
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (id, op) = world.accept(None, None);
        journal.write(op).await.unwrap();
        ids.push(id);
    }
    ids.sort();
    ids.reverse();
    let mut conn = database.store.read().await.unwrap();
    let mut listed = Vec::new();
    let mut before = InvocationId::highest();
    loop {
        let page = db!(conn, invocation::page(world.tenant, None, None, before, 2)).unwrap();
        let Some(last) = page.last() else { break };
        before = last.id;
        listed.extend(page.iter().map(|invocation| invocation.id));
    }
    assert_eq!(listed, ids);
}

/// A rule of the tables that is broken is told apart from an outage.
#[tokio::test]
async fn errors_are_told_apart() {
    let database = TestDatabase::sqlite().await;
    let world = world(&database.store).await;
    let mut tx = database.store.write(Actor::Machine).await.unwrap();
    let again = Workspace { id: world.tenant.workspace, name: "w".into(), created_at: now() };
    let refused = db!(tx, workspace::insert(&again)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused:?}");
    drop(tx);
    database.store.close().await;
    let gone = database.store.read().await.err().unwrap();
    assert!(matches!(gone, Error::Unavailable(_)), "{gone:?}");
}

/// PostgreSQL ends one of two transactions that wait for each other in a circle, and one that it
/// cannot bring into an order with others. Nothing of it was stored, and it may be sent again.
#[tokio::test]
async fn a_transaction_that_gave_way_may_be_sent_again() {
    let database = TestDatabase::postgres().await;
    let store = &database.store;
    let (one, two) = (world(store).await.tenant.workspace, world(store).await.tenant.workspace);
    let (mut a, mut b) =
        (store.write(Actor::Machine).await.unwrap(), store.write(Actor::Machine).await.unwrap());
    db!(a, audit::lock_head(one)).unwrap();
    db!(b, audit::lock_head(two)).unwrap();
    let crosswise =
        async |mut tx: WriteTx, next| -> Result<bool, Error> { db!(tx, audit::lock_head(next)) };
    let (a, b) = tokio::join!(crosswise(a, two), crosswise(b, one));
    let gave_way = [a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    let [Error::GaveWay(_)] = gave_way.as_slice() else { panic!("{gave_way:?}") };

    let Store::Postgres { pool, .. } = store else { panic!("not PostgreSQL") };
    for (state, retry) in [("40P01", true), ("40001", true), ("40002", false), ("22012", false)] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$");
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(raise)).execute(pool).await.unwrap_err();
        let error = Error::from(error);
        let expected = if retry { Code::StoreUnavailable } else { Code::Internal };
        assert_eq!(error.code(), expected, "{state}: {error:?}");
        assert_eq!(error.public().contains("send it again"), retry, "{state}");
    }
}
