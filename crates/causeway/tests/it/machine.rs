//! API keys and machine clients from the command line, and what a stop leaves of their uses.

use crate::kit::{Home, Needles, Server, run};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

on_both!(
    keys_and_clients_are_managed_from_the_command_line,
    the_last_use_survives_a_clean_stop,
    signing_keys_are_rotated_beside_a_server,
);

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {value:#}")).to_owned()
}

/// The status that a key or a token gets for listing workflows.
async fn status(server: &Server, bearer: &str) -> u16 {
    let request = http::Request::get(server.url("/api/v1/workflows"))
        .header(AUTHORIZATION, format!("Bearer {bearer}"));
    server.send(request, "").await.status
}

async fn token(server: &Server, id: &str, secret: &str) -> Option<String> {
    let body = json!({
        "grant_type": "client_credentials", "client_id": id, "client_secret": secret,
    });
    let request = http::Request::post(server.url("/v1/oauth/token"))
        .header("content-type", "application/json");
    let answer = server.send(request, body.to_string()).await;
    (answer.status == 200).then(|| text(&answer.json(), "access_token"))
}

async fn keys_and_clients_are_managed_from_the_command_line(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve_logging("trace");
    let cli = |args: &[&str]| home.cli(&server, &[args, &["--json"]].concat()).json();

    let made = cli(&["api-keys", "create", "--name=ci", "--action=workflows.read", "--app=demo"]);
    let (id, key) = (text(&made, "id"), text(&made, "api_key"));
    assert_eq!(made["scopes"], json!({ "actions": ["workflows.read"], "apps": ["demo"] }));
    assert_eq!(status(&server, &key).await, 200);
    let scopes = r#"{"proxy":[{"methods":["GET"],"paths":["/v1/**"]}]}"#;
    let proxied = cli(&["api-keys", "create", "--name=p", "--scopes", scopes, "--expires-days=90"]);
    assert_eq!(proxied["scopes"]["proxy"][0]["paths"], json!(["/v1/**"]));
    assert!(proxied["expires_at"].is_string());

    let listed = cli(&["api-keys", "list"]);
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    assert!(!listed.to_string().contains(&key));
    let rotated = cli(&["api-keys", "rotate", &id, "--overlap-hours=0"]);
    let new = text(&rotated, "api_key");
    assert_eq!((status(&server, &key).await, status(&server, &new).await), (401, 200));
    cli(&["api-keys", "revoke", &text(&rotated, "id")]);
    assert_eq!(status(&server, &new).await, 401);
    let shown = home.cli(&server, &["api-keys", "list"]).stdout;
    for words in ["revoked 2", "until 2", "active, never used"] {
        assert!(shown.contains(words), "{shown}");
    }
    let shown = home.cli(&server, &["api-keys", "create", "--name=shown"]).stdout;
    assert!(shown.contains("\ncwk_") && shown.contains("shown this once"), "{shown}");

    let client = cli(&["clients", "create", "--name=backend"]);
    let (id, secret) = (text(&client, "id"), text(&client, "client_secret"));
    let first = token(&server, &id, &secret).await.unwrap();
    assert_eq!(status(&server, &first).await, 200);
    let rotated = cli(&["clients", "rotate", &id]);
    assert!(token(&server, &id, &secret).await.is_some(), "for a day");
    assert!(rotated["old_secret_works_until"].is_string());
    let rotated = cli(&["clients", "rotate", &id, "--overlap-hours=0"]);
    assert!(token(&server, &id, &secret).await.is_none());
    let secret = text(&rotated, "client_secret");
    token(&server, &id, &secret).await.unwrap();
    let keys = home.path("keys.json");
    let set = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }]});
    std::fs::write(&keys, set.to_string()).unwrap();
    let keys = format!("--public-keys=@{}", keys.display());
    let signer = cli(&["clients", "create", "--name=signer", &keys]);
    assert_eq!((&signer["public_keys"], &signer["client_secret"]), (&set, &Value::Null));
    assert_eq!(cli(&["clients", "set-keys", &id, &keys])["public_keys"], set);
    assert_eq!(cli(&["clients", "set-keys", &id, "--none"])["public_keys"], Value::Null);
    let refused = home.cli(&server, &["clients", "set-keys", &text(&signer, "id"), "--none"]);
    assert!(refused.refusal().contains("needs a secret"), "{refused:#?}");
    assert_eq!(cli(&["clients", "list"])["data"].as_array().unwrap().len(), 3);
    cli(&["clients", "revoke", &id]);
    assert_eq!(status(&server, &first).await, 401);
    assert!(home.cli(&server, &["clients", "list"]).stdout.contains("revoked 2"));

    for (args, words) in [
        (vec!["api-keys", "create", "--name=x", "--action=members.manage"], "[denied]"),
        (vec!["api-keys", "create", "--name=x", "--action=everything"], "[invalid_request]"),
        (vec!["api-keys", "revoke", "key_01m7zxqqcfbfkcqjcqr05r38cm"], "[not_found]"),
        (vec!["clients", "rotate", &id], "[invalid_request]"),
    ] {
        let refused = home.cli(&server, &args);
        assert!(refused.refusal().contains(words), "{args:?}: {refused:#?}");
    }
    // What was shown once is nowhere: not in the database, not in the most talkative log.
    let needles = Needles::new([
        ("the API key", key.as_str()),
        ("the new key", &new),
        ("the client's secret", &secret),
        ("the token", first.rsplit('.').next().unwrap()),
    ]);
    needles.assert_absent("the log", server.log());
    server.stop();
    needles.assert_absent_at_rest(&home);
}

