//! Every operation of the table, done once as its users do it.

use super::client::{Client, TABLE, ask};
use super::shapes::{AuthType, CustomField};
use super::upstream::{KEY, Upstream};
use crate::kit::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Clock as _;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::json;
use std::collections::BTreeSet;

on_both!(
    tokens_and_accounts,
    users_and_their_accounts,
    the_catalogue,
    overrides_and_oauth_apps,
    the_project_webhook,
    projects,
    calls_and_their_figures,
);

/// The operations that this file and the one about components have to cover.
#[test]
fn the_table_has_the_operations_of_the_contract() {
    let numbers: BTreeSet<u32> = TABLE.iter().map(|one| one.number).collect();
    let expected: BTreeSet<u32> = (1..=38).chain(51..=66).chain([68, 69]).collect();
    assert_eq!(numbers, expected);
    let source = [include_str!("operations.rs"), include_str!("components.rs")].concat();
    for operation in TABLE.iter().filter(|one| one.number > 1) {
        assert!(source.contains(&format!(".{}(", operation.name)), "{}", operation.name);
    }
}

fn url(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

async fn tokens_and_accounts(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;

    let body = json!({
        "external_user_id": "user-1", "app_id": "app_echo-app", "expires_in": 600,
        "allowed_origins": ["https://acme.example"], "scope": "connect:*",
        "success_redirect_uri": "https://acme.example/ok",
        "error_redirect_uri": "https://acme.example/no",
        "webhook_uri": "https://acme.example/hook", "allow_progressive_scopes": true,
        "a_field_of_tomorrow": 1,
    });
    let token = client.create_token(ask().body(body)).await.unwrap();
    assert!(token.token.starts_with("ctok_") && token.token.len() == 65, "{token:?}");
    let link = format!("http://127.0.0.1:8400/_static/connect.html?token={}", token.token);
    assert!(token.connect_link_url.starts_with(&link), "{token:?}");
    assert!(token.expires_at.ends_with('Z'), "{token:?}");

    let seen = client.validate_token(ask().at("ctok", &token.token)).await.unwrap();
    assert!(seen.success && seen.error.is_none());
    assert_eq!(seen.app.unwrap().name_slug, "echo_app");
    assert_eq!(seen.project_id, Some(world.tenant.project.to_string()));
    assert_eq!(seen.project_environment.as_deref(), Some("production"));
    assert_eq!(seen.project_app_name.as_deref(), Some("Main"));
    assert_eq!(seen.project_support_email, None);
    assert_eq!(seen.success_redirect_uri.as_deref(), Some("https://acme.example/ok"));
    assert_eq!(seen.error_redirect_uri.as_deref(), Some("https://acme.example/no"));
    assert_eq!((seen.oauth_app_id, seen.app_override_id), (None, None));
    assert!(seen.app_override_field_names.is_empty());
    let other = client.validate_token(ask().at("ctok", &token.token).query("app_id", "demo"));
    let other = other.await.unwrap();
    assert!(!other.success && other.error.unwrap().contains("app"));
    let wrong = client.validate_token(ask().at("ctok", "ctok_nothing")).await.unwrap();
    assert!(!wrong.success);

    let body = json!({
        "app_slug": "echo_app", "cfmap_json": json!({ "api_key": KEY }).to_string(),
        "connect_token": token.token, "name": "Ada's echo",
    });
    let made = client.create_account(ask().body(body.clone())).await.unwrap();
    assert!(made.id.starts_with("apn_"), "{made:?}");
    assert_eq!((made.name.as_str(), made.external_id.as_str()), ("Ada's echo", "user-1"));
    assert!(made.healthy && !made.dead && made.error.is_none() && made.credentials.is_none());
    assert!(made.authorized_scopes.is_empty() && made.expires_at.is_none());
    assert!(made.last_refreshed_at.is_none() && made.next_refresh_at.is_none());
    assert!(made.created_at.ends_with('Z') && made.updated_at.ends_with('Z'));
    // The token was good for one.
    let spent = client.create_account(ask().body(body)).await.unwrap_err();
    assert_eq!(spent.is(), (404, "connect_link_spent"));
    assert!(!client.validate_token(ask().at("ctok", &token.token)).await.unwrap().success);

    // Without a token, for a user who is named; and again, with other keys.
    let with = |key: &str, id: Option<&str>| {
        let fields = json!({ "api_key": key, "region": "eu" }).to_string();
        let body = json!({ "app_slug": "echo_app", "cfmap_json": fields, "account_id": id });
        ask().query("external_user_id", "user-2").body(body)
    };
    let second = client.create_account(with(KEY, None)).await.unwrap();
    assert_eq!((second.name.as_str(), second.external_id.as_str()), ("/base/me", "user-2"));
    let again = client.create_account(with(KEY, Some(&second.id))).await.unwrap();
    assert_eq!(again.id, second.id);
    let refused = client.create_account(with("wrong", None)).await.unwrap_err();
    assert_eq!(refused.is(), (400, "credential_refused"));

    let all = client.list_accounts(ask()).await.unwrap();
    let ids: BTreeSet<&str> = all.data.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from([made.id.as_str(), second.id.as_str()]));
    assert_eq!((all.page_info.count, all.page_info.total_count), (2, 2));
    for (query, found) in [
        (("external_user_id", "user-2"), 1),
        (("app", "echo_app"), 2),
        (("app", "app_echo-app"), 2),
        (("app", "github"), 0),
        (("oauth_app_id", "oa_00000000000000000000000000"), 0),
    ] {
        let page = client.list_accounts(ask().query(query.0, query.1)).await.unwrap();
        assert_eq!((page.data.len(), page.page_info.total_count), (found, found), "{query:?}");
    }
    let shown = client.show_account(ask().at("id", &made.id)).await.unwrap();
    assert_eq!(shown.id, made.id);
    client.delete_account(ask().at("id", &made.id)).await.unwrap();
    let gone = client.show_account(ask().at("id", &made.id)).await.unwrap_err();
    assert_eq!(gone.is(), (404, "not_found"));
    let gone = client.delete_account(ask().at("id", &made.id)).await.unwrap_err();
    assert_eq!(gone.is(), (404, "not_found"));
    client.delete_accounts_of_app(ask().at("app_id", "app_echo-app")).await.unwrap();
    assert_eq!(client.list_accounts(ask()).await.unwrap().page_info.total_count, 0);
    world.stop().await;
}

