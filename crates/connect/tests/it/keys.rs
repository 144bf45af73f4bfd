//! Connections by API key and by user name and password, and what lists them.

use crate::world::{World, cookie};
use causeway_connect::{ConnectionFilter, CreateError, How, NewConnection};
use causeway_identity::{action, authorize};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, Code, Coded, SecretString};
use std::collections::BTreeMap;

on_both!(
    a_customer_types_a_key,
    the_company_makes_connections_itself,
    listings_are_paged_and_filtered,
    another_environment_sees_nothing,
    a_program_that_is_confined_to_other_apps_touches_nothing,
);

async fn demo(database: TestDatabase) -> (World, DemoApp) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &app.app_yaml(), (&id, &secret)).await;
    (world, app)
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new((*v).to_owned()))).collect()
}

async fn a_customer_types_a_key(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let session = world.session("demo", "crm").await;
    let (token, browser) = (session.token.expose(), cookie());
    let view = world.connect.open_link(token, &browser, None).await.unwrap();
    let ways: Vec<(Scheme, How)> =
        view.app.unwrap().schemes.iter().map(|way| (way.scheme, way.how)).collect();
    assert_eq!(
        ways,
        [(Scheme::Oauth2, How::Browser), (Scheme::ApiKey, How::Keys), (Scheme::Basic, How::Keys),]
    );
    let submit = |given| world.submit(token, &browser, Scheme::ApiKey, given);
    let refused = submit(fields(&[("api_key", "wrong")])).await.err().unwrap();
    assert_eq!(refused.code(), Code::CredentialRefused);
    for bad in [fields(&[]), fields(&[("api_key", "")]), fields(&[("api_key", "a"), ("x", "y")])] {
        assert_eq!(submit(bad).await.err().unwrap().code(), Code::InvalidRequest);
    }
    let given = fields(&[("api_key", &app.api_key())]);
    let finished = submit(given).await.unwrap();
    let credential = world.credential("crm").await.unwrap();
    assert_eq!(credential.connection(), finished.connection);
    let auth: serde_json::Value = serde_json::from_slice(credential.auth().expose()).unwrap();
    assert_eq!(auth, serde_json::json!({ "api_key": app.api_key() }));
    assert_eq!(credential.secrets()[0].expose(), app.api_key().as_bytes());
    let again = submit(fields(&[("api_key", &app.api_key())])).await.err().unwrap();
    assert_eq!(again.code(), Code::ConnectLinkSpent);
}

