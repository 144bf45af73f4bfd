//! Showing, removing, deactivating and leaving.

use crate::world::{ALL, World, refused};
use causeway_identity::action::{ManageMembers, ReadMembers, ReadWorkspace};
use causeway_identity::{Grantee, MembersError, SessionError, authorize};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::{MemberState, Role};
use causeway_types::{Code, MemberId, OsRandom};

on_both!(
    members_are_shown_with_roles_and_groups,
    who_is_removed_is_out_at_once,
    who_is_deactivated_is_out_and_keeps_their_place,
    who_leaves_stays_signed_in_where_they_are_a_member,
    only_owners_touch_owners,
    the_last_owner_stays,
    members_of_other_workspaces_are_not_there,
    a_role_in_a_project_does_not_reach_the_members,
    a_permit_is_not_lent,
);

async fn members_are_shown_with_roles_and_groups(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let person = world.person(Role::Viewer).await;
    let group = world.members.create_group(&world.permit(&by), "Crew").await.unwrap();
    world.grant(&by, Grantee::Group(group.id), Role::Operator, ALL).await.unwrap();
    let add = causeway_identity::NewMembers::Exactly(vec![person.member]);
    world.members.set_group_members(&world.permit(&by), &by, group.id, add).await.unwrap();

    let shown = world.show(&by, person.member).await.unwrap();
    assert_eq!(shown.member.user_id, Some(person.user));
    assert_eq!(shown.roles.iter().map(|one| one.role).collect::<Vec<_>>(), [Role::Viewer]);
    assert_eq!((shown.groups.len(), shown.groups[0].group.id), (1, group.id));
    assert_eq!(shown.groups[0].roles[0].role, Role::Operator);
    let caller = world.caller(&person).await;
    assert_eq!(caller.roles().len(), 2, "a group's role counts");

    let permit = world.permit::<ReadMembers>(&by);
    let first = world.members.members(&permit, MemberId::lowest(), 1).await.unwrap();
    let second = world.members.members(&permit, first[0].id, 10).await.unwrap();
    assert_eq!((first[0].id, second[0].id), (owner.member, person.member));
    assert_eq!(second.len(), 1);
}

async fn who_is_removed_is_out_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let person = world.person(Role::Admin).await;
    let elsewhere = world.beside().await;
    world.join(person.user, elsewhere, &[(Role::Viewer, ALL)]).await;
    let second = world.sign_in(person.user).await;
    // An invitation that they made must not bring them back.
    let theirs = world.caller(&person).await;
    let new = causeway_identity::NewInvitation {
        email: "back@door.example".into(),
        role: Role::Admin,
        project: ALL,
        lifetime: None,
    };
    let door = world.members.invite(&world.permit(&theirs), &theirs, &new).await.unwrap();

    world.remove(&by, person.member).await.unwrap();
    assert!(matches!(world.comes(&person).await, Err(SessionError::Refused)));
    let place = Some(causeway_identity::WantedPlace::Workspace(elsewhere));
    assert!(world.sessions.authenticate(&second, place).await.is_err(), "all sessions ended");
    assert_eq!(refused(world.show(&by, person.member).await), Code::NotFound);
    assert_eq!(refused(world.remove(&by, person.member).await), Code::NotFound);
    let event = world.last("member_removed").await;
    assert_eq!(
        (&event["member"], &event["sessions_ended"]),
        (&person.member.to_string().into(), &2.into())
    );
    let revoked = world.last("invitation_revoked").await;
    assert_eq!(revoked["invitation"], door.invitation.id.to_string());
    let mut conn = world.database.store.read().await.unwrap();
    assert!(db!(conn, role_grant::of_member(person.workspace, person.member)).unwrap().is_empty());
    // Signed in again, they are somebody without a place here.
    let again = world.sign_in(person.user).await;
    let place = Some(causeway_identity::WantedPlace::Workspace(person.workspace));
    assert!(matches!(world.sessions.authenticate(&again, place).await, Err(SessionError::Unknown)));
}

