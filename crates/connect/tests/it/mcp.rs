//! OAuth of the Model Context Protocol: discovery, registration, and what a server may not say.

use crate::standin::Reply;
use crate::thing::{Thing, metadata};
use crate::world::{CALLBACK, cookie};
use causeway_connect::{Callback, FlowError};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

on_both!(
    a_client_registers_itself_once,
    the_token_is_for_this_server_alone,
    another_issuer_is_refused,
    servers_that_publish_nonsense_are_refused,
    a_server_of_the_first_revision_is_its_own_authorization_server,
    a_registration_that_has_ended_is_made_again,
);

const PROTECTED: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";

fn query(url: &url::Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

async fn clients(thing: &Thing) -> Vec<(String, String)> {
    let world = &thing.world;
    let page = world.connect.oauth_clients(&world.permit(), None, 20).await.unwrap();
    page.items
        .into_iter()
        .filter(|client| client.name.contains("://"))
        .map(|client| (client.name, client.client_id))
        .collect()
}

async fn a_client_registers_itself_once(database: TestDatabase) {
    let thing = Thing::new(database).await;
    for _ in 0..2 {
        thing.link(Scheme::Mcp, Thing::session_for(Scheme::Mcp)).await.unwrap();
    }
    let registered = thing.app.asked("/register");
    assert_eq!(registered.len(), 1);
    let asked: Value = serde_json::from_str(&registered[0].body).unwrap();
    assert_eq!(asked["redirect_uris"], json!([CALLBACK]));
    assert_eq!(asked["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(asked["token_endpoint_auth_method"], "client_secret_post");
    assert_eq!(clients(&thing).await, [(thing.app.url(), "registered-1".to_owned())]);
    // Its secret is kept as any other, and proves it.
    let exchange = thing.app.asked("/token/mcp")[0].form();
    assert_eq!(exchange["client_id"], "registered-1");
    assert_eq!(exchange["client_secret"], "registered-canary-secret");
    for file in ["causeway.db", "causeway.db-wal"] {
        let bytes = std::fs::read(thing.world.database.folder().join(file)).unwrap_or_default();
        let secret = b"registered-canary-secret";
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
    }
    assert_eq!(thing.world.audited("oauth_client_set").await, 3, "two by hand, one by itself");
}

async fn the_token_is_for_this_server_alone(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Mcp)).await;
    let browser = cookie();
    let url = thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.unwrap();
    let asked = query(&url);
    let resource = format!("{}/mcp", thing.app.url());
    assert_eq!((url.path(), &asked["resource"]), ("/as/authorize", &resource));
    assert_eq!(asked["scope"], "tools offline_access");
    assert_eq!(
        (asked["code_challenge_method"].as_str(), asked["code_challenge"].len()),
        ("S256", 43)
    );
    let answer = thing.agree(Scheme::Mcp, &url);
    let finished = thing.world.connect.finish(answer, &browser).await.unwrap();
    let exchange = thing.app.asked("/token/mcp")[0].form();
    assert_eq!(exchange["resource"], resource);
    assert_eq!(exchange["code_verifier"].len(), 43);
    // A refresh goes to the same place, for the same server, by the same client.
    thing.world.clock.advance(Duration::from_hours(2));
    thing.world.credential(&finished.name).await.unwrap();
    let refresh = thing.app.asked("/token/mcp")[1].form();
    assert_eq!(refresh["grant_type"], "refresh_token");
    assert_eq!((&refresh["resource"], refresh["client_id"].as_str()), (&resource, "registered-1"));
    // What was found out is no secret that logs would have to hide.
    let credential = thing.world.credential(&finished.name).await.unwrap();
    let secrets: Vec<&[u8]> =
        credential.secrets().iter().map(|one| one.expose().as_slice()).collect();
    assert!(secrets.contains(&b"at-canary-1".as_slice()));
    assert!(!secrets.iter().any(|secret| secret.starts_with(b"{")), "the server's own metadata");
    // It is given back where the server says.
    thing
        .world
        .connect
        .delete_connection(&thing.world.permit(), finished.connection)
        .await
        .unwrap();
    assert_eq!(thing.app.asked("/revoke").len(), 1);
}

async fn another_issuer_is_refused(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Mcp)).await;
    let browser = cookie();
    for iss in
        [None, Some("https://evil.example".to_owned()), Some(format!("{}/x", thing.app.url()))]
    {
        let url = thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.unwrap();
        let answer = Callback { iss, ..thing.agree(Scheme::Mcp, &url) };
        let refused = thing.world.connect.finish(answer, &browser).await.err().unwrap();
        assert!(matches!(refused, FlowError::Issuer { .. }), "{refused}");
    }
    assert_eq!(thing.exchanges(), 0, "no code went anywhere");
}

