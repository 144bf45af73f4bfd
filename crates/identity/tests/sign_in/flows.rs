//! The round trip: states, browsers, realms, issuers, return paths, step-up.

use crate::issuer::{self, Issuer};
use crate::world::{World, new_provider, query_of};
use causeway_identity::{Arrived, Purpose, Refusal, SignInError};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::ProviderKind;
use causeway_types::{Clock as _, Code, Coded as _, INSTALLATION, ProviderId, WorkspaceId};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use std::time::Duration;

on_both!(
    the_request_is_what_the_standards_ask_for,
    the_code_is_exchanged_with_the_client_and_the_verifier,
    a_state_works_once_for_its_browser_and_its_time,
    a_forged_state_is_refused,
    an_answer_belongs_to_its_provider,
    an_answer_belongs_to_its_realm,
    the_issuer_in_the_answer_is_checked,
    what_the_provider_refuses_is_refused,
    only_local_paths_are_returned_to,
    discovery_must_fit_the_issuer,
    a_step_up_gives_a_fresh_proof_and_a_new_cookie,
    a_step_up_is_for_the_same_person_and_needs_a_fresh_proof,
    flows_that_are_over_are_pruned,
);

/// The state in an answer.
fn state_of(query: &str) -> &str {
    query.strip_prefix("state=").unwrap().split_once('&').unwrap().0
}

async fn the_request_is_what_the_standards_ask_for(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let person = world.person();
    let visit = person.visit();
    let begin = || world.sign_in.begin(Purpose::SignIn { provider }, &visit, "/");
    let (one, two) = (begin().await.unwrap(), begin().await.unwrap());
    assert!(one.as_str().starts_with(&format!("{}/authorize?", issuer.url())));
    let (one, two) = (query_of(&one), query_of(&two));
    for (name, value) in [
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("client_id", issuer::CLIENT_ID),
        ("redirect_uri", "http://127.0.0.1:9/auth/callback"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(one[name], two[name], "{name}");
    }
    for name in ["prompt", "max_age", "acr_values", "hd"] {
        assert!(!one.contains_key(name), "{name}");
    }
    let unknown = ProviderId::lowest();
    let error = world.sign_in.begin(Purpose::SignIn { provider: unknown }, &visit, "/").await;
    assert_eq!(error.unwrap_err().code(), Code::NotFound);
}

async fn the_code_is_exchanged_with_the_client_and_the_verifier(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let person = world.person();
    let url = world.sign_in.begin(Purpose::SignIn { provider }, &person.visit(), "/a?b=c#d").await;
    let asked = query_of(&url.unwrap());
    issuer.prepare(world.clock.now().as_secs());
    issuer.claim(json!({ "nonce": asked["nonce"] }));
    let query = format!("state={}&code=the+code", asked["state"]);
    let done = world.back(&query, &person).await.unwrap();
    assert_eq!((done.arrived, done.return_path.as_str()), (Arrived::SignedIn, "/a?b=c#d"));
    let sent = issuer.last_exchange();
    // Without a word on it, the default is `client_secret_basic`, both halves form-encoded.
    assert_eq!(
        sent["authorization"],
        "causeway+at+the+hostile+issuer:hostile%3Acanary%26client%3Dsecret"
    );
    assert_eq!(
        (sent["grant_type"].as_str(), sent["code"].as_str()),
        ("authorization_code", "the code")
    );
    assert_eq!(sent["redirect_uri"], asked["redirect_uri"]);
    let hash =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, sent["code_verifier"].as_bytes());
    assert_eq!(BASE64URL_NOPAD.encode(hash.as_ref()), asked["code_challenge"]);

    let issuer = Issuer::start().await;
    issuer.plan(|plan| {
        let methods = ["private_key_jwt", "client_secret_post"];
        plan.metadata = json!({ "token_endpoint_auth_methods_supported": methods });
    });
    issuer.claim(json!({ "sub": "ada-at-the-second" }));
    let second = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
    world.through(&issuer, Purpose::SignIn { provider: second }, &person).await.unwrap();
    let sent = issuer.last_exchange();
    assert!(!sent.contains_key("authorization"));
    assert_eq!(sent["client_secret"], issuer::CLIENT_SECRET);
    assert_eq!(sent["client_id"], issuer::CLIENT_ID);
}

