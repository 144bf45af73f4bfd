//! Providers' records, and the real counterparts: npm's `oidc-provider`, the stand-in of GitHub.

use crate::world::{CALLBACK, World};
use bytes::Bytes;
use causeway_identity::{
    Arrived, NewProvider, ProviderChange, ProviderError, Purpose, Refusal, SignInError, action,
    authorize,
};
use causeway_net::RequestLimits;
use causeway_simulators::{GithubAccount, GithubEmail, GithubOptions, GithubStandIn};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::oidc_provider::OidcProvider;
use causeway_types::entity::ProviderKind;
use causeway_types::{Clock as _, Code, Coded as _, INSTALLATION, ProviderId, SecretString};
use serde_json::{Value, json};

on_both!(
    the_certified_provider_signs_people_in,
    the_certified_provider_steps_up,
    githubs_stand_in_signs_people_in,
    githubs_addresses_must_be_verified,
    githubs_codes_and_secrets_are_checked,
    providers_are_made_changed_and_deleted,
    providers_that_cannot_be_are_refused,
);

/// Tells the certified provider whom to sign in next.
async fn identity(world: &World, server: &OidcProvider, identity: Value) {
    let request = http::Request::put(format!("{}/test/identity", server.url()))
        .body(Bytes::from(identity.to_string()))
        .unwrap();
    let answer = world.http.request(request, RequestLimits::default()).await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::NO_CONTENT);
}

async fn the_certified_provider_signs_people_in(database: TestDatabase) {
    let (world, server, provider) = World::with_oidc(database, ProviderKind::Google).await;
    let token = world.claim_token().await;
    identity(&world, &server, json!({ "hd": "example.com", "amr": ["pwd", "otp", "mfa"] })).await;
    let mut ada = world.person();
    let purpose = Purpose::Claim { provider, token: &token };
    let url = world.sign_in.begin(purpose, &ada.visit(), "/hello").await.unwrap();
    let query = ada.web.follow(url).await;
    assert!(query.contains("iss="), "it names itself (RFC 9207): {query}");
    let done = world.back(&query, &ada).await.unwrap();
    assert!(matches!(done.arrived, Arrived::Claimed { .. }));
    ada.take(&done);
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    assert_eq!((me.user.email.as_str(), me.user.name.as_str()), ("ada@example.com", "Ada"));
    assert!(me.session.mfa);
    let workspace = world.workspace().await;
    let demand = json!({ "domains": ["example.com"], "mfa": true });
    world.store_rules(workspace, &demand.to_string()).await;
    world.caller(&ada, workspace).await;

    // The same account without its company, without a second factor, without a verified address.
    for (who, answer) in [
        (json!({ "sub": "bob", "email": "bob@example.com", "amr": ["mfa"] }), Code::SsoRequired),
        (
            json!({ "sub": "cem", "email": "cem@example.com", "hd": "example.com", "amr": ["pwd"] }),
            Code::SsoRequired,
        ),
        (
            json!({ "sub": "eve", "email": "ada@example.com", "email_verified": false }),
            Code::SignInFailed,
        ),
        (
            json!({ "sub": "mal", "email": "ada@example.com", "hd": "example.com" }),
            Code::SignInFailed,
        ),
    ] {
        world.prepare_once(workspace, who["email"].as_str().unwrap()).await;
        identity(&world, &server, who.clone()).await;
        let mut person = world.person();
        let purpose = Purpose::SignIn { provider };
        let url = world.sign_in.begin(purpose, &person.visit(), "/").await.unwrap();
        let query = person.web.follow(url).await;
        let error = world.back(&query, &person).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code(), answer, "{who}: {error}");
    }

    // Google can only be asked which account is meant: a step-up is another round trip.
    let url = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/").await.unwrap();
    let asked = crate::world::query_of(&url);
    assert_eq!(asked["prompt"], "select_account");
    assert!(!asked.contains_key("max_age"));
    let query = ada.web.follow(url).await;
    let done = world.back(&query, &ada).await.unwrap();
    assert_eq!(done.arrived, Arrived::SteppedUp);
    ada.take(&done);

    // A code of one sign-in in the answer of another: the verifier is not its own.
    identity(&world, &server, json!({ "hd": "example.com", "amr": ["mfa"] })).await;
    let (mut one, mut two) = (world.person(), world.person());
    let purpose = Purpose::SignIn { provider };
    let url = world.sign_in.begin(purpose, &one.visit(), "/").await.unwrap();
    let stolen = one.web.follow(url).await;
    let url = world.sign_in.begin(purpose, &two.visit(), "/").await.unwrap();
    let own = two.web.follow(url).await;
    let part = |query: &str, name: &str| {
        query.split('&').find(|part| part.starts_with(name)).unwrap().to_owned()
    };
    let mixed = own.replace(&part(&own, "code="), &part(&stolen, "code="));
    let result = world.back(&mixed, &two).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Code);
}

