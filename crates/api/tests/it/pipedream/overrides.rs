//! App overrides on the connect page: what the company fills in is not asked for, not shown, and not
//! the customer's to change; and it leaves for no host of the customer's choice.

use super::client::{Client, ask};
use super::upstream::{KEY, Upstream};
use crate::connect_shell::{get, post};
use crate::kit::{Answer, Json as _, Setup, World};
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_types::{Actor, AppOverrideId};
use serde_json::{Value, json};

on_both!(
    what_is_filled_in_is_not_asked_for,
    the_plain_page_asks_for_the_rest,
    a_secret_is_filled_in_only_where_its_host_is,
    an_override_that_fits_no_more_is_refused,
    an_override_brings_its_client,
);

const OWN: (&str, &str) = ("origin", "http://127.0.0.1:8400");

/// The echo app, and one that asks for its site and tells by its account where it looked.
fn setup(upstream: &Upstream) -> Setup {
    let mut setup = upstream.setup();
    let row = setup.rows[0].1.replace("echo-app", "site-app").replace(
        "fields: [{ name: region, label: Region, optional: true }]",
        "fields: [{ name: region, label: Region, format: label, default: eu }, { name: site, label: Site, format: host }]",
    );
    setup.rows.push(("site-app", row.replace("/base/me", "/base/{region}")));
    setup
}

fn filled() -> Value {
    json!({ "region": "filled", "site": "crm.acme.example", "api_key": KEY })
}

/// An override of the site app.
async fn made(client: &Client<'_>, fields: Value) -> String {
    let body = json!({ "app": "site_app", "name": "Ours", "cfmap": fields });
    client.create_override(ask().body(body)).await.unwrap().id
}

/// A link that was narrowed to an override, as the page's own address does it.
async fn link(world: &World, client: &Client<'_>, id: &str) -> String {
    let body = json!({ "external_user_id": "ada" });
    let token = client.create_token(ask().body(body)).await.unwrap().token;
    let at = format!("/_static/connect.html?token={token}&appOverrideId={id}");
    let answer = get(world, &at, &[]).await;
    assert_eq!(answer.status, 303, "{}", answer.html());
    answer.header("location").split('?').next().unwrap().to_owned()
}

fn names(fields: &Value) -> Vec<&str> {
    fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect()
}

/// What a page with a script sends.
async fn send(world: &World, path: &str, choice: Value) -> Answer {
    let (link, _) = path.rsplit_once('/').unwrap();
    let first = get(world, &format!("{link}/session"), &[("causeway-browser", "new")]).await;
    let proof = first.header("causeway-browser").to_owned();
    let headers = [("causeway-browser", &*proof), OWN, ("content-type", "application/json")];
    post(world, path, &headers, choice.to_string()).await
}

async fn what_is_filled_in_is_not_asked_for(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, setup(&upstream)).await;
    let client = Client::new(&world).await;
    let link = link(&world, &client, &made(&client, filled()).await).await;
    let page = get(&world, &format!("{link}/session"), &[]).await;
    assert!(!page.html().contains(KEY) && !page.html().contains("filled"), "{}", page.html());
    let app = page.ok()["app"].clone();
    assert_eq!(app["slug"], "site-app");
    assert!(names(&app["fields"]).is_empty() && names(&app["schemes"][0]["fields"]).is_empty());

    // A customer who sends a value all the same does not change the company's.
    let choice = json!({ "scheme": "api_key", "fields": { "region": "theirs", "api_key": "x" } });
    let done = send(&world, &format!("{link}/submit"), choice).await.ok();
    assert_eq!(done["account"], "/base/filled");
    let accounts = client.list_accounts(ask().query("external_user_id", "ada")).await.unwrap();
    assert_eq!(accounts.data[0].id, done.text("account_id"));
    world.stop().await;
}