async fn the_company_makes_connections_itself(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let new = |name: &str, scheme, fields| NewConnection {
        customer: "acme".into(),
        app: "demo".into(),
        name: Some(name.into()),
        scheme,
        fields,
    };
    let create = |new| async { world.connect.create_connection(&world.permit(), new).await };
    let key = || fields(&[("api_key", &app.api_key())]);
    let made = create(new("crm", Scheme::ApiKey, key())).await.unwrap();
    assert_eq!((made.customer.as_str(), made.name.as_str()), ("acme", "crm"));
    let taken = create(new("crm", Scheme::ApiKey, key())).await.unwrap_err();
    assert!(matches!(taken, CreateError::NameTaken { .. }), "{taken}");
    let oauth = create(new("other", Scheme::Oauth2, key())).await.unwrap_err();
    assert_eq!(oauth.code(), Code::UnsupportedScheme);
    let wrong =
        create(new("other", Scheme::ApiKey, fields(&[("api_key", "no")]))).await.unwrap_err();
    assert_eq!(wrong.code(), Code::CredentialRefused);
    let colon = fields(&[("username", "a:b"), ("password", "c")]);
    let colon = create(new("other", Scheme::Basic, colon)).await.unwrap_err();
    assert_eq!(colon.code(), Code::InvalidRequest);
    for bad in ["conn_1", "With Space", ""] {
        let refused = create(new(bad, Scheme::ApiKey, key())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidRequest, "{bad}");
    }
    assert_eq!(world.audited("connection_created").await, 1);
    let permit = world.permit();
    world.connect.delete_connection(&permit, made.id).await.unwrap();
    let last = world.audit().await.pop().unwrap();
    assert!(last.detail.contains(r#""revoked_upstream":"not offered""#), "{}", last.detail);
}

async fn listings_are_paged_and_filtered(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let permit = world.permit();
    for number in 0..5 {
        world.clock.advance(std::time::Duration::from_millis(1));
        let new = NewConnection {
            customer: if number % 2 == 0 { "even".into() } else { "odd".into() },
            app: "demo".into(),
            name: None,
            scheme: Scheme::ApiKey,
            fields: fields(&[("api_key", &app.api_key())]),
        };
        world.connect.create_connection(&permit, new).await.unwrap();
    }
    let read = world.permit();
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let all = ConnectionFilter::default();
        let page = world.connect.connections(&read, &all, before, 2).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|one| one.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first");
    let filter = ConnectionFilter {
        customer: Some("odd".into()),
        app: Some("demo".into()),
        ..ConnectionFilter::default()
    };
    let odd = world.connect.connections(&read, &filter, None, 100).await.unwrap();
    assert_eq!((odd.items.len(), odd.next), (2, None));
    let filter = ConnectionFilter { app: Some("github".into()), ..ConnectionFilter::default() };
    assert!(world.connect.connections(&read, &filter, None, 100).await.unwrap().items.is_empty());
}

async fn another_environment_sees_nothing(database: TestDatabase) {
    let (world, _app) = demo(database).await;
    let id = world.link_demo("crm").await;
    let read = authorize::<action::ReadConnections>(&world.other, world.clock.now()).unwrap();
    let write = authorize::<action::WriteConnections>(&world.other, world.clock.now()).unwrap();
    let clients = authorize::<action::ManageOAuthClients>(&world.other, world.clock.now()).unwrap();
    let shown = world.connect.connection(&read, id).await.unwrap_err();
    assert_eq!(shown.code(), Code::NotFound);
    let deleted = world.connect.delete_connection(&write, id).await.unwrap_err();
    assert_eq!(deleted.code(), Code::NotFound);
    let all = ConnectionFilter::default();
    assert!(world.connect.connections(&read, &all, None, 10).await.unwrap().items.is_empty());
    assert!(world.connect.oauth_clients(&clients, None, 10).await.unwrap().items.is_empty());
    let own = world.permit();
    let own = world.connect.oauth_clients(&own, None, 10).await.unwrap().items.remove(0);
    let deleted = world.connect.delete_oauth_client(&clients, own.id).await.unwrap_err();
    assert_eq!(deleted.code(), Code::NotFound);
    let tenant = world.other.place().environment().unwrap();
    for reference in ["crm", &id.to_string()] {
        let used = crate::world::credential(&world.connect, tenant, reference).await.err().unwrap();
        assert_eq!(used.code(), Code::NotFound, "{reference}");
    }
    let session = world.session("demo", "another").await;
    let shown = world.connect.session(&read, session.id).await.unwrap_err();
    assert_eq!(shown.code(), Code::NotFound);
    let renewal = causeway_connect::NewSession {
        customer: "acme".into(),
        app: Some("demo".into()),
        reconnect: Some(id),
        ..causeway_connect::NewSession::default()
    };
    let renewed = world.connect.create_session(&write, renewal).await.err().unwrap();
    assert_eq!(renewed.code(), Code::NotFound);
}

async fn a_program_that_is_confined_to_other_apps_touches_nothing(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let id = world.link_demo("crm").await;
    let session = world.session("demo", "another").await;
    let own = world.permit();
    let client = world.connect.oauth_clients(&own, None, 10).await.unwrap().items.remove(0);
    let now = world.clock.now();
    let new_session = |reconnect| causeway_connect::NewSession {
        customer: "acme".into(),
        app: Some("demo".into()),
        reconnect,
        ..causeway_connect::NewSession::default()
    };
    let new_connection = || NewConnection {
        customer: "acme".into(),
        app: "demo".into(),
        name: None,
        scheme: Scheme::ApiKey,
        fields: fields(&[("api_key", &app.api_key())]),
    };
    let new_client = || causeway_connect::NewOAuthClient {
        app: "demo".into(),
        client_id: client.client_id.clone(),
        ..causeway_connect::NewOAuthClient::default()
    };
    for apps in [&[][..], &["github"], &["github", "dem"]] {
        let caller = world.confined(apps).await;
        let read = authorize::<action::ReadConnections>(&caller, now).unwrap();
        let write = authorize::<action::WriteConnections>(&caller, now).unwrap();
        let manage = authorize::<action::ManageOAuthClients>(&caller, now).unwrap();
        let connect = &world.connect;
        // What it names itself is denied to it.
        let denied = [
            connect.create_session(&write, new_session(None)).await.err().unwrap().code(),
            connect.create_session(&write, new_session(Some(id))).await.err().unwrap().code(),
            connect.create_connection(&write, new_connection()).await.err().unwrap().code(),
            connect.set_oauth_client(&manage, new_client()).await.err().unwrap().code(),
        ];
        assert_eq!(denied, [Code::Denied; 4], "{apps:?}");
        // What others have made is not there for it.
        let missing = [
            connect.connection(&read, id).await.err().unwrap().code(),
            connect.session(&read, session.id).await.err().unwrap().code(),
            connect.delete_connection(&write, id).await.err().unwrap().code(),
            connect.delete_oauth_client(&manage, client.id).await.err().unwrap().code(),
        ];
        assert_eq!(missing, [Code::NotFound; 4], "{apps:?}");
        let all = ConnectionFilter::default();
        assert!(connect.connections(&read, &all, None, 10).await.unwrap().items.is_empty());
        assert!(connect.oauth_clients(&manage, None, 10).await.unwrap().items.is_empty());
    }
    // Confined to this one, it may do all of it.
    let caller = world.confined(&["github", "demo"]).await;
    let read = authorize::<action::ReadConnections>(&caller, now).unwrap();
    let write = authorize::<action::WriteConnections>(&caller, now).unwrap();
    let manage = authorize::<action::ManageOAuthClients>(&caller, now).unwrap();
    assert_eq!(world.connect.connection(&read, id).await.unwrap().id, id);
    world.connect.session(&read, session.id).await.unwrap();
    world.connect.create_session(&write, new_session(Some(id))).await.unwrap();
    world.connect.create_connection(&write, new_connection()).await.unwrap();
    world.connect.set_oauth_client(&manage, new_client()).await.unwrap();
    world.connect.delete_connection(&write, id).await.unwrap();
}
