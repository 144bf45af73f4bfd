//! The whole flow against the certified provider, and what is refused on its way.

use crate::browser::Browser;
use crate::world::{CALLBACK, World, access_token, cookie};
use bytes::Bytes;
use causeway_connect::{Callback, FlowError, LinkError};
use causeway_net::RequestLimits;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::entity::ConnectionState;
use causeway_types::{Code, Coded, SecretString};
use data_encoding::BASE64;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use std::time::Duration;
use url::Url;

on_both!(
    a_customer_links_an_account_and_gives_it_up,
    a_state_is_good_once_and_in_its_own_browser,
    a_code_of_another_flow_is_refused,
    a_connection_is_renewed_in_place,
);

async fn a_customer_links_an_account_and_gives_it_up(database: TestDatabase) {
    let (world, provider) = World::with_oidc(database, false).await;
    let session = world.session("oidc", "crm").await;
    let browser = cookie();
    let view = world.connect.open_link(session.token.expose(), &browser, None).await.unwrap();
    assert_eq!((view.app.unwrap().name.as_str(), view.customer.as_str()), ("OIDC Test", "acme"));
    let url = world.begin(session.token.expose(), &browser).await.unwrap();
    let shown: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let wanted =
        "response_type client_id redirect_uri state scope code_challenge code_challenge_method";
    assert_eq!(shown.join(" "), wanted);
    let callback = Browser::new(&world.http).follow(url, &callback_url()).await;
    let finished = world.connect.finish(callback, &browser).await.unwrap();
    assert_eq!((finished.name.as_str(), finished.missing.0.len()), ("crm", 0));

    // The token works, and stands nowhere in clear.
    let credential = world.credential("crm").await.unwrap();
    let token = access_token(&credential);
    assert_eq!(world.get(&format!("{}/me", provider.url()), &token).await, 200);
    assert_eq!(credential.secrets().len(), 2);
    let by_id = world.credential(&finished.connection.to_string()).await.unwrap();
    assert_eq!(access_token(&by_id), token);
    let row = world.connection(finished.connection).await.unwrap();
    assert_eq!(
        (row.state, row.scopes.as_str()),
        (ConnectionState::Healthy, "openid email profile")
    );
    assert!(row.refresh_at.unwrap() < row.expires_at.unwrap());
    let sealed = row.credential.as_bytes();
    assert!(!sealed.windows(token.len()).any(|window| window == token.as_bytes()));

    let link = session.token.expose().trim_start_matches("cwl_");
    for file in ["causeway.db", "causeway.db-wal"] {
        // On PostgreSQL there is no such file; its columns are the same.
        let bytes = std::fs::read(world.database.folder().join(file)).unwrap_or_default();
        for secret in [token.as_str(), link, CLIENT_SECRET] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {file}");
        }
    }

    // Rotation: another access token, and the same connection.
    world.clock.advance(Duration::from_hours(2));
    let renewed = access_token(&world.credential("crm").await.unwrap());
    assert_ne!(renewed, token);
    assert_eq!(world.get(&format!("{}/me", provider.url()), &renewed).await, 200);
    assert_eq!(world.counts(&provider).await.refresh, 1);

    // Deletion: the provider says that the tokens are dead, and the record is gone.
    assert!(is_active(&world, &provider, &renewed).await);
    let permit = world.permit();
    world.connect.delete_connection(&permit, finished.connection).await.unwrap();
    assert!(!is_active(&world, &provider, &renewed).await);
    assert_eq!(world.get(&format!("{}/me", provider.url()), &renewed).await, 401);
    assert!(world.connection(finished.connection).await.is_none());
    let gone = world.credential("crm").await.err().unwrap();
    assert_eq!(gone.code(), Code::NotFound);

    let audit = world.audit().await;
    let actions: Vec<&str> = audit.iter().map(|row| row.action.as_str()).collect();
    let wanted = [
        "workspace_created",
        "api_key_created",
        "oauth_client_set",
        "connect_session_created",
        "connection_created",
        "connection_refreshed",
        "connection_state_changed",
        "connection_deleted",
    ];
    assert_eq!(actions, wanted);
    assert!(audit.last().unwrap().detail.contains(r#""revoked_upstream":"yes""#));
    assert_eq!(audit[4].actor, session.id.to_string(), "the customer made it");
}

async fn a_state_is_good_once_and_in_its_own_browser(database: TestDatabase) {
    let (world, _provider) = World::with_oidc(database, false).await;
    let session = world.session("oidc", "crm").await;
    let (mine, theirs) = (cookie(), cookie());
    let token = session.token.expose();
    let url = world.begin(token, &mine).await.unwrap();
    let other = world.begin(token, &theirs).await.err().unwrap();
    assert!(matches!(other, FlowError::Link(LinkError::OtherBrowser)), "{other}");

    let callback = Browser::new(&world.http).follow(url, &callback_url()).await;
    let again = |state: &str| Callback { state: state.to_owned(), ..copy(&callback) };
    // A forged state, one with a changed signature, one of another flow's shape.
    let real = callback.state.clone();
    let mut forged = real.clone();
    forged.replace_range(real.len() - 4.., "AAAA");
    for bad in ["", "x", forged.as_str(), &real[..real.len() - 1], &format!("{real}.x")] {
        let refused = world.connect.finish(again(bad), &mine).await.err().unwrap();
        assert_eq!(refused.code(), Code::StateMismatch, "{bad}");
    }
    let refused = world.connect.finish(again(&real), &theirs).await.err().unwrap();
    assert_eq!(refused.code(), Code::StateMismatch, "another browser");

    // The right browser is not hindered by these tries, once.
    world.connect.finish(again(&real), &mine).await.unwrap();
    let replay = world.connect.finish(again(&real), &mine).await.err().unwrap();
    assert_eq!(replay.code(), Code::StateMismatch, "a replay");
    let used = world.connect.open_link(token, &mine, None).await.err().unwrap();
    assert!(matches!(used, LinkError::Used), "{used}");
}

async fn a_code_of_another_flow_is_refused(database: TestDatabase) {
    let (world, provider) = World::with_oidc(database, false).await;
    let (victim, attacker) =
        (world.session("oidc", "victim").await, world.session("oidc", "attacker").await);
    let (mine, theirs) = (cookie(), cookie());
    let url = world.begin(victim.token.expose(), &mine).await.unwrap();
    let own = Browser::new(&world.http).follow(url, &callback_url()).await;
    let url = world.begin(attacker.token.expose(), &theirs).await.unwrap();
    let injected = Browser::new(&world.http).follow(url, &callback_url()).await;
    let mixed = Callback { code: injected.code, ..copy(&own) };
    let refused = world.connect.finish(mixed, &mine).await.err().unwrap();
    let FlowError::TokenRefused { sentence, .. } = &refused else { panic!("{refused}") };
    assert!(sentence.contains("`invalid_grant`"), "{sentence}");
    assert_eq!(world.counts(&provider).await.code, 0, "no code was exchanged");

    // The state is used up; the link is not, so the customer can start over.
    let refused = world.connect.finish(own, &mine).await.err().unwrap();
    assert_eq!(refused.code(), Code::StateMismatch);
    let url = world.begin(victim.token.expose(), &mine).await.unwrap();
    let callback = Browser::new(&world.http).follow(url, &callback_url()).await;
    // An answer of another authorization server (RFC 9207).
    let foreign = Callback { iss: Some("https://evil.example".into()), ..copy(&callback) };
    let refused = world.connect.finish(foreign, &mine).await.err().unwrap();
    assert!(matches!(refused, FlowError::Issuer { .. }), "{refused}");
}

async fn a_connection_is_renewed_in_place(database: TestDatabase) {
    let (world, _provider) = World::with_oidc(database, false).await;
    let id = world.link_oidc("crm").await;
    let before = world.connection(id).await.unwrap();
    let new = causeway_connect::NewSession {
        customer: "acme".into(),
        app: Some("oidc".into()),
        reconnect: Some(id),
        return_url: Some("https://acme.example/done".into()),
        ..causeway_connect::NewSession::default()
    };
    let permit = world.permit();
    let session = world.connect.create_session(&permit, new).await.unwrap();
    let browser = cookie();
    let url = world.begin(session.token.expose(), &browser).await.unwrap();
    let callback = Browser::new(&world.http).follow(url, &callback_url()).await;
    let finished = world.connect.finish(callback, &browser).await.unwrap();
    assert_eq!((finished.connection, finished.name.as_str()), (id, "crm"));
    assert_eq!(finished.return_url.as_deref(), Some("https://acme.example/done"));
    let after = world.connection(id).await.unwrap();
    assert_eq!((after.fence, after.created_at), (before.fence + 1, before.created_at));
    assert_ne!(after.credential, before.credential);
    assert_eq!(world.audited("connection_reconnected").await, 1);
    let view = world.connect.session(&world.permit(), session.id).await.unwrap();
    assert_eq!(view.connection, Some(id));
}

fn callback_url() -> Url {
    CALLBACK.parse().unwrap()
}

fn copy(callback: &Callback) -> Callback {
    Callback {
        state: callback.state.clone(),
        code: callback.code.as_ref().map(|code| SecretString::new(code.expose().clone())),
        error: callback.error.clone(),
        error_description: callback.error_description.clone(),
        iss: callback.iss.clone(),
        ..Callback::default()
    }
}

/// What the provider's introspection endpoint says (RFC 7662).
pub(crate) async fn is_active(world: &World, provider: &OidcProvider, token: &str) -> bool {
    let proof = BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
    let request = Request::post(format!("{}/token/introspection", provider.url()))
        .header(AUTHORIZATION, format!("Basic {proof}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(format!("token={token}")))
        .unwrap();
    let response = world.http.request(request, RequestLimits::default()).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    body["active"].as_bool().unwrap()
}
