//! Accounts: their credentials in clear, and what is wrong with new ones.

use super::client::{ACTIONS, Client, ask};
use super::upstream::{KEY, Upstream};
use crate::kit::World;
use causeway_identity::Scopes;
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_types::entity::ConnectSettings;
use causeway_types::{Actor, Clock as _};
use serde_json::{Value, json};

on_both!(
    credentials_are_let_out_by_setting_scope_and_with_a_record,
    what_is_wrong_with_a_new_account_is_said,
    a_confined_program_sees_its_apps_only,
);

impl World {
    /// Lets credentials out of the environment.
    pub(super) async fn allow_export(&self) {
        let settings = ConnectSettings {
            environment_id: self.tenant.environment,
            workspace_id: self.tenant.workspace,
            company: String::new(),
            support_email: String::new(),
            theme: "{}".into(),
            return_origins: String::new(),
            credential_export: 1,
            updated_at: self.clock.now(),
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, connect_session::set_settings(&settings)).unwrap();
        tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await.unwrap();
    }

    /// How many events of a kind the chain has.
    pub(super) async fn events(&self, action: &str) -> usize {
        let mut conn = self.store().read().await.unwrap();
        let rows = db!(conn, audit::page(self.tenant.workspace, 0, 1000)).unwrap();
        rows.iter().filter(|row| row.action == action).count()
    }
}

fn echo(key: &str) -> Value {
    json!({ "app_slug": "echo_app", "cfmap_json": json!({ "api_key": key }).to_string() })
}

async fn credentials_are_let_out_by_setting_scope_and_with_a_record(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let user = ask().query("external_user_id", "user-1");
    let account = client.create_account(user.body(echo(KEY))).await.unwrap().id;
    let with = || ask().query("include_credentials", "true");
    let one = || with().at("id", &account);

    let off = client.show_account(one()).await.unwrap_err();
    assert_eq!(off.is(), (403, "credential_export_off"));
    assert_eq!(client.list_accounts(with()).await.unwrap_err().is().0, 403);
    world.allow_export().await;
    // The key of the machine does not carry the scope, nor do the usual ones.
    let usual = Client::with(&world, &world.key);
    assert_eq!(usual.show_account(one()).await.unwrap_err().is(), (403, "denied"));
    assert_eq!(world.events("credential_exported").await, 0);

    let shown = client.show_account(one()).await.unwrap().credentials.unwrap();
    assert_eq!(shown.get("api_key").map(String::as_str), Some(KEY));
    assert_eq!(world.events("credential_exported").await, 1);
    let listed = client.list_accounts(with()).await.unwrap();
    assert_eq!(listed.data[0].credentials.as_ref().unwrap()["api_key"], KEY);
    let of_user = client.accounts_of_user(with().at("ext_id", "user-1")).await.unwrap();
    assert_eq!(of_user[0].credentials.as_ref().unwrap()["api_key"], KEY);
    assert_eq!(world.events("credential_exported").await, 3);
    // Who does not ask gets none, and an empty page is no export.
    assert!(client.show_account(ask().at("id", &account)).await.unwrap().credentials.is_none());
    client.list_accounts(with().query("app", "github")).await.unwrap();
    assert_eq!(world.events("credential_exported").await, 3);
    // A customer gets none, not even his own.
    let token = json!({ "external_user_id": "user-1" });
    let token = client.create_token(ask().body(token)).await.unwrap().token;
    let browser = Client::browser(&world, &token);
    assert_eq!(browser.show_account(one()).await.unwrap_err().is(), (403, "denied"));
    browser.show_account(ask().at("id", &account)).await.unwrap();
    world.stop().await;
}