async fn users_and_their_accounts(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    // Ids of the company's own may hold anything, slashes too.
    let odd = "org/7 ä&?=%2F";
    for user in ["user-1", odd] {
        let fields = json!({ "api_key": KEY }).to_string();
        let body = json!({ "app_slug": "echo_app", "cfmap_json": fields });
        let made = client.create_account(ask().query("external_user_id", user).body(body));
        assert_eq!(made.await.unwrap().external_id, user);
    }
    let users = client.list_users(ask()).await.unwrap();
    let ids: BTreeSet<&str> = users.data.iter().map(|user| user.external_id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["user-1", odd]));
    let first = &users.data[0];
    assert!(first.id.starts_with("exu_") && first.created_at == first.updated_at);

    let found = client.accounts_of_user(ask().at("ext_id", odd)).await.unwrap();
    assert_eq!((found.len(), found[0].external_id.as_str()), (1, odd));
    let none = ask().at("ext_id", odd).query("app", "github");
    assert!(client.accounts_of_user(none).await.unwrap().is_empty());
    assert!(client.accounts_of_user(ask().at("ext_id", "nobody")).await.unwrap().is_empty());

    client.delete_user(ask().at("ext_id", odd)).await.unwrap();
    let again = client.delete_user(ask().at("ext_id", odd)).await.unwrap_err();
    assert_eq!(again.is(), (404, "not_found"));
    assert_eq!(client.list_users(ask()).await.unwrap().page_info.total_count, 1);
    assert_eq!(client.list_accounts(ask()).await.unwrap().page_info.total_count, 1);
    world.stop().await;
}