async fn who_is_deactivated_is_out_and_keeps_their_place(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let mut person = world.person(Role::Developer).await;
    let changed = world.deactivate(&by, person.member).await.unwrap();
    assert_eq!(changed.state, MemberState::Deactivated);
    assert!(matches!(world.comes(&person).await, Err(SessionError::Refused)));
    person.cookie = world.sign_in(person.user).await;
    assert!(matches!(world.comes(&person).await, Err(SessionError::Unknown)));
    assert_eq!(world.last("member_deactivated").await["sessions_ended"], 1);

    // Once more changes nothing and leaves no event.
    let events = world.audit().await.len();
    world.deactivate(&by, person.member).await.unwrap();
    assert_eq!(world.audit().await.len(), events);

    world.reactivate(&by, person.member).await.unwrap();
    let caller = world.caller(&person).await;
    assert_eq!(caller.roles()[0].role, Role::Developer);
    assert_eq!(world.last("member_reactivated").await["member"], person.member.to_string());
}

async fn who_leaves_stays_signed_in_where_they_are_a_member(database: TestDatabase) {
    let world = World::new(database).await;
    let _owner = world.person(Role::Owner).await;
    let person = world.person(Role::Viewer).await;
    let elsewhere = world.beside().await;
    world.join(person.user, elsewhere, &[(Role::Viewer, ALL)]).await;
    let caller = world.caller(&person).await;
    world.members.leave(&world.permit::<ReadWorkspace>(&caller)).await.unwrap();
    assert!(matches!(world.comes(&person).await, Err(SessionError::Unknown)));
    let place = Some(causeway_identity::WantedPlace::Workspace(elsewhere));
    let there = world.sessions.authenticate(&person.cookie, place).await.unwrap();
    assert_eq!(world.last("member_removed").await["sessions_ended"], 0);

    // The last place: the session has nothing left to open.
    world.members.leave(&world.permit::<ReadWorkspace>(&there)).await.unwrap();
    assert!(matches!(world.comes(&person).await, Err(SessionError::Refused)));

    // A program has no place to leave.
    let program = world.program(&causeway_identity::Scopes::default()).await;
    let left = world.members.leave(&world.permit::<ReadWorkspace>(&program)).await;
    assert!(matches!(left, Err(MembersError::NoMember)));
}

async fn only_owners_touch_owners(database: TestDatabase) {
    let world = World::new(database).await;
    let (owner, other) = (world.person(Role::Owner).await, world.person(Role::Owner).await);
    let admin = world.person(Role::Admin).await;
    let project = world.project("Beside").await;
    let of_project = world.person_in(world.workspace(), &[(Role::Owner, Some(project))]).await;
    let by = world.caller(&admin).await;
    for owner in [&owner, &of_project] {
        let id = owner.member;
        assert_eq!(refused(world.remove(&by, id).await), Code::Denied);
        assert_eq!(refused(world.deactivate(&by, id).await), Code::Denied);
        let grant = world.grant_of(owner, Role::Owner).await;
        assert_eq!(refused(world.revoke(&by, grant).await), Code::Denied);
        let viewer = world.grant(&by, Grantee::Member(id), Role::Viewer, ALL).await;
        assert_eq!(refused(viewer), Code::Denied);
    }
    let grant = world.grant(&by, Grantee::Member(admin.member), Role::Owner, ALL).await;
    assert_eq!(refused(grant), Code::Denied);
    let grant = world.grant(&by, Grantee::Member(admin.member), Role::Owner, Some(project)).await;
    assert_eq!(refused(grant), Code::Denied);
    // A deactivated owner is not brought back by an admin either.
    let owners = world.caller(&owner).await;
    world.deactivate(&owners, other.member).await.unwrap();
    assert_eq!(refused(world.reactivate(&by, other.member).await), Code::Denied);
    world.reactivate(&owners, other.member).await.unwrap();
    world.remove(&owners, other.member).await.unwrap();
    // Admins change each other and everybody below.
    let second = world.person(Role::Admin).await;
    world.remove(&by, second.member).await.unwrap();
}

