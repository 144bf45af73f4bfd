//! A workspace with one record of every kind that holds a seal.

use causeway_crypto::key_of;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, WriteTx, db, verify_chain};
use causeway_types::entity::*;
use causeway_types::place::Sealed;
use causeway_types::*;
use causeway_vault::{DEFAULT_KEY_LIFETIME, RootKey, RootKeySpec, Vault, VaultError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kinds of sealed records of workflows and connections, of which a furnished house has one each.
pub(crate) const KINDS: usize = 14;

pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) tenant: Tenant,
    pub(crate) workflow: WorkflowId,
    pub(crate) database: TestDatabase,
    /// What was sealed where, by the place's printed form.
    pub(crate) contents: BTreeMap<String, (Place, Vec<u8>)>,
    configuration: tempfile::TempDir,
}

fn id<T>(make: fn(Timestamp, &dyn Randomness) -> T) -> T {
    make(SystemClock.now(), &OsRandom)
}

impl House {
    /// A workspace with a data key and nothing else.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let configuration = tempfile::tempdir().unwrap();
        let store = database.store.clone();
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_790_000_000_000_000)));
        let root = RootKeySpec::in_configuration(configuration.path())
            .load_or_create(database.folder(), &OsRandom)
            .await
            .unwrap();
        let vault = unlock(&store, root, &clock).await.unwrap();
        let tenant = Tenant {
            workspace: id(WorkspaceId::generate),
            project: id(ProjectId::generate),
            environment: id(EnvironmentId::generate),
        };
        let workflow = id(WorkflowId::generate);
        set_up(&store, &vault, tenant, workflow, clock.now()).await;
        let contents = BTreeMap::new();
        Self { store, clock, vault, tenant, workflow, database, contents, configuration }
    }

    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.tenant.workspace
    }

    /// The root key that the house was set up with, loaded again.
    pub(crate) async fn root(&self) -> RootKey {
        RootKeySpec::in_configuration(self.configuration.path())
            .load(self.database.folder())
            .await
            .unwrap()
    }

    /// Another vault on the same database and root key: another node.
    pub(crate) async fn another_node(&self) -> Vault {
        unlock(&self.store, self.root().await, &self.clock).await.unwrap()
    }

    pub(crate) async fn write(&self) -> WriteTx {
        self.store.write(Actor::Machine).await.unwrap()
    }

    /// Commits with some event or other.
    pub(crate) async fn commit(&self, tx: WriteTx) {
        let event = Audit::WorkspaceCreated { workspace: self.workspace(), name: "x".to_owned() };
        tx.commit(self.workspace(), self.clock.now(), event).await.unwrap();
    }

    /// Seals a text that nothing else holds, and remembers it.
    pub(crate) async fn seal(&mut self, place: Place) -> Sealed {
        let text = format!("canary of {place:?}").into_bytes();
        let sealed = self.vault.seal(self.workspace(), &place, &text).await.unwrap();
        self.contents.insert(format!("{place:?}"), (place, text));
        sealed
    }

    /// Stores one record of every kind.
    pub(crate) async fn furnish(&mut self) {
        self.connect().await;
        let version = self.deploy().await;
        self.run(version).await;
        self.publish().await;
        let (workspace, now) = (self.workspace(), self.clock.now());
        let response = self.seal(Place::IdempotentResponse([4; 32])).await;
        let mut tx = self.write().await;
        db!(tx, idempotency::claim(workspace, &[4; 32], &[5; 32], now)).unwrap();
        db!(tx, idempotency::finish(workspace, &[4; 32], 200, &response)).unwrap();
        // A request that is still being worked on has no answer yet.
        db!(tx, idempotency::claim(workspace, &[6; 32], &[5; 32], now)).unwrap();
        self.commit(tx).await;
    }

    /// An OAuth client, a connection in the middle of a refresh, and a flow under way.
    #[expect(clippy::too_many_lines, reason = "records with all their columns")]
    async fn connect(&mut self) {
        let (workspace, environment) = (self.tenant.workspace, self.tenant.environment);
        let (project, now) = (self.tenant.project, self.clock.now());
        let client = OAuthClient {
            id: id(OAuthClientId::generate),
            workspace_id: workspace,
            environment_id: environment,
            app: "crm".to_owned(),
            name: String::new(),
            description: String::new(),
            client_id: "public".to_owned(),
            secret: Sealed::from_bytes(Vec::new()),
            scopes: String::new(),
            created_at: now,
            updated_at: now,
        };
        let secret = self.seal(Place::OAuthClientSecret(client.id)).await;
        let client = OAuthClient { secret, ..client };
        let customer = Customer {
            id: id(CustomerId::generate),
            workspace_id: workspace,
            environment_id: environment,
            external_id: "acme".to_owned(),
            created_at: now,
        };
        let connection = id(ConnectionId::generate);
        let connection = Connection {
            id: connection,
            workspace_id: workspace,
            environment_id: environment,
            customer_id: customer.id,
            app: "crm".to_owned(),
            name: "acme-crm".to_owned(),
            scheme: Scheme::Oauth2,
            oauth_client_id: Some(client.id),
            state: ConnectionState::Healthy,
            state_reason: None,
            credential: self.seal(Place::ConnectionCredential(connection)).await,
            scopes: String::new(),
            hosts: String::new(),
            account_id: None,
            account_name: None,
            policy: None,
            expires_at: None,
            refresh_at: None,
            refreshed_at: None,
            used_at: None,
            fence: 1,
            created_at: now,
            updated_at: now,
        };
        let answer = self.seal(Place::RefreshAnswer(connection.id)).await;
        let session = ConnectSession {
            id: id(ConnectSessionId::generate),
            workspace_id: workspace,
            project_id: project,
            environment_id: environment,
            customer_id: customer.id,
            app: Some("crm".to_owned()),
            connection_name: Some("acme-crm".to_owned()),
            reconnect_id: None,
            oauth_client_id: None,
            scope_profile: None,
            scopes: String::new(),
            token_digest: vec![1; 32],
            browser_digest: None,
            allowed_origins: String::new(),
            return_url: None,
            error_url: None,
            expires_at: now,
            used_at: None,
            connection_id: None,
            created_at: now,
        };
        let flow = id(OAuthFlowId::generate);
        let flow = OAuthFlow {
            id: flow,
            workspace_id: workspace,
            connect_session_id: session.id,
            app: "crm".to_owned(),
            scheme: Scheme::Oauth2,
            browser_digest: vec![2; 32],
            verifier: self.seal(Place::OAuthFlowVerifier(flow)).await,
            expires_at: now,
            used_at: None,
            outcome: None,
            poll_at: None,
            poll_seconds: None,
        };
        let mut tx = self.write().await;
        db!(tx, oauth_client::insert(&client)).unwrap();
        db!(tx, customer::insert(&customer)).unwrap();
        db!(tx, connection::insert(&connection)).unwrap();
        let node = id(NodeId::generate);
        let lease =
            db!(tx, connection_refresh::take_lease(workspace, connection.id, node, now, now))
                .unwrap()
                .unwrap();
        let (of, fence) = (connection.id, lease.fence);
        assert!(db!(tx, connection_refresh::record_intent(workspace, of, fence)).unwrap());
        assert!(db!(tx, connection_refresh::record_answer(workspace, of, fence, &answer)).unwrap());
        db!(tx, connect_session::insert(&session)).unwrap();
        db!(tx, connect_session::insert_flow(&flow)).unwrap();
        self.commit(tx).await;
    }

    /// A version and a trigger of the workflow.
    async fn deploy(&mut self) -> VersionId {
        let (workspace, environment) = (self.tenant.workspace, self.tenant.environment);
        let (project, workflow, now) = (self.tenant.project, self.workflow, self.clock.now());
        let version = id(VersionId::generate);
        let version = Version {
            id: version,
            workspace_id: workspace,
            environment_id: environment,
            workflow_id: workflow,
            number: 1,
            digest: "abc".to_owned(),
            bundle: self.seal(Place::VersionBundle(version)).await,
            created_at: now,
        };
        let trigger = id(TriggerId::generate);
        let trigger = Trigger {
            id: trigger,
            workspace_id: workspace,
            project_id: project,
            environment_id: environment,
            workflow_id: workflow,
            kind: TriggerKind::Http,
            name: "http".into(),
            token_digest: vec![3; 32],
            token: self.seal(Place::TriggerToken(trigger)).await,
            created_at: now,
        };
        let mut tx = self.write().await;
        db!(tx, workflow::insert_version(&version)).unwrap();
        db!(tx, workflow::insert_trigger(&trigger)).unwrap();
        self.commit(tx).await;
        version.id
    }

    /// A component, and props that it had with certain values.
    async fn publish(&mut self) {
        let (workspace, environment) = (self.tenant.workspace, self.tenant.environment);
        let (project, now) = (self.tenant.project, self.clock.now());
        let component = Component {
            id: id(ComponentId::generate),
            workspace_id: workspace,
            project_id: project,
            environment_id: environment,
            key: "demo-send".to_owned(),
            version: "0.0.1".to_owned(),
            kind: ComponentKind::Action,
            name: "Send".to_owned(),
            description: None,
            apps: " demo ".to_owned(),
            digest: "abc".to_owned(),
            created_at: now,
        };
        let seals = ComponentSeals {
            definition: self.seal(Place::ComponentDefinition(component.id)).await,
            bundle: self.seal(Place::ComponentBundle(component.id)).await,
        };
        let props = id(DynamicPropsId::generate);
        let props = DynamicProps {
            id: props,
            workspace_id: workspace,
            environment_id: environment,
            component_id: component.id,
            digest: "abc".to_owned(),
            definitions: self.seal(Place::DynamicProps(props)).await,
            created_at: now,
        };
        let mut tx = self.write().await;
        db!(tx, component::insert(&component, &seals)).unwrap();
        db!(tx, component::insert_props(&props)).unwrap();
        self.commit(tx).await;
    }

    /// An event, the invocation that ran on it, and its step.
    async fn run(&mut self, version: VersionId) {
        let now = self.clock.now();
        let event = self.event().await;
        let invocation = Invocation {
            id: id(InvocationId::generate),
            workspace_id: self.workspace(),
            environment_id: self.tenant.environment,
            workflow_id: self.workflow,
            version_id: version,
            event_id: event,
            replay_of: None,
            parent_id: None,
            item_index: None,
            waits_for: None,
            state: InvocationState::Running,
            gate: Gate::Open,
            next_step: 0,
            attempts: 0,
            wake_at: None,
            error_code: None,
            tier: None,
            owner: None,
            fence: 1,
            response: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let response = self.seal(Place::InvocationResponse(invocation.id)).await;
        let looping = id(InvocationId::generate);
        let list = self.seal(Place::ItemList(looping)).await;
        let step = id(StepId::generate);
        let step = Step {
            id: step,
            workspace_id: self.workspace(),
            invocation_id: invocation.id,
            position: 0,
            name: "lookup".to_owned(),
            attempt: 1,
            state: StepState::Succeeded,
            error_code: None,
            record: self.seal(Place::StepRecord(step)).await,
            started_at: now,
            finished_at: now,
        };
        let advance = Advance {
            workspace: self.workspace(),
            id: invocation.id,
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
            response: Some(response),
            started_at: now,
            finished_at: Some(now),
        };
        let mut tx = self.write().await;
        db!(tx, invocation::insert(&invocation)).unwrap();
        db!(tx, dialect::insert_steps(&[&step])).unwrap();
        assert_eq!(db!(tx, dialect::advance_all(&[&advance])).unwrap(), [advance.id]);
        // Another waits for the items of its loop.
        let looping = Invocation { id: looping, ..invocation };
        db!(tx, invocation::insert(&looping)).unwrap();
        let list = Some((Some(&list), 1));
        db!(tx, item::wait_for(looping.workspace_id, looping.id, 1, list, now)).unwrap();
        self.commit(tx).await;
    }

    /// Stores one event.
    pub(crate) async fn event(&mut self) -> EventId {
        self.events(1).await[0]
    }

    /// Stores events, in one transaction.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<EventId> {
        let ids: Vec<EventId> = (0..count).map(|_| id(EventId::generate)).collect();
        let mut events = Vec::new();
        for id in &ids {
            events.push(Event {
                id: *id,
                workspace_id: self.workspace(),
                environment_id: self.tenant.environment,
                workflow_id: self.workflow,
                trigger_kind: TriggerKind::Http,
                trigger_name: "http".into(),
                dedupe_key: None,
                body: self.seal(Place::EventBody(*id)).await,
                received_at: self.clock.now(),
            });
        }
        let mut tx = self.write().await;
        for event in &events {
            db!(tx, dialect::insert_events(&[event])).unwrap();
        }
        self.commit(tx).await;
        ids
    }

    /// Every seal that is stored, by its place's printed form.
    pub(crate) async fn stored(&self) -> BTreeMap<String, Sealed> {
        let (workspace, none, many) = (self.workspace(), &[0_u8; 16][..], 100_000);
        let mut conn = self.store.read().await.unwrap();
        let mut all = BTreeMap::new();
        macro_rules! collect {
            ($($page:ident as $place:ident,)*) => {$(
                for row in db!(conn, reseal::$page(workspace, "", none, many)).unwrap() {
                    let place = Place::$place(row.record.parse().unwrap());
                    all.insert(format!("{place:?}"), row.sealed);
                }
            )*};
        }
        collect! {
            client_secrets as OAuthClientSecret,
            flow_verifiers as OAuthFlowVerifier,
            credentials as ConnectionCredential,
            refresh_answers as RefreshAnswer,
            trigger_tokens as TriggerToken,
            version_bundles as VersionBundle,
            event_bodies as EventBody,
            step_records as StepRecord,
            responses as InvocationResponse,
            item_lists as ItemList,
            component_definitions as ComponentDefinition,
            component_bundles as ComponentBundle,
            dynamic_props as DynamicProps,
        }
        for row in db!(conn, reseal::idempotent_responses(workspace, &[], none, many)).unwrap() {
            let place = Place::IdempotentResponse(row.scope.try_into().unwrap());
            all.insert(format!("{place:?}"), row.sealed);
        }
        all
    }

    /// Checks that everything remembered is stored, opens, and is under the key given.
    pub(crate) async fn check(&self, vault: &Vault, key: Option<DataKeyId>) {
        let stored = self.stored().await;
        assert_eq!(stored.len(), self.contents.len());
        for (name, (place, text)) in &self.contents {
            let sealed = &stored[name];
            let opened = vault.open(self.workspace(), place, sealed).await.unwrap();
            assert_eq!(opened.expose(), text, "{name}");
            if let Some(key) = key {
                assert_eq!(key_of(sealed), Ok(key), "{name}");
            }
        }
    }

    /// The actions in the audit chain, which has to hold.
    pub(crate) async fn audit(&self) -> Vec<String> {
        let mut conn = self.store.read().await.unwrap();
        verify_chain(&mut conn, self.workspace()).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(self.workspace(), 0, 10_000)).unwrap();
        rows.into_iter().map(|row| row.action).collect()
    }
}