async fn the_catalogue(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let found = client.list_apps(ask().query("q", "echo")).await.unwrap();
    assert_eq!(found.data.len(), 1);
    let echo = &found.data[0];
    assert_eq!((echo.id.as_str(), echo.name_slug.as_str()), ("app_echo-app", "echo_app"));
    assert_eq!((echo.name.as_str(), echo.auth_type), ("Echo", AuthType::Keys));
    assert!(echo.description.len() > 5 && echo.categories == ["Developer tools"]);
    assert!(echo.connect.proxy_enabled && echo.featured_weight == 0);
    assert_eq!(echo.connect.base_proxy_target_url, format!("{}/base", upstream.url));
    assert_eq!(echo.connect.allowed_domains.len(), 1);
    let fields: Vec<CustomField> = serde_json::from_str(&echo.custom_fields_json).unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["region", "api_key"]);
    assert!(fields.iter().all(|field| field.r#type == "string" && !field.label.is_empty()));
    assert!(fields[0].optional && !fields[1].optional);

    for named in ["github", "app_github"] {
        let github = client.show_app(ask().at("id", named)).await.unwrap().data;
        assert_eq!((github.name_slug.as_str(), github.auth_type), ("github", AuthType::Oauth));
        assert!(github.scope_profiles.iter().all(|one| {
            !one.name.is_empty() && !one.description.is_empty() && !one.scopes.is_empty()
        }));
    }
    assert_eq!(client.show_app(ask().at("id", "nope")).await.unwrap_err().is(), (404, "not_found"));

    let categories = client.list_categories(ask()).await.unwrap();
    assert!(categories.len() > 20 && categories.iter().all(|one| one.description.len() > 4));
    let crm = client.show_category(ask().at("id", "crm")).await.unwrap();
    assert_eq!((crm.id.as_str(), crm.name.as_str()), ("crm", "CRM"));
    let wrong = client.show_category(ask().at("id", "nope")).await.unwrap_err();
    assert_eq!(wrong.is(), (404, "not_found"));
    let crms = client.list_apps(ask().query("category_ids", "crm").query("limit", 100));
    let crms = crms.await.unwrap();
    assert!(
        !crms.data.is_empty() && crms.data.iter().all(|app| app.categories.contains(&crm.name))
    );
    let none = client.list_apps(ask().query("has_actions", "true")).await.unwrap();
    assert!(none.data.is_empty() && none.page_info.end_cursor.is_none());
    world.stop().await;
}

async fn overrides_and_oauth_apps(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    let body = json!({
        "app": "demo", "client_id": "id-1", "client_secret": "s3cret-canary", "name": "Acme's demo",
        "description": "For customers", "additional_scopes": ["crm.extra"],
    });
    let made = client.create_oauth_app(ask().body(body.clone())).await.unwrap();
    assert!(made.id.starts_with("oa_") && made.owner_id.starts_with("o_"), "{made:?}");
    assert_eq!((made.name.as_str(), made.name_slug.as_str()), ("Acme's demo", "demo"));
    assert_eq!((made.description.as_str(), made.client_id.as_str()), ("For customers", "id-1"));
    assert_eq!(made.scopes.last().unwrap(), "crm.extra");
    assert_eq!(made.redirect_uri, "http://127.0.0.1:8400/connect/callback");
    assert_eq!(made.app.name_slug, "demo");
    // Another one of the same app takes the place of none.
    let second = client.create_oauth_app(ask().body(body)).await.unwrap();
    assert_ne!(second.id, made.id);
    let all = client.list_oauth_apps(ask()).await.unwrap();
    assert_eq!((all.data.len(), all.page_info.total_count), (2, 2));
    let change = json!({ "name": "Renamed", "scopes": ["crm.read"] });
    let changed = client.set_oauth_app(ask().at("id", &made.id).body(change)).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.client_id.as_str()), ("Renamed", "id-1"));
    assert_eq!(changed.scopes, ["crm.read"]);
    let shown = client.show_oauth_app(ask().at("id", &made.id)).await.unwrap();
    assert_eq!(shown.name, "Renamed");
    let other = json!({ "app": "github" });
    let other = client.set_oauth_app(ask().at("id", &made.id).body(other)).await.unwrap_err();
    assert_eq!(other.is(), (400, "invalid_request"));

    let body = json!({
        "app": "demo", "name": "Prefilled", "oauth_app_id": made.id,
        "cfmap": { "username": "ada", "password": "pw-canary" },
    });
    let filled = client.create_override(ask().body(body)).await.unwrap();
    assert!(filled.id.starts_with("ovr_") && filled.owner_id == made.owner_id);
    assert_eq!(filled.oauth_app_id.as_deref(), Some(made.id.as_str()));
    assert_eq!((filled.name.as_str(), filled.app.name_slug.as_str()), ("Prefilled", "demo"));
    assert_eq!(filled.cfmap["username"].as_deref(), Some("ada"));
    assert_eq!(filled.cfmap["password"], None, "secrets are not shown");
    assert_eq!(filled.ts, world.clock.now().as_millis());
    // What is sent back as it was shown changes nothing.
    let body = json!({ "app": "demo", "name": "Kept", "cfmap": filled.cfmap });
    let kept = client.set_override(ask().at("id", &filled.id).body(body)).await.unwrap();
    assert_eq!((kept.name.as_str(), kept.oauth_app_id), ("Kept", None));
    assert_eq!(kept.cfmap, filled.cfmap);
    let shown = client.show_override(ask().at("id", &filled.id)).await.unwrap();
    assert_eq!(shown.name, "Kept");
    assert_eq!(client.list_overrides(ask()).await.unwrap().data.len(), 1);
    let unknown = json!({ "app": "demo", "cfmap": { "nothing": "x" } });
    let unknown = client.create_override(ask().body(unknown)).await.unwrap_err();
    assert_eq!(unknown.is(), (400, "invalid_request"));

    // A token names the override, and an account is made of it alone.
    let key = json!({ "app": "demo", "cfmap": { "api_key": world.demo.api_key() } });
    let key = client.create_override(ask().body(key)).await.unwrap();
    let token = json!({ "external_user_id": "user-1" });
    let token = client.create_token(ask().body(token)).await.unwrap().token;
    let seen = ask().at("ctok", &token).query("app_override_id", &key.id);
    let seen = client.validate_token(seen).await.unwrap();
    assert_eq!(seen.app_override_field_names, ["api_key"]);
    assert_eq!(seen.app_override_id.as_deref(), Some(key.id.as_str()));
    let body = json!({
        "app_slug": "demo", "cfmap_json": "{}", "app_override_id": key.id, "connect_token": token,
    });
    assert!(client.create_account(ask().body(body)).await.unwrap().healthy);

    for id in [&filled.id, &key.id] {
        client.delete_override(ask().at("id", id)).await.unwrap();
        let gone = client.show_override(ask().at("id", id)).await.unwrap_err();
        assert_eq!(gone.is(), (404, "not_found"));
    }
    client.delete_oauth_app(ask().at("id", &made.id)).await.unwrap();
    let gone = client.show_oauth_app(ask().at("id", &made.id)).await.unwrap_err();
    assert_eq!(gone.is(), (404, "not_found"));
    world.stop().await;
}