async fn a_state_works_once_for_its_browser_and_its_time(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let (ada, eve) = (world.person(), world.person());
    let purpose = Purpose::SignIn { provider };
    let query = world.begin_at(&issuer, purpose, &ada).await;
    // Another browser neither comes in with the answer nor spoils it.
    let refusal = world.refused(INSTALLATION, world.back(&query, &eve).await).await;
    assert_eq!(refusal, Refusal::Browser);
    assert!(world.back(&query, &ada).await.is_ok());
    let refusal = world.refused(INSTALLATION, world.back(&query, &ada).await).await;
    assert_eq!(refusal, Refusal::Spent, "replayed");
    assert_eq!(issuer.asked("/token"), 2, "the claim and one sign-in");

    let query = world.begin_at(&issuer, purpose, &ada).await;
    world.clock.advance(Duration::from_mins(10));
    let refusal = world.refused(INSTALLATION, world.back(&query, &ada).await).await;
    assert_eq!(refusal, Refusal::Spent, "expired");

    // A failed exchange uses the flow up, too.
    let query = world.begin_at(&issuer, purpose, &ada).await;
    issuer.plan(|plan| plan.error = Some("invalid_grant"));
    let refusal = world.refused(INSTALLATION, world.back(&query, &ada).await).await;
    assert_eq!(refusal, Refusal::Code);
    issuer.plan(|plan| plan.error = None);
    let refusal = world.refused(INSTALLATION, world.back(&query, &ada).await).await;
    assert_eq!(refusal, Refusal::Spent);

    // Two answers at once: one comes in.
    let query = world.begin_at(&issuer, purpose, &ada).await;
    let (one, two) = tokio::join!(world.back(&query, &ada), world.back(&query, &ada));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
}

async fn a_forged_state_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let (mut ada, mut eve) = (world.person(), world.person());
    let query = world.begin_at(&issuer, Purpose::SignIn { provider }, &ada).await;
    let state = state_of(&query);
    let (flow, signature) = state.split_once('.').unwrap();
    let other = world.begin_at(&issuer, Purpose::SignIn { provider }, &eve).await;
    let (other_flow, _) = state_of(&other).split_once('.').unwrap();
    let zero = "A".repeat(43);
    for forged in [
        String::new(),
        "state=".into(),
        "state=x".into(),
        "code=any".into(),
        format!("code=any&state={flow}"),
        format!("code=any&state={flow}."),
        format!("code=any&state={flow}.{zero}"),
        format!("code=any&state={other_flow}.{signature}"),
        format!("code=any&state={flow}.{signature}x"),
        format!("code=any&state={state}&state={state}"),
        format!("code=any&state=sif_00000000000000000000000000.{signature}"),
    ] {
        // Each from an address of its own, so that only the state is in question.
        (ada.address, eve.address) = (world.person().address, world.person().address);
        let refusal = world.refused(INSTALLATION, world.back(&forged, &ada).await).await;
        assert_eq!(refusal, Refusal::State, "{forged}");
    }
    let text = world.back("state=x", &eve).await.map(|_| ()).unwrap_err();
    assert_eq!(text.code(), Code::SignInFailed);
    let spent = world.back(&query, &eve).await.map(|_| ()).unwrap_err();
    assert_eq!(spent.public(), text.public(), "the reason is not told");
    assert!(world.back(&query, &ada).await.is_ok(), "the flow itself is unharmed");
}

async fn an_answer_belongs_to_its_provider(database: TestDatabase) {
    let (world, honest, provider) = World::with_issuer(database).await;
    let hostile = Issuer::start().await;
    let evil = world.add_provider(new_provider(&hostile, ProviderKind::Oidc)).await.id;
    let ada = world.person();
    // A code of one provider with a state of the other goes to the other, with its own verifier
    // and its own nonce: what the honest provider issued for one client id is refused there, and
    // a token of the honest one is not taken for one of the hostile one.
    let query = world.begin_at(&hostile, Purpose::SignIn { provider: evil }, &ada).await;
    hostile.claim(json!({ "iss": honest.url() }));
    let refusal = world.refused(INSTALLATION, world.back(&query, &ada).await).await;
    assert_eq!(refusal, Refusal::TokenIssuer);
    assert_eq!(world.last(INSTALLATION, "sign_in_refused").await["provider"], evil.to_string());
    let query = world.begin_at(&honest, Purpose::SignIn { provider }, &ada).await;
    let mixed = format!("{query}&iss={}", hostile.url());
    let refusal = world.refused(INSTALLATION, world.back(&mixed, &ada).await).await;
    assert_eq!(refusal, Refusal::Issuer);
}

