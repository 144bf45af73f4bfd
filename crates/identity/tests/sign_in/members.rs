//! Who comes in: accounts, addresses, invitations, places that a directory prepared.

use crate::issuer::Issuer;
use crate::world::{World, new_provider};
use causeway_identity::{
    Arrived, Members, MembersParts, NewInvitation, Purpose, Refusal, SignInError, WantedPlace,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::{MemberOrigin, MemberState, ProviderKind, Role};
use causeway_types::{Code, Coded as _, INSTALLATION, OsRandom};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

on_both!(
    somebody_without_a_place_does_not_come_in,
    one_address_is_one_account_at_two_providers,
    an_address_given_to_another_person_is_not_linked,
    an_address_that_changes_is_followed,
    an_invitation_makes_a_member_once,
    an_invitation_is_for_its_address_and_its_time,
    an_invitation_into_a_project_gives_its_role_there,
    an_invitation_fits_what_is_there_already,
    an_invitation_says_who_invites,
    a_deactivated_member_stays_out,
    prepared_places_are_taken_by_whom_they_are_for,
    a_workspaces_own_provider_counts_nowhere_else,
    two_who_come_for_the_first_time_at_once_are_one_account,
);

async fn somebody_without_a_place_does_not_come_in(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    issuer.claim(json!({ "sub": "eve", "email": "eve@example.com" }));
    let error =
        world.through(&issuer, Purpose::SignIn { provider }, &world.person()).await.map(|_| ());
    let error = error.unwrap_err();
    assert!(matches!(error, SignInError::NoPlace), "{error}");
    assert_eq!(error.code(), Code::Denied);
    let event = world.last(INSTALLATION, "sign_in_refused").await;
    assert_eq!(
        (&event["reason"], &event["email"]),
        (&json!("no_place"), &json!("eve@example.com"))
    );
    let mut conn = world.database.store.read().await.unwrap();
    let kept = db!(conn, user::by_email(INSTALLATION, "eve@example.com")).unwrap();
    assert!(kept.is_none(), "strangers leave no accounts behind");
}

async fn one_address_is_one_account_at_two_providers(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let first = world.ada(&issuer, provider).await;
    let other = Issuer::start().await;
    let second = world.add_provider(new_provider(&other, ProviderKind::Oidc)).await.id;
    // Another subject, another case, the same address.
    other.claim(json!({ "sub": "07", "email": "Ada@EXAMPLE.com", "name": "  " }));
    let mut again = world.person();
    let done = world.through(&other, Purpose::SignIn { provider: second }, &again).await.unwrap();
    again.take(&done);
    let sessions = world.sign_in.sessions();
    let (one, two) =
        (sessions.who(first.cookie()).await.unwrap(), sessions.who(again.cookie()).await.unwrap());
    assert_eq!(one.user.id, two.user.id);
    assert_eq!(two.user.name, "ada", "no name is what comes before the @");
    let event = world.last(INSTALLATION, "identity_linked").await;
    assert_eq!(event["provider"], second.to_string());
    let count = |rows: Vec<String>| rows.iter().filter(|one| *one == "identity_linked").count();
    world.through(&other, Purpose::SignIn { provider: second }, &again).await.unwrap();
    assert_eq!(count(world.actions(INSTALLATION).await), 1, "once");
}

async fn an_address_given_to_another_person_is_not_linked(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    issuer.claim(json!({ "sub": "subject-2" }));
    let result = world.through(&issuer, Purpose::SignIn { provider }, &world.person()).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::AnotherSubject);
    // Nor do look-alikes of the address lead to its account.
    for email in ["ada@ex\u{430}mple.com", "ada@example.com.evil.example", "ada@examp1e.com"] {
        issuer.claim(json!({ "sub": "subject-3", "email": email }));
        let result = world.through(&issuer, Purpose::SignIn { provider }, &world.person()).await;
        assert!(matches!(result.map(|_| ()).unwrap_err(), SignInError::NoPlace), "{email}");
    }
}