async fn the_project_webhook(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    assert!(client.show_webhook(ask()).await.unwrap().data.is_none());
    let none = client.renew_webhook_key(ask()).await.unwrap_err();
    assert_eq!(none.is(), (404, "not_found"));
    let set = |url: &str| ask().body(json!({ "url": url }));
    let first = client.set_webhook(set("https://acme.example/a?key=canary")).await.unwrap();
    let webhook = first.data.unwrap();
    assert!(webhook.id.starts_with("wh_") && webhook.signing_key_set);
    assert_eq!(webhook.url, "https://acme.example/a?key=canary");
    assert_eq!(webhook.created_at, webhook.updated_at);
    let key = first.signing_key.unwrap();
    assert_eq!((key.len(), webhook.signing_key.as_ref()), (64, Some(&key)));
    let moved = client.set_webhook(set("https://acme.example/b")).await.unwrap();
    assert!(moved.signing_key.is_none() && moved.data.unwrap().signing_key.is_none());
    let shown = client.show_webhook(ask()).await.unwrap();
    assert_eq!(shown.data.unwrap().url, "https://acme.example/b");
    assert!(shown.signing_key.is_none());
    let renewed = client.renew_webhook_key(ask()).await.unwrap().data.unwrap();
    assert_ne!(renewed.signing_key.unwrap(), key);
    let wrong = client.set_webhook(set("http://acme.example/")).await.unwrap_err();
    assert_eq!(wrong.is(), (400, "invalid_request"));
    client.delete_webhook(ask()).await.unwrap();
    assert_eq!(client.delete_webhook(ask()).await.unwrap_err().is(), (404, "not_found"));
    world.stop().await;
}

