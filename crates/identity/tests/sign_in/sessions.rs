//! Sessions: how long they last, how they end, and what they open.

use crate::world::World;
use causeway_identity::{Purpose, SessionError, WantedPlace, action, authorize};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both};
use causeway_types::entity::{AccessRequest, AccessState, MemberState, Role};
use causeway_types::{
    AccessRequestId, Actor, Clock as _, Code, Coded as _, EnvironmentId, INSTALLATION, OsRandom,
    Timestamp, UserId, WorkspaceId,
};
use serde_json::json;
use std::time::Duration;

on_both!(
    a_session_opens_its_owners_places_and_no_others,
    a_session_ends_when_it_is_not_used,
    a_session_ends_at_its_time,
    uses_are_noted_once_a_minute,
    signing_in_again_ends_the_browsers_former_session,
    people_see_and_end_their_own_sessions_only,
    what_is_no_session_is_refused,
    the_database_has_no_cookie,
    a_change_of_roles_counts_at_once,
    staff_come_in_by_an_approved_request_only,
    the_proof_grows_old,
);

async fn a_session_opens_its_owners_places_and_no_others(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let (workspace, other) = (world.workspace().await, world.another_workspace().await);
    let sessions = world.sign_in.sessions();
    let caller = world.caller(&ada, workspace).await;
    let me = sessions.who(ada.cookie()).await.unwrap();
    assert_eq!(caller.actor(), Actor::User(me.user.id));
    assert_eq!(
        (me.user.email.as_str(), me.session.user_agent.as_str()),
        ("ada@example.com", "testbrowser")
    );
    assert_eq!(me.session.address, ada.address.to_string());
    let mut conn = world.database.store.read().await.unwrap();
    let environment = db!(conn, workspace::environments(workspace)).unwrap()[0].clone();
    drop(conn);
    let place = Some(WantedPlace::Environment(environment.id));
    let caller = sessions.authenticate(ada.cookie(), place).await.unwrap();
    assert_eq!(caller.place().environment(), Some(environment.tenant()));
    assert!(authorize::<action::Deploy>(&caller, world.clock.now()).is_ok());
    // A workspace of others, one that does not exist, an environment that does not: one answer.
    let now = world.clock.now();
    let mut answers = Vec::new();
    for place in [
        WantedPlace::Workspace(other),
        WantedPlace::Workspace(WorkspaceId::generate(now, &OsRandom)),
        WantedPlace::Environment(EnvironmentId::generate(now, &OsRandom)),
    ] {
        let error = sessions.authenticate(ada.cookie(), Some(place)).await.unwrap_err();
        answers.push((error.code(), error.public()));
    }
    assert!(answers.iter().all(|one| *one == (Code::NotFound, "There is no such record.".into())));
    let error = sessions.authenticate(ada.cookie(), None).await.unwrap_err();
    assert_eq!(error.code(), Code::EnvironmentRequired);
}

