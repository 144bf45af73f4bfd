//! Groups.

use crate::world::{ALL, World, refused};
use causeway_identity::action::{ActionName, ReadMembers};
use causeway_identity::{Grantee, NewMembers, Scopes};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{Code, GroupId, MemberId, OsRandom};

on_both!(
    a_group_from_its_making_to_its_end,
    names_are_unique,
    only_owners_change_a_group_that_carries_owner,
    the_last_owner_is_not_lost_by_a_group,
    groups_of_other_workspaces_are_not_there,
    a_program_puts_nobody_in_beyond_what_it_has,
);

async fn a_group_from_its_making_to_its_end(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let read = world.permit::<ReadMembers>(&by);
    let group = world.members.create_group(&world.permit(&by), "Crew").await.unwrap();
    assert_eq!(world.last("group_created").await["name"], "Crew");
    let (ada, bob) = (world.person(Role::Viewer).await, world.person(Role::Viewer).await);
    let permit = world.permit(&by);
    let change = |members| world.members.set_group_members(&permit, &by, group.id, members);
    change(NewMembers::Exactly(vec![ada.member, ada.member])).await.unwrap();
    change(NewMembers::Changed { add: vec![bob.member], remove: vec![ada.member] }).await.unwrap();
    let event = world.last("group_updated").await;
    assert_eq!(event["added"], serde_json::json!([bob.member]));
    assert_eq!(event["removed"], serde_json::json!([ada.member]));
    let inside = world.members.group_members(&read, group.id, MemberId::lowest(), 10).await;
    assert_eq!(inside.unwrap().iter().map(|one| one.id).collect::<Vec<_>>(), [bob.member]);
    // What changes nothing leaves no event.
    let events = world.audit().await.len();
    change(NewMembers::Exactly(vec![bob.member])).await.unwrap();
    assert_eq!(world.audit().await.len(), events);

    world.grant(&by, Grantee::Group(group.id), Role::Admin, ALL).await.unwrap();
    assert!(world.caller(&bob).await.may(ActionName::ManageMembers));
    let renamed =
        world.members.rename_group(&permit, &by, group.id, "Bridge".into()).await.unwrap();
    assert_eq!(renamed.name, "Bridge");
    let shown = world.members.group(&read, group.id).await.unwrap();
    assert_eq!((shown.members, shown.roles.len()), (1, 1));

    world.members.delete_group(&permit, &by, group.id).await.unwrap();
    assert!(!world.caller(&bob).await.may(ActionName::ManageMembers));
    assert_eq!(refused(world.members.group(&read, group.id).await), Code::NotFound);
    assert_eq!(world.last("group_deleted").await["name"], "Bridge");
}

async fn names_are_unique(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let permit = world.permit(&by);
    world.members.create_group(&permit, "Crew").await.unwrap();
    assert_eq!(refused(world.members.create_group(&permit, "Crew").await), Code::Taken);
    let other = world.members.create_group(&permit, "Bridge").await.unwrap();
    let renamed = world.members.rename_group(&permit, &by, other.id, "Crew".into()).await;
    assert_eq!(refused(renamed), Code::Taken);
    for name in ["", " x", "a\0b", &"x".repeat(101)] {
        assert_eq!(refused(world.members.create_group(&permit, name).await), Code::InvalidRequest);
        let renamed = world.members.rename_group(&permit, &by, other.id, name.into()).await;
        assert_eq!(refused(renamed), Code::InvalidRequest);
    }
    // In another workspace the name is free.
    let elsewhere = world.beside().await;
    let there = world.caller(&world.person_in(elsewhere, &[(Role::Admin, ALL)]).await).await;
    world.members.create_group(&world.permit(&there), "Crew").await.unwrap();
}

async fn only_owners_change_a_group_that_carries_owner(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.caller(&world.person(Role::Owner).await).await;
    let admin = world.person(Role::Admin).await;
    let by = world.caller(&admin).await;
    let group = world.members.create_group(&world.permit(&by), "Board").await.unwrap();
    let to = Grantee::Group(group.id);
    assert_eq!(refused(world.grant(&by, to, Role::Owner, ALL).await), Code::Denied);
    let grant = world.grant(&owner, to, Role::Owner, ALL).await.unwrap();
    let permit = world.permit(&by);
    let id = group.id;
    for members in [
        NewMembers::Exactly(vec![admin.member]),
        NewMembers::Exactly(vec![]),
        NewMembers::Changed { add: vec![], remove: vec![admin.member] },
    ] {
        let changed = world.members.set_group_members(&permit, &by, id, members).await;
        assert_eq!(refused(changed), Code::Denied);
    }
    let renamed = world.members.rename_group(&permit, &by, id, "Mine".into()).await;
    assert_eq!(refused(renamed), Code::Denied);
    assert_eq!(refused(world.members.delete_group(&permit, &by, id).await), Code::Denied);
    assert_eq!(refused(world.revoke(&by, grant).await), Code::Denied);
    assert_eq!(refused(world.grant(&by, to, Role::Viewer, ALL).await), Code::Denied);
    // Whoever is in it is an owner, and not an admin's to touch.
    let member = world.person(Role::Viewer).await;
    let put = NewMembers::Exactly(vec![member.member]);
    world.members.set_group_members(&world.permit(&owner), &owner, id, put).await.unwrap();
    assert_eq!(refused(world.remove(&by, member.member).await), Code::Denied);
}

