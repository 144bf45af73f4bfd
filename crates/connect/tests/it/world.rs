//! An installation with a workspace, and what a test does with it again and again.

use crate::browser::Browser;
use bytes::Bytes;
use causeway_catalog::Catalog;
use causeway_connect::{
    Choice, Connect, ConnectParts, CrashPoints, CredentialError, Exposure, Finished, FlowError,
    Link, NewOAuthClient, NewSession, NoCrash, Outcome, Report, SessionCreated, Started,
};
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    Bootstrap, Caller, MachineAccess, MachineParts, NewApiKey, OwnKeys, Permit, Scopes, action,
    authorize, bootstrap,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, RequestLimits, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{Store, db, verify_chain};
use causeway_testkit::oidc_provider::{self, OidcProvider};
use causeway_types::entity::{AuditRow, Connection, ConnectionRefresh, EnvironmentKind, Scheme};
use causeway_types::{
    Actor, Clock, ConnectionId, ManualClock, NodeId, OsRandom, SecretBytes, SecretString,
    SystemClock, Tenant,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use causeway_webhooks::{Webhooks, WebhooksConfig, WebhooksParts};
use http::Request;
use http::header::AUTHORIZATION;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/connect/callback";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: HttpClient,
    pub(crate) connect: Connect,
    pub(crate) webhooks: Webhooks,
    pub(crate) caller: Caller,
    pub(crate) other: Caller,
    machine: MachineAccess,
    pub(crate) key_file: PathBuf,
    pub(crate) apps: PathBuf,
    /// Keeps the folders of the key file and the rows.
    _folder: tempfile::TempDir,
}

/// The parts of a node, from what a process is told when it starts.
pub(crate) async fn node(
    store: Store,
    key_file: &Path,
    apps: &Path,
    clock: Arc<dyn Clock>,
    crash: Arc<dyn CrashPoints>,
) -> (Connect, Vault, HttpClient) {
    let data = tempfile::tempdir().unwrap();
    let key = RootKey::File(FileKey::load(key_file, data.path()).unwrap());
    let random = Arc::new(OsRandom);
    let vault =
        Vault::unlock(store.clone(), key, DEFAULT_KEY_LIFETIME, Arc::clone(&clock), random.clone())
            .await
            .unwrap();
    let guard =
        GuardConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..GuardConfig::default() };
    let guard = Guard::new(guard, SystemResolver);
    let http = HttpClient::new(guard, &HttpConfig::default()).unwrap();
    let connect = Connect::new(ConnectParts {
        webhooks: webhooks(&store, &vault, &http, &clock),
        words: Arc::new(words),
        store,
        vault: vault.clone(),
        http: http.clone(),
        catalog: Arc::new(Catalog::load(Some(apps)).unwrap()),
        clock,
        random,
        callback_url: CALLBACK.parse().unwrap(),
        crash,
    });
    (connect, vault, http)
}

fn webhooks(store: &Store, vault: &Vault, http: &HttpClient, clock: &Arc<dyn Clock>) -> Webhooks {
    let parts = WebhooksParts {
        store: store.clone(),
        vault: vault.clone(),
        http: http.clone(),
        clock: Arc::clone(clock),
        random: Arc::new(OsRandom),
    };
    Webhooks::new(parts, WebhooksConfig::default())
}

/// A report in words of its own.
fn words(report: Report) -> SecretBytes {
    let (connection, error) = match report.outcome {
        Outcome::Connected(made) => (Some(made.id.to_string()), None),
        Outcome::Failed(sentence) => (None, Some(sentence)),
    };
    let body = serde_json::json!({
        "connect_token": report.token.expose(), "session": report.session, "link": report.is_link,
        "environment": report.environment, "connection": connection, "error": error,
    });
    SecretBytes::new(body.to_string().into_bytes())
}

impl World {
    /// A workspace in which the app of this row has an OAuth client.
    pub(crate) async fn new(database: TestDatabase, row: &str, client: (&str, &str)) -> Self {
        let world = Self::bare(database, row).await;
        let new = NewOAuthClient {
            app: slug_of(row).to_owned(),
            client_id: client.0.to_owned(),
            secret: Some(SecretString::new(client.1.to_owned())),
            ..NewOAuthClient::default()
        };
        let permit = world.permit();
        world.connect.set_oauth_client(&permit, new).await.unwrap();
        world
    }

