//! A customer links an account at a real authorization server, and a workflow uses it. The
//! tokens stand nowhere, whatever the code does with them.

use crate::kit::{Browser, Counterpart, Home, Needles, PUBLIC_URL, Server, at_rest};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::{ConnectionId, Place};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

on_both!(a_linked_token_is_used_and_stands_nowhere);

/// Uses the token, then does everything with it that code should not.
const USES: &str = "
export default async ({ event, connections, $ }) => {
  const token = connections.account.$auth.oauth_access_token;
  const me = await fetch('PROVIDER/me', { headers: { authorization: `Bearer ${token}` } });
  await fetch(`COUNTERPART/count/token?${token}`);
  const forms = {
    clear: token,
    base64: Buffer.from(token).toString('base64'),
    base64url: Buffer.from(token).toString('base64url'),
    url: encodeURIComponent(token),
    hex: Buffer.from(token).toString('hex'),
  };
  console.log('the token is', token, 'or', forms);
  console.error(forms);
  process.stdout.write(token.slice(0, 20));
  process.stdout.write(token.slice(20) + '\\n');
  $.export('token', token);
  $.export('forms', forms);
  return { status: me.status, who: (await me.json()).sub, note: event.body.note, auth: connections, text: `in ${token} text` };
};
";

const THROWS: &str = "
export default async ({ connections }) => {
  const token = connections.account.$auth.oauth_access_token;
  throw new Error(`refused ${token}`, { cause: new TypeError(Buffer.from(token).toString('hex')) });
};
";

async fn a_linked_token_is_used_and_stands_nowhere(database: TestDatabase) {
    let provider = OidcProvider::start(&format!("{PUBLIC_URL}/connect/callback")).unwrap();
    let other = Counterpart::start().await;
    let apps = tempfile::tempdir().unwrap();
    std::fs::create_dir(apps.path().join("oidc")).unwrap();
    std::fs::write(apps.path().join("oidc/app.yaml"), provider.app_yaml(false)).unwrap();
    let port = provider.url().rsplit_once(':').unwrap().1;
    let allowed = format!("127.0.0.1/32:{port},{}", other.range());
    let apps_dir = apps.path().display().to_string();
    let home = Home::with_flags(database, &["--net-allow", &allowed, "--apps-dir", &apps_dir]);
    let server = home.serve_logging("info,causeway=trace");

    let secret = home.path("client-secret");
    std::fs::write(&secret, CLIENT_SECRET).unwrap();
    let secret = format!("@{}", secret.display());
    let set = [
        "oauth-clients",
        "set",
        "--json",
        "--app=oidc",
        "--client-id",
        CLIENT_ID,
        "--client-secret",
        &secret,
    ];
    assert_eq!(home.cli(&server, &set).json()["client_id"], CLIENT_ID);
    let (link, cookie) = link_account(&home, &server).await;

    let connections = home.cli(&server, &["connections", "list", "--json"]).json();
    let connection = &connections["data"][0];
    assert_eq!((&connection["state"], &connection["name"]), (&json!("healthy"), &json!("crm")));
    let (access, refresh) = stored_tokens(&home, connection["id"].as_str().unwrap()).await;

    let manifest = "egress: [127.0.0.1]\nsteps:\n  - name: uses\n    run: ./uses.mjs\n    connections: { account: { name: crm, expose: true } }\n  - name: throws\n    run: ./throws.mjs\n    connections: { account: { name: crm, expose: true } }\n";
    let uses = USES.replace("PROVIDER", provider.url()).replace("COUNTERPART", &other.url());
    server.let_credentials_out().await;
    let trigger =
        home.deploy(&server, "whoami", manifest, &[("uses.mjs", &uses), ("throws.mjs", THROWS)]);
    let note = "the-note-that-only-the-caller-knows";
    let invocation = server.start_invocation(&trigger, &json!({ "note": note })).await;
    let tail = server.tail(&invocation).await;
    assert_eq!(other.calls("token"), [access.as_str()], "the code was given the real token");

    let shown = server.get(&format!("invocations/{invocation}")).await;
    assert_eq!((&shown["state"], &shown["error_code"]), (&json!("failed"), &json!("user_error")));
    let [uses, throws] = shown["steps"].as_array().unwrap().as_slice() else { panic!("{shown:#}") };
    let returned = &uses["return_value"];
    assert_eq!((&returned["status"], &returned["who"]), (&json!(200), &json!("ada")));
    assert_eq!(returned["note"], note);
    assert_eq!(returned["text"], "in [redacted] text");
    assert_eq!(uses["exports"]["token"], "[redacted]");
    for form in ["clear", "base64", "base64url", "url", "hex"] {
        assert_eq!(uses["exports"]["forms"][form], "[redacted]", "{form}");
    }
    assert!(uses["logs"].to_string().contains("the token is [redacted] or"), "{uses:#}");
    assert_eq!(
        throws["error"]["message"],
        "Error: refused [redacted]; caused by TypeError: [redacted]"
    );

    let listed = home.cli(&server, &["invocations", "show", "--json", &invocation]);
    let logs = home.cli(&server, &["logs"]);
    let metrics = server.send(http::Request::get(server.url("/metrics")), "").await;
    assert!(metrics.text().contains("causeway_steps_total"));
    let tokens = [("the access token", access.as_str()), ("the refresh token", &refresh)];
    let secrets = [
        ("the client secret at the provider", CLIENT_SECRET),
        ("the connect link", &link),
        ("the browser's cookie", &cookie),
        ("the API key", home.api_key()),
        ("the machine client's secret", home.made["client_secret"].as_str().unwrap()),
        ("the trigger's token", trigger.rsplit_once('/').unwrap().1),
    ];
    let answers = Needles::new(tokens);
    answers.assert_absent("an answer of the API", shown.to_string());
    answers.assert_absent("the news", &tail);
    answers.assert_absent("the CLI's `show`", listed.stdout);
    answers.assert_absent("the CLI's `logs`", logs.stdout);
    let everywhere = Needles::new(tokens.into_iter().chain(secrets).chain([("the event", note)]));
    the_search_finds_what_is_there(&home, &answers, &access);
    everywhere.assert_absent("the metrics", metrics.text());
    everywhere.assert_absent_at_rest(&home);
    assert!(server.log().contains("\"TRACE\""), "the log is as detailed as it gets");
    everywhere.assert_absent("the server's log", server.log());
    let path = home.path("server.log");
    server.stop();
    everywhere.assert_absent("the server's log at its end", std::fs::read(path).unwrap());
    everywhere.assert_absent_at_rest(&home);
}

