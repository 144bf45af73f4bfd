//! An installation with a workspace, and what a test does with it again and again.

use causeway_identity::{
    Bootstrap, Caller, MachineAccess, MachineParts, NewApiKey, OwnKeys, Permit, Scopes, action,
    authorize, bootstrap,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, Resolve, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, WriteTx, db, verify_chain};
use causeway_types::entity::{
    AuditRow, EnvironmentKind, WebhookDelivery, WebhookDeliveryFilter, WebhookSignature,
};
use causeway_types::{
    Actor, Clock, ConnectionId, CustomerId, ManualClock, OsRandom, SystemClock, Tenant,
    WebhookEndpointId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use causeway_webhooks::{
    AttemptView, ConnectionSubject, Event, NewEndpoint, Webhooks, WebhooksConfig, WebhooksParts,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) webhooks: Webhooks,
    pub(crate) caller: Caller,
    pub(crate) other: Caller,
    machine: MachineAccess,
    pub(crate) key_file: PathBuf,
    _folder: tempfile::TempDir,
}

/// Attempts that do not answer end soon.
pub(crate) fn config() -> WebhooksConfig {
    WebhooksConfig { timeout: Duration::from_secs(5), ..WebhooksConfig::default() }
}

pub(crate) async fn unlock(store: &Store, key_file: &Path, clock: &Arc<ManualClock>) -> Vault {
    let data = tempfile::tempdir().unwrap();
    let key = RootKey::File(FileKey::load(key_file, data.path()).unwrap());
    let clock: Arc<dyn Clock> = clock.clone();
    Vault::unlock(store.clone(), key, DEFAULT_KEY_LIFETIME, clock, Arc::new(OsRandom))
        .await
        .unwrap()
}

/// A node of the installation. It may reach this machine only if `allow` says so.
pub(crate) fn node(
    store: Store,
    vault: Vault,
    clock: Arc<ManualClock>,
    allow: &[&str],
    resolver: impl Resolve + 'static,
    config: WebhooksConfig,
) -> Webhooks {
    let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, resolver);
    let http = HttpClient::new(guard, &HttpConfig::default()).unwrap();
    let parts = WebhooksParts { store, vault, http, clock, random: Arc::new(OsRandom) };
    Webhooks::new(parts, config)
}

