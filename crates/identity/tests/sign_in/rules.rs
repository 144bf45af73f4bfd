//! What workspaces demand of a sign-in.

use crate::issuer::Issuer;
use crate::world::{Person, World, new_provider};
use causeway_identity::{
    Purpose, SignInError, SsoError, SsoRules, WantedPlace, action, reset_sso_rules,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{ProviderKind, Role};
use causeway_types::{Clock as _, Code, Coded as _, INSTALLATION, ProviderId, WorkspaceId};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    without_rules_the_installations_providers_do,
    a_provider_that_is_not_allowed_opens_nothing,
    a_domain_is_compared_exactly,
    a_private_google_account_is_not_the_companys,
    one_factor_is_not_enough_where_two_are_demanded,
    a_session_is_too_old_where_the_rules_say_so,
    a_sign_in_that_opens_nothing_says_what_is_demanded,
    an_invitation_is_accepted_by_the_workspaces_rules,
    rules_that_lock_their_setter_out_need_force,
    rules_are_checked,
    the_machine_takes_rules_away,
    the_rules_are_hints_to_the_provider,
);

fn rules(value: Value) -> SsoRules {
    serde_json::from_value(value).unwrap()
}

/// What the workspace answers to a session.
async fn answer(world: &World, person: &Person, workspace: WorkspaceId) -> Result<(), String> {
    let place = Some(WantedPlace::Workspace(workspace));
    match world.sign_in.sessions().authenticate(person.cookie(), place).await {
        Ok(_) => Ok(()),
        Err(error) => {
            assert_eq!(error.code(), Code::SsoRequired, "{error}");
            Err(error.public().into_owned())
        }
    }
}

/// Ada with these claims, and what the workspace answers her under these rules.
async fn judged(
    world: &World,
    (issuer, provider): (&Issuer, ProviderId),
    claims: Value,
    rules: Value,
) -> Result<(), String> {
    issuer.claim(claims);
    let ada = world.ada(issuer, provider).await;
    let workspace = world.workspace().await;
    world.store_rules(workspace, &rules.to_string()).await;
    let found = answer(world, &ada, workspace).await;
    world.store_rules(workspace, "{}").await;
    found
}

async fn without_rules_the_installations_providers_do(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    assert_eq!(judged(&world, (&issuer, provider), json!({}), json!({})).await, Ok(()));
    let ada = world.ada(&issuer, provider).await;
    let permit = world.permit::<action::ReadSso>(&ada, world.workspace().await).await;
    assert_eq!(world.sign_in.rules(&permit).await.unwrap(), SsoRules::default());
}

async fn a_provider_that_is_not_allowed_opens_nothing(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let other = Issuer::start().await;
    let second = world.add_provider(new_provider(&other, ProviderKind::Oidc)).await;
    let at = (&issuer, provider);
    let allowed = json!({ "providers": [provider.to_string(), second.id.to_string()] });
    assert_eq!(judged(&world, at, json!({}), allowed).await, Ok(()));
    let refused = judged(&world, at, json!({}), json!({ "providers": [second.id.to_string()] }));
    let refused = refused.await.unwrap_err();
    assert!(refused.contains(&second.name), "{refused}");
    let workspace = world.workspace().await;
    world
        .store_rules(workspace, &json!({ "providers": [second.id.to_string()] }).to_string())
        .await;
    let offered = world.sign_in.offered(Some(workspace)).await.unwrap();
    assert_eq!(offered.iter().map(|one| one.id).collect::<Vec<_>>(), [second.id]);
    assert_eq!(world.sign_in.offered(None).await.unwrap().len(), 2);
}

async fn a_domain_is_compared_exactly(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let at = (&issuer, provider);
    for (domains, met) in [
        (json!(["example.com"]), true),
        (json!(["other.example", "example.com"]), true),
        (json!(["xample.com"]), false),
        (json!(["com"]), false),
        (json!(["sub.example.com"]), false),
        (json!(["xn--exmple-4nf.com"]), false),
    ] {
        let found = judged(&world, at, json!({}), json!({ "domains": domains })).await;
        assert_eq!(found.is_ok(), met, "{domains}: {found:?}");
        if let Err(text) = found {
            assert!(text.contains(domains[0].as_str().unwrap()), "{text}");
        }
    }
}

