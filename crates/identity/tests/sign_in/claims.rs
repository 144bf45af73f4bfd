//! How an installation gets its first owner.

use crate::issuer::Issuer;
use crate::world::{World, new_provider};
use causeway_identity::{
    Arrived, ClaimError, NewProvider, Purpose, SignInError, delete_installation_provider,
    installation_providers, is_claimed, make_claim_link, set_installation_provider,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{MemberOrigin, ProviderKind, Role};
use causeway_types::{Actor, Clock as _, Code, Coded as _, INSTALLATION, OsRandom};
use std::time::Duration;

on_both!(
    a_new_installation_is_claimed_through_the_link,
    a_bootstrapped_installation_is_claimed_with_its_workspace,
    a_link_works_once_for_a_day_and_only_the_newest,
    an_owned_installation_is_not_claimed_again,
    two_who_claim_at_once_are_not_both_owners,
    whoever_has_the_machine_keeps_the_installations_providers,
    whoever_holds_the_link_may_add_the_first_provider,
    a_workspaces_provider_claims_nothing,
);

async fn a_new_installation_is_claimed_through_the_link(database: TestDatabase) {
    let world = World::new(database).await;
    let issuer = Issuer::start().await;
    let provider = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
    assert!(!is_claimed(&world.database.store).await.unwrap());
    let token = world.claim_token().await;
    assert!(!is_claimed(&world.database.store).await.unwrap(), "a link is no owner");
    let mut ada = world.person();
    let purpose = Purpose::Claim { provider, token: &token };
    let done = world.through(&issuer, purpose, &ada).await.unwrap();
    let workspace = world.workspace().await;
    assert_eq!(done.arrived, Arrived::Claimed { workspace });
    assert!(is_claimed(&world.database.store).await.unwrap());
    ada.take(&done);
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    let mut places: Vec<_> =
        me.workspaces.iter().map(|place| (place.id, place.roles[0].role)).collect();
    places.sort_by_key(|(id, _)| *id);
    assert_eq!(places, [(INSTALLATION, Role::Owner), (workspace, Role::Owner)]);
    let member = world.member(INSTALLATION, "ada@example.com").await.unwrap();
    assert_eq!((member.origin, member.name.as_str()), (MemberOrigin::Claim, "Ada"));
    assert_eq!(world.project(workspace).await.to_string().split('_').next(), Some("proj"));
    let in_installation = world.actions(INSTALLATION).await;
    for action in
        ["claim_link_made", "member_joined", "role_granted", "installation_claimed", "signed_in"]
    {
        assert!(in_installation.iter().any(|one| one == action), "{action}: {in_installation:?}");
    }
    assert_eq!(
        world.actions(workspace).await,
        ["workspace_created", "member_joined", "role_granted", "signed_in"]
    );
    let rows = world.events(workspace).await;
    assert!(rows.iter().all(|row| row.actor == me.user.id.to_string()), "{rows:?}");
}

async fn a_bootstrapped_installation_is_claimed_with_its_workspace(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap().await;
    assert!(is_claimed(&world.database.store).await.unwrap(), "somebody with the machine has it");
    let issuer = Issuer::start().await;
    let provider = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
    let ada = world.claim(&issuer, provider).await;
    assert_eq!(world.workspace().await, made, "no second workspace");
    let caller = world.caller(&ada, made).await;
    assert_eq!(caller.roles()[0].role, Role::Owner);
}

async fn a_link_works_once_for_a_day_and_only_the_newest(database: TestDatabase) {
    let world = World::new(database).await;
    let issuer = Issuer::start().await;
    let provider = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
    let (old, new) = (world.claim_token().await, world.claim_token().await);
    let mut person = world.person();
    for bad in [old.as_str(), "", "cwc_", &new.replace("cwc_", "cwi_"), &new.to_uppercase()] {
        let error = world.sign_in.check_claim(bad, person.address).await.unwrap_err();
        assert_eq!(error.code(), Code::LinkSpent, "{bad}");
    }
    person.address = world.person().address;
    world.sign_in.check_claim(&new, person.address).await.unwrap();
    // A flow that was begun with a link that has been replaced since comes to nothing.
    let query = world.begin_at(&issuer, Purpose::Claim { provider, token: &new }, &person).await;
    let newer = world.claim_token().await;
    let error = world.back(&query, &person).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SignInError::LinkSpent), "{error}");
    assert_eq!(world.last(INSTALLATION, "sign_in_refused").await["reason"], "link_spent");
    assert!(!is_claimed(&world.database.store).await.unwrap());
    world.clock.advance(Duration::from_hours(24));
    let error = world.sign_in.check_claim(&newer, person.address).await.unwrap_err();
    assert_eq!(error.code(), Code::LinkSpent);
    world.claim(&issuer, provider).await;
}

async fn an_owned_installation_is_not_claimed_again(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let store = &world.database.store;
    let again =
        make_claim_link(store, world.keys.token(), &*world.clock, &OsRandom, Actor::Machine);
    assert!(matches!(again.await.map(|_| ()).unwrap_err(), ClaimError::Claimed));
    let eve = world.person();
    let purpose = Purpose::Claim { provider, token: "cwc_made-up" };
    let error = world.sign_in.begin(purpose, &eve.visit(), "/").await.unwrap_err();
    assert_eq!(error.code(), Code::LinkSpent);
    issuer.claim(serde_json::json!({ "sub": "eve", "email": "eve@example.com" }));
    let error = world.through(&issuer, Purpose::SignIn { provider }, &eve).await.map(|_| ());
    assert!(matches!(error.unwrap_err(), SignInError::NoPlace));
}

