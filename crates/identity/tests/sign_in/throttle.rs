//! Too many attempts.

use crate::issuer::Issuer;
use crate::world::{World, new_provider};
use causeway_identity::{Purpose, SignInError};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::ProviderKind;
use causeway_types::{Code, Coded as _, INSTALLATION};
use std::time::Duration;

on_both!(an_address_is_slowed_down, failures_of_strangers_end_in_the_chain_for_a_while_only);

async fn an_address_is_slowed_down(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let (eve, ada) = (world.person(), world.person());
    let begin = |person| world.sign_in.begin(Purpose::SignIn { provider }, person, "/");
    let visit = eve.visit();
    let mut count = 0;
    let limited = loop {
        match begin(&visit).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((count, limited.code()), (30, Code::RateLimited));
    assert!(limited.retry_after().is_some_and(|wait| wait <= Duration::from_secs(2)));
    begin(&ada.visit()).await.unwrap_or_else(|error| panic!("others are not: {error:?}"));
    // Claim links and invitations are guessed at no faster.
    for _ in 0..5 {
        let error = world.sign_in.check_claim("cwc_x", eve.address).await.unwrap_err();
        assert_eq!(error.code(), Code::LinkSpent);
        let error = world.sign_in.invitation("cwi_x", eve.address).await.unwrap_err();
        assert_eq!(error.code(), Code::LinkSpent);
    }
    for error in [
        world.sign_in.check_claim("cwc_x", eve.address).await.unwrap_err(),
        world.sign_in.invitation("cwi_x", eve.address).await.map(|_| ()).unwrap_err(),
        world.back("state=x", &eve).await.map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, SignInError::Limited { .. }), "{error}");
    }
    world.clock.advance(Duration::from_secs(30));
    let error = world.back("state=x", &eve).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::SignInFailed);
    // Those who succeed are never slowed down by it.
    for _ in 0..15 {
        world.through(&issuer, Purpose::SignIn { provider }, &ada).await.unwrap();
    }
}

async fn failures_of_strangers_end_in_the_chain_for_a_while_only(database: TestDatabase) {
    let world = World::new(database).await;
    let issuer = Issuer::start().await;
    let provider = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
    let mut limited = 0;
    for _ in 0..200 {
        // Each from an address of its own.
        let error = world.back("state=x", &world.person()).await.map(|_| ()).unwrap_err();
        limited += u32::from(error.code() == Code::RateLimited);
    }
    let written = world.actions(INSTALLATION).await;
    let written = written.iter().filter(|one| *one == "sign_in_refused").count();
    assert_eq!((written, limited), (120, 80));
    assert_eq!(
        world.last(INSTALLATION, "sign_in_refused").await["provider"],
        serde_json::json!(null)
    );
    // Which keeps nobody from signing in.
    world.claim(&issuer, provider).await;
}