async fn a_session_ends_when_it_is_not_used(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let sessions = world.sign_in.sessions();
    world.clock.advance(Duration::from_hours(7));
    assert!(sessions.who(ada.cookie()).await.is_ok());
    world.clock.advance(Duration::from_hours(7));
    assert!(sessions.who(ada.cookie()).await.is_ok(), "the use before counted");
    world.clock.advance(Duration::from_hours(8));
    let error = sessions.who(ada.cookie()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
}

async fn a_session_ends_at_its_time(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let sessions = world.sign_in.sessions();
    for _ in 0..4 {
        world.clock.advance(Duration::from_hours(5));
        assert!(sessions.who(ada.cookie()).await.is_ok());
    }
    world.clock.advance(Duration::from_hours(4));
    assert!(sessions.who(ada.cookie()).await.is_err(), "24 hours, however much it is used");
}

async fn uses_are_noted_once_a_minute(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let began = world.clock.now();
    let active = async || world.member(workspace, "ada@example.com").await.unwrap().last_active_at;
    let seen =
        async || world.sign_in.sessions().who(ada.cookie()).await.unwrap().session.last_seen_at;
    assert_eq!(active().await, None);
    world.caller(&ada, workspace).await;
    assert_eq!(active().await, Some(began));
    world.clock.advance(Duration::from_secs(59));
    world.caller(&ada, workspace).await;
    assert_eq!((active().await, seen().await), (Some(began), began));
    world.clock.advance(Duration::from_secs(1));
    world.caller(&ada, workspace).await;
    assert_eq!((active().await, seen().await), (Some(world.clock.now()), world.clock.now()));
}

async fn signing_in_again_ends_the_browsers_former_session(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let mut ada = world.ada(&issuer, provider).await;
    let elsewhere = world.ada(&issuer, provider).await;
    let former = ada.cookie().to_owned();
    let done = world.through(&issuer, Purpose::SignIn { provider }, &ada).await.unwrap();
    ada.take(&done);
    assert_ne!(former, ada.cookie());
    let sessions = world.sign_in.sessions();
    assert!(sessions.who(&former).await.is_err());
    assert!(sessions.who(ada.cookie()).await.is_ok());
    assert!(sessions.who(elsewhere.cookie()).await.is_ok(), "other browsers stay signed in");
}

async fn people_see_and_end_their_own_sessions_only(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let workspace = world.workspace().await;
    let (one, two) = (world.ada(&issuer, provider).await, world.ada(&issuer, provider).await);
    world.prepare(workspace, "bob@example.com").await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let mut bob = world.person();
    let done = world.through(&issuer, Purpose::SignIn { provider }, &bob).await.unwrap();
    bob.take(&done);
    let sessions = world.sign_in.sessions();
    let listed = sessions.list(one.cookie()).await.unwrap();
    assert_eq!(listed.len(), 3, "with the claim's");
    assert_eq!(listed.iter().filter(|session| session.current).count(), 1);
    let others = sessions.list(bob.cookie()).await.unwrap();
    assert_eq!(others.len(), 1);
    let error = sessions.revoke(one.cookie(), others[0].id).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(sessions.who(bob.cookie()).await.is_ok());
    let second = sessions.who(two.cookie()).await.unwrap().session.id;
    sessions.revoke(one.cookie(), second).await.unwrap();
    assert!(matches!(sessions.who(two.cookie()).await, Err(SessionError::Refused)));
    let error = sessions.revoke(one.cookie(), second).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "twice");
    assert_eq!(world.last(INSTALLATION, "session_revoked").await["session"], second.to_string());
    sessions.sign_out(bob.cookie()).await.unwrap();
    assert!(sessions.who(bob.cookie()).await.is_err());
    assert_eq!(world.last(INSTALLATION, "signed_out").await["user"], done.user.to_string());
    assert_eq!(sessions.revoke_all(one.cookie()).await.unwrap(), 2);
    assert!(sessions.who(one.cookie()).await.is_err());
    assert!(sessions.list(one.cookie()).await.is_err());
}

async fn what_is_no_session_is_refused(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let cookie = ada.cookie();
    let mut typo = cookie.to_owned();
    typo.replace_range(10..11, if &cookie[10..11] == "a" { "b" } else { "a" });
    let made_up =
        causeway_identity::token::Plain::<causeway_identity::token::Session>::generate(&OsRandom);
    let made_up = made_up.reveal().expose().clone();
    let long = "a".repeat(10_000_000);
    for bad in [
        "",
        "cwo_",
        &typo,
        &made_up,
        &cookie.to_uppercase(),
        &cookie.replace("cwo_", "cwk_"),
        &long,
    ] {
        let error = world.sign_in.sessions().who(bad).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
    }
}

async fn the_database_has_no_cookie(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let key =
        causeway_identity::token::Plain::<causeway_identity::token::Session>::parse(ada.cookie())
            .ok()
            .unwrap();
    let mut conn = world.database.store.read().await.unwrap();
    let plain = db!(conn, session::by_digest(key.digest().as_bytes())).unwrap();
    assert!(plain.is_none(), "not even the digest that anybody could compute");
    let keyed = key.keyed_digest(world.keys.token());
    assert!(db!(conn, session::by_digest(keyed.as_bytes())).unwrap().is_some());
}

async fn a_change_of_roles_counts_at_once(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    assert!(!world.caller(&ada, workspace).await.roles().is_empty());
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    let grant = db!(tx, role_grant::all(workspace)).unwrap()[0].clone();
    assert!(db!(tx, role_grant::delete(workspace, grant.id)).unwrap());
    let event = Audit::RoleRevoked {
        grant: grant.id,
        member: grant.member_id,
        group: None,
        role: grant.role,
    };
    tx.commit(workspace, world.clock.now(), event).await.unwrap();
    assert!(world.caller(&ada, workspace).await.roles().is_empty());
    world
        .change_member(workspace, "ada@example.com", |member| {
            member.state = MemberState::Deactivated;
        })
        .await;
    let place = Some(WantedPlace::Workspace(workspace));
    let error = world.sign_in.sessions().authenticate(ada.cookie(), place).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let me = world.sign_in.sessions().who(ada.cookie()).await.unwrap();
    assert_eq!(me.workspaces.iter().map(|place| place.id).collect::<Vec<_>>(), [INSTALLATION]);
}

