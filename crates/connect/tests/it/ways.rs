//! What is particular to each way through the app: what was typed before, what is asked for, what
//! is kept, and what the app may not say.

use crate::standin::Reply;
use crate::thing::{Thing, fields, oauth_params};
use crate::world::cookie;
use causeway_connect::{
    Callback, Choice, CreateError, FlowError, NewOAuthClient, NewSession, Started,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded as _, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both!(
    what_was_typed_goes_into_the_addresses,
    a_renewed_connection_may_get_more_scopes,
    a_session_names_scopes_and_clients,
    a_temporary_token_is_bound_to_its_flow,
    a_server_of_the_old_revision_is_refused,
    an_installation_is_believed_with_proof_only,
    apps_that_need_nothing_are_connected_too,
    client_fields_and_keys_are_checked,
);

fn query(url: &url::Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

async fn what_was_typed_goes_into_the_addresses(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Oauth2)).await;
    let (token, browser) = (session.token.expose(), cookie());
    let start = async |typed: &[(&str, &str)]| {
        let choice =
            Choice { scheme: Some(Scheme::Oauth2), fields: fields(typed), ..Choice::default() };
        thing.world.connect.start(token, &browser, choice).await
    };
    for (typed, field) in [
        (&[][..], "tenant"),
        (&[("tenant", "")], "tenant"),
        (&[("tenant", "a/b")], "tenant"),
        (&[("tenant", "a.evil.example")], "tenant"),
        (&[("tenant", "acme"), ("other", "x")], "fields"),
    ] {
        let refused = start(typed).await.err().unwrap();
        let FlowError::Invalid(input) = refused else { panic!("{refused}") };
        assert_eq!(input.field, field, "{typed:?}");
    }
    // What was copied around it is cut off; a parameter of an empty field is left out.
    let Ok(Started::Browser(url)) = start(&[("tenant", "acme.thing.example/home")]).await else {
        panic!("no URL")
    };
    assert_eq!(url.path(), "/acme/authorize");
    let asked = query(&url);
    assert_eq!((asked["audience"].as_str(), asked["app"].as_str()), ("api/acme", "acme-bot"));
    assert_eq!((asked["app_id"].as_str(), asked["scope"].as_str()), ("id-", "read,write"));
    assert!(!asked.contains_key("version") && !asked.contains_key("client_id"));

    let finished =
        thing.world.connect.finish(thing.agree(Scheme::Oauth2, &url), &browser).await.unwrap();
    assert_eq!(finished.account.as_deref(), Some("Acme"));
    let exchange = &thing.app.asked("/token/acme")[0];
    let form = exchange.form();
    assert_eq!(form["audience"], "api/acme");
    assert_eq!((form["app_id"].as_str(), form["code"].as_str()), ("id-", "code-1"));
    assert!(form.contains_key("code_verifier"));
    // The typed field, the answer's and the way back's are the connection's.
    let credential = thing.world.credential(&finished.name).await.unwrap();
    let auth: Value = serde_json::from_slice(credential.auth().expose()).unwrap();
    assert_eq!(
        auth,
        json!({ "tenant": "acme", "team": "T1", "realm": "R1", "oauth_access_token": "at-canary-1" })
    );
    let row = thing.world.connection(finished.connection).await.unwrap();
    assert_eq!((row.account_id.as_deref(), row.scopes.as_str()), (Some("7"), "read write"));
    // None of it lies about: neither what was typed nor what the flow remembered.
    for file in ["causeway.db", "causeway.db-wal"] {
        // On PostgreSQL there is no such file; its columns are the same.
        let bytes = std::fs::read(thing.world.database.folder().join(file)).unwrap_or_default();
        for secret in ["acme.thing", "code-1", "at-canary-1", "client-canary-secret"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {file}");
        }
    }
}

