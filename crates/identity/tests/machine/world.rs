//! An installation with a workspace, its keys, and ways to make more.

use causeway_identity::action::Action;
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    AuthenticateError, Authenticator, Bootstrap, Caller, MachineAccess, MachineParts, OwnKeys,
    Permit, Scopes, authorize, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, db, verify_chain};
use causeway_types::entity::{ApiKey, EnvironmentKind};
use causeway_types::{
    Actor, ApiKeyId, Clock as _, ManualClock, OsRandom, SecretString, SystemClock, Tenant,
    Timestamp, WorkspaceId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use serde_json::Value;
use std::sync::Arc;

pub(crate) const ISSUER: &str = "https://connect.example.com";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) keys: OwnKeys,
    pub(crate) machine: MachineAccess,
    pub(crate) authenticator: Authenticator,
    pub(crate) tenant: Tenant,
    _root: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let root = tempfile::tempdir().unwrap();
        let key = FileKey::create(&root.path().join("root.key"), database.folder(), &OsRandom);
        // A whole second, since tokens count in seconds.
        let now = Timestamp::from_micros(SystemClock.now().as_micros() / 1_000_000 * 1_000_000);
        let clock = Arc::new(ManualClock::at(now));
        let vault = Vault::unlock(
            database.store.clone(),
            RootKey::File(key.unwrap()),
            DEFAULT_KEY_LIFETIME,
            clock.clone(),
            Arc::new(OsRandom),
        );
        let vault = vault.await.unwrap();
        let store = &database.store;
        let keys = OwnKeys::open(store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Production,
        };
        let made = bootstrap(store, &vault, keys.token(), &*clock, &OsRandom, &wanted);
        let made = made.await.unwrap();
        let tenant = Tenant {
            workspace: made.workspace,
            project: made.project,
            environment: made.production,
        };
        let machine = machine(store.clone(), keys.clone(), &clock);
        let authenticator = machine.authenticator();
        Self { database, clock, vault, keys, machine, authenticator, tenant, _root: root }
    }

    /// The same installation, as another node with its own connections and memory.
    pub(crate) async fn another_node(&self) -> (Store, MachineAccess) {
        let store = Store::connect(&self.database.options).await.unwrap();
        let machine = machine(store.clone(), self.keys.clone(), &self.clock);
        (store, machine)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The other environment of the same project.
    pub(crate) async fn development(&self) -> Tenant {
        let mut conn = self.database.store.read().await.unwrap();
        let all = db!(conn, workspace::environments(self.tenant.workspace)).unwrap();
        let development = all.iter().find(|one| one.kind == EnvironmentKind::Development);
        development.unwrap().tenant()
    }

    /// A key put straight into the store, with its text.
    pub(crate) async fn insert_key(
        &self,
        tenant: Tenant,
        scopes: &Scopes,
        expires_at: Option<Timestamp>,
    ) -> (ApiKeyId, String) {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let key = ApiKey {
            id: ApiKeyId::generate(self.now(), &OsRandom),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            name: "inserted".into(),
            hint: plain.hint(),
            digest: plain.keyed_digest(self.keys.token()).to_vec(),
            scopes: scopes.to_text(),
            created_by: Actor::Machine.to_string(),
            created_at: self.now(),
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&key)).unwrap();
        let event = Audit::ApiKeyCreated { key: key.id, name: key.name };
        tx.commit(tenant.workspace, self.now(), event).await.unwrap();
        (key.id, plain.reveal().expose().clone())
    }

    /// A caller with a key of these scopes.
    pub(crate) async fn caller(&self, scopes: &Scopes) -> Caller {
        let (_, key) = self.insert_key(self.tenant, scopes, None).await;
        self.come_in(&key).await.unwrap()
    }

    /// Whoever comes with this key or token.
    pub(crate) async fn come_in(&self, text: &str) -> Result<Caller, AuthenticateError> {
        self.authenticator.authenticate(Some(&bearer(text))).await
    }

    /// Asserts that nobody comes in with this key or token, and gives the text of the refusal.
    #[track_caller]
    pub(crate) fn refused(came: Result<Caller, AuthenticateError>) -> String {
        use causeway_types::Coded as _;
        match came {
            Err(error @ AuthenticateError::Refused) => error.public().into_owned(),
            Err(other) => panic!("{other}"),
            Ok(caller) => panic!("{} came in", caller.actor()),
        }
    }

    pub(crate) fn permit<A: Action>(&self, caller: &Caller) -> Permit<A> {
        authorize::<A>(caller, self.now()).unwrap_or_else(|denied| panic!("{denied}"))
    }

    /// The events of the workspace's chain, which must hold, with who caused them.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        self.audit_of(self.tenant.workspace).await
    }

    pub(crate) async fn audit_of(&self, workspace: WorkspaceId) -> Vec<Value> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, workspace).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(workspace, 0, 500)).unwrap();
        rows.iter()
            .map(|row| {
                let mut event: Value = serde_json::from_str(&row.detail).unwrap();
                event["actor"] = row.actor.clone().into();
                event
            })
            .collect()
    }

    /// The events of one kind.
    pub(crate) async fn events(&self, action: &str) -> Vec<Value> {
        let mut events = self.audit().await;
        events.retain(|event| event["action"] == action);
        events
    }
}

fn machine(store: Store, keys: OwnKeys, clock: &Arc<ManualClock>) -> MachineAccess {
    MachineAccess::new(MachineParts {
        store,
        keys,
        clock: clock.clone(),
        random: Arc::new(OsRandom),
        issuer: ISSUER.into(),
    })
}

pub(crate) fn bearer(text: &str) -> String {
    format!("Bearer {text}")
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}