    /// A workspace whose catalogue has this row.
    pub(crate) async fn bare(database: TestDatabase, row: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("root.key");
        FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let apps = folder.path().join("apps");
        let slug = slug_of(row);
        std::fs::create_dir_all(apps.join(slug)).unwrap();
        std::fs::write(apps.join(slug).join("app.yaml"), row).unwrap();

        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let (connect, vault, http) =
            node(store.clone(), &key_file, &apps, clock.clone(), Arc::new(NoCrash)).await;
        let timed: Arc<dyn Clock> = clock.clone();
        let webhooks = webhooks(&store, &vault, &http, &timed);
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let machine = MachineAccess::new(MachineParts {
            store,
            keys,
            clock: clock.clone(),
            random: Arc::new(OsRandom),
            issuer: "https://connect.example.com".into(),
        });
        let by = (&database.store, &vault, &machine, &clock);
        let caller = caller_of(by, EnvironmentKind::Development).await;
        let other = caller_of(by, EnvironmentKind::Production).await;
        Self {
            database,
            clock,
            http,
            connect,
            webhooks,
            caller,
            other,
            machine,
            key_file,
            apps,
            _folder: folder,
        }
    }

    /// Writes a row anew; nodes that start afterwards read it.
    pub(crate) fn write_row(&self, row: &str) {
        std::fs::write(self.apps.join(slug_of(row)).join("app.yaml"), row).unwrap();
    }

    /// Starts the node anew, with another row.
    pub(crate) async fn restart(&mut self, row: &str) {
        self.write_row(row);
        self.connect = self.second_node().await;
    }

    /// With the certified provider behind the app `oidc`.
    pub(crate) async fn with_oidc(
        database: TestDatabase,
        retry_old_token: bool,
    ) -> (Self, OidcProvider) {
        let provider = OidcProvider::start(CALLBACK).unwrap();
        let client = (oidc_provider::CLIENT_ID, oidc_provider::CLIENT_SECRET);
        let world = Self::new(database, &provider.app_yaml(retry_old_token), client).await;
        (world, provider)
    }

    pub(crate) fn permit<A: action::Action>(&self) -> Permit<A> {
        authorize(&self.caller, self.clock.now()).unwrap()
    }

    /// A program that is confined to these apps.
    pub(crate) async fn confined(&self, apps: &[&str]) -> Caller {
        let apps = apps.iter().map(|app| (*app).to_owned()).collect();
        let new = NewApiKey {
            name: "confined".into(),
            scopes: Scopes { apps: Some(apps), ..Scopes::default() },
            lifetime: None,
        };
        let made = self.machine.create_key(&self.permit(), &self.caller, new).await;
        let header = format!("Bearer {}", made.unwrap().1.expose());
        self.machine.authenticator().authenticate(Some(&header)).await.unwrap()
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.caller.place().environment().unwrap()
    }

    /// Another node of the same installation.
    pub(crate) async fn second_node(&self) -> Connect {
        let store = Store::connect(&self.database.options).await.unwrap();
        let clock = self.clock.clone();
        node(store, &self.key_file, &self.apps, clock, Arc::new(NoCrash)).await.0
    }

    pub(crate) async fn session(&self, app: &str, name: &str) -> SessionCreated {
        let new = NewSession {
            customer: "acme".into(),
            app: Some(app.into()),
            name: Some(name.into()),
            ..NewSession::default()
        };
        self.connect.create_session(&self.permit(), new).await.unwrap()
    }

    /// Begins OAuth 2.0 with a link: where the browser goes.
    pub(crate) async fn begin(
        &self,
        token: &str,
        browser: &Plain<token::Browser>,
    ) -> Result<Url, FlowError> {
        let fields = BTreeMap::new();
        self.start(token, browser, Scheme::Oauth2, fields).await.map(|started| match started {
            Started::Browser(url) => url,
            Started::Device(_) => panic!("a device flow"),
        })
    }