async fn the_certified_provider_steps_up(database: TestDatabase) {
    let (world, server, provider) = World::with_oidc(database, ProviderKind::Oidc).await;
    let token = world.claim_token().await;
    // Ada proved at the provider two hours ago who she is, and is still signed in there.
    identity(&world, &server, json!({ "age": 7200 })).await;
    let mut ada = world.person();
    let purpose = Purpose::Claim { provider, token: &token };
    let url = world.sign_in.begin(purpose, &ada.visit(), "/").await.unwrap();
    let query = ada.web.follow(url).await;
    let done = world.back(&query, &ada).await.unwrap();
    ada.take(&done);
    let workspace = world.workspace().await;
    let caller = world.caller(&ada, workspace).await;
    let denied = authorize::<action::ManageSso>(&caller, world.clock.now()).err().unwrap();
    assert_eq!(denied.code(), Code::StepUpRequired);
    // A provider that lets her pass without asking again is not enough.
    let url = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/").await.unwrap();
    let query = ada.web.follow(url).await;
    let result = world.back(&query, &ada).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Stale);
    // It asks again, and says so.
    identity(&world, &server, json!({ "acr": "urn:example:mfa", "amr": ["pwd"] })).await;
    let url = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/keys").await.unwrap();
    let query = ada.web.follow(url).await;
    let done = world.back(&query, &ada).await.unwrap();
    assert_eq!((done.arrived, done.return_path.as_str()), (Arrived::SteppedUp, "/keys"));
    ada.take(&done);
    world.permit::<action::ManageSso>(&ada, workspace).await;
    let demand = json!({ "mfa": true, "acr": ["urn:example:mfa"] });
    world.store_rules(workspace, &demand.to_string()).await;
    world.caller(&ada, workspace).await;
}

fn account(id: u64, emails: Vec<GithubEmail>) -> GithubAccount {
    GithubAccount { id, login: "ada".into(), name: Some("Ada Lovelace".into()), emails }
}

async fn github(database: TestDatabase) -> (World, GithubStandIn, ProviderId) {
    let world = World::new(database).await;
    let options = GithubOptions {
        client_id: "Iv1.canary".into(),
        client_secret: "github-canary-secret".into(),
        callback_url: CALLBACK.parse().unwrap(),
        account: account(1, vec![GithubEmail::of("Ada@Example.com")]),
    };
    let server = GithubStandIn::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let new = NewProvider {
        kind: ProviderKind::Github,
        name: "GitHub".into(),
        issuer: Some(server.url().into()),
        client_id: "Iv1.canary".into(),
        client_secret: SecretString::new("github-canary-secret".into()),
    };
    let id = world.add_provider(new).await.id;
    let token = world.claim_token().await;
    let mut ada = world.person();
    let purpose = Purpose::Claim { provider: id, token: &token };
    let url = world.sign_in.begin(purpose, &ada.visit(), "/").await.unwrap();
    let query = ada.web.decide(&url, "authorize").await;
    world.back(&query, &ada).await.unwrap();
    (world, server, id)
}