async fn the_plain_page_asks_for_the_rest(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, setup(&upstream)).await;
    let client = Client::new(&world).await;
    let fields = json!({ "site": "crm.acme.example", "api_key": KEY, "region": "" });
    let link = link(&world, &client, &made(&client, fields).await).await;
    let page = get(&world, &format!("{link}?plain"), &[]).await;
    assert!(page.html().contains("name=\"region\""), "{}", page.html());
    for absent in ["name=\"site\"", "name=\"api_key\"", KEY, "crm.acme.example"] {
        assert!(!page.html().contains(absent), "{absent}: {}", page.html());
    }
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    let form = "application/x-www-form-urlencoded";
    let headers = [("cookie", &*cookie), OWN, ("content-type", form)];
    let form = "scheme=api_key&region=us".to_owned();
    let done = post(&world, &format!("{link}/key"), &headers, form).await;
    assert!(done.status == 200 && done.html().contains("/base/us"), "{}", done.html());
    world.stop().await;
}

async fn a_secret_is_filled_in_only_where_its_host_is(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, setup(&upstream)).await;
    let client = Client::new(&world).await;
    let try_with = async |fields: Value| {
        let body = json!({ "app": "site_app", "name": "Ours", "cfmap": fields });
        client.create_override(ask().body(body)).await
    };
    for wrong in [
        json!({ "api_key": KEY }),
        json!({ "api_key": KEY, "site": "" }),
        json!({ "api_key": KEY, "site": "https://crm.acme.example/" }),
        json!({ "region": "not a label" }),
    ] {
        assert_eq!(try_with(wrong).await.unwrap_err().is(), (400, "invalid_request"));
    }
    try_with(json!({ "region": "eu" })).await.unwrap();

    // One that came about otherwise, by a change of the app's row, is held to it too.
    let body = json!({ "app": "echo_app", "name": "Ours", "cfmap": { "api_key": KEY } });
    let other = client.create_override(ask().body(body)).await.unwrap().id;
    let id: AppOverrideId = other.parse().unwrap();
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    let mut row = db!(tx, app_override::get(world.tenant, id)).unwrap().unwrap();
    row.app = "site-app".into();
    db!(tx, app_override::update(&row)).unwrap();
    tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await.unwrap();
    let link = link(&world, &client, &other).await;
    let refused = get(&world, &format!("{link}/session"), &[]).await;
    refused.problem(400, "invalid_request");
    let choice = json!({
        "scheme": "api_key", "fields": { "region": "eu", "site": "evil.example" },
    });
    let refused = send(&world, &format!("{link}/submit"), choice).await;
    refused.problem(400, "invalid_request");
    assert!(!refused.html().contains(KEY));
    let account = json!({
        "app_slug": "site_app", "app_override_id": other,
        "cfmap_json": json!({ "region": "eu", "site": "evil.example" }).to_string(),
    });
    let refused = client
        .create_account(ask().query("external_user_id", "ada").body(account))
        .await
        .unwrap_err();
    assert_eq!(refused.is(), (400, "invalid_request"));
    world.stop().await;
}

async fn an_override_that_fits_no_more_is_refused(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, setup(&upstream)).await;
    let client = Client::new(&world).await;
    let id = made(&client, filled()).await;
    let link = link(&world, &client, &id).await;
    let body = json!({ "app": "echo_app", "name": "Theirs", "cfmap": { "api_key": KEY } });
    client.set_override(ask().at("id", &id).body(body)).await.unwrap();
    let refused = get(&world, &format!("{link}/session"), &[]).await;
    let told = refused.problem(400, "invalid_request");
    assert!(told.contains("Tell whoever sent you the link"), "{told}");
    // Without it, the customer is asked as usual.
    client.delete_override(ask().at("id", &id)).await.unwrap();
    let page = get(&world, &format!("{link}/session"), &[]).await.ok();
    assert_eq!(names(&page["app"]["fields"]), ["region", "site"]);
    world.stop().await;
}

async fn an_override_brings_its_client(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let client = Client::new(&world).await;
    let body = json!({
        "app": "demo", "name": "Second", "client_id": "second", "client_secret": "s-canary",
    });
    let second = client.create_oauth_app(ask().body(body)).await.unwrap().id;
    let body = json!({ "app": "demo", "name": "Ours", "oauth_app_id": second });
    let id = client.create_override(ask().body(body)).await.unwrap().id;
    let link = link(&world, &client, &id).await;
    let choice = json!({ "scheme": "oauth2", "fields": {} });
    let started = send(&world, &format!("{link}/start"), choice).await.ok();
    assert!(started.text("url").contains("client_id=second&"), "{started}");
    world.stop().await;
}