async fn an_address_that_changes_is_followed(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    issuer.claim(json!({ "email": "ada.lovelace@example.com", "name": "Ada Lovelace" }));
    let ada = world.ada(&issuer, provider).await;
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    assert_eq!(
        (me.user.email.as_str(), me.user.name.as_str()),
        ("ada.lovelace@example.com", "Ada Lovelace")
    );
    for place in [INSTALLATION, workspace] {
        assert!(world.member(place, "ada@example.com").await.is_none());
        assert!(world.member(place, "ada.lovelace@example.com").await.is_some());
        assert_eq!(world.last(place, "member_updated").await["changed"], json!(["email"]));
    }
    // An address that another account has is not taken over.
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let purpose = Purpose::Invitation { provider, token: &token };
    world.through(&issuer, purpose, &world.person()).await.unwrap();
    issuer.claim(json!({ "email": "bob@example.com" }));
    let result = world.through(&issuer, Purpose::SignIn { provider }, &world.person()).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::AddressTaken);
}

async fn an_invitation_makes_a_member_once(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let token = world.invite(workspace, "bob@example.com", Role::Developer, None).await;
    let mut bob = world.person();
    let view = world.sign_in.invitation(&token, bob.address).await.unwrap();
    assert_eq!(view.inviter, None, "the machine has no name");
    assert_eq!((view.workspace, view.email.as_str()), (workspace, "bob@example.com"));
    assert_eq!(view.providers.iter().map(|one| one.id).collect::<Vec<_>>(), [provider]);
    issuer.claim(json!({ "sub": "bob", "email": "Bob@Example.com" }));
    let purpose = Purpose::Invitation { provider, token: &token };
    let done = world.through(&issuer, purpose, &bob).await.unwrap();
    assert_eq!(done.arrived, Arrived::Joined { workspace });
    bob.take(&done);
    let caller = world.caller(&bob, workspace).await;
    assert_eq!((caller.roles().len(), caller.roles()[0].role), (1, Role::Developer));
    let member = world.member(workspace, "bob@example.com").await.unwrap();
    assert_eq!(member.origin, MemberOrigin::Invitation);
    let event = world.last(workspace, "member_joined").await;
    assert_eq!(event["user"], done.user.to_string());
    assert!(event["invitation"].is_string());
    assert_eq!(world.last(workspace, "role_granted").await["role"], "developer");
    assert_eq!(world.last(workspace, "signed_in").await["user"], done.user.to_string());
    // It is spent.
    let error = world.sign_in.invitation(&token, bob.address).await.unwrap_err();
    assert_eq!(error.code(), Code::LinkSpent);
    let begun = world.sign_in.begin(purpose, &bob.visit(), "/").await;
    assert_eq!(begun.unwrap_err().code(), Code::LinkSpent);
    // Bob may see his workspace, and no other.
    let place = Some(WantedPlace::Workspace(INSTALLATION));
    let error = world.sign_in.sessions().authenticate(bob.cookie(), place).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

async fn an_invitation_is_for_its_address_and_its_time(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let token = world.invite(workspace, "bob@example.com", Role::Owner, None).await;
    let purpose = Purpose::Invitation { provider, token: &token };
    for email in ["eve@example.com", "bob@example.com.evil.example", "bob@ex\u{430}mple.com"] {
        issuer.claim(json!({ "sub": email.replace('\u{430}', "a"), "email": email }));
        let result = world.through(&issuer, purpose, &world.person()).await.map(|_| ());
        assert!(matches!(result.unwrap_err(), SignInError::OtherAddress), "{email}");
    }
    assert_eq!(
        world.last(INSTALLATION, "sign_in_refused").await["reason"],
        "invitation_of_another_address"
    );
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com", "email_verified": false }));
    let result = world.through(&issuer, purpose, &world.person()).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Unverified);
    // Begun in time, and revoked or over when the answer comes.
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let bob = world.person();
    let query = world.begin_at(&issuer, purpose, &bob).await;
    let mut conn = world.database.store.read().await.unwrap();
    let first = causeway_types::InvitationId::lowest();
    let open = db!(
        conn,
        invitation::open(workspace, causeway_types::Clock::now(&*world.clock), first, 10)
    )
    .unwrap();
    drop(conn);
    world.revoke_invitation(workspace, open[0].id).await;
    let result = world.back(&query, &bob).await.map(|_| ());
    assert!(matches!(result.unwrap_err(), SignInError::LinkSpent));
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    world.clock.advance(Duration::from_hours(72));
    let begun = world
        .sign_in
        .begin(Purpose::Invitation { provider, token: &token }, &bob.visit(), "/")
        .await;
    assert_eq!(begun.unwrap_err().code(), Code::LinkSpent);
    assert!(world.member(workspace, "bob@example.com").await.is_none());
}

