//! What a session and the environment's settings allow: which app, which pages may embed it, where
//! customers are sent, and how a page looks.

use crate::thing::{Thing, fields};
use crate::world::cookie;
use causeway_connect::{
    Callback, Choice, How, LinkError, NewSession, Progress, Settings, Started, Theme,
};
use causeway_identity::{action, authorize};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, Code, Coded as _};

on_both!(
    the_customer_may_choose_the_app,
    a_customer_may_have_several_connections,
    settings_are_kept_and_shown,
    customers_are_sent_to_listed_origins_only,
    a_window_of_its_own_leads_nowhere,
    every_way_to_connect_is_offered,
);

async fn the_customer_may_choose_the_app(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let open = || NewSession { app: None, ..Thing::session_for(Scheme::Oauth2) };
    let session = thing.session(open()).await;
    let (token, browser) = (session.token.expose(), cookie());
    let view = thing.world.connect.open_link(token, &browser, None).await.unwrap();
    assert!(view.app.is_none());
    let slugs: Vec<&str> = view.apps.iter().map(|app| app.slug.as_str()).collect();
    assert!(slugs.contains(&"thing") && slugs.contains(&"github"), "{slugs:?}");
    // Without a client of the company's, an app that has no other way is not offered.
    assert!(!slugs.contains(&"slack"), "{slugs:?}");
    let chosen = thing.world.connect.open_link(token, &browser, Some("thing")).await.unwrap();
    assert_eq!((chosen.app.unwrap().name.as_str(), chosen.apps.len()), ("Thing", 0));
    let nope = thing.world.connect.open_link(token, &browser, Some("<nope>")).await.unwrap_err();
    assert_eq!(nope.code(), Code::UnknownApp);

    let start = async |app: Option<&str>| {
        let choice = Choice {
            app: app.map(str::to_owned),
            scheme: Some(Scheme::Oauth2),
            fields: fields(&[("tenant", "acme")]),
            popup: false,
        };
        thing.world.connect.start(token, &browser, choice).await
    };
    for (app, code) in [(None, Code::UnknownApp), (Some("nope"), Code::UnknownApp)] {
        assert_eq!(start(app).await.err().unwrap().code(), code);
    }
    let Started::Browser(url) = start(Some("thing")).await.unwrap() else { panic!("no URL") };
    let answer = thing.agree(Scheme::Oauth2, &url);
    let finished = thing.world.connect.finish(answer, &browser).await.unwrap();
    assert!(finished.name.starts_with("thing-"), "{}", finished.name);
    let view = thing.world.connect.session(&thing.world.permit(), session.id).await.unwrap();
    assert_eq!(view.connection, Some(finished.connection));

    // A link for one app is for no other.
    let session = thing.session(Thing::session_for(Scheme::Oauth2)).await;
    let other = thing.world.connect.open_link(session.token.expose(), &browser, Some("github"));
    assert!(matches!(other.await.unwrap_err(), LinkError::UnknownApp { .. }));
    // A program that is confined to some apps must name one of them.
    let caller = thing.world.confined(&["thing"]).await;
    let now = thing.world.clock.now();
    let write = || authorize::<action::WriteConnections>(&caller, now).unwrap();
    let denied = thing.world.connect.create_session(&write(), open()).await.err().unwrap();
    assert_eq!(denied.code(), Code::Denied);
    let own = Thing::session_for(Scheme::Oauth2);
    thing.world.connect.create_session(&write(), own).await.unwrap();
}

async fn a_customer_may_have_several_connections(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let new = || Thing::session_for(Scheme::Oauth2);
    let first = thing.link(Scheme::Oauth2, new()).await.unwrap();
    let second = thing.link(Scheme::Oauth2, new()).await.unwrap();
    assert_ne!(first.connection, second.connection);
    let renewal = NewSession { reconnect: Some(first.connection), ..new() };
    let session = thing.session(renewal.clone()).await;
    let view =
        thing.world.connect.open_link(session.token.expose(), &cookie(), None).await.unwrap();
    let shown = view.reconnect.unwrap();
    assert_eq!(
        (shown.name.as_str(), shown.account.as_deref()),
        (first.name.as_str(), Some("Acme"))
    );
    let renewed = thing.link(Scheme::Oauth2, renewal).await.unwrap();
    assert_eq!((renewed.connection, &renewed.name), (first.connection, &first.name));
    // Another way to connect renews it too, in the same place.
    let other = NewSession {
        reconnect: Some(second.connection),
        oauth_client: Some("app".into()),
        ..new()
    };
    let other = thing.link(Scheme::Installation, other).await.unwrap();
    assert_eq!(other.connection, second.connection);
    let row = thing.world.connection(second.connection).await.unwrap();
    assert_eq!(row.scheme, Scheme::Installation);
}

