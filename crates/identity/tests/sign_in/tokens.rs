//! ID tokens that are not what they should be.

use crate::issuer::{CLIENT_ID, Issuer, With};
use crate::world::World;
use causeway_identity::{Purpose, Refusal, SignInError};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Clock as _, Code, Coded as _, INSTALLATION, ProviderId};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    every_pinned_algorithm_is_taken,
    no_other_algorithm_is,
    only_the_issuers_own_keys_count,
    a_new_key_is_fetched_once,
    a_token_for_somebody_else_is_refused,
    a_token_out_of_its_time_is_refused,
    a_token_of_another_sign_in_is_refused,
    what_is_no_id_token_is_refused,
    only_verified_addresses_count,
    the_userinfo_endpoint_fills_in_and_is_not_mixed_up,
);

/// What comes of a sign-in with these claims.
async fn with_claims(
    world: &World,
    issuer: &Issuer,
    provider: ProviderId,
    claims: Value,
) -> Result<(), Refusal> {
    issuer.claim(claims);
    let purpose = Purpose::SignIn { provider };
    match world.through(issuer, purpose, &world.person()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(world.refused(INSTALLATION, Err(error)).await),
    }
}

async fn every_pinned_algorithm_is_taken(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for (alg, kid, with) in [
        ("RS256", "rsa-1", With::Rs256),
        ("PS256", "rsa-1", With::Ps256),
        ("ES256", "ec-1", With::Es256),
        ("EdDSA", "ed-1", With::EdDsa),
    ] {
        for header in [json!({ "alg": alg, "kid": kid }), json!({ "alg": alg, "typ": "jwt" })] {
            issuer.plan(|plan| (plan.header, plan.with) = (header, with));
            assert_eq!(with_claims(&world, &issuer, provider, json!({})).await, Ok(()), "{alg}");
        }
    }
}

async fn no_other_algorithm_is(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for (alg, with) in [
        ("none", With::None),
        ("NONE", With::None),
        ("", With::None),
        ("HS256", With::HmacOfPublicKey),
        ("HS256", With::HmacOfSecret),
        ("RS512", With::Rs256),
        ("RS1", With::Rs256),
        ("rs256", With::Rs256),
    ] {
        issuer
            .plan(|plan| (plan.header, plan.with) = (json!({ "alg": alg, "kid": "rsa-1" }), with));
        let refusal = with_claims(&world, &issuer, provider, json!({})).await;
        assert_eq!(refusal, Err(Refusal::Algorithm), "{alg}");
    }
    // An issuer that names its algorithms is held to them.
    let issuer = Issuer::start().await;
    let new = crate::world::new_provider(&issuer, causeway_types::entity::ProviderKind::Oidc);
    let provider = world.add_provider(new).await.id;
    issuer.plan(|plan| {
        plan.metadata = json!({ "id_token_signing_alg_values_supported": ["ES256"] });
    });
    let refusal = with_claims(&world, &issuer, provider, json!({})).await;
    assert_eq!(refusal, Err(Refusal::Algorithm));
}

async fn only_the_issuers_own_keys_count(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for (header, with, refusal) in [
        // A key that the issuer does not publish, under the name of one that it does.
        (json!({ "alg": "RS256", "kid": "rsa-1" }), With::AnotherKey, Refusal::Signature),
        (json!({ "alg": "RS256", "kid": "rsa-2" }), With::Rs256, Refusal::Key),
        (json!({ "alg": "RS256", "kid": "" }), With::Rs256, Refusal::Key),
        // The name of a key of another kind.
        (json!({ "alg": "RS256", "kid": "ec-1" }), With::Rs256, Refusal::Key),
        (json!({ "alg": "ES256", "kid": "ed-1" }), With::Es256, Refusal::Key),
        (json!({ "alg": "RS256", "kid": "oct-1" }), With::Rs256, Refusal::Key),
        // Another way of padding than the one that is named.
        (json!({ "alg": "RS256", "kid": "rsa-1" }), With::Ps256, Refusal::Signature),
        // The key in the token itself is nobody's.
        (
            json!({ "alg": "RS256", "kid": "rsa-1", "jku": "https://evil.example/jwks" }),
            With::AnotherKey,
            Refusal::Signature,
        ),
        (json!({ "alg": "RS256", "kid": "rsa-1" }), With::None, Refusal::Signature),
    ] {
        issuer.plan(|plan| (plan.header, plan.with) = (header.clone(), with));
        let found = with_claims(&world, &issuer, provider, json!({})).await;
        assert_eq!(found, Err(refusal), "{header}");
    }
    issuer.plan(|plan| {
        plan.header = json!({ "alg": "RS256", "kid": "rsa-1" });
        (plan.with, plan.tampered) = (With::Rs256, true);
    });
    let found = with_claims(&world, &issuer, provider, json!({})).await;
    assert_eq!(found, Err(Refusal::Signature), "a payload changed after it was signed");
}