async fn an_invitation_into_a_project_gives_its_role_there(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let project = world.project(workspace).await;
    let token = world.invite(workspace, "bob@example.com", Role::Admin, Some(project)).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let mut bob = world.person();
    let purpose = Purpose::Invitation { provider, token: &token };
    let done = world.through(&issuer, purpose, &bob).await.unwrap();
    bob.take(&done);
    let caller = world.caller(&bob, workspace).await;
    assert_eq!(caller.roles()[0].project_id, Some(project));
    assert!(!caller.may(causeway_identity::action::ActionName::ManageMembers));
}

async fn an_invitation_fits_what_is_there_already(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    // For a place that a directory prepared.
    let prepared = world.prepare(workspace, "bob@example.com").await;
    let token = world.invite(workspace, "bob@example.com", Role::Operator, None).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let bob = world.person();
    let purpose = Purpose::Invitation { provider, token: &token };
    let done = world.through(&issuer, purpose, &bob).await.unwrap();
    let member = world.member(workspace, "bob@example.com").await.unwrap();
    assert_eq!((member.id, member.user_id), (prepared, Some(done.user)));
    assert_eq!(member.origin, MemberOrigin::Scim, "the directory keeps it");
    let mut conn = world.database.store.read().await.unwrap();
    let held = db!(conn, member::held_roles(workspace, prepared)).unwrap();
    assert_eq!(held.len(), 2);
    for role in [Role::Viewer, Role::Operator] {
        assert!(held.iter().any(|one| one.role == role), "{role}");
    }
    drop(conn);
    // For somebody who is a member and has the role: nothing changes but that it is spent.
    let token = world.invite(workspace, "bob@example.com", Role::Operator, None).await;
    let purpose = Purpose::Invitation { provider, token: &token };
    world.through(&issuer, purpose, &bob).await.unwrap();
    let joined = world.actions(workspace).await;
    assert_eq!(joined.iter().filter(|one| *one == "member_joined").count(), 2, "Ada and Bob");
}

async fn an_invitation_says_who_invites(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    issuer.claim(json!({ "name": "Ada Lovelace" }));
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let by = world.caller(&ada, workspace).await;
    let members = Members::new(MembersParts {
        store: world.database.store.clone(),
        vault: world.vault.clone(),
        token_key: world.keys.token().clone(),
        clock: world.clock.clone(),
        random: Arc::new(OsRandom),
    });
    let new = NewInvitation {
        email: "bob@example.com".into(),
        role: Role::Viewer,
        project: None,
        lifetime: None,
    };
    let permit = world.permit(&ada, workspace).await;
    let made = members.invite(&permit, &by, &new).await.unwrap();
    let bob = world.person();
    let view = world.sign_in.invitation(made.token.expose(), bob.address).await.unwrap();
    assert_eq!(view.inviter.as_deref(), Some("Ada Lovelace"));
}

async fn a_deactivated_member_stays_out(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let mut bob = world.person();
    let done = world
        .through(&issuer, Purpose::Invitation { provider, token: &token }, &bob)
        .await
        .unwrap();
    bob.take(&done);
    world
        .change_member(workspace, "bob@example.com", |member| {
            member.state = MemberState::Deactivated;
        })
        .await;
    let place = Some(WantedPlace::Workspace(workspace));
    let error = world.sign_in.sessions().authenticate(bob.cookie(), place).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "at the next request");
    let result = world.through(&issuer, Purpose::SignIn { provider }, &bob).await.map(|_| ());
    assert!(matches!(result.unwrap_err(), SignInError::NoPlace));
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    let purpose = Purpose::Invitation { provider, token: &token };
    let result = world.through(&issuer, purpose, &bob).await;
    assert_eq!(world.refused(INSTALLATION, result).await, Refusal::Deactivated);
}