/// A search that finds nothing has to be one that could.
fn the_search_finds_what_is_there(home: &Home, needles: &Needles, token: &str) {
    for text in [
        token.to_owned(),
        BASE64.encode(format!("ab{token}").as_bytes()),
        HEXLOWER.encode(token.as_bytes()),
    ] {
        assert!(needles.found_in(format!("{{\"a\":\"{text}\"}}").as_bytes()).is_some(), "{text}");
    }
    let id = home.made["workspace_id"].as_str().unwrap();
    let id = Needles::new([("the workspace's id", id)]);
    assert!(at_rest(home).iter().any(|(_, bytes)| id.found_in(bytes).is_some()));
}

/// Links an account as a customer does. Gives the unguessable part of the link, and the cookie.
async fn link_account(home: &Home, server: &Server) -> (String, String) {
    let connect = ["connect", "--json", "--app=oidc", "--customer=ada@acme", "--name=crm"];
    let session = home.cli(server, &connect).json();
    let link = session["connect_url"].as_str().unwrap();
    let mut browser = Browser::new(server);
    let (_, page) = browser.open(&format!("{link}?plain")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("ada@acme") && page.text().contains("Continue with OIDC Test"));
    let cookie = browser.cookies_of_server().next().unwrap().clone();

    // Whatever previews links may look, and shuts nobody out.
    assert_eq!(Browser::new(server).open(link).await.1.status, 200);

    let (at, page) = browser.submit(&format!("{link}/authorize")).await;
    assert!(at.starts_with(&format!("{PUBLIC_URL}/connect/callback?")), "{at}: {}", page.text());
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("OIDC Test is connected"), "{}", page.text());
    let again = browser.open(&at).await.1;
    assert_eq!(again.status, 400, "an answer is good once: {}", again.text());
    for mut browser in [browser, Browser::new(server)] {
        let (_, spent) = browser.open(&format!("{link}?plain")).await;
        assert_eq!(spent.status, 404, "the link is spent: {}", spent.text());
    }
    let state = server.get(&format!("connect-sessions/{}", session["id"].as_str().unwrap())).await;
    assert!(state["connection_id"].is_string(), "{state}");
    (link.rsplit_once('/').unwrap().1.to_owned(), cookie)
}

/// What the connection holds, read as the server reads it.
async fn stored_tokens(home: &Home, id: &str) -> (String, String) {
    let id: ConnectionId = id.parse().unwrap();
    let mut conn = home.database.store.read().await.unwrap();
    let row = db!(conn, connection::get(home.tenant(), id)).unwrap().unwrap();
    drop(conn);
    let opened = home
        .vault()
        .await
        .open(home.tenant().workspace, &Place::ConnectionCredential(id), &row.credential)
        .await
        .unwrap();
    let credential: Value = serde_json::from_slice(opened.expose()).unwrap();
    let token = |name: &str| credential["oauth2"][name].as_str().unwrap().to_owned();
    (token("access_token"), token("refresh_token"))
}