async fn the_last_use_survives_a_clean_stop(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let made = home.cli(&server, &["api-keys", "create", "--name=a", "--json"]).json();
    assert_eq!(made["last_used_at"], Value::Null);
    assert_eq!(status(&server, &text(&made, "api_key")).await, 200);
    server.stop();
    let server = home.serve();
    let path = format!("api-keys/{}", text(&made, "id"));
    let used = text(&server.get(&path).await, "last_used_at");
    assert!(used.ends_with(":00.000000Z"), "to a minute: {used}");
    let doctor = run(Home::bare().args(["doctor", "--json"]).args(home.place()));
    assert_eq!(doctor.code, Some(0), "the chain holds: {doctor:#?}");
    server.stop();
}

/// The `kid`s of the keys that tokens may be signed with, for whoever checks them.
async fn kids(server: &Server) -> Vec<String> {
    let request = http::Request::get(server.url("/.well-known/jwks.json"));
    let set = server.send(request, "").await.json();
    set["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect()
}

async fn signing_keys_are_rotated_beside_a_server(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let client = home.cli(&server, &["clients", "create", "--name=backend", "--json"]).json();
    let (id, secret) = (text(&client, "id"), text(&client, "client_secret"));
    let before = token(&server, &id, &secret).await.unwrap();
    let old = kids(&server).await;
    let rotated = home.run_server_command(&["keys", "rotate-signing", "--json"]).json();
    let [access, audit] = rotated["signing_keys"].as_array().unwrap().as_slice() else {
        panic!("{rotated}")
    };
    assert_eq!(
        (text(access, "purpose"), text(audit, "purpose")),
        ("access_token".into(), "audit".into())
    );
    assert_eq!(old, [text(access, "retired")]);
    // Whoever brings something that names the new key makes the server look.
    let part = |value: Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": access["active"] });
    let made_up = format!("{}.{}.{}", part(header), part(json!({})), part(json!({})));
    assert_eq!(status(&server, &made_up).await, 401);
    assert_eq!(kids(&server).await, [text(access, "retired"), text(access, "active")]);
    let after = token(&server, &id, &secret).await.unwrap();
    for token in [&before, &after] {
        assert_eq!(status(&server, token).await, 200);
    }
    server.stop();
    // What both keys signed is proved by a process that starts now.
    let verified = home.run_server_command(&["audit", "verify", "--local", "--json"]).json();
    assert!(verified.as_array().unwrap().iter().all(|chain| chain["proven"] == chain["last"]));
    let server = home.serve();
    for token in [&before, &after] {
        assert_eq!(status(&server, token).await, 200);
    }
    let shown = home.run_server_command(&["keys", "rotate-signing"]).stdout;
    assert!(shown.contains("signs from now on in the place of sgn_"), "{shown}");
    server.stop();
}