async fn an_answer_belongs_to_its_realm(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let own = Issuer::start().await;
    let row = world.add_provider_of(&ada, workspace, new_provider(&own, ProviderKind::Oidc)).await;
    let person = world.person();
    let url = world
        .sign_in
        .begin(Purpose::SignIn { provider: row.id }, &person.visit(), "/")
        .await
        .unwrap();
    let callback = world.sign_in.callback_url(workspace);
    assert_eq!(callback.as_str(), format!("http://127.0.0.1:9/auth/callback/{workspace}"));
    assert_eq!(query_of(&url)["redirect_uri"], callback.as_str());
    // The workspace's flow comes back to the installation's callback: as if its provider had sent
    // the browser on to one of the installation's.
    let query = world.begin_at(&own, Purpose::SignIn { provider: row.id }, &person).await;
    let refusal = world.refused(workspace, world.back(&query, &person).await).await;
    assert_eq!(refusal, Refusal::Realm);
    let query = world.begin_at(&issuer, Purpose::SignIn { provider }, &person).await;
    let result = world.back_to(workspace, &query, &person).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Realm);
    let query = world.begin_at(&issuer, Purpose::SignIn { provider }, &person).await;
    let nowhere = WorkspaceId::generate(world.clock.now(), &causeway_types::OsRandom);
    let result = world.back_to(nowhere, &query, &person).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Realm);
}

async fn the_issuer_in_the_answer_is_checked(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let purpose = Purpose::SignIn { provider };
    let person = world.person();
    let query = world.begin_at(&issuer, purpose, &person).await;
    assert!(world.back(&format!("{query}&iss={}", issuer.url()), &person).await.is_ok());
    for wrong in ["", "https://evil.example", &format!("{}/", issuer.url())] {
        let query = world.begin_at(&issuer, purpose, &person).await;
        let result = world.back(&format!("{query}&iss={wrong}"), &person).await;
        assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Issuer, "{wrong}");
    }
    // An issuer that says that it names itself must.
    world.clock.advance(Duration::from_hours(2));
    issuer.plan(|plan| {
        plan.metadata = json!({ "authorization_response_iss_parameter_supported": true });
    });
    let query = world.begin_at(&issuer, purpose, &person).await;
    let result = world.back(&query, &person).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Issuer);
    let query = world.begin_at(&issuer, purpose, &person).await;
    let errors = format!("error=access_denied&state={}", state_of(&query));
    let result = world.back(&errors, &person).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Issuer, "errors too");
}

async fn what_the_provider_refuses_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let purpose = Purpose::SignIn { provider };
    let person = world.person();
    for (answer, refusal) in [
        ("error=access_denied&error_description=<script>", Refusal::Denied),
        ("error=", Refusal::Denied),
        ("error=access_denied&code=any", Refusal::Denied),
        ("", Refusal::NoCode),
        ("code=", Refusal::NoCode),
    ] {
        let query = world.begin_at(&issuer, purpose, &person).await;
        let state = state_of(&query);
        let result = world.back(&format!("{answer}&state={state}"), &person).await;
        assert_eq!(world.refused(INSTALLATION, result).await, refusal, "{answer}");
    }
    assert_eq!(issuer.asked("/token"), 1, "only the claim");
}

async fn only_local_paths_are_returned_to(database: TestDatabase) {
    let (world, _issuer, provider) = World::with_issuer(database).await;
    let person = world.person();
    for path in
        ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""]
    {
        let result = world.sign_in.begin(Purpose::SignIn { provider }, &person.visit(), path).await;
        let error = result.unwrap_err();
        assert!(matches!(error, SignInError::ReturnPath), "{path:?}");
        assert_eq!(error.code(), Code::InvalidRequest);
    }
}