async fn githubs_stand_in_signs_people_in(database: TestDatabase) {
    let (world, server, provider) = github(database).await;
    let mut ada = world.person();
    let begin = Purpose::SignIn { provider };
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/login/oauth/authorize?", server.url())));
    let asked = crate::world::query_of(&url);
    assert_eq!(
        (asked["scope"].as_str(), asked["code_challenge_method"].as_str()),
        ("user:email", "S256")
    );
    let query = ada.web.decide(&url, "authorize").await;
    let done = world.back(&query, &ada).await.unwrap();
    ada.take(&done);
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    assert_eq!(
        (me.user.email.as_str(), me.user.name.as_str()),
        ("ada@example.com", "Ada Lovelace")
    );
    assert!(!me.session.mfa, "GitHub says nothing of it");
    // The number is the person, not the login or the address.
    let renamed = GithubAccount {
        login: "countess".into(),
        emails: vec![GithubEmail::of("countess@example.com")],
        ..account(1, Vec::new())
    };
    server.sign_in(renamed);
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    let query = ada.web.decide(&url, "authorize").await;
    let again = world.back(&query, &ada).await.unwrap();
    assert_eq!(again.user, done.user);
    server.sign_in(account(2, vec![GithubEmail::of("countess@example.com")]));
    let mut eve = world.person();
    let url = world.sign_in.begin(begin, &eve.visit(), "/").await.unwrap();
    let query = eve.web.decide(&url, "authorize").await;
    let result = world.back(&query, &eve).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::AnotherSubject);
    // A step-up at GitHub is another round trip.
    server.sign_in(account(1, vec![GithubEmail::of("countess@example.com")]));
    ada.take(&again);
    let url = world.sign_in.begin(Purpose::StepUp, &ada.visit(), "/").await.unwrap();
    assert_eq!(crate::world::query_of(&url)["prompt"], "select_account");
    let query = ada.web.decide(&url, "authorize").await;
    assert_eq!(world.back(&query, &ada).await.unwrap().arrived, Arrived::SteppedUp);
}

async fn githubs_addresses_must_be_verified(database: TestDatabase) {
    let (world, server, provider) = github(database).await;
    let email = |email: &str, primary, verified| GithubEmail {
        primary,
        verified,
        visibility: Some("public"),
        ..GithubEmail::of(email)
    };
    for emails in [
        vec![],
        vec![email("ada@example.com", true, false)],
        // One that is verified and not the primary one does not count.
        vec![email("ada@example.com", false, true), email("eve@example.com", true, false)],
    ] {
        server.sign_in(account(7, emails.clone()));
        let mut eve = world.person();
        let url = world.sign_in.begin(Purpose::SignIn { provider }, &eve.visit(), "/").await;
        let query = eve.web.decide(&url.unwrap(), "authorize").await;
        let result = world.back(&query, &eve).await;
        assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Unverified, "{emails:?}");
    }
}

async fn githubs_codes_and_secrets_are_checked(database: TestDatabase) {
    let (world, _server, provider) = github(database).await;
    let mut ada = world.person();
    let begin = Purpose::SignIn { provider };
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    let query = ada.web.decide(&url, "cancel").await;
    assert!(query.contains("error=access_denied"), "{query}");
    let result = world.back(&query, &ada).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Denied);
    // Another issuer's answer.
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    let query = ada.web.decide(&url, "authorize").await;
    let (rest, _) = query.split_once("&iss=").unwrap();
    let result = world.back(&format!("{rest}&iss=https://evil.example"), &ada).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Issuer);
    // Somebody else's code: it was given for another verifier.
    let mut eve = world.person();
    let url = world.sign_in.begin(begin, &eve.visit(), "/").await.unwrap();
    let stolen = eve.web.decide(&url, "authorize").await;
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    let own = ada.web.decide(&url, "authorize").await;
    let part =
        |query: &str| query.split('&').find(|part| part.starts_with("code=")).unwrap().to_owned();
    let result = world.back(&own.replace(&part(&own), &part(&stolen)), &ada).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Code);
    // A wrong client secret is the operator's to mend, not the person's.
    let caller = {
        let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
        let query = ada.web.decide(&url, "authorize").await;
        let done = world.back(&query, &ada).await.unwrap();
        ada.take(&done);
        world.permit::<action::ManageSso>(&ada, INSTALLATION).await
    };
    let change = ProviderChange {
        client_secret: Some(SecretString::new("wrong".into())),
        ..ProviderChange::default()
    };
    world.sign_in.change_provider(&caller, provider, change).await.unwrap();
    let url = world.sign_in.begin(begin, &ada.visit(), "/").await.unwrap();
    let query = ada.web.decide(&url, "authorize").await;
    let error = world.back(&query, &ada).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SignInError::Provider(_)), "{error}");
    let told = error.public();
    assert!(!told.contains("incorrect") && !told.contains("canary"), "{told}");
}