async fn a_new_key_is_fetched_once(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    assert_eq!(with_claims(&world, &issuer, provider, json!({})).await, Ok(()));
    assert_eq!((issuer.asked("/jwks"), issuer.asked("/token")), (1, 2), "keys are remembered");
    let header = json!({ "alg": "RS256", "kid": "rsa-2" });
    issuer.plan(|plan| (plan.header, plan.kid) = (header.clone(), "rsa-2".into()));
    let at_once = with_claims(&world, &issuer, provider, json!({})).await;
    assert_eq!(at_once, Err(Refusal::Key), "keys that are quite new are not fetched again");
    assert_eq!(issuer.asked("/jwks"), 1);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(with_claims(&world, &issuer, provider, json!({})).await, Ok(()));
    assert_eq!(issuer.asked("/jwks"), 2);
    // Whoever can choose the name of a key cannot make Causeway fetch at every token.
    issuer.plan(|plan| plan.header = json!({ "alg": "RS256", "kid": "made up" }));
    for _ in 0..5 {
        let found = with_claims(&world, &issuer, provider, json!({})).await;
        assert_eq!(found, Err(Refusal::Key));
    }
    assert_eq!(issuer.asked("/jwks"), 2);
    assert_eq!(issuer.asked("/.well-known/openid-configuration"), 1);
    world.clock.advance(Duration::from_hours(2));
    issuer.plan(|plan| plan.header = header);
    assert_eq!(with_claims(&world, &issuer, provider, json!({})).await, Ok(()));
    assert_eq!(issuer.asked("/.well-known/openid-configuration"), 2, "and not for ever");
}

async fn a_token_for_somebody_else_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for (claims, found) in [
        (json!({ "iss": "https://other.example" }), Err(Refusal::TokenIssuer)),
        (json!({ "iss": format!("{}/", issuer.url()) }), Err(Refusal::TokenIssuer)),
        (json!({ "iss": null }), Err(Refusal::Token)),
        (json!({ "aud": "another client" }), Err(Refusal::Audience)),
        (json!({ "aud": [] }), Err(Refusal::Audience)),
        (json!({ "aud": null }), Err(Refusal::Token)),
        (json!({ "aud": ["another client", CLIENT_ID] }), Err(Refusal::Audience)),
        (json!({ "aud": ["another client", CLIENT_ID], "azp": CLIENT_ID }), Ok(())),
        (json!({ "azp": "another client" }), Err(Refusal::Audience)),
        (json!({ "aud": [CLIENT_ID], "azp": CLIENT_ID }), Ok(())),
    ] {
        assert_eq!(with_claims(&world, &issuer, provider, claims.clone()).await, found, "{claims}");
    }
}

async fn a_token_out_of_its_time_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let now = world.clock.now().as_secs();
    for (claims, found) in [
        (json!({ "exp": now - 3600 }), Err(Refusal::Time)),
        (json!({ "exp": now - 61 }), Err(Refusal::Time)),
        (json!({ "exp": now - 30 }), Ok(())),
        (json!({ "exp": -1 }), Err(Refusal::Token)),
        (json!({ "exp": "soon" }), Err(Refusal::Token)),
        (json!({ "exp": null }), Err(Refusal::Token)),
        (json!({ "exp": now + 300, "iat": now + 120 }), Err(Refusal::Time)),
        (json!({ "iat": now - 3600 }), Err(Refusal::Time)),
        (json!({ "iat": null }), Err(Refusal::Token)),
        (json!({ "nbf": now + 120 }), Err(Refusal::Time)),
        (json!({ "nbf": now }), Ok(())),
        (json!({ "exp": 1e300 }), Err(Refusal::Token)),
    ] {
        assert_eq!(with_claims(&world, &issuer, provider, claims.clone()).await, found, "{claims}");
    }
}