async fn projects(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    let body = json!({
        "name": "Second", "app_name": "Acme", "support_email": "help@acme.example",
        "connect_require_key_auth_test": false,
    });
    let made = client.create_project(ask().body(body.clone())).await.unwrap();
    assert!(made.id.starts_with("proj_") && made.connect_require_key_auth_test);
    assert_eq!((made.name.as_str(), made.app_name.as_deref()), ("Second", Some("Acme")));
    assert_eq!(made.support_email.as_deref(), Some("help@acme.example"));
    let twice = client.create_project(ask().body(body)).await.unwrap_err();
    assert_eq!(twice.is(), (409, "taken"));
    let all = client.list_projects(ask()).await.unwrap();
    // Both may have been made in the same millisecond, within which ids are in no order.
    let names: BTreeSet<&str> = all.data.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["Main", "Second"]));
    let change = json!({ "name": "Renamed", "app_name": "Acme Ltd" });
    let changed = client.change_project(ask().at("id", &made.id).body(change)).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.app_name.as_deref()), ("Renamed", Some("Acme Ltd")));
    let shown = client.show_project(ask().at("id", &made.id)).await.unwrap();
    assert_eq!(shown.support_email.as_deref(), Some("help@acme.example"));

    let own = world.tenant.project;
    let picture = b"\x89PNG\r\n\x1a\nand so on";
    let logo = format!("data:image/png;base64,{}", BASE64.encode(picture));
    client.set_logo(ask().at("id", own).body(json!({ "logo": logo }))).await.unwrap();
    let got = world.get(&format!("/_static/logos/{own}?v=1")).await;
    assert_eq!((got.status, got.header("content-type")), (200, "image/png"));
    assert_eq!(got.body, picture);
    let script = format!("data:image/svg+xml;base64,{}", BASE64.encode(b"<svg onload=x>"));
    for bad in [script.as_str(), "https://acme.example/logo.png", "data:image/png;base64,%%"] {
        let bad = client.set_logo(ask().at("id", own).body(json!({ "logo": bad })));
        assert_eq!(bad.await.unwrap_err().is(), (400, "invalid_request"));
    }

    assert!(client.project_info(ask()).await.unwrap().apps.is_empty());
    world.connection("crm").await;
    let info = client.project_info(ask()).await.unwrap();
    assert_eq!((info.apps[0].id.as_str(), info.apps[0].name_slug.as_str()), ("app_demo", "demo"));

    let refused = client.delete_project(ask().at("id", own)).await.unwrap_err();
    assert_eq!(refused.is(), (409, "project_in_use"));
    client.delete_project(ask().at("id", &made.id)).await.unwrap();
    let gone = client.show_project(ask().at("id", &made.id)).await.unwrap_err();
    assert_eq!(gone.is(), (404, "not_found"));
    assert_eq!(client.list_projects(ask()).await.unwrap().page_info.total_count, 1);
    world.stop().await;
}