async fn servers_that_publish_nonsense_are_refused(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let url = thing.app.url();
    let session = thing.session(Thing::session_for(Scheme::Mcp)).await;
    let browser = cookie();
    let protected = |resource: &str, server: &str| {
        Reply::Json(200, json!({ "resource": resource, "authorization_servers": [server] }))
    };
    let server = |name: &str, value: Value| {
        let mut metadata = metadata(&url);
        metadata[name] = value;
        Reply::Json(200, metadata)
    };
    let own = format!("{url}/mcp");
    for (at, reply, wanted) in [
        (PROTECTED, protected("https://other.example/mcp", &url), "another server"),
        (PROTECTED, protected(&format!("{url}/other"), &url), "another server"),
        (PROTECTED, protected(&own, "http://evil.example"), "no usable `issuer`"),
        (PROTECTED, protected(&own, "javascript:alert(1)"), "no usable `issuer`"),
        (PROTECTED, protected(&own, "file:///etc/passwd"), "no usable `issuer`"),
        (SERVER, server("issuer", "https://evil.example".into()), "another issuer"),
        (SERVER, server("code_challenge_methods_supported", json!([])), "PKCE"),
        (SERVER, server("code_challenge_methods_supported", json!(["plain"])), "PKCE"),
        (
            SERVER,
            server("authorization_endpoint", "javascript:alert(1)".into()),
            "no usable `authorization_endpoint`",
        ),
        (
            SERVER,
            server("authorization_endpoint", format!("{url}/a?x={{app_slug}}").into()),
            "no usable",
        ),
        (
            SERVER,
            server("token_endpoint", "http://evil.example/token".into()),
            "no usable `token_endpoint`",
        ),
        (SERVER, server("token_endpoint", json!(null)), "no usable `token_endpoint`"),
        (
            SERVER,
            server("registration_endpoint", json!(null)),
            "no clients that register themselves",
        ),
        (SERVER, Reply::Text(200, "text/html", "<html>".into()), "publishes no metadata"),
        (SERVER, Reply::Json(500, json!({})), "publishes no metadata"),
        (
            "/register",
            Reply::Json(400, json!({ "error": "invalid_redirect_uri" })),
            "invalid_redirect_uri",
        ),
        ("/register", Reply::Json(201, json!({ "client_id": "" })), "names no client"),
        ("/register", Reply::Text(201, "text/html", "<html>".into()), "names no client"),
    ] {
        thing.app.next_at(at, reply);
        let refused =
            thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.err().unwrap();
        assert_eq!(refused.code(), Code::UpstreamFailed, "{refused}");
        let text = refused.public();
        assert!(text.contains(wanted) && !text.contains("<html"), "{wanted}: {text}");
        // What was not asked for is not left for the next round.
        thing.app.clear();
    }
    assert!(clients(&thing).await.is_empty());
    // A server that asks nobody for a token, and one that is not there.
    thing.app.next_at("/mcp", Reply::Json(200, json!({})));
    thing.app.next_at(PROTECTED, Reply::Json(404, json!({})));
    thing.app.next_at(PROTECTED, Reply::Json(404, json!({})));
    let open = thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.err().unwrap();
    assert!(open.public().contains("nothing to sign in to"), "{}", open.public());
    thing.app.next_at("/mcp", Reply::Close);
    let gone = thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.err().unwrap();
    assert_eq!(gone.code(), Code::UpstreamFailed);
    thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.unwrap();
}

async fn a_server_of_the_first_revision_is_its_own_authorization_server(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Mcp)).await;
    let browser = cookie();
    thing.app.next_at("/mcp", Reply::Json(401, json!({})));
    thing.app.next_at(PROTECTED, Reply::Json(404, json!({})));
    thing.app.next_at(PROTECTED, Reply::Json(404, json!({})));
    let url = thing.begin(session.token.expose(), &browser, Scheme::Mcp).await.unwrap();
    assert_eq!(url.path(), "/as/authorize");
    let answer = thing.agree(Scheme::Mcp, &url);
    thing.world.connect.finish(answer, &browser).await.unwrap();
}

async fn a_registration_that_has_ended_is_made_again(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let registration = |id: &str, expires: u64| {
        let given = json!({
            "client_id": id, "client_secret": format!("secret of {id}"),
            "client_secret_expires_at": expires,
        });
        thing.app.next_at("/register", Reply::Json(201, given));
    };
    let begin = async || {
        let session = thing.session(Thing::session_for(Scheme::Mcp)).await;
        let url = thing.begin(session.token.expose(), &cookie(), Scheme::Mcp).await.unwrap();
        query(&url)["client_id"].clone()
    };
    let issuer = thing.app.url();
    let now = causeway_types::Clock::now(&*thing.world.clock).as_secs();
    // Nothing was connected with it: the next takes its place.
    registration("first", now + 3600);
    assert_eq!(begin().await, "first");
    registration("second", now + 40 * 86_400);
    assert_eq!(begin().await, "second");
    assert_eq!(begin().await, "second", "as long as its secret is good");
    assert_eq!(clients(&thing).await, [(issuer.clone(), "second".to_owned())]);
    // Connections work with the client that they were made with, so that one stays.
    let made = thing.link(Scheme::Mcp, Thing::session_for(Scheme::Mcp)).await.unwrap();
    thing.world.clock.advance(Duration::from_hours(39 * 24 + 1));
    registration("third", 0);
    assert_eq!(begin().await, "third");
    let kept = clients(&thing).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.contains(&(issuer, "third".to_owned())), "{kept:?}");
    thing.world.credential(&made.name).await.unwrap();
    let refresh = thing.app.asked("/token/mcp").last().unwrap().form();
    assert_eq!((refresh["grant_type"].as_str(), refresh.get("client_id")), ("refresh_token", None));
    let proof = thing.app.asked("/token/mcp").last().unwrap().header("authorization").to_owned();
    assert!(proof.starts_with("Basic "), "RFC 7591, section 2: the usual way");
}