async fn a_token_of_another_sign_in_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let person = world.person();
    let other = world.sign_in.begin(Purpose::SignIn { provider }, &person.visit(), "/").await;
    let other = crate::world::query_of(&other.unwrap());
    for (claims, found) in [
        (json!({ "nonce": null }), Err(Refusal::Nonce)),
        (json!({ "nonce": "" }), Err(Refusal::Nonce)),
        (json!({ "nonce": other["nonce"] }), Err(Refusal::Nonce)),
        (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), Err(Refusal::TokenHash)),
        (json!({ "at_hash": Issuer::at_hash() }), Ok(())),
    ] {
        assert_eq!(with_claims(&world, &issuer, provider, claims.clone()).await, found, "{claims}");
    }
}

async fn what_is_no_id_token_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for header in [
        json!({ "alg": "RS256", "kid": "rsa-1", "typ": "at+jwt" }),
        json!({ "alg": "RS256", "kid": "rsa-1", "typ": "logout+jwt" }),
        json!({ "alg": "RS256", "kid": "rsa-1", "crit": ["exp"] }),
        json!({ "alg": "RS256", "kid": "rsa-1", "b64": false, "crit": ["b64"] }),
        json!({ "kid": "rsa-1" }),
        json!(["RS256"]),
    ] {
        issuer.plan(|plan| plan.header = header.clone());
        let found = with_claims(&world, &issuer, provider, json!({})).await;
        assert_eq!(found, Err(Refusal::Token), "{header}");
    }
    issuer.plan(|plan| plan.header = json!({ "alg": "RS256", "kid": "rsa-1" }));
    for subject in [json!(""), json!("a".repeat(256)), json!("ü"), json!("a\nb")] {
        let found = with_claims(&world, &issuer, provider, json!({ "sub": subject })).await;
        assert_eq!(found, Err(Refusal::Subject), "{subject}");
    }
    let found = with_claims(&world, &issuer, provider, json!({ "sub": 7 })).await;
    assert_eq!(found, Err(Refusal::Token));
}

async fn only_verified_addresses_count(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    for (claims, refusal) in [
        (json!({ "email_verified": false }), Refusal::Unverified),
        (json!({ "email_verified": null }), Refusal::Unverified),
        (json!({ "email_verified": "true" }), Refusal::Unverified),
        (json!({ "email_verified": 1 }), Refusal::Unverified),
        (json!({ "email": "\u{430}da@example.com" }), Refusal::Email),
        (json!({ "email": "ada\u{0}@example.com" }), Refusal::Email),
        (json!({ "email": "\"ada\"@example.com" }), Refusal::Email),
        (json!({ "email": "ada@example.com,eve@example.com" }), Refusal::Email),
        (json!({ "email": "" }), Refusal::Email),
    ] {
        let found = with_claims(&world, &issuer, provider, claims.clone()).await;
        assert_eq!(found, Err(refusal), "{claims}");
    }
    assert_eq!(
        with_claims(&world, &issuer, provider, json!({ "email": "ADA@Example.COM" })).await,
        Ok(())
    );
}

async fn the_userinfo_endpoint_fills_in_and_is_not_mixed_up(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let without = json!({ "email": null, "email_verified": null });
    let info = json!({ "email": "ada@example.com", "email_verified": true, "name": "Ada L." });
    issuer.plan(|plan| plan.userinfo = info.clone());
    assert_eq!(with_claims(&world, &issuer, provider, without.clone()).await, Ok(()));
    assert_eq!(issuer.asked("/userinfo"), 1);
    let mut another = info.clone();
    another["sub"] = json!("subject-2");
    issuer.plan(|plan| plan.userinfo = another);
    let found = with_claims(&world, &issuer, provider, without.clone()).await;
    assert_eq!(found, Err(Refusal::Subject));
    issuer.plan(|plan| plan.userinfo = json!({ "email": "ada@example.com" }));
    let found = with_claims(&world, &issuer, provider, without).await;
    assert_eq!(found, Err(Refusal::Unverified));
    // Its word on the address is not asked where the token has one.
    issuer.plan(|plan| plan.userinfo = info);
    let claims = json!({ "email_verified": false });
    let found = with_claims(&world, &issuer, provider, claims).await;
    assert_eq!(found, Err(Refusal::Unverified));

    issuer.plan(|plan| plan.error = Some("invalid_client"));
    let failed = world.through(&issuer, Purpose::SignIn { provider }, &world.person()).await;
    let failed = failed.map(|_| ()).unwrap_err();
    assert!(matches!(failed, SignInError::Provider(_)), "{failed}");
    assert_eq!(failed.code(), Code::UpstreamFailed);
}