async fn calls_and_their_figures(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let body = json!({
        "app_slug": "echo_app", "cfmap_json": json!({ "api_key": KEY }).to_string(),
    });
    let user = ask().query("external_user_id", "user-1");
    let account = client.create_account(user.clone().body(body)).await.unwrap().id;
    let call = |target: &str| user.clone().query("account_id", &account).at("url", url(target));

    let got = client.proxy_get(call("/things?a=b")).await.unwrap();
    assert_eq!((got["method"].as_str(), got["path"].as_str()), (Some("GET"), Some("/base/things")));
    assert_eq!((&got["query"], &got["headers"]["x-api-key"]), (&json!("a=b"), &json!(KEY)));
    let body = json!({ "name": "x" });
    let absolute = format!("{}/other/place", upstream.url);
    let posted = client.proxy_post(call(&absolute).body(body.clone())).await.unwrap();
    assert_eq!(posted["path"], "/other/place");
    assert_eq!(posted["body"], body.to_string());
    assert_eq!(posted["headers"]["content-type"], "application/json");
    let put = client.proxy_put(call("/a").body(body.clone())).await.unwrap();
    let patched = client.proxy_patch(call("/a").body(body)).await.unwrap();
    let deleted = client.proxy_delete(call("/a")).await.unwrap();
    for (sent, method) in [(put, "PUT"), (patched, "PATCH"), (deleted, "DELETE")] {
        assert_eq!(sent["method"], method);
    }

    let figures = client.usage(ask()).await.unwrap();
    let day = &figures.data[0];
    assert_eq!((day.credits_used, day.proxy_credits_used), (5, 5));
    assert_eq!((day.action_run_credits_used, day.source_emit_credits_used), (0, 0));
    assert_eq!(day.usage_end_ts - day.usage_start_ts, 86_400);
    let now = world.clock.now().as_secs();
    let later = ask().query("start_ts", now + 90_000).query("end_ts", now + 180_000);
    assert!(client.usage(later).await.unwrap().data.is_empty());
    let odd = ask().query("start_ts", now).query("end_ts", now - 1);
    assert_eq!(client.usage(odd).await.unwrap_err().is(), (400, "invalid_request"));

    let limit = json!({ "window_size_seconds": 60, "requests_per_window": 2 });
    let limit = client.create_rate_limit(ask().body(limit)).await.unwrap().token;
    let limited = || ask().header("x-pd-rate-limit", &limit);
    client.list_users(limited()).await.unwrap();
    client.list_accounts(limited()).await.unwrap();
    let refused = client.list_users(limited()).await.unwrap_err();
    assert_eq!(refused.is(), (429, "rate_limited"));
    assert!((1..=60).contains(&refused.retry_after.unwrap()), "{refused:?}");
    client.list_users(ask()).await.unwrap();
    world.clock.advance(std::time::Duration::from_mins(1));
    client.list_users(limited()).await.unwrap();
    let made_up = client.list_users(ask().header("x-pd-rate-limit", "mine")).await.unwrap_err();
    assert_eq!(made_up.is(), (400, "invalid_request"));
    let odd = json!({ "window_size_seconds": 0, "requests_per_window": 2 });
    let odd = client.create_rate_limit(ask().body(odd)).await.unwrap_err();
    assert_eq!(odd.is(), (400, "invalid_request"));
    world.stop().await;
}