async fn two_who_claim_at_once_are_not_both_owners(database: TestDatabase) {
    let world = World::new(database).await;
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    second.claim(serde_json::json!({ "sub": "eve", "email": "eve@example.com" }));
    let one = world.add_provider(new_provider(&first, ProviderKind::Oidc)).await.id;
    let two = world.add_provider(new_provider(&second, ProviderKind::Oidc)).await.id;
    let token = world.claim_token().await;
    let (ada, eve) = (world.person(), world.person());
    let ada_query =
        world.begin_at(&first, Purpose::Claim { provider: one, token: &token }, &ada).await;
    let eve_query =
        world.begin_at(&second, Purpose::Claim { provider: two, token: &token }, &eve).await;
    let (a, b) = tokio::join!(world.back(&ada_query, &ada), world.back(&eve_query, &eve));
    let (won, lost) = match (a, b) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        (a, b) => panic!("{} {}", a.is_ok(), b.is_ok()),
    };
    assert!(matches!(won.arrived, Arrived::Claimed { .. }));
    assert!(matches!(lost, SignInError::LinkSpent), "{lost}");
    let ends = world.actions(INSTALLATION).await;
    assert_eq!(ends.iter().filter(|one| *one == "installation_claimed").count(), 1);
}

async fn whoever_has_the_machine_keeps_the_installations_providers(database: TestDatabase) {
    let world = World::new(database).await;
    let (store, issuer, other) =
        (&world.database.store, Issuer::start().await, Issuer::start().await);
    let first = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await;
    // The same name again replaces the client there.
    let again = NewProvider {
        client_id: "another client".into(),
        ..new_provider(&issuer, ProviderKind::Oidc)
    };
    let changed = world.add_provider(again).await;
    assert_eq!((changed.id, changed.client_id.as_str()), (first.id, "another client"));
    // Never the issuer, whose people are others.
    let elsewhere =
        NewProvider { name: first.name.clone(), ..new_provider(&other, ProviderKind::Oidc) };
    let refused =
        set_installation_provider(store, &world.vault, &*world.clock, &OsRandom, elsewhere).await;
    assert_eq!(refused.unwrap_err().code(), Code::Taken);
    assert_eq!(installation_providers(store).await.unwrap(), [changed]);
    delete_installation_provider(store, &*world.clock, first.id).await.unwrap();
    let gone = delete_installation_provider(store, &*world.clock, first.id).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
    let rows = world.events(INSTALLATION).await;
    let by_machine = rows.iter().filter(|row| row.action.starts_with("identity_provider_"));
    assert!(by_machine.clone().all(|row| row.actor == "machine"));
    assert_eq!(by_machine.count(), 3);
}

async fn whoever_holds_the_link_may_add_the_first_provider(database: TestDatabase) {
    let world = World::new(database).await;
    let issuer = Issuer::start().await;
    let (token, mut ada) = (world.claim_token().await, world.person());
    let new = || new_provider(&issuer, ProviderKind::Oidc);
    let refused = world.sign_in.set_claim_provider("cwc_no", ada.address, new()).await;
    assert_eq!(refused.unwrap_err().code(), Code::LinkSpent);
    let row = world.sign_in.set_claim_provider(&token, ada.address, new()).await.unwrap();
    assert_eq!(row.workspace, INSTALLATION);
    let purpose = Purpose::Claim { provider: row.id, token: &token };
    let done = world.through(&issuer, purpose, &ada).await.unwrap();
    ada.take(&done);
    let refused = world.sign_in.set_claim_provider(&token, ada.address, new()).await;
    assert_eq!(refused.unwrap_err().code(), Code::LinkSpent, "the link has been used");
}

async fn a_workspaces_provider_claims_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let workspace = world.bootstrap().await;
    let issuer = Issuer::start().await;
    let id = causeway_types::ProviderId::generate(world.clock.now(), &OsRandom);
    let place = causeway_types::Place::ProviderSecret(id);
    let row = causeway_types::entity::IdentityProvider {
        id,
        workspace_id: workspace,
        kind: ProviderKind::Oidc,
        name: "Own".into(),
        issuer: issuer.url().into(),
        client_id: crate::issuer::CLIENT_ID.into(),
        secret: world.vault.seal(workspace, &place, b"secret").await.unwrap(),
        created_at: world.clock.now(),
        updated_at: world.clock.now(),
    };
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    causeway_store::db!(tx, provider::insert(&row)).unwrap();
    let event = causeway_store::Audit::IdentityProviderDeleted { provider: id };
    tx.commit(workspace, world.clock.now(), event).await.unwrap();
    let (token, eve) = (world.claim_token().await, world.person());
    let purpose = Purpose::Claim { provider: id, token: &token };
    let error = world.sign_in.begin(purpose, &eve.visit(), "/").await.unwrap_err();
    assert!(matches!(error, SignInError::UnknownProvider(_)), "{error}");
}
