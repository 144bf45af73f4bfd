//! Invitations: made, listed and revoked.

use crate::world::{ALL, World, refused};
use causeway_identity::action::{ActionName, ManageMembers, ReadMembers};
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    INVITATION_LIFETIME, MAX_INVITATION_LIFETIME, MIN_INVITATION_LIFETIME, MadeInvitation,
    MembersError, NewInvitation, Scopes, role,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::Role;
use causeway_types::{Code, InvitationId, OsRandom, ProjectId};
use std::time::Duration;

on_both!(
    an_invitation_is_open_until_it_is_over,
    one_link_works_at_a_time,
    nobody_invites_above_themselves,
    who_is_a_member_is_not_invited,
    look_alike_addresses_are_refused_or_others,
    invitations_of_other_workspaces_are_not_there,
    whoever_invites_is_named,
);

fn new(email: &str, role: Role) -> NewInvitation {
    NewInvitation { email: email.into(), role, project: ALL, lifetime: None }
}

impl World {
    async fn invite(
        &self,
        by: &causeway_identity::Caller,
        new: &NewInvitation,
    ) -> Result<MadeInvitation, MembersError> {
        // Ids sort by age, to a millisecond.
        self.clock.advance(Duration::from_millis(1));
        self.members.invite(&self.permit::<ManageMembers>(by), by, new).await
    }

    async fn open(&self, by: &causeway_identity::Caller) -> Vec<InvitationId> {
        let permit = self.permit::<ReadMembers>(by);
        let open = self.members.invitations(&permit, InvitationId::lowest(), 100).await.unwrap();
        open.into_iter().map(|one| one.invitation.id).collect()
    }
}

async fn an_invitation_is_open_until_it_is_over(database: TestDatabase) {
    let world = World::new(database).await;
    let person = world.person(Role::Owner).await;
    let by = world.caller(&person).await;
    let made = world.invite(&by, &new("Ada@Example.COM", Role::Developer)).await.unwrap();
    let invitation = &made.invitation;
    assert_eq!(invitation.email, "ada@example.com");
    assert_eq!(invitation.invited_by, person.user.to_string());
    assert_eq!(invitation.expires_at, world.now().plus(INVITATION_LIFETIME));
    let event = world.last("member_invited").await;
    assert_eq!((&event["email"], &event["role"]), (&"ada@example.com".into(), &"developer".into()));
    // The token is stored as a keyed digest only, and stands in no event.
    let plain = Plain::<token::Invitation>::parse(made.token.expose()).map_err(drop).unwrap();
    assert!(plain.keyed_digest(world.keys.token()).matches(&invitation.token_digest));
    assert!(!format!("{:?}", world.audit().await).contains(made.token.expose()));
    assert_eq!(world.open(&by).await, [invitation.id]);

    world.clock.advance(INVITATION_LIFETIME.saturating_sub(Duration::from_secs(1)));
    let by = world.caller(&world.person(Role::Owner).await).await;
    assert_eq!(world.open(&by).await, [invitation.id]);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.open(&by).await.is_empty());

    for lifetime in [
        Duration::ZERO,
        MIN_INVITATION_LIFETIME.saturating_sub(Duration::from_secs(1)),
        MAX_INVITATION_LIFETIME + Duration::from_secs(1),
        Duration::from_secs(u64::MAX),
    ] {
        let wrong =
            NewInvitation { lifetime: Some(lifetime), ..new("bob@example.com", Role::Viewer) };
        assert_eq!(refused(world.invite(&by, &wrong).await), Code::InvalidRequest);
    }
    let longest = Some(MAX_INVITATION_LIFETIME);
    let long = NewInvitation { lifetime: longest, ..new("bob@example.com", Role::Viewer) };
    world.invite(&by, &long).await.unwrap();
}

async fn one_link_works_at_a_time(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let first = world.invite(&by, &new("ada@example.com", Role::Admin)).await.unwrap();
    let second = world.invite(&by, &new("ADA@example.com", Role::Viewer)).await.unwrap();
    assert_eq!(world.open(&by).await, [second.invitation.id]);
    let event = world.last("invitation_revoked").await;
    assert_eq!(event["invitation"], first.invitation.id.to_string());
    let permit = world.permit(&by);
    let id = second.invitation.id;
    world.members.revoke_invitation(&permit, &by, id).await.unwrap();
    assert!(world.open(&by).await.is_empty());
    for id in [id, first.invitation.id, InvitationId::generate(world.now(), &OsRandom)] {
        let again = world.members.revoke_invitation(&permit, &by, id).await;
        assert_eq!(refused(again), Code::NotFound);
    }
}