async fn providers_are_made_changed_and_deleted(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let (manage, read) = (
        world.permit::<action::ManageSso>(&ada, workspace).await,
        world.permit::<action::ReadSso>(&ada, workspace).await,
    );
    assert!(world.sign_in.providers(&read).await.unwrap().is_empty(), "only its own");
    let google = NewProvider {
        kind: ProviderKind::Google,
        name: "Google".into(),
        issuer: None,
        client_id: "id".into(),
        client_secret: SecretString::new("provider-canary-secret".into()),
    };
    let made = world.sign_in.add_provider(&manage, google).await.unwrap();
    assert_eq!((made.workspace, made.issuer.as_str()), (workspace, "https://accounts.google.com"));
    let event = world.last(workspace, "identity_provider_set").await;
    assert_eq!(
        (&event["kind"], &event["provider"]),
        (&json!("google"), &json!(made.id.to_string()))
    );
    assert!(!event.to_string().contains("canary"));
    let change = ProviderChange { name: Some("Workspace".into()), ..ProviderChange::default() };
    let changed = world.sign_in.change_provider(&manage, made.id, change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.client_id.as_str()), ("Workspace", "id"));
    assert_eq!(world.sign_in.providers(&read).await.unwrap(), [changed]);
    // Another workspace's providers are not to be seen or touched.
    let error = world.sign_in.delete_provider(&manage, provider).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let change = ProviderChange { name: Some("Mine".into()), ..ProviderChange::default() };
    let error = world.sign_in.change_provider(&manage, provider, change).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    world.sign_in.delete_provider(&manage, made.id).await.unwrap();
    assert!(world.sign_in.providers(&read).await.unwrap().is_empty());
    // With a provider its sessions go.
    let installation = world.permit::<action::ManageSso>(&ada, INSTALLATION).await;
    world.sign_in.delete_provider(&installation, provider).await.unwrap();
    assert!(world.sign_in.sessions().who(ada.cookie()).await.is_err());
}

async fn providers_that_cannot_be_are_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let permit = world.permit::<action::ManageSso>(&ada, world.workspace().await).await;
    let new = || NewProvider {
        kind: ProviderKind::Oidc,
        name: "Company".into(),
        issuer: Some("https://id.example".into()),
        client_id: "id".into(),
        client_secret: SecretString::new("secret".into()),
    };
    for issuer in [
        None,
        Some("id.example"),
        Some("https://user:pw@id.example"),
        Some("https://id.example?x"),
        Some("https://id.example#x"),
        Some("ftp://id.example"),
        Some("https://id.example/\n"),
        Some("javascript:alert(1)"),
    ] {
        let wrong = NewProvider { issuer: issuer.map(str::to_owned), ..new() };
        let error = world.sign_in.add_provider(&permit, wrong).await.unwrap_err();
        assert!(matches!(error, ProviderError::Issuer), "{issuer:?}: {error}");
    }
    for wrong in [
        NewProvider { name: String::new(), ..new() },
        NewProvider { name: "a".repeat(65), ..new() },
        NewProvider { name: "a\u{202e}\nb".into(), ..new() },
        NewProvider { client_id: String::new(), ..new() },
        NewProvider { client_secret: SecretString::new(String::new()), ..new() },
        NewProvider { client_secret: SecretString::new("a".repeat(4097)), ..new() },
    ] {
        let error = world.sign_in.add_provider(&permit, wrong).await.unwrap_err();
        assert!(matches!(error, ProviderError::Length { .. }), "{error}");
    }
    world.sign_in.add_provider(&permit, new()).await.unwrap();
    let error = world.sign_in.add_provider(&permit, new()).await.unwrap_err();
    assert_eq!(error.code(), Code::Taken);
    for number in 1..20 {
        let more = NewProvider { name: format!("Number {number}"), ..new() };
        world.sign_in.add_provider(&permit, more).await.unwrap();
    }
    let more = NewProvider { name: "One more".into(), ..new() };
    let error = world.sign_in.add_provider(&permit, more).await.unwrap_err();
    assert!(matches!(error, ProviderError::TooMany), "{error}");
}