/// Stores a request of the staff as the part of Causeway that decides about them would.
async fn request(
    world: &World,
    workspace: WorkspaceId,
    user: UserId,
    state: AccessState,
    expires_at: Option<Timestamp>,
) -> AccessRequestId {
    let now = world.clock.now();
    let row = AccessRequest {
        id: AccessRequestId::generate(now, &OsRandom),
        workspace_id: workspace,
        user_id: user,
        role: Role::Operator,
        reason: "a ticket".into(),
        minutes: 60,
        state,
        requested_at: now,
        decided_by: None,
        decided_at: None,
        expires_at,
        ended_at: None,
    };
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    db!(tx, access_request::insert(&row)).unwrap();
    let event = Audit::AccessRequested {
        request: row.id,
        user,
        role: row.role,
        reason: row.reason.clone(),
        minutes: row.minutes,
    };
    tx.commit(workspace, now, event).await.unwrap();
    row.id
}

async fn staff_come_in_by_an_approved_request_only(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    let ada = world.ada(&issuer, provider).await;
    let other = world.another_workspace().await;
    // Rules of the workspace that its staff could never meet are not asked.
    world
        .store_rules(other, &json!({ "domains": ["other.example"], "mfa": true }).to_string())
        .await;
    let sessions = world.sign_in.sessions();
    let user = sessions.who(ada.cookie()).await.unwrap().user.id;
    let place = Some(WantedPlace::Workspace(other));
    let now = world.clock.now();
    let enter = async || sessions.authenticate(ada.cookie(), place).await;
    request(&world, other, user, AccessState::Pending, None).await;
    request(&world, other, user, AccessState::Denied, Some(now.plus(Duration::from_hours(9))))
        .await;
    request(&world, other, user, AccessState::Approved, Some(now)).await;
    assert_eq!(enter().await.unwrap_err().code(), Code::NotFound);
    let until = Some(now.plus(Duration::from_hours(1)));
    let id = request(&world, other, user, AccessState::Approved, until).await;
    let caller = enter().await.unwrap();
    assert_eq!(caller.actor(), Actor::Staff(user, id));
    assert_eq!(caller.roles().iter().map(|held| held.role).collect::<Vec<_>>(), [Role::Operator]);
    // By the installation's own rules.
    world.store_rules(INSTALLATION, &json!({ "mfa": true }).to_string()).await;
    assert_eq!(enter().await.unwrap_err().code(), Code::SsoRequired);
    world.store_rules(INSTALLATION, "{}").await;
    assert!(enter().await.is_ok());
    // Who is no longer staff does not come in, approved or not.
    world
        .change_member(INSTALLATION, "ada@example.com", |member| {
            member.state = MemberState::Deactivated;
        })
        .await;
    assert_eq!(enter().await.unwrap_err().code(), Code::NotFound);
    world
        .change_member(INSTALLATION, "ada@example.com", |member| member.state = MemberState::Active)
        .await;
    assert!(enter().await.is_ok());
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(enter().await.unwrap_err().code(), Code::NotFound, "it ends by itself");
}

async fn the_proof_grows_old(database: TestDatabase) {
    let (world, issuer, provider) = World::with_issuer(database).await;
    // The provider says that it authenticated Ada half an hour ago.
    let now = world.clock.now().as_secs();
    issuer.claim(json!({ "auth_time": now - 1800 }));
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let caller = world.caller(&ada, workspace).await;
    let error = authorize::<action::ManageSso>(&caller, world.clock.now()).err().unwrap();
    assert_eq!(error.code(), Code::StepUpRequired);
    assert!(authorize::<action::ReadSso>(&caller, world.clock.now()).is_ok());
    world.store_rules(workspace, &json!({ "step_up_minutes": 31 }).to_string()).await;
    let caller = world.caller(&ada, workspace).await;
    assert!(authorize::<action::ManageSso>(&caller, world.clock.now()).is_ok());
}