async fn a_renewed_connection_may_get_more_scopes(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let granted = |scopes: &str| {
        let tokens = json!({ "access_token": "at", "scope": scopes });
        thing.app.next(Reply::Json(200, tokens));
    };
    granted("read,write");
    let first = thing.link(Scheme::Oauth2, Thing::session_for(Scheme::Oauth2)).await.unwrap();
    let renewal = |scopes: &[&str]| NewSession {
        reconnect: Some(first.connection),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..Thing::session_for(Scheme::Oauth2)
    };
    let scopes_of = async |new: NewSession| {
        let session = thing.session(new).await;
        let url = thing.begin(session.token.expose(), &cookie(), Scheme::Oauth2).await.unwrap();
        query(&url)["scope"].clone()
    };
    assert_eq!(scopes_of(renewal(&["admin"])).await, "read,write,admin");
    granted("read write admin");
    let more = thing.link(Scheme::Oauth2, renewal(&["admin"])).await.unwrap();
    assert_eq!((more.connection, more.missing.0.len()), (first.connection, 0));
    let row = thing.world.connection(first.connection).await.unwrap();
    assert_eq!(row.scopes, "read write admin");
    // From now on an ordinary renewal keeps them.
    assert_eq!(scopes_of(renewal(&[])).await, "read,write,admin");
    granted("read write");
    let less = thing.link(Scheme::Oauth2, renewal(&[])).await.unwrap();
    assert_eq!(less.missing.0, ["admin"]);
    assert_eq!(thing.world.connection(first.connection).await.unwrap().scopes, "read write");
    // An app that writes names of its own is not asked for what it may not know.
    granted("https://thing.example/scopes/read openid");
    thing.link(Scheme::Oauth2, renewal(&[])).await.unwrap();
    assert_eq!(scopes_of(renewal(&[])).await, "read,write");
}

async fn a_session_names_scopes_and_clients(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let usual = || Thing::session_for(Scheme::Oauth2);
    let begun = async |new: NewSession| {
        let session = thing.session(new).await;
        let url = thing.begin(session.token.expose(), &cookie(), Scheme::Oauth2).await.unwrap();
        query(&url)
    };
    let profile = NewSession { scope_profile: Some("read_only".into()), ..usual() };
    assert_eq!(begun(profile).await["scope"], "read");
    let beside = NewSession {
        scope_profile: Some("read_only".into()),
        scopes: vec!["extra".into(), "read".into()],
        ..usual()
    };
    assert_eq!(begun(beside).await["scope"], "read,extra");
    let named = NewSession { oauth_client: Some("app".into()), ..usual() };
    assert_eq!(begun(named).await["app_id"], "id-app");
    let clients = thing.world.connect.oauth_clients(&thing.world.permit(), None, 10).await.unwrap();
    let id = clients.items.iter().find(|client| client.name == "app").unwrap().id.to_string();
    // Who names a client by its id has named the app.
    let by_id = NewSession { oauth_client: Some(id), app: None, ..usual() };
    assert_eq!(begun(by_id).await["app_id"], "id-app");

    let code = async |new: NewSession| {
        thing.world.connect.create_session(&thing.world.permit(), new).await.err().unwrap().code()
    };
    for bad in [
        NewSession { scope_profile: Some("nope".into()), ..usual() },
        NewSession { scopes: vec!["a b".into()], ..usual() },
        NewSession { oauth_client: Some("app".into()), app: None, ..usual() },
    ] {
        assert_eq!(code(bad).await, Code::InvalidRequest);
    }
    let unknown = NewSession { oauth_client: Some("nope".into()), ..usual() };
    assert_eq!(code(unknown).await, Code::NotFound);
    let elsewhere =
        NewSession { oauth_client: Some("app".into()), app: Some("github".into()), ..usual() };
    assert_eq!(code(elsewhere).await, Code::NotFound);
}