async fn discovery_must_fit_the_issuer(database: TestDatabase) {
    let world = World::new(database).await;
    for metadata in [
        json!({ "issuer": "https://accounts.google.com" }),
        json!({ "issuer": null }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": "ftp://127.0.0.1/" }),
        json!({ "token_endpoint": "not a url" }),
        json!({ "jwks_uri": null }),
        json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] }),
    ] {
        let issuer = Issuer::start().await;
        issuer.plan(|plan| plan.metadata = metadata.clone());
        let provider = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
        let person = world.person();
        let begun = world.sign_in.begin(Purpose::SignIn { provider }, &person.visit(), "/").await;
        let error = begun.unwrap_err();
        assert_eq!(error.code(), Code::UpstreamFailed, "{metadata}");
        assert!(!error.public().contains("127.0.0.1"), "{}", error.public());
        // Room for the next one.
        let count = crate::world::forget_providers(&world).await;
        assert_eq!(count, 1);
    }
}

async fn a_step_up_gives_a_fresh_proof_and_a_new_cookie(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let mut ada = world.ada(&issuer, provider).await;
    let first = ada.cookie().to_owned();
    world.clock.advance(Duration::from_mins(30));
    let url = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/keys").await.unwrap();
    let asked = query_of(&url);
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));
    let now = world.clock.now().as_secs();
    issuer.prepare(now);
    issuer.claim(json!({ "auth_time": now, "amr": ["pwd", "otp"] }));
    let query = format!("state={}&code={}", asked["state"], asked["nonce"]);
    let done = world.back(&query, &ada).await.unwrap();
    assert_eq!((done.arrived, done.return_path.as_str()), (Arrived::SteppedUp, "/keys"));
    ada.take(&done);
    let sessions = world.sign_in.sessions();
    assert!(sessions.who(&first).await.is_err(), "the old cookie is dead");
    let me = sessions.who(ada.cookie()).await.unwrap();
    assert!(me.session.mfa);
    assert_eq!(me.session.authenticated_at.as_secs(), now);
    assert_eq!(me.session.expires_at, done.expires_at, "the end stays where it was");
    assert_eq!(sessions.list(ada.cookie()).await.unwrap().len(), 2, "the claim's session too");
    let workspace = world.workspace().await;
    for chain in [INSTALLATION, workspace] {
        let event = world.last(chain, "stepped_up").await;
        assert_eq!(event["session"], me.session.id.to_string());
    }
}

async fn a_step_up_is_for_the_same_person_and_needs_a_fresh_proof(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let mut ada = world.ada(&issuer, provider).await;
    let now = world.clock.now().as_secs();
    let stranger = json!({ "sub": "subject-2", "email": "eve@example.com", "auth_time": now });
    for (claims, refusal) in [
        (json!({}), Refusal::Stale),
        (json!({ "auth_time": now - 3600 }), Refusal::Stale),
        (json!({ "auth_time": now + 3600 }), Refusal::Stale),
        (stranger, Refusal::AnotherPerson),
        (json!({ "sub": "subject-2", "auth_time": now }), Refusal::AnotherSubject),
    ] {
        issuer.claim(claims.clone());
        ada.address = world.person().address;
        let result = world.through(&issuer, Purpose::StepUp, &ada).await;
        assert_eq!(world.refused(INSTALLATION, result).await, refusal, "{claims}");
    }
    let sessions = world.sign_in.sessions();
    assert!(sessions.who(ada.cookie()).await.is_ok(), "the session is as it was");
    // A session that ends in between is not brought back.
    issuer.claim(json!({ "auth_time": now }));
    let query = world.begin_at(&issuer, Purpose::StepUp, &ada).await;
    sessions.sign_out(ada.cookie()).await.unwrap();
    let error = world.back(&query, &ada).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let begun = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/").await;
    assert_eq!(begun.unwrap_err().code(), Code::Unauthenticated);
    let begun = world.sign_in.begin(Purpose::StepUp, &world.person().visit(), "/").await;
    assert_eq!(begun.unwrap_err().code(), Code::Unauthenticated);
}

async fn flows_that_are_over_are_pruned(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let person = world.person();
    let query = world.begin_at(&issuer, Purpose::SignIn { provider }, &person).await;
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.sign_in.prune().await.unwrap().flows, 0);
    world.clock.advance(Duration::from_mins(6));
    assert_eq!(world.sign_in.prune().await.unwrap().flows, 2, "the claim's and this one");
    let refusal = world.refused(INSTALLATION, world.back(&query, &person).await).await;
    assert_eq!(refusal, Refusal::State);
    assert_eq!(world.sign_in.prune().await.unwrap().sessions, 0);
    world.clock.advance(Duration::from_hours(24 * 9));
    assert_eq!(world.sign_in.prune().await.unwrap().sessions, 1);
}