pub(crate) async fn unlock(
    store: &Store,
    root: RootKey,
    clock: &Arc<ManualClock>,
) -> Result<Vault, VaultError> {
    Vault::unlock(store.clone(), root, DEFAULT_KEY_LIFETIME, clock.clone(), Arc::new(OsRandom))
        .await
}

pub(crate) async fn set_up(
    store: &Store,
    vault: &Vault,
    tenant: Tenant,
    workflow: WorkflowId,
    now: Timestamp,
) {
    let Tenant { workspace, project, environment } = tenant;
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let record = Workspace { id: workspace, name: "acme".to_owned(), created_at: now };
    db!(tx, workspace::insert(&record)).unwrap();
    db!(tx, audit::insert_head(workspace)).unwrap();
    let name = "main".to_owned();
    let record = Project { id: project, workspace_id: workspace, name, created_at: now };
    db!(tx, workspace::insert_project(&record)).unwrap();
    let kind = EnvironmentKind::Production;
    let record = Environment {
        id: environment,
        workspace_id: workspace,
        project_id: project,
        kind,
        created_at: now,
    };
    db!(tx, workspace::insert_environment(&record)).unwrap();
    let record = Workflow {
        id: workflow,
        workspace_id: workspace,
        environment_id: environment,
        name: "welcome".to_owned(),
        active_version_id: None,
        created_at: now,
        updated_at: now,
    };
    db!(tx, workflow::insert(&record)).unwrap();
    vault.create_data_key(&mut tx, workspace, now).await.unwrap();
    let event = Audit::WorkspaceCreated { workspace, name: "acme".to_owned() };
    tx.commit(workspace, now, event).await.unwrap();
}