async fn the_last_owner_stays(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let grant = world.grant_of(&owner, Role::Owner).await;
    let events = world.audit().await.len();
    assert_eq!(refused(world.remove(&by, owner.member).await), Code::LastOwner);
    assert_eq!(refused(world.deactivate(&by, owner.member).await), Code::LastOwner);
    assert_eq!(refused(world.revoke(&by, grant).await), Code::LastOwner);
    let left = world.members.leave(&world.permit::<ReadWorkspace>(&by)).await;
    assert_eq!(refused(left), Code::LastOwner);
    assert_eq!(world.audit().await.len(), events, "nothing is left of what was refused");
    world.caller(&owner).await;

    // A deactivated owner does not count, nor does one of a project, nor one who is yet to come.
    let second = world.person(Role::Owner).await;
    world.deactivate(&by, second.member).await.unwrap();
    let project = world.project("Beside").await;
    world.person_in(world.workspace(), &[(Role::Owner, Some(project))]).await;
    let helper = world.person(Role::Owner).await;
    world.remove(&by, helper.member).await.unwrap();
    let mut conn = world.database.store.read().await.unwrap();
    let others = db!(conn, member::page(world.workspace(), MemberId::lowest(), 100)).unwrap();
    drop(conn);
    for other in others.iter().filter(|one| one.id != owner.member) {
        world.remove(&by, other.id).await.unwrap();
    }
    assert_eq!(refused(world.remove(&by, owner.member).await), Code::LastOwner);

    // With another one, the first may go.
    let next = world.person(Role::Viewer).await;
    world.grant(&by, Grantee::Member(next.member), Role::Owner, ALL).await.unwrap();
    world.members.leave(&world.permit::<ReadWorkspace>(&by)).await.unwrap();
    assert_eq!(world.owners().await, 1);
}

async fn members_of_other_workspaces_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let elsewhere = world.beside().await;
    let stranger = world.person_in(elsewhere, &[(Role::Viewer, ALL)]).await;
    let nobody = MemberId::generate(world.now(), &OsRandom);
    for id in [stranger.member, nobody] {
        assert_eq!(refused(world.show(&by, id).await), Code::NotFound);
        assert_eq!(refused(world.remove(&by, id).await), Code::NotFound);
        assert_eq!(refused(world.deactivate(&by, id).await), Code::NotFound);
        assert_eq!(refused(world.reactivate(&by, id).await), Code::NotFound);
        let grant = world.grant(&by, Grantee::Member(id), Role::Viewer, ALL).await;
        assert_eq!(refused(grant), Code::NotFound);
    }
    let theirs = world.grant_of(&stranger, Role::Viewer).await;
    assert_eq!(refused(world.revoke(&by, theirs).await), Code::NotFound);
    world.caller(&stranger).await;
}

async fn a_role_in_a_project_does_not_reach_the_members(database: TestDatabase) {
    let world = World::new(database).await;
    let roles = [(Role::Admin, Some(world.tenant.project))];
    let admin = world.person_in(world.workspace(), &roles).await;
    let by = world.caller(&admin).await;
    assert!(authorize::<ManageMembers>(&by, world.now()).is_err());
    assert!(authorize::<ReadMembers>(&by, world.now()).is_err());
    // What reaches all of the workspace beside is not what they give.
    let both = [(Role::Owner, Some(world.tenant.project)), (Role::Admin, ALL)];
    let mixed = world.person_in(world.workspace(), &both).await;
    let by = world.caller(&mixed).await;
    let granted = world.grant(&by, Grantee::Member(admin.member), Role::Owner, roles[0].1).await;
    assert_eq!(refused(granted), Code::Denied);
    world.grant(&by, Grantee::Member(admin.member), Role::Admin, ALL).await.unwrap();
}

async fn a_permit_is_not_lent(database: TestDatabase) {
    let world = World::new(database).await;
    let (owner, admin) = (world.person(Role::Owner).await, world.person(Role::Admin).await);
    let permit = world.permit::<ManageMembers>(&world.caller(&admin).await);
    let owner = world.caller(&owner).await;
    let lent = world.members.remove_member(&permit, &owner, admin.member).await;
    assert_eq!(refused(lent), Code::Denied);
}
