//! Customers connect in a real Chromium: the page of `console/`, alone and in other sites' frames,
//! and the script of host pages. What is done there stands in `testing/browser/connect.js`; the
//! pictures are in `target/tmp/pages`.

use crate::kit::Home;
use causeway_identity::token::{Link, Plain};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::entity::{ConnectSession, ConnectSettings, Customer};
use causeway_types::{Actor, Clock as _, ConnectSessionId, CustomerId, OsRandom, SystemClock};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

on_both!(customers_connect_in_a_browser);

async fn customers_connect_in_a_browser(database: TestDatabase) {
    let demo = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    // Only its device flow is used, which leads back nowhere.
    let provider = OidcProvider::start("http://127.0.0.1/unused").unwrap();
    let url = provider.url();
    let device = format!(
        "  device:\n    docs: https://github.com/panva/node-oidc-provider\n    device_authorization_url: {url}/device/auth\nverify:"
    );
    let oidc = provider.app_yaml(false).replace("verify:", &device);
    let apps = tempfile::tempdir().unwrap();
    // The same app, but for a token endpoint that answers with a web page.
    let broken =
        demo.app_yaml().replace("slug: demo", "slug: broken").replace("Demo CRM", "Broken CRM");
    let broken = broken.replace("/oauth/token", "/oauth/authorize");
    for (slug, row) in [("demo", demo.app_yaml()), ("broken", broken), ("oidc", oidc)] {
        std::fs::create_dir(apps.path().join(slug)).unwrap();
        std::fs::write(apps.path().join(slug).join("app.yaml"), row).unwrap();
    }
    let apps_dir = format!("--apps-dir={}", apps.path().display());
    let mut home = Home::unclaimed(database, &["--net-allow=127.0.0.0/8", &apps_dir]);
    home.made = home.run_server_command(&["bootstrap", "--json"]).json();
    wear(&home).await;
    let server = home.serve();
    let secret_of_demo = demo.client_secret();
    let id_of_demo = demo.client_id();
    for (app, id, secret) in [
        ("demo", id_of_demo.as_str(), secret_of_demo.as_str()),
        ("broken", id_of_demo.as_str(), secret_of_demo.as_str()),
        ("oidc", CLIENT_ID, CLIENT_SECRET),
    ] {
        let file = home.path("client-secret");
        std::fs::write(&file, secret).unwrap();
        let secret = format!("@{}", file.display());
        let set = ["oauth-clients", "set", "--json", "--app", app, "--client-id", id];
        home.cli(&server, &[&set[..], &["--client-secret", &secret]].concat()).json();
    }

    let told = json!({
        "base": server.url(""),
        "apiKey": home.api_key(),
        "appKey": demo.api_key(),
        "project": home.tenant().project,
        "expired": server.url(&format!("/connect/{}", expired_link(&home).await)),
    });
    // The demo app answers on this runtime.
    let went_well = tokio::task::spawn_blocking(move || browse(&told.to_string())).await.unwrap();
    assert!(went_well, "see above; the server's log:\n{}", server.log());
}

/// Gives the installation its company's looks.
async fn wear(home: &Home) {
    let tenant = home.tenant();
    let settings = ConnectSettings {
        environment_id: tenant.environment,
        workspace_id: tenant.workspace,
        company: "Ümlaut & Söhne".into(),
        support_email: "help@acme.example".into(),
        theme: json!({ "accent": "#ffd400", "radius": 20 }).to_string(),
        return_origins: String::new(),
        credential_export: 0,
        updated_at: SystemClock.now(),
    };
    let mut tx = home.database.store.write(Actor::Machine).await.unwrap();
    db!(tx, connect_session::set_settings(&settings)).unwrap();
    tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await.unwrap();
}

/// The token of a link whose time is over.
async fn expired_link(home: &Home) -> String {
    let (tenant, now) = (home.tenant(), SystemClock.now());
    let link = Plain::<Link>::generate(&OsRandom);
    let customer = Customer {
        id: CustomerId::generate(now, &OsRandom),
        workspace_id: tenant.workspace,
        environment_id: tenant.environment,
        external_id: "late@acme.example".into(),
        created_at: now,
    };
    let session = ConnectSession {
        id: ConnectSessionId::generate(now, &OsRandom),
        workspace_id: tenant.workspace,
        project_id: tenant.project,
        environment_id: tenant.environment,
        customer_id: customer.id,
        app: Some("demo".into()),
        connection_name: None,
        reconnect_id: None,
        oauth_client_id: None,
        scope_profile: None,
        scopes: String::new(),
        token_digest: link.digest().to_vec(),
        browser_digest: None,
        allowed_origins: String::new(),
        return_url: None,
        error_url: None,
        expires_at: now,
        used_at: None,
        connection_id: None,
        created_at: now,
    };
    let mut tx = home.database.store.write(Actor::Machine).await.unwrap();
    db!(tx, customer::insert(&customer)).unwrap();
    db!(tx, connect_session::insert(&session)).unwrap();
    tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await.unwrap();
    link.reveal().expose().clone()
}

/// Runs the browser's part, which prints what it sees as it goes on; whether it went well.
fn browse(told: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let driver = root.join("testing/browser/connect.js");
    assert!(
        root.join("testing/browser/node_modules/playwright-core").exists()
            && root.join("console/dist/connect.html").exists(),
        "no browser, or no console: run `make deps`"
    );
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&pictures).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new("node")
        .arg(driver)
        .arg("/usr/bin/chromium")
        .args([profile.path(), &pictures])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(browser.stdin.take().unwrap(), "{told}").unwrap();
    browser.wait().unwrap().success()
}