async fn settings_are_kept_and_shown(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let connect = &thing.world.connect;
    let usual = connect.settings(&thing.world.permit()).await.unwrap();
    assert_eq!(usual, Settings::default());
    let link = async || {
        let session = thing.session(Thing::session_for(Scheme::Oauth2)).await;
        connect.open_link(session.token.expose(), &cookie(), None).await.unwrap()
    };
    assert_eq!(link().await.company, "Main", "the project's name");
    let new = Settings {
        company: "Acme Inc.".into(),
        support_email: "help@acme.example".into(),
        theme: Theme { accent: Some("#2f5af5".into()), ..Theme::default() },
        return_origins: vec!["https://app.acme.example".into()],
        credential_export: true,
    };
    let set = connect.set_settings(&thing.world.permit(), new.clone()).await.unwrap();
    assert_eq!(set, new);
    assert_eq!(connect.settings(&thing.world.permit()).await.unwrap(), new);
    let view = link().await;
    assert_eq!(
        (view.company.as_str(), view.support_email.as_str()),
        ("Acme Inc.", "help@acme.example")
    );
    assert_eq!(view.theme, new.theme);
    let rows = thing.world.audit().await;
    let event = rows.iter().find(|row| row.action == "connect_settings_set").unwrap();
    assert!(event.detail.contains(r#""credential_export":true"#), "{}", event.detail);
    assert!(event.detail.contains("return_origins"), "{}", event.detail);

    let environment = thing.world.tenant().environment;
    assert_eq!(connect.company(environment).await.unwrap().as_deref(), Some("Acme Inc."));
    let document = connect.client_metadata(environment).await.unwrap();
    assert_eq!(document["client_name"], "Acme Inc.");
    assert_eq!(document["redirect_uris"][0], crate::world::CALLBACK);
    assert!(document["client_id"].as_str().unwrap().ends_with(&environment.to_string()));

    for bad in [
        Settings { company: "a\nb".into(), ..new.clone() },
        Settings { company: "x".repeat(101), ..new.clone() },
        Settings { support_email: "nobody".into(), ..new.clone() },
        Settings { return_origins: vec!["https://app.example/".into()], ..new.clone() },
        Settings { return_origins: vec!["*".into()], ..new.clone() },
    ] {
        let refused = connect.set_settings(&thing.world.permit(), bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidRequest);
    }
    // Another environment has its own; a confined program sets nobody's.
    let now = thing.world.clock.now();
    let other = authorize(&thing.world.other, now).unwrap();
    assert_eq!(connect.settings(&other).await.unwrap(), Settings::default());
}

async fn customers_are_sent_to_listed_origins_only(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let connect = &thing.world.connect;
    let origins = async |origins: &[&str]| {
        let return_origins = origins.iter().map(|one| (*one).to_owned()).collect();
        let new = Settings { return_origins, ..Settings::default() };
        connect.set_settings(&thing.world.permit(), new).await.unwrap();
    };
    let with = |return_url: &str, error_url: &str| NewSession {
        return_url: Some(return_url.into()),
        error_url: Some(error_url.into()),
        ..Thing::session_for(Scheme::Oauth2)
    };
    let good = "https://app.example/done?x=1";
    let refused = async |new: NewSession| {
        connect.create_session(&thing.world.permit(), new).await.err().unwrap().code()
    };
    // As long as none is listed: every https address, which only the company's programs name.
    thing.session(with(good, "http://localhost:3000/failed")).await;
    for bad in ["http://app.example/", "//app.example/", "javascript:alert(1)", "/done", ""] {
        assert_eq!(refused(with(bad, good)).await, Code::InvalidRequest, "{bad}");
        assert_eq!(refused(with(good, bad)).await, Code::InvalidRequest, "{bad}");
    }
    origins(&["https://app.example"]).await;
    for bad in [
        "https://evil.example/",
        "https://app.example.evil.example/",
        "https://app.example:8443/",
        "https://evil.example/?https://app.example/",
    ] {
        assert_eq!(refused(with(bad, good)).await, Code::InvalidRequest, "{bad}");
        assert_eq!(refused(with(good, bad)).await, Code::InvalidRequest, "{bad}");
    }
    for bad in ["https://a.example/", "*", "https://*.example", "http://a.example"] {
        let new = NewSession { allowed_origins: vec![bad.into()], ..with(good, good) };
        assert_eq!(refused(new).await, Code::InvalidRequest, "{bad}");
    }
    let finished = thing.link(Scheme::Oauth2, with(good, good)).await.unwrap();
    assert_eq!(finished.return_url.as_deref(), Some(good));

    // After a failure, with its code, and only for the browser whose flow it was.
    let session = thing.session(with(good, "https://app.example/failed?y=2")).await;
    let browser = cookie();
    let url = thing.begin(session.token.expose(), &browser, Scheme::Oauth2).await.unwrap();
    let state = thing.agree(Scheme::Oauth2, &url).state;
    let denied = Callback { state: state.clone(), error: Some("no".into()), ..Callback::default() };
    let error = connect.finish(denied, &browser).await.err().unwrap();
    let to = connect.error_url(&state, &browser, &error).await.unwrap();
    assert_eq!(to.as_str(), "https://app.example/failed?y=2&error=authorization_refused");
    assert_eq!(connect.error_url(&state, &cookie(), &error).await, None);
    assert_eq!(connect.error_url("x", &browser, &error).await, None);
    // An origin that is taken off the list counts for links that are out already.
    let url = thing.begin(session.token.expose(), &browser, Scheme::Oauth2).await.unwrap();
    origins(&["https://other.example"]).await;
    assert_eq!(connect.error_url(&state, &browser, &error).await, None);
    let answer = thing.agree(Scheme::Oauth2, &url);
    let finished = connect.finish(answer, &browser).await.unwrap();
    assert_eq!(finished.return_url, None);
}

async fn a_window_of_its_own_leads_nowhere(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let new = NewSession {
        return_url: Some("https://app.example/done".into()),
        error_url: Some("https://app.example/failed".into()),
        ..Thing::session_for(Scheme::Oauth2)
    };
    let session = thing.session(new).await;
    let (token, browser) = (session.token.expose(), cookie());
    let begin = async || {
        let choice = Choice {
            app: None,
            scheme: Some(Scheme::Oauth2),
            fields: fields(&[("tenant", "acme")]),
            popup: true,
        };
        match thing.world.connect.start(token, &browser, choice).await.unwrap() {
            Started::Browser(url) => url,
            Started::Device(_) => panic!("another way"),
        }
    };
    let state = thing.agree(Scheme::Oauth2, &begin().await).state;
    let denied = Callback { state: state.clone(), error: Some("no".into()), ..Callback::default() };
    let error = thing.world.connect.finish(denied, &browser).await.err().unwrap();
    assert_eq!(thing.world.connect.error_url(&state, &browser, &error).await, None);
    let answer = thing.agree(Scheme::Oauth2, &begin().await);
    let finished = thing.world.connect.finish(answer, &browser).await.unwrap();
    assert!(finished.popup);
    // The page that opened the window is told, and leads on.
    let progress = thing.world.connect.progress(token, &browser).await.unwrap();
    let Progress::Connected(told) = progress else { panic!("{progress:?}") };
    assert_eq!((told.connection, told.popup), (finished.connection, false));
    assert_eq!(told.return_url.as_deref(), Some("https://app.example/done"));
}

async fn every_way_to_connect_is_offered(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let ways = async |new: NewSession| {
        let session = thing.session(new).await;
        let view =
            thing.world.connect.open_link(session.token.expose(), &cookie(), None).await.unwrap();
        let ways = view.app.unwrap().schemes;
        ways.into_iter().map(|way| (way.scheme, way.how)).collect::<Vec<_>>()
    };
    assert_eq!(
        ways(Thing::session_for(Scheme::Oauth2)).await,
        [
            (Scheme::Oauth2, How::Browser),
            (Scheme::Device, How::Device),
            (Scheme::Installation, How::Browser),
            (Scheme::Oauth1, How::Browser),
            (Scheme::Mcp, How::Browser),
            (Scheme::None, How::Nothing),
        ]
    );
}