async fn prepared_places_are_taken_by_whom_they_are_for(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let (workspace, other) = (world.workspace().await, world.another_workspace().await);
    for place in [workspace, other] {
        world.prepare(place, "bob@example.com").await;
    }
    // The other workspace believes nobody from that domain.
    let rules = json!({ "domains": ["other.example"] }).to_string();
    world.store_rules(other, &rules).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let mut bob = world.person();
    let done = world.through(&issuer, Purpose::SignIn { provider }, &bob).await.unwrap();
    bob.take(&done);
    let taken = |place| world.member(place, "bob@example.com");
    assert_eq!(taken(workspace).await.unwrap().user_id, Some(done.user));
    assert_eq!(taken(other).await.unwrap().user_id, None);
    assert_eq!(world.last(workspace, "member_joined").await["invitation"], json!(null));
    assert_eq!(world.caller(&bob, workspace).await.roles()[0].role, Role::Viewer);

    // A provider of the one workspace takes nothing in the other, whatever its rules.
    world.store_rules(other, "{}").await;
    world.prepare(other, "carol@example.com").await;
    let own = Issuer::start().await;
    let row = world.add_provider_of(&ada, workspace, new_provider(&own, ProviderKind::Oidc)).await;
    own.claim(json!({ "sub": "carol", "email": "carol@example.com" }));
    let carol = world.person();
    let query = world.begin_at(&own, Purpose::SignIn { provider: row.id }, &carol).await;
    let result = world.back_to(workspace, &query, &carol).await.map(|_| ());
    assert!(matches!(result.unwrap_err(), SignInError::NoPlace));
    assert_eq!(world.member(other, "carol@example.com").await.unwrap().user_id, None);
    // One of the installation's does.
    issuer.claim(json!({ "sub": "carol", "email": "carol@example.com" }));
    world.through(&issuer, Purpose::SignIn { provider }, &carol).await.unwrap();
    assert!(world.member(other, "carol@example.com").await.unwrap().user_id.is_some());
}

async fn a_workspaces_own_provider_counts_nowhere_else(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let own = Issuer::start().await;
    let row = world.add_provider_of(&ada, workspace, new_provider(&own, ProviderKind::Oidc)).await;
    // The workspace's administrators let their issuer say that it is Ada, who owns the
    // installation: it is another account, of the workspace's realm, and it has no place.
    own.claim(json!({ "sub": "subject-1", "email": "ada@example.com" }));
    let eve = world.person();
    let query = world.begin_at(&own, Purpose::SignIn { provider: row.id }, &eve).await;
    let result = world.back_to(workspace, &query, &eve).await.map(|_| ());
    assert!(matches!(result.unwrap_err(), SignInError::NoPlace));
    // Nor does it get Ada's place by an invitation for her address.
    let token = world.invite(workspace, "ada@example.com", Role::Viewer, None).await;
    let purpose = Purpose::Invitation { provider: row.id, token: &token };
    let query = world.begin_at(&own, purpose, &eve).await;
    let result = world.back_to(workspace, &query, &eve).await;
    assert_eq!(world.refused(workspace, result).await, Refusal::MemberTaken);
    // Whom it is for it signs in, here and not elsewhere.
    own.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let token = world.invite(workspace, "bob@example.com", Role::Owner, None).await;
    let purpose = Purpose::Invitation { provider: row.id, token: &token };
    let mut bob = world.person();
    let query = world.begin_at(&own, purpose, &bob).await;
    let done = world.back_to(workspace, &query, &bob).await.unwrap();
    bob.take(&done);
    assert_eq!(world.caller(&bob, workspace).await.roles()[0].role, Role::Owner);
    let elsewhere = world.another_workspace().await;
    let token = world.invite(elsewhere, "bob@example.com", Role::Viewer, None).await;
    let purpose = Purpose::Invitation { provider: row.id, token: &token };
    let begun = world.sign_in.begin(purpose, &bob.visit(), "/").await;
    assert!(matches!(begun.unwrap_err(), SignInError::UnknownProvider(_)));
    // Even a membership that should not be there does not help.
    world.seat(elsewhere, "bob@example.com", done.user).await;
    let place = Some(WantedPlace::Workspace(elsewhere));
    let error = world.sign_in.sessions().authenticate(bob.cookie(), place).await.unwrap_err();
    assert_eq!(error.code(), Code::SsoRequired);
}

async fn two_who_come_for_the_first_time_at_once_are_one_account(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    world.prepare(world.workspace().await, "bob@example.com").await;
    // Both answers are in flight at once.
    let second = Issuer::start().await;
    second.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let other = world.add_provider(new_provider(&second, ProviderKind::Oidc)).await.id;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let (one, two) = (world.person(), world.person());
    let first_query = world.begin_at(&issuer, Purpose::SignIn { provider }, &one).await;
    let second_query = world.begin_at(&second, Purpose::SignIn { provider: other }, &two).await;
    let (a, b) = tokio::join!(world.back(&first_query, &one), world.back(&second_query, &two));
    assert_eq!(a.unwrap().user, b.unwrap().user);
}