async fn a_temporary_token_is_bound_to_its_flow(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Oauth1)).await;
    let (token, browser) = (session.token.expose(), cookie());
    let url = thing.begin(token, &browser, Scheme::Oauth1).await.unwrap();
    assert_eq!(url.path(), "/oauth1/authorize");
    let shown = query(&url);
    assert_eq!((shown["oauth_token"].as_str(), shown["perms"].as_str()), ("temp-1", "all"));
    // The verifier of another flow's temporary token: session fixation, advisory 2009-1.
    let answer = thing.agree(Scheme::Oauth1, &url);
    let mut fixed = answer;
    fixed.others.insert("oauth_token".into(), SecretString::new("temp-2".into()));
    let refused = thing.world.connect.finish(fixed, &browser).await.err().unwrap();
    assert_eq!(refused.code(), Code::StateMismatch, "{refused}");
    assert!(thing.app.asked("/oauth1/access").is_empty());

    let url = thing.begin(token, &browser, Scheme::Oauth1).await.unwrap();
    let answer = thing.agree(Scheme::Oauth1, &url);
    let finished = thing.world.connect.finish(answer, &browser).await.unwrap();
    let asked = oauth_params(&thing.app.asked("/oauth1/access")[0]);
    assert_eq!(
        (asked["oauth_token"].as_str(), asked["oauth_verifier"].as_str()),
        ("temp-1", "verifier-1")
    );
    assert_eq!(asked["oauth_consumer_key"], "id-");
    assert!(!asked["oauth_signature"].is_empty());
    let credential = thing.world.credential(&finished.name).await.unwrap();
    let auth: Value = serde_json::from_slice(credential.auth().expose()).unwrap();
    assert_eq!(auth["oauth_access_token"], "at-1");
    assert_eq!((&auth["oauth_access_token_secret"], &auth["user"]), (&json!("as-1"), &json!("U7")));
}

async fn a_server_of_the_old_revision_is_refused(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::Oauth1)).await;
    let (token, browser) = (session.token.expose(), cookie());
    let form = |status, body: &str| {
        Reply::Text(status, "application/x-www-form-urlencoded", body.to_owned())
    };
    for bad in [
        // OAuth 1.0 without the a: it does not confirm the callback.
        form(200, "oauth_token=t&oauth_token_secret=s"),
        form(200, "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=false"),
        form(200, "oauth_token=&oauth_token_secret=s&oauth_callback_confirmed=true"),
        form(200, "<html>Hello</html>"),
        form(401, "Invalid signature for consumer"),
        form(500, "<html>Oops</html>"),
    ] {
        thing.app.next_at("/oauth1", bad);
        let refused = thing.begin(token, &browser, Scheme::Oauth1).await.err().unwrap();
        assert_eq!(refused.code(), Code::AuthorizationRefused, "{refused}");
        assert!(!refused.public().contains("html"), "{}", refused.public());
    }
    thing.app.next_at("/oauth1", Reply::Close);
    let refused = thing.begin(token, &browser, Scheme::Oauth1).await.err().unwrap();
    assert_eq!(refused.code(), Code::UpstreamFailed);
    thing.begin(token, &browser, Scheme::Oauth1).await.unwrap();
}

async fn an_installation_is_believed_with_proof_only(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let begin = async || {
        let session = thing.session(Thing::session_for(Scheme::Installation)).await;
        let browser = cookie();
        let url =
            thing.begin(session.token.expose(), &browser, Scheme::Installation).await.unwrap();
        (thing.agree(Scheme::Installation, &url), browser)
    };
    let with = |callback: Callback, id: &str| Callback {
        others: fields(&[("installation_id", id)]),
        ..callback
    };
    // Without a state, as GitHub sends whoever installs from its marketplace.
    let stateless =
        Callback { others: fields(&[("installation_id", "4711")]), ..Callback::default() };
    let refused = thing.world.connect.finish(stateless, &cookie()).await.err().unwrap();
    assert_eq!(refused.code(), Code::StateMismatch);
    // An installation of somebody else's app: the app's own token is told that it is not there.
    let (callback, browser) = begin().await;
    let refused = thing.world.connect.finish(with(callback, "666"), &browser).await.err().unwrap();
    assert!(matches!(refused, FlowError::NotOurInstallation { .. }), "{refused}");
    // What is no id does not get into a path.
    for bad in ["", "../4711", "4711/x", "47 11", "4711?x=y", "%2e%2e"] {
        let (callback, browser) = begin().await;
        let refused =
            thing.world.connect.finish(with(callback, bad), &browser).await.err().unwrap();
        assert!(matches!(refused, FlowError::InstallationPending { .. }), "{bad}: {refused}");
    }
    assert!(thing.app.asked("/token/install").is_empty(), "no token was asked for");

    let (callback, browser) = begin().await;
    let finished = thing.world.connect.finish(callback, &browser).await.unwrap();
    assert_eq!(finished.account.as_deref(), Some("octo-org"));
    let row = thing.world.connection(finished.connection).await.unwrap();
    assert_eq!(row.account_id.as_deref(), Some("4711"));
    // Another customer who guesses the number gets nothing, the same one may renew it.
    let new = NewSession { customer: "evil".into(), ..Thing::session_for(Scheme::Installation) };
    let refused = thing.link(Scheme::Installation, new).await.err().unwrap();
    assert!(matches!(refused, FlowError::AnothersInstallation { .. }), "{refused}");
    let renewal = NewSession {
        reconnect: Some(finished.connection),
        ..Thing::session_for(Scheme::Installation)
    };
    let renewed = thing.link(Scheme::Installation, renewal).await.unwrap();
    assert_eq!(renewed.connection, finished.connection);
}