async fn nobody_invites_above_themselves(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.caller(&world.person(Role::Owner).await).await;
    let admin = world.caller(&world.person(Role::Admin).await).await;
    let refusal = world.invite(&admin, &new("eve@example.com", Role::Owner)).await;
    assert_eq!(refused(refusal), Code::Denied);
    world.invite(&admin, &new("eve@example.com", Role::Admin)).await.unwrap();
    let made = world.invite(&owner, &new("new@example.com", Role::Owner)).await.unwrap();
    let revoked =
        world.members.revoke_invitation(&world.permit(&admin), &admin, made.invitation.id).await;
    assert_eq!(refused(revoked), Code::Denied);
    let key = Scopes::only(ActionName::ManageMembers);
    let program = world.program(&key).await;
    let refusal = world.invite(&program, &new("eve@example.com", Role::Viewer)).await;
    assert_eq!(refused(refusal), Code::Denied);
    let nowhere = Some(ProjectId::generate(world.now(), &OsRandom));
    let elsewhere = NewInvitation { project: nowhere, ..new("x@example.com", Role::Viewer) };
    assert_eq!(refused(world.invite(&owner, &elsewhere).await), Code::NotFound);
}

async fn who_is_a_member_is_not_invited(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let person = world.person(Role::Viewer).await;
    let email = format!("{}@EXAMPLE.com", person.user);
    assert_eq!(refused(world.invite(&by, &new(&email, Role::Admin)).await), Code::Taken);
    world.deactivate(&by, person.member).await.unwrap();
    assert_eq!(refused(world.invite(&by, &new(&email, Role::Admin)).await), Code::Taken);
    // Removed, they may be invited again.
    world.remove(&by, person.member).await.unwrap();
    world.invite(&by, &new(&email, Role::Viewer)).await.unwrap();
}

async fn look_alike_addresses_are_refused_or_others(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let real = world.invite(&by, &new("ada@example.com", Role::Admin)).await.unwrap();
    for email in [
        // Cyrillic а, full-width a, a zero-width space, a NUL, another's domain after a newline.
        "аda@example.com",
        "ａda@example.com",
        "ada\u{200b}@example.com",
        "ada\0@example.com",
        "ada@example.com\nevil.example",
        "\"ada@example.com\"@evil.example",
        "Ada <ada@example.com>",
        "ada",
        "",
        &"a".repeat(100_000),
    ] {
        let refusal = world.invite(&by, &new(email, Role::Admin)).await;
        assert_eq!(refused(refusal), Code::InvalidEmail, "{email:?}");
    }
    // A domain that only looks the same is another one: it does not replace the real one.
    let other = world.invite(&by, &new("ada@exаmple.com", Role::Viewer)).await.unwrap();
    assert_eq!(other.invitation.email, "ada@xn--exmple-4nf.com");
    assert_eq!(world.open(&by).await, [real.invitation.id, other.invitation.id]);
    // A full-width domain is the same one.
    let same = world.invite(&by, &new("ada@ｅｘａｍｐｌｅ.com", Role::Viewer)).await.unwrap();
    assert_eq!(world.open(&by).await, [other.invitation.id, same.invitation.id]);
}

async fn invitations_of_other_workspaces_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let elsewhere = world.beside().await;
    let mut conn = world.database.store.read().await.unwrap();
    let theirs = db!(conn, invitation::open(elsewhere, world.now(), InvitationId::lowest(), 9));
    drop(conn);
    let theirs = theirs.unwrap()[0].id;
    assert!(world.open(&by).await.is_empty());
    let revoked = world.members.revoke_invitation(&world.permit(&by), &by, theirs).await;
    assert_eq!(refused(revoked), Code::NotFound);
}

async fn whoever_invites_is_named(database: TestDatabase) {
    let world = World::new(database).await;
    let person = world.person(Role::Owner).await;
    let by = world.caller(&person).await;
    let name = {
        let mut conn = world.database.store.read().await.unwrap();
        db!(conn, user::by_id(person.user)).unwrap().unwrap().name
    };
    assert!(!name.is_empty());
    let made = world.invite(&by, &new("ada@example.com", Role::Viewer)).await.unwrap();
    assert_eq!(made.inviter.as_deref(), Some(name.as_str()));
    // A program has no name here.
    let mut scopes = Scopes::only(ActionName::ManageMembers);
    let actions = ActionName::ALL.iter().filter(|one| role::carries(Role::Viewer, **one));
    scopes.actions.as_mut().unwrap().extend(actions);
    let program = world.program(&scopes).await;
    let made = world.invite(&program, &new("bob@example.com", Role::Viewer)).await.unwrap();
    assert_eq!(made.inviter, None);
    let permit = world.permit::<ReadMembers>(&by);
    let open = world.members.invitations(&permit, InvitationId::lowest(), 100).await.unwrap();
    let named: Vec<_> =
        open.iter().map(|one| (one.invitation.email.as_str(), one.inviter.as_deref())).collect();
    assert_eq!(named, [("ada@example.com", Some(name.as_str())), ("bob@example.com", None)]);
}