async fn the_last_owner_is_not_lost_by_a_group(database: TestDatabase) {
    let world = World::new(database).await;
    let person = world.person(Role::Owner).await;
    let by = world.caller(&person).await;
    let permit = world.permit(&by);
    let group = world.members.create_group(&permit, "Board").await.unwrap();
    let id = group.id;
    let by_group = world.grant(&by, Grantee::Group(id), Role::Owner, ALL).await.unwrap();
    let put = NewMembers::Exactly(vec![person.member]);
    world.members.set_group_members(&permit, &by, id, put).await.unwrap();
    // Owner twice over: by the grant and by the group. One of them may go.
    let grant = world.grant_of(&person, Role::Owner).await;
    world.revoke(&by, grant).await.unwrap();
    assert_eq!(world.owners().await, 1);
    let none = NewMembers::Exactly(vec![]);
    let emptied = world.members.set_group_members(&permit, &by, id, none).await;
    assert_eq!(refused(emptied), Code::LastOwner);
    assert_eq!(refused(world.members.delete_group(&permit, &by, id).await), Code::LastOwner);
    assert_eq!(refused(world.revoke(&by, by_group).await), Code::LastOwner);
    assert_eq!(refused(world.remove(&by, person.member).await), Code::LastOwner);
    assert_eq!(world.owners().await, 1);
    world.members.rename_group(&permit, &by, id, "Owners".into()).await.unwrap();
}

async fn groups_of_other_workspaces_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let (read, permit) = (world.permit::<ReadMembers>(&by), world.permit(&by));
    let elsewhere = world.beside().await;
    let stranger = world.person_in(elsewhere, &[(Role::Admin, ALL)]).await;
    let there = world.caller(&stranger).await;
    let theirs = world.members.create_group(&world.permit(&there), "Theirs").await.unwrap();
    for id in [theirs.id, GroupId::generate(world.now(), &OsRandom)] {
        let none = || NewMembers::Exactly(vec![]);
        assert_eq!(refused(world.members.group(&read, id).await), Code::NotFound);
        let listed = world.members.group_members(&read, id, MemberId::lowest(), 10).await;
        assert_eq!(refused(listed), Code::NotFound);
        let renamed = world.members.rename_group(&permit, &by, id, "Mine".into()).await;
        assert_eq!(refused(renamed), Code::NotFound);
        let changed = world.members.set_group_members(&permit, &by, id, none()).await;
        assert_eq!(refused(changed), Code::NotFound);
        assert_eq!(refused(world.members.delete_group(&permit, &by, id).await), Code::NotFound);
        let granted = world.grant(&by, Grantee::Group(id), Role::Viewer, ALL).await;
        assert_eq!(refused(granted), Code::NotFound);
    }
    // Nor does a member of theirs come into a group here.
    let ours = world.members.create_group(&permit, "Ours").await.unwrap();
    let put = NewMembers::Exactly(vec![stranger.member]);
    let changed = world.members.set_group_members(&permit, &by, ours.id, put).await;
    assert_eq!(refused(changed), Code::NotFound);
    assert_eq!(world.members.group(&read, ours.id).await.unwrap().members, 0);
    assert_eq!(world.members.groups(&read, GroupId::lowest(), 10).await.unwrap().len(), 1);
}

async fn a_program_puts_nobody_in_beyond_what_it_has(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let group = world.members.create_group(&world.permit(&by), "Crew").await.unwrap();
    let (ada, bob) = (world.person(Role::Viewer).await, world.person(Role::Viewer).await);
    let program = world.program(&Scopes::only(ActionName::ManageMembers)).await;
    let permit = world.permit(&program);
    let change = |members| world.members.set_group_members(&permit, &program, group.id, members);
    // Without a role, a group gives nothing.
    change(NewMembers::Exactly(vec![ada.member])).await.unwrap();
    world.grant(&by, Grantee::Group(group.id), Role::Operator, ALL).await.unwrap();
    let add = NewMembers::Changed { add: vec![bob.member], remove: vec![] };
    assert_eq!(refused(change(add).await), Code::Denied);
    let remove = NewMembers::Changed { add: vec![], remove: vec![ada.member] };
    change(remove).await.unwrap();
}