async fn what_is_wrong_with_a_new_account_is_said(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let user = || ask().query("external_user_id", "user-1");
    let long = "x".repeat(300);
    for (query, body, status, code) in [
        (ask(), echo(KEY), 400, "invalid_request"),
        (ask().query("external_user_id", &long), echo(KEY), 400, "invalid_request"),
        (user(), json!({}), 400, "invalid_request"),
        (user(), json!([]), 400, "invalid_request"),
        (user(), json!({ "app_slug": "nope" }), 404, "not_found"),
        (user(), json!({ "app_slug": "echo_app" }), 400, "invalid_request"),
        (user(), json!({ "app_slug": "echo_app", "cfmap_json": "x" }), 400, "invalid_request"),
        (user(), json!({ "app_slug": "echo_app", "cfmap_json": "[]" }), 400, "invalid_request"),
        (
            user(),
            json!({ "app_slug": "echo_app", "cfmap_json": "{\"other\":\"x\"}" }),
            400,
            "invalid_request",
        ),
        (user(), echo("wrong"), 400, "credential_refused"),
        (user(), json!({ "app_slug": "dropbox" }), 400, "unsupported_scheme"),
        (
            user(),
            json!({ "app_slug": "echo_app", "account_id": "apn_1", "cfmap_json": "{}" }),
            404,
            "not_found",
        ),
        (
            user(),
            json!({ "app_slug": "echo_app", "app_override_id": "ovr_1", "cfmap_json": "{}" }),
            404,
            "not_found",
        ),
        (
            user(),
            json!({ "app_slug": "echo_app", "connect_token": "ctok_1", "cfmap_json": "{}" }),
            404,
            "connect_link_spent",
        ),
    ] {
        let refused = client.create_account(query.body(body.clone())).await.unwrap_err();
        assert_eq!(refused.is(), (status, code), "{body}: {refused:?}");
        assert!(!refused.failure.error.contains(&long), "it repeats too much");
    }
    // Keys of another customer's account cannot be changed, nor another's token be used.
    let other = ask().query("external_user_id", "user-2").body(echo(KEY));
    let other = client.create_account(other).await.unwrap().id;
    let mut body = echo(KEY);
    body["account_id"] = other.into();
    let refused = client.create_account(user().body(body)).await.unwrap_err();
    assert_eq!(refused.is(), (404, "not_found"));
    let token = json!({ "external_user_id": "user-2" });
    let token = client.create_token(ask().body(token)).await.unwrap().token;
    let mut body = echo(KEY);
    body["connect_token"] = token.into();
    let refused = client.create_account(user().body(body)).await.unwrap_err();
    assert_eq!(refused.is(), (404, "connect_link_spent"));
    assert_eq!(client.list_accounts(ask()).await.unwrap().page_info.total_count, 1);

    for (body, code) in [
        (json!({}), "invalid_request"),
        (json!({ "external_user_id": "" }), "invalid_request"),
        (json!({ "external_user_id": "u", "expires_in": 14_401 }), "invalid_request"),
        (json!({ "external_user_id": "u", "expires_in": 1 }), "invalid_request"),
        (json!({ "external_user_id": "u", "scope": "everything" }), "invalid_request"),
        (json!({ "external_user_id": "u", "allowed_origins": ["acme"] }), "invalid_request"),
        (json!({ "external_user_id": "u", "webhook_uri": "http://x.example" }), "invalid_request"),
        (
            json!({ "external_user_id": "u", "success_redirect_uri": "javascript:alert(1)" }),
            "invalid_request",
        ),
    ] {
        let refused = client.create_token(ask().body(body.clone())).await.unwrap_err();
        assert_eq!(refused.is(), (400, code), "{body}");
    }
    world.stop().await;
}

async fn a_confined_program_sees_its_apps_only(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let user = ask().query("external_user_id", "user-1");
    let account = client.create_account(user.body(echo(KEY))).await.unwrap().id;
    world.connection("crm").await;
    let actions = ACTIONS.iter().map(|name| name.parse().unwrap()).collect();
    let scopes =
        Scopes { actions: Some(actions), apps: Some(vec!["demo".into()]), ..Scopes::default() };
    let confined = world.scoped_key(world.tenant, &scopes, None, None).await;
    let confined = Client::with(&world, &confined);
    let seen = confined.list_accounts(ask().query("limit", 1)).await.unwrap();
    assert_eq!((seen.data.len(), seen.page_info.total_count), (1, 1));
    assert_eq!(seen.data[0].app.name_slug, "demo");
    let hidden = confined.show_account(ask().at("id", &account)).await.unwrap_err();
    assert_eq!(hidden.is(), (404, "not_found"));
    let hidden = confined.delete_account(ask().at("id", &account)).await.unwrap_err();
    assert_eq!(hidden.is(), (404, "not_found"));
    for (outcome, what) in [
        (confined.delete_user(ask().at("ext_id", "user-1")).await.err(), "user"),
        (confined.delete_accounts_of_app(ask().at("app_id", "echo_app")).await.err(), "app"),
        (
            confined.create_token(ask().body(json!({ "external_user_id": "u" }))).await.err(),
            "token",
        ),
        (
            confined.set_webhook(ask().body(json!({ "url": "https://a.example" }))).await.err(),
            "hook",
        ),
    ] {
        assert_eq!(outcome.unwrap().is(), (403, "denied"), "{what}");
    }
    assert_eq!(client.list_accounts(ask()).await.unwrap().page_info.total_count, 2);
    world.stop().await;
}