    /// Begins a way to connect.
    pub(crate) async fn start(
        &self,
        token: &str,
        browser: &Plain<token::Browser>,
        scheme: Scheme,
        fields: BTreeMap<String, SecretString>,
    ) -> Result<Started, FlowError> {
        let choice = Choice { scheme: Some(scheme), fields, ..Choice::default() };
        self.connect.start(token, browser, choice).await
    }

    /// Sends what a customer typed.
    pub(crate) async fn submit(
        &self,
        token: &str,
        browser: &Plain<token::Browser>,
        scheme: Scheme,
        fields: BTreeMap<String, SecretString>,
    ) -> Result<Finished, FlowError> {
        let choice = Choice { scheme: Some(scheme), fields, ..Choice::default() };
        self.connect.submit(token, browser, choice).await
    }

    /// Links a connection to `oidc` as a customer does.
    pub(crate) async fn link_oidc(&self, name: &str) -> ConnectionId {
        let session = self.session("oidc", name).await;
        let cookie = cookie();
        let url = self.begin(session.token.expose(), &cookie).await.unwrap();
        let stop = CALLBACK.parse().unwrap();
        let callback = Browser::new(&self.http).follow(url, &stop).await;
        self.connect.finish(callback, &cookie).await.unwrap().connection
    }

    /// Links a connection to the demo app as a customer does.
    pub(crate) async fn link_demo(&self, name: &str) -> ConnectionId {
        let session = self.session("demo", name).await;
        let cookie = cookie();
        let url = self.begin(session.token.expose(), &cookie).await.unwrap();
        let callback = Browser::new(&self.http).consent(&url, "allow").await;
        Box::pin(self.connect.finish(callback, &cookie)).await.unwrap().connection
    }

    pub(crate) async fn credential(&self, name: &str) -> Result<Link, CredentialError> {
        credential(&self.connect, self.tenant(), name).await
    }

    pub(crate) async fn connection(&self, id: ConnectionId) -> Option<Connection> {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, connection::get(self.tenant(), id)).unwrap()
    }

    pub(crate) async fn lease(&self, id: ConnectionId) -> Option<ConnectionRefresh> {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, connection_refresh::get(self.tenant().workspace, id)).unwrap()
    }

    /// The audit chain, which must hold.
    pub(crate) async fn audit(&self) -> Vec<AuditRow> {
        let workspace = self.tenant().workspace;
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, workspace).await.unwrap().unwrap();
        db!(conn, audit::page(workspace, 0, 500)).unwrap()
    }

    /// How often an action stands in the audit chain.
    pub(crate) async fn audited(&self, action: &str) -> usize {
        self.audit().await.iter().filter(|row| row.action == action).count()
    }

    /// The status of a GET with this access token.
    pub(crate) async fn get(&self, url: &str, bearer: &str) -> u16 {
        let request = Request::get(url)
            .header(AUTHORIZATION, format!("Bearer {bearer}"))
            .body(Bytes::new())
            .unwrap();
        self.http.request(request, RequestLimits::default()).await.unwrap().status().as_u16()
    }

    /// What the certified provider has counted.
    pub(crate) async fn counts(&self, provider: &OidcProvider) -> Counts {
        let url: Url = format!("{}/test/counts", provider.url()).parse().unwrap();
        let request = Request::get(url.as_str()).body(Bytes::new()).unwrap();
        let response = self.http.request(request, RequestLimits::default()).await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) code: u64,
    pub(crate) refresh: u64,
    pub(crate) refresh_errors: u64,
    pub(crate) revoked_grants: u64,
    pub(crate) token_requests: u64,
}

pub(crate) async fn credential(
    connect: &Connect,
    tenant: Tenant,
    name: &str,
) -> Result<Link, CredentialError> {
    let node = NodeId::generate(SystemClock.now(), &OsRandom);
    let permit = Permit::<action::UseConnections>::for_node(node, tenant);
    connect.link(&permit, name, Exposure::Secrets).await
}

fn slug_of(row: &str) -> &str {
    row.lines().next().unwrap().trim_start_matches("slug: ")
}

pub(crate) fn access_token(credential: &Link) -> String {
    let fields: serde_json::Value = serde_json::from_slice(credential.auth().expose()).unwrap();
    fields["oauth_access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn cookie() -> Plain<token::Browser> {
    Plain::generate(&OsRandom)
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