pub(crate) const LOOPBACK: &[&str] = &["127.0.0.0/8"];

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        Self::with(database, config()).await
    }

    pub(crate) async fn with(database: TestDatabase, config: WebhooksConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("root.key");
        FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let vault = unlock(&store, &key_file, &clock).await;
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let machine = MachineAccess::new(MachineParts {
            store: store.clone(),
            keys,
            clock: clock.clone(),
            random: Arc::new(OsRandom),
            issuer: "https://connect.example.com".into(),
        });
        let by = (&database.store, &vault, &machine, &clock);
        let caller = caller_of(by, EnvironmentKind::Development).await;
        let other = caller_of(by, EnvironmentKind::Production).await;
        let webhooks = node(store, vault.clone(), clock.clone(), LOOPBACK, SystemResolver, config);
        Self { database, clock, vault, webhooks, caller, other, machine, key_file, _folder: folder }
    }

    pub(crate) fn permit<A: action::Action>(&self) -> Permit<A> {
        authorize(&self.caller, self.clock.now()).unwrap()
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.caller.place().environment().unwrap()
    }

    /// Another node of the same installation, with a connection of its own.
    pub(crate) async fn second_node(&self) -> Webhooks {
        let store = Store::connect(&self.database.options).await.unwrap();
        let vault = unlock(&store, &self.key_file, &self.clock).await;
        node(store, vault, self.clock.clone(), LOOPBACK, SystemResolver, config())
    }

    /// A program that is confined to one app.
    pub(crate) async fn confined(&self) -> Caller {
        let new = NewApiKey {
            name: "confined".into(),
            scopes: Scopes { apps: Some(vec!["slack".into()]), ..Scopes::default() },
            lifetime: None,
        };
        let made = self.machine.create_key(&self.permit(), &self.caller, new).await;
        let header = format!("Bearer {}", made.unwrap().1.expose());
        self.machine.authenticator().authenticate(Some(&header)).await.unwrap()
    }

    /// An endpoint for all events; its id and secret.
    pub(crate) async fn endpoint(&self, url: &str) -> (WebhookEndpointId, String) {
        self.endpoint_with(NewEndpoint { url: url.into(), ..plain() }).await
    }

    pub(crate) async fn endpoint_with(&self, new: NewEndpoint) -> (WebhookEndpointId, String) {
        let made = self.webhooks.create_endpoint(&self.permit(), new).await.unwrap();
        (made.endpoint.id, made.secret.expose().clone())
    }

    /// Tells of a connection of this name, as an engine does: with a change of its own.
    pub(crate) async fn tell(&self, name: &str) {
        self.tell_event(&Event::ConnectionCreated(self.subject(name))).await;
    }

    pub(crate) async fn tell_event(&self, event: &Event) {
        let tx = self.telling(event).await;
        self.commit(tx).await;
    }

    /// The same, before its commit.
    pub(crate) async fn telling(&self, event: &Event) -> WriteTx {
        let outbox = self.webhooks.outbox(self.tenant().workspace).await.unwrap();
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        outbox.enqueue(&mut tx, self.tenant(), event, self.clock.now()).await.unwrap();
        tx
    }

    pub(crate) async fn commit(&self, tx: WriteTx) {
        let now = self.clock.now();
        let connection = ConnectionId::generate(now, &OsRandom);
        let event = Audit::ConnectionReconnected { connection };
        tx.commit(self.tenant().workspace, now, event).await.unwrap();
    }

    pub(crate) fn subject(&self, name: &str) -> ConnectionSubject {
        let now = self.clock.now();
        ConnectionSubject {
            id: ConnectionId::generate(now, &OsRandom),
            name: name.into(),
            app: "hubspot".into(),
            customer_id: CustomerId::generate(now, &OsRandom),
            customer: "acme".into(),
        }
    }

    /// Every delivery of the environment, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.deliveries_of(WebhookDeliveryFilter::default()).await
    }

    pub(crate) async fn deliveries_of(
        &self,
        filter: WebhookDeliveryFilter,
    ) -> Vec<WebhookDelivery> {
        let permit = self.permit();
        let page = self.webhooks.deliveries(&permit, &filter, None, 1000).await.unwrap();
        assert!(page.next.is_none());
        let mut items = page.items;
        items.sort_by_key(|one| (one.position, one.id));
        items
    }

    /// The only delivery that there is.
    pub(crate) async fn delivery(&self) -> WebhookDelivery {
        let mut all = self.deliveries().await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// The attempts of a delivery, newest first.
    pub(crate) async fn attempts(&self, delivery: &WebhookDelivery) -> Vec<AttemptView> {
        let permit = self.permit();
        self.webhooks.attempts(&permit, delivery.id, None, 100).await.unwrap().items
    }

    /// Delivers what is due.
    pub(crate) async fn deliver(&self) -> usize {
        self.webhooks.deliver_due().await.unwrap()
    }

    /// Lets the time come at which the next pending delivery is due.
    pub(crate) async fn skip(&self) {
        let due = self.deliveries().await.into_iter().filter_map(|one| one.due_at).min().unwrap();
        self.clock.advance(due.since(self.clock.now()));
    }

    /// The audit chain, which must hold.
    pub(crate) async fn audit(&self) -> Vec<AuditRow> {
        let workspace = self.tenant().workspace;
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, workspace).await.unwrap().unwrap();
        db!(conn, audit::page(workspace, 0, 500)).unwrap()
    }

    /// The rows of one action in the audit chain.
    pub(crate) async fn audited(&self, action: &str) -> Vec<AuditRow> {
        self.audit().await.into_iter().filter(|row| row.action == action).collect()
    }
}

/// An endpoint of which only the URL is missing.
pub(crate) fn plain() -> NewEndpoint {
    NewEndpoint {
        url: String::new(),
        description: "test".into(),
        event_types: Vec::new(),
        ordered: false,
        signature: WebhookSignature::Standard,
    }
}

async fn caller_of(
    (store, vault, machine, clock): (&Store, &Vault, &MachineAccess, &Arc<ManualClock>),
    environment: EnvironmentKind,
) -> Caller {
    let wanted =
        Bootstrap { workspace_name: "Acme".into(), project_name: "Main".into(), environment };
    let own_keys = OwnKeys::open(store, vault, &**clock, &OsRandom, Actor::Machine).await.unwrap();
    let made =
        bootstrap(store, vault, own_keys.token(), &**clock, &OsRandom, &wanted).await.unwrap();
    let header = format!("Bearer {}", made.api_key.expose());
    machine.authenticator().authenticate(Some(&header)).await.unwrap()
}
