//! A world with an app, a customer's account there, and components that are published and asked.

use super::client::{Ask, Client, Outcome, ask};
use super::shapes::Ran;
use super::upstream::{KEY, Upstream};
use crate::kit::{Answer, Json as _, World};
use causeway_store::testing::TestDatabase;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
    /// Ada's account at the app.
    pub(crate) account: String,
    /// Access to the contract, of a program.
    pub(crate) credential: String,
}

impl Stage {
    pub(crate) async fn set(database: TestDatabase) -> Self {
        let upstream = Upstream::start().await;
        let world = World::with(database, upstream.setup()).await;
        let credential = Client::new(&world).await.credential;
        let mut stage = Self { world, upstream, account: String::new(), credential };
        stage.account = stage.account_of("ada").await;
        stage
    }

    pub(crate) fn client(&self) -> Client<'_> {
        Client::with(&self.world, &self.credential)
    }

    /// A new account of a customer at the app, whose address stands in one of its fields.
    pub(crate) async fn account_of(&self, customer: &str) -> String {
        let fields = json!({ "api_key": KEY, "region": self.upstream.url }).to_string();
        let body = json!({ "app_slug": "echo_app", "cfmap_json": fields });
        let asked = ask().query("external_user_id", customer).body(body);
        self.client().create_account(asked).await.unwrap().id
    }

    /// Publishes files, of which one is the component's own.
    pub(crate) async fn publish(&self, files: &Value, entry: &str, egress: &[&str]) -> Answer {
        let body = json!({ "files": files, "entry": entry, "egress": egress });
        self.world.post("/api/v1/components", &body).await
    }

    /// Publishes a component of one file; its id.
    pub(crate) async fn publish_text(&self, text: &str) -> Answer {
        let files = json!({ "component.mjs": BASE64.encode(text.as_bytes()) });
        self.publish(&files, "component.mjs", &[]).await
    }

    /// Publishes a component of the suite; its key.
    pub(crate) async fn publish_suite(&self, entry: &str, egress: &[&str]) -> String {
        self.publish(&suite(), entry, egress).await.ok().text("key")
    }

    /// Runs an action for Ada. An app prop named `echo` gets her account.
    pub(crate) async fn run(&self, key: &str, props: Value) -> Outcome<Ran> {
        self.client().run_action(asked(key, &props)).await
    }

    /// How Ada's account stands among configured values.
    pub(crate) fn linked(&self) -> Value {
        json!({ "authProvisionId": self.account })
    }
}

/// What is asked of a component for Ada.
pub(crate) fn asked(key: &str, props: &Value) -> Ask {
    ask().body(json!({ "id": key, "external_user_id": "ada", "configured_props": props }))
}

/// The files of the suite of components, in base64.
pub(crate) fn suite() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/components");
    let mut files = Map::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, BASE64.encode(&std::fs::read(&path).unwrap()).into());
        }
    }
    Value::Object(files)
}