async fn apps_that_need_nothing_are_connected_too(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let session = thing.session(Thing::session_for(Scheme::None)).await;
    let (token, browser) = (session.token.expose(), cookie());
    let submit = async |scheme, typed: &[(&str, &str)]| {
        thing.world.submit(token, &browser, scheme, fields(typed)).await
    };
    // A way through the app is not one of typing, and the other way round.
    let refused = submit(Scheme::Oauth2, &[("tenant", "acme")]).await.err().unwrap();
    assert_eq!(refused.code(), Code::UnsupportedScheme);
    for scheme in [Scheme::None, Scheme::ApiKey, Scheme::Basic] {
        let refused = thing.begin(token, &browser, scheme).await.err().unwrap();
        assert_eq!(refused.code(), Code::UnsupportedScheme, "{scheme}");
    }
    let refused = submit(Scheme::None, &[]).await.err().unwrap();
    let FlowError::Create(CreateError::Invalid(input)) = refused else { panic!("{refused}") };
    assert_eq!(input.field, "tenant");
    // This app asks for a credential after all.
    let refused = submit(Scheme::None, &[("tenant", "acme")]).await.err().unwrap();
    assert_eq!(refused.code(), Code::CredentialRefused);
}

async fn client_fields_and_keys_are_checked(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let set = async |client: NewOAuthClient| {
        let client = NewOAuthClient { app: "thing".into(), client_id: "id".into(), ..client };
        thing.world.connect.set_oauth_client(&thing.world.permit(), client).await
    };
    let with = |name: &str, secret: &str, given: &[(&str, &str)]| NewOAuthClient {
        name: name.into(),
        secret: Some(SecretString::new(secret.to_owned())),
        fields: fields(given),
        ..NewOAuthClient::default()
    };
    let slug = [("app_slug", "bot")];
    let broken = thing.key.pem.replace("MII", "AAA");
    for bad in [
        with("x", "secret", &[]),
        with("x", "secret", &[("app_slug", "a b")]),
        with("x", "secret", &[("app_slug", "bot"), ("other", "x")]),
        with("X", "secret", &slug),
        with("oac_01k2m3n4p5q6r7s8t9v0w1x2y3", "secret", &slug),
        with("x", "two\nlines", &slug),
        with("x", &broken, &slug),
        NewOAuthClient { description: "a\nb".into(), ..with("x", "secret", &slug) },
    ] {
        assert_eq!(set(bad).await.unwrap_err().code(), Code::InvalidRequest);
    }
    let made = set(with("second", "secret", &slug)).await.unwrap();
    assert_eq!((made.name.as_str(), made.client_id.as_str()), ("second", "id"));
    let again = NewOAuthClient { description: "For tests.".into(), ..with("second", "new", &slug) };
    let again = set(again).await.unwrap();
    assert_eq!((again.id, again.description.as_str()), (made.id, "For tests."));
    let all = thing.world.connect.oauth_clients(&thing.world.permit(), None, 10).await.unwrap();
    let mut names: Vec<&str> = all.items.iter().map(|client| client.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["", "app", "second"]);
}