async fn a_private_google_account_is_not_the_companys(database: TestDatabase) {
    let (world, _, _) = World::with_issuer(database).await;
    let google = Issuer::start().await;
    google.claim(json!({ "hd": "example.com" }));
    let provider = world.add_provider(new_provider(&google, ProviderKind::Google)).await.id;
    let domains = json!({ "domains": ["example.com", "example.org"] });
    for (hd, met) in [
        (json!("example.com"), true),
        (json!("EXAMPLE.org"), true),
        (json!("evil.example"), false),
        (json!(""), false),
        (json!(null), false),
    ] {
        let claims = json!({ "hd": hd });
        let found = judged(&world, (&google, provider), claims, domains.clone()).await;
        assert_eq!(found.is_ok(), met, "{hd}: {found:?}");
    }
    // Other issuers' `hd` means nothing, and is not asked for.
    let plain = Issuer::start().await;
    let provider = world.add_provider(new_provider(&plain, ProviderKind::Oidc)).await.id;
    let claims = json!({ "hd": "evil.example" });
    assert_eq!(judged(&world, (&plain, provider), claims, domains.clone()).await, Ok(()));
    let claims = json!({ "hd": "example.com", "email": "ada@evil.example" });
    assert!(judged(&world, (&plain, provider), claims, domains).await.is_err());
}

async fn one_factor_is_not_enough_where_two_are_demanded(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let at = (&issuer, provider);
    let demand = json!({ "mfa": true, "acr": ["urn:example:gold"] });
    for (claims, met) in [
        (json!({}), false),
        (json!({ "amr": ["pwd"] }), false),
        (json!({ "amr": ["otp"] }), false),
        (json!({ "amr": ["pwd", "pin"] }), false),
        (json!({ "amr": ["hwk", "otp", "sms"] }), false),
        (json!({ "amr": ["MFA"] }), false),
        (json!({ "amr": [] }), false),
        (json!({ "amr": "mfa" }), true),
        (json!({ "amr": ["mfa"] }), true),
        (json!({ "amr": ["pwd", "otp"] }), true),
        (json!({ "amr": ["pwd", "sms"] }), true),
        (json!({ "amr": ["hwk", "pin"] }), true),
        (json!({ "amr": ["swk", "fpt"] }), true),
        (json!({ "acr": "urn:example:gold" }), true),
        (json!({ "acr": "urn:example:silver" }), false),
        (json!({ "acr": "mfa" }), false),
    ] {
        let found = judged(&world, at, claims.clone(), demand.clone()).await;
        assert_eq!(found.is_ok(), met, "{claims}: {found:?}");
    }
    let text = judged(&world, at, json!({}), demand).await.unwrap_err();
    assert!(text.contains("second factor"), "{text}");
}

async fn a_session_is_too_old_where_the_rules_say_so(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    world.store_rules(workspace, &json!({ "session_minutes": 30 }).to_string()).await;
    world.clock.advance(Duration::from_mins(29));
    assert_eq!(answer(&world, &ada, workspace).await, Ok(()));
    world.clock.advance(Duration::from_mins(1));
    let text = answer(&world, &ada, workspace).await.unwrap_err();
    assert!(text.contains("30 minutes"), "{text}");
    assert_eq!(answer(&world, &ada, INSTALLATION).await, Ok(()), "elsewhere it counts on");
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    let refused = |id| me.workspaces.iter().find(|one| one.id == id).unwrap().refused.clone();
    assert_eq!((refused(workspace), refused(INSTALLATION)), (Some(text), None));
    // Rules may let sessions last longer, too.
    world.store_rules(workspace, &json!({ "session_minutes": 2880 }).to_string()).await;
    let ada = world.ada(&issuer, provider).await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_hours(7));
        assert_eq!(answer(&world, &ada, workspace).await, Ok(()));
    }
    let text = answer(&world, &ada, INSTALLATION).await.unwrap_err();
    assert!(text.contains("1440 minutes"), "{text}");
}

async fn a_sign_in_that_opens_nothing_says_what_is_demanded(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    world.store_rules(workspace, &json!({ "mfa": true }).to_string()).await;
    world.prepare(workspace, "bob@example.com").await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let bob = world.person();
    let error = world.through(&issuer, Purpose::SignIn { provider }, &bob).await.map(|_| ());
    let error = error.unwrap_err();
    assert!(matches!(error, SignInError::Sso(_)), "{error}");
    assert_eq!(error.code(), Code::SsoRequired);
    assert!(error.public().contains("second factor"), "{}", error.public());
    let event = world.last(INSTALLATION, "sign_in_refused").await;
    assert_eq!(event["reason"], "mfa_missing");
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com", "amr": ["mfa"] }));
    let done = world.through(&issuer, Purpose::SignIn { provider }, &bob).await.unwrap();
    assert_eq!(world.last(workspace, "signed_in").await["mfa"], true);
    assert_eq!(world.last(workspace, "signed_in").await["user"], done.user.to_string());
    // Ada, whom another workspace lets in, comes in, and this one tells her.
    issuer.claim(json!({}));
    let ada = world.ada(&issuer, provider).await;
    assert!(answer(&world, &ada, workspace).await.is_err());
}

