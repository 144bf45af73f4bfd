//! An installation whose names all lead to stand-ins, on SQLite.

use crate::tls::{self, Loopback};
use causeway_catalog::Catalog;
use causeway_connect::{Connect, ConnectParts, NoCrash};
use causeway_identity::{
    Bootstrap, Caller, MachineAccess, MachineParts, OwnKeys, Permit, action, authorize, bootstrap,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig};
use causeway_store::testing::TestDatabase;
use causeway_types::entity::EnvironmentKind;
use causeway_types::{Actor, Clock, ManualClock, OsRandom, SecretBytes, SystemClock};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use causeway_webhooks::{Webhooks, WebhooksConfig, WebhooksParts};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Where apps send browsers back to.
pub(crate) const CALLBACK: &str = "https://connect.acme.example/connect/callback";

pub(crate) struct World {
    database: TestDatabase,
    vault: Vault,
    pub(crate) http: HttpClient,
    caller: Caller,
    _folder: tempfile::TempDir,
}

/// The parts of Causeway as one app is driven with them: they have a clock of their own.
pub(crate) struct Hand {
    pub(crate) connect: Connect,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: HttpClient,
    caller: Caller,
}

impl World {
    /// A workspace with nothing in it, and what its stand-ins speak TLS with.
    pub(crate) async fn new() -> (Self, TlsAcceptor) {
        let (acceptor, root) = tls::acceptor();
        let database = TestDatabase::sqlite().await;
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("root.key");
        FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let key = RootKey::File(FileKey::load(&key_file, database.folder()).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, random) = (database.store.clone(), Arc::new(OsRandom));
        let vault = Vault::unlock(
            store.clone(),
            key,
            DEFAULT_KEY_LIFETIME,
            Arc::clone(&clock),
            random.clone(),
        );
        let vault = vault.await.unwrap();
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Development,
        };
        let made = bootstrap(&store, &vault, keys.token(), &*clock, &OsRandom, &wanted);
        let header = format!("Bearer {}", made.await.unwrap().api_key.expose());
        let issuer = "https://connect.acme.example".into();
        let machine = MachineAccess::new(MachineParts { store, keys, clock, random, issuer });
        let caller = machine.authenticator().authenticate(Some(&header)).await.unwrap();
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, Loopback);
        let http = HttpClient::new(guard, &HttpConfig { extra_roots_pem: Some(root.into_bytes()) })
            .unwrap();
        (Self { database, vault, http, caller, _folder: folder }, acceptor)
    }

    /// A hand with a clock of its own.
    pub(crate) fn hand(&self, catalog: &Arc<Catalog>, clock: &Arc<ManualClock>) -> Hand {
        let webhooks = WebhooksParts {
            store: self.database.store.clone(),
            vault: self.vault.clone(),
            http: self.http.clone(),
            clock: clock.clone(),
            random: Arc::new(OsRandom),
        };
        let connect = Connect::new(ConnectParts {
            store: self.database.store.clone(),
            vault: self.vault.clone(),
            http: self.http.clone(),
            webhooks: Webhooks::new(webhooks, WebhooksConfig::default()),
            words: Arc::new(|_| SecretBytes::new(Vec::new())),
            catalog: Arc::clone(catalog),
            clock: clock.clone(),
            random: Arc::new(OsRandom),
            callback_url: CALLBACK.parse().unwrap(),
            crash: Arc::new(NoCrash),
        });
        let (clock, http) = (Arc::clone(clock), self.http.clone());
        Hand { connect, clock, http, caller: self.caller.clone() }
    }
}

impl Hand {
    pub(crate) fn permit<A: action::Action>(&self) -> Permit<A> {
        authorize(&self.caller, self.clock.now()).unwrap()
    }
}

/// Writes a row into an operator's folder.
pub(crate) fn write_row(folder: &Path, slug: &str, text: &str) {
    std::fs::create_dir_all(folder.join(slug)).unwrap();
    std::fs::write(folder.join(slug).join("app.yaml"), text).unwrap();
}
