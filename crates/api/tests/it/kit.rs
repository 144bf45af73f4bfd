//! An installation behind its router, and requests to it.

mod parts;

use crate::schema;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use causeway_api::{Api, RateLimitConfig, TrustedProxies};
use causeway_connect::Connect;
use causeway_disclosure::DisclosureConfig;
use causeway_flow::Flow;
use causeway_identity::token::{self, Plain};
use causeway_identity::{OwnKeys, Scopes};
use causeway_sandbox::Pool;
use causeway_simulators::DemoApp;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, WriteTx, db};
use causeway_types::entity::{ApiKey, Environment, EnvironmentKind, Project, Workspace};
use causeway_types::{
    Actor, ApiKeyId, Clock, EnvironmentId, ManualClock, OsRandom, ProjectId, Tenant, Timestamp,
    WorkspaceId,
};
use causeway_vault::Vault;
use causeway_webhooks::Webhooks;
use data_encoding::BASE64;
use http_body_util::BodyExt;
use parts::Ground;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// A manifest with one step, which no test here runs unless it says so.
pub(crate) const MANIFEST: &str = "name: hello\ntrigger:\n  http: { auth: none }\nsteps:\n  - name: greet\n    run: ./greet.mjs\n";

/// How an installation is set up.
pub(crate) struct Setup {
    pub(crate) public_url: &'static str,
    /// 0: events are stored and nothing runs.
    pub(crate) concurrency: usize,
    pub(crate) queue_limit: i64,
    pub(crate) limits: RateLimitConfig,
    pub(crate) proxies: TrustedProxies,
    /// For finders of vulnerabilities.
    pub(crate) disclosure: DisclosureConfig,
    /// Further rows of the catalogue, by slug.
    pub(crate) rows: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8400",
            concurrency: 0,
            queue_limit: 1000,
            limits: RateLimitConfig::unlimited(),
            proxies: TrustedProxies::default(),
            disclosure: DisclosureConfig::default(),
            rows: Vec::new(),
        }
    }
}

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) router: Router,
    pub(crate) api: Api,
    pub(crate) connect: Connect,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) own_keys: OwnKeys,
    pub(crate) flow: Flow,
    pub(crate) webhooks: Webhooks,
    pub(crate) pool: Arc<Pool>,
    pub(crate) demo: DemoApp,
    /// The environment that the key opens.
    pub(crate) tenant: Tenant,
    pub(crate) key: String,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        Self::with(database, Setup::default()).await
    }

    pub(crate) async fn with(database: TestDatabase, setup: Setup) -> Self {
        let ground = Ground::new(&database, &setup).await;
        let (connect, pool) = (ground.connect(), ground.pool().await);
        let flow = ground.flow(&setup, &connect, &pool).await;
        let made = ground.bootstrap().await;
        let webhooks = ground.webhooks();
        let api = ground.api(setup, &flow, connect.clone(), webhooks.clone());
        let Ground { folder, demo, clock, vault, own_keys, .. } = ground;
        Self {
            database,
            router: api.clone().router(),
            api,
            connect,
            clock,
            vault,
            own_keys,
            flow,
            webhooks,
            pool,
            demo,
            tenant: Tenant {
                workspace: made.workspace,
                project: made.project,
                environment: made.production,
            },
            key: made.api_key.expose().clone(),
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.database.store
    }

    /// Sends a request as it is and reads the whole answer. What the native API answers must be
    /// what its document says.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = Answer::read(self.open(request).await).await;
        answer.check();
        crate::edge::check_headers(&path, &answer);
        schema::check(&method, &path, &answer);
        answer
    }

    /// The same, without waiting for the end of the body.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> axum::response::Response {
        let from: SocketAddr = "192.0.2.7:4711".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(from));
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A request with the key, and with a JSON body if there is one.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Request<Body> {
        request_as(&self.key, method, path, body)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path, None)).await
    }

    /// The bytes of an event, which may be JSON that this reader does not go into.
    pub(crate) async fn event_bytes(&self, invocation: &str) -> Vec<u8> {
        let path = format!("/api/v1/invocations/{invocation}/event");
        let response = self.open(self.request(Method::GET, &path, None)).await;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path, None)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path, Some(body))).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path, Some(body))).await
    }

    /// A POST with the key and any bytes as its JSON body.
    pub(crate) async fn post_raw(&self, path: &str, body: impl Into<Body>) -> Answer {
        let mut request = self.request(Method::POST, path, None);
        *request.body_mut() = body.into();
        self.send(request).await
    }

    /// Deploys [`MANIFEST`] with `name` for its name; the answer's body.
    pub(crate) async fn deploy(&self, name: &str) -> Value {
        let manifest = MANIFEST.replace("hello", name);
        self.deploy_files(&[("workflow.yaml", &manifest), ("greet.mjs", "export default () => 1")])
            .await
            .ok()
    }

    pub(crate) async fn deploy_files(&self, files: &[(&str, &str)]) -> Answer {
        self.post("/api/v1/deployments", &files_body(files)).await
    }

    /// A connection to the demo app by its key.
    pub(crate) async fn connection(&self, name: &str) -> Value {
        let body = json!({
            "customer": "ada@acme", "app": "demo", "name": name,
            "fields": { "api_key": self.demo.api_key() },
        });
        self.post("/api/v1/connections", &body).await.ok()
    }

    /// Sets the demo app's OAuth client; its id.
    pub(crate) async fn oauth_client(&self) -> String {
        let body = json!({
            "app": "demo", "client_id": self.demo.client_id(),
            "client_secret": self.demo.client_secret(),
        });
        self.put("/api/v1/oauth-clients", &body).await.ok().text("id")
    }

    /// A connect session for the demo app: its id, and the path of its link.
    pub(crate) async fn session(&self, extra: Value) -> (String, String) {
        let mut body = json!({ "customer": "ada@acme", "app": "demo" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let made = self.post("/api/v1/connect-sessions", &body).await.ok();
        let url: url::Url = made.text("connect_url").parse().unwrap();
        (made.text("id"), url.path().to_owned())
    }

    /// A key to an environment, which expires or was revoked at the times given.
    pub(crate) async fn new_key(
        &self,
        tenant: Tenant,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
    ) -> String {
        self.scoped_key(tenant, &Scopes::default(), expires_at, revoked_at).await
    }

    /// The same with scopes.
    pub(crate) async fn scoped_key(
        &self,
        tenant: Tenant,
        scopes: &Scopes,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
    ) -> String {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let now = self.clock.now();
        let key = ApiKey {
            id: ApiKeyId::generate(now, &OsRandom),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            name: "test".into(),
            hint: plain.hint(),
            digest: plain.keyed_digest(self.own_keys.token()).to_vec(),
            scopes: scopes.to_text(),
            created_by: Actor::Machine.to_string(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at,
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&key)).unwrap();
        let event = Audit::ApiKeyCreated { key: key.id, name: key.name.clone() };
        tx.commit(tenant.workspace, now, event).await.unwrap();
        plain.reveal().expose().clone()
    }

    /// Another workspace with an environment.
    pub(crate) async fn other_tenant(&self) -> Tenant {
        let now = self.clock.now();
        let tenant = Tenant {
            workspace: WorkspaceId::generate(now, &OsRandom),
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        let workspace = Workspace { id: tenant.workspace, name: "Other".into(), created_at: now };
        db!(tx, workspace::insert(&workspace)).unwrap();
        db!(tx, audit::insert_head(tenant.workspace)).unwrap();
        self.insert_project(&mut tx, tenant, "Main").await;
        self.vault.create_data_key(&mut tx, tenant.workspace, now).await.unwrap();
        let event = Audit::WorkspaceCreated { workspace: tenant.workspace, name: "Other".into() };
        tx.commit(tenant.workspace, now, event).await.unwrap();
        tenant
    }

    /// An environment of another project of the same workspace.
    pub(crate) async fn project_beside(&self) -> Tenant {
        let now = self.clock.now();
        let tenant = Tenant {
            workspace: self.tenant.workspace,
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        };
        let name = "Beside".to_owned();
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        self.insert_project(&mut tx, tenant, &name).await;
        let event = Audit::ProjectCreated { project: tenant.project, name };
        tx.commit(tenant.workspace, now, event).await.unwrap();
        tenant
    }

    /// A project and its production environment.
    async fn insert_project(&self, tx: &mut WriteTx, tenant: Tenant, name: &str) {
        let created_at = self.clock.now();
        let project = Project {
            id: tenant.project,
            workspace_id: tenant.workspace,
            name: name.to_owned(),
            created_at,
        };
        db!(tx, workspace::insert_project(&project)).unwrap();
        let environment = Environment {
            id: tenant.environment,
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            kind: EnvironmentKind::Production,
            created_at,
        };
        db!(tx, workspace::insert_environment(&environment)).unwrap();
    }

    pub(crate) async fn stop(self) {
        self.flow.stop(Duration::from_secs(10)).await;
        self.pool.shutdown().await;
    }
}

pub(crate) fn request_as(
    key: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    request.body(body.map_or_else(Body::empty, |body| body.to_string().into())).unwrap()
}

/// A component to publish, of one file.
pub(crate) fn component_body() -> Value {
    let text = "export default { key: 'mine', name: 'Mine', version: '0.0.1', type: 'action', props: {}, run: () => 1 };";
    files_body(&[("mine.mjs", text)])
}

/// The body of a deployment.
pub(crate) fn files_body(files: &[(&str, &str)]) -> Value {
    let files: serde_json::Map<String, Value> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), BASE64.encode(text.as_bytes()).into()))
        .collect();
    json!({ "files": files })
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let name = HeaderName::try_from(name).unwrap();
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn html(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body of an answer that has to be a success.
    pub(crate) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.html());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The detail of an answer that has to be this problem.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        problem.text("detail")
    }

    /// What holds for every answer.
    fn check(&self) {
        let id = self.header("x-request-id");
        assert!(id.starts_with("req_") && id.len() == 30, "{id}");
        if self.header("content-type") != "application/problem+json" {
            return;
        }
        let problem = self.json();
        let code = problem.text("code");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["status"], self.status, "{problem}");
        if self.header("idempotency-replayed") != "true" {
            assert_eq!(problem["request_id"], id);
        }
        for field in ["title", "detail"] {
            let text = problem.text(field);
            assert!((8..2000).contains(&text.len()), "{problem}");
            assert!(!text.contains("  ") && !text.ends_with(".."), "{problem}");
        }
        assert!(problem.text("detail").ends_with(['.', '!']), "{problem}");
        if self.status == 401 {
            assert_eq!(self.header("www-authenticate"), "Bearer");
        }
        if matches!(self.status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u32>().is_ok(), "{problem}");
        }
        if self.status == 405 {
            assert!(!self.header("allow").is_empty(), "{problem}");
        }
    }
}

/// Short ways into JSON.
pub(crate) trait Json {
    /// A field that has to be a text.
    fn text(&self, field: &str) -> String;
}

impl Json for Value {
    fn text(&self, field: &str) -> String {
        self[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {self}")).to_owned()
    }
}

/// A header's value.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap()
}