async fn an_invitation_is_accepted_by_the_workspaces_rules(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let other = Issuer::start().await;
    let second = world.add_provider(new_provider(&other, ProviderKind::Oidc)).await;
    let demand = json!({ "providers": [second.id.to_string()], "domains": ["example.com"] });
    world.store_rules(workspace, &demand.to_string()).await;
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    let bob = world.person();
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let purpose = Purpose::Invitation { provider, token: &token };
    let error = world.through(&issuer, purpose, &bob).await.map(|_| ()).unwrap_err();
    assert!(error.public().contains(&second.name), "{}", error.public());
    assert_eq!(world.last(INSTALLATION, "sign_in_refused").await["reason"], "provider_not_allowed");
    // It is not spent.
    other.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let purpose = Purpose::Invitation { provider: second.id, token: &token };
    world.through(&other, purpose, &bob).await.unwrap();
}

async fn rules_that_lock_their_setter_out_need_force(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let permit = world.permit::<action::ManageSso>(&ada, workspace).await;
    let cookie = Some(ada.cookie());
    for demand in [json!({ "mfa": true }), json!({ "domains": ["other.example"] })] {
        let set = world.sign_in.set_rules(&permit, rules(demand.clone()), cookie, false).await;
        let error = set.unwrap_err();
        assert!(matches!(error, SsoError::LockedOut(_)), "{demand}");
        assert_eq!(error.code(), Code::SsoRequired);
    }
    let error = world.sign_in.set_rules(&permit, SsoRules::default(), None, false).await;
    assert!(matches!(error.unwrap_err(), SsoError::NoSession));
    assert_eq!(answer(&world, &ada, workspace).await, Ok(()));
    let kept = rules(json!({ "domains": ["EXAMPLE.com"], "step_up_minutes": 5 }));
    let kept = world.sign_in.set_rules(&permit, kept, cookie, false).await.unwrap();
    assert_eq!(kept.domains, Some(vec!["example.com".to_owned()]));
    let event = world.last(workspace, "sso_policy_changed").await;
    assert_eq!(event["rules"]["domains"], json!(["example.com"]));
    let forced = rules(json!({ "mfa": true }));
    world.sign_in.set_rules(&permit, forced.clone(), cookie, true).await.unwrap();
    assert!(answer(&world, &ada, workspace).await.is_err());
    let read = world.permit::<action::ReadSso>(&ada, INSTALLATION).await;
    assert_eq!(world.sign_in.rules(&read).await.unwrap(), SsoRules::default());
}

async fn rules_are_checked(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let permit = world.permit::<action::ManageSso>(&ada, workspace).await;
    let unknown = ProviderId::generate(world.clock.now(), &causeway_types::OsRandom);
    let other = world.another_workspace().await;
    let theirs = Issuer::start().await;
    world.store_provider(other, &theirs).await;
    let theirs = world.sign_in.offered(Some(other)).await.unwrap().pop().unwrap().id;
    for wrong in [
        json!({ "providers": [] }),
        json!({ "domains": [] }),
        json!({ "domains": ["127.0.0.1"] }),
        json!({ "domains": ["@example.com"] }),
        json!({ "domains": ["*.example.com"] }),
        json!({ "domains": vec!["example.com"; 101] }),
        json!({ "acr": [""] }),
        json!({ "acr": ["a".repeat(201)] }),
        json!({ "session_minutes": 4 }),
        json!({ "session_minutes": 43_201 }),
        json!({ "step_up_minutes": 0 }),
        json!({ "step_up_minutes": 1441 }),
        json!({ "providers": [unknown.to_string()] }),
        json!({ "providers": [theirs.to_string()] }),
    ] {
        let set = world.sign_in.set_rules(&permit, rules(wrong.clone()), None, true).await;
        assert_eq!(set.unwrap_err().code(), Code::InvalidRequest, "{wrong}");
    }
    assert!(serde_json::from_value::<SsoRules>(json!({ "mfa_required": true })).is_err());
}

async fn the_machine_takes_rules_away(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    world.store_rules(workspace, &json!({ "domains": ["nobody.example"] }).to_string()).await;
    assert!(answer(&world, &ada, workspace).await.is_err());
    reset_sso_rules(&world.database.store, &*world.clock, workspace).await.unwrap();
    assert_eq!(answer(&world, &ada, workspace).await, Ok(()));
    let last = world.events(workspace).await.pop().unwrap();
    assert_eq!((last.actor.as_str(), last.action.as_str()), ("machine", "sso_policy_changed"));
}

async fn the_rules_are_hints_to_the_provider(database: TestDatabase) {
    let (world, _issuer, _) = World::with_issuer(database).await;
    let google = Issuer::start().await;
    let provider = world.add_provider(new_provider(&google, ProviderKind::Google)).await.id;
    let demand = json!({ "mfa": true, "acr": ["urn:a", "urn:b"], "domains": ["example.com"] });
    world.store_rules(INSTALLATION, &demand.to_string()).await;
    let person = world.person();
    let url = world.sign_in.begin(Purpose::SignIn { provider }, &person.visit(), "/").await;
    let asked = crate::world::query_of(&url.unwrap());
    assert_eq!(
        (asked["acr_values"].as_str(), asked["hd"].as_str()),
        ("urn:a urn:b", "example.com")
    );
}
