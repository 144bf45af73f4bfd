//! Giving and taking roles.

use crate::world::{ALL, World, refused};
use causeway_identity::action::{ActionName, ReadMembers};
use causeway_identity::{Grantee, ProxyRule, Scopes, role};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{Code, Coded as _, GroupId, OsRandom, ProjectId, RoleGrantId};

on_both!(
    a_role_counts_from_the_next_request_on,
    a_role_is_given_once,
    what_is_not_there_gets_no_role,
    a_program_gives_only_what_it_has_itself,
    grants_are_listed_in_pages,
);

async fn a_role_counts_from_the_next_request_on(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let person = world.person(Role::Viewer).await;
    let to = Grantee::Member(person.member);
    let grant = world.grant(&by, to, Role::Admin, ALL).await.unwrap();
    assert!(world.caller(&person).await.may(ActionName::ManageMembers));
    let event = world.last("role_granted").await;
    assert_eq!(
        (&event["role"], &event["member"]),
        (&"admin".into(), &person.member.to_string().into())
    );
    world.revoke(&by, grant).await.unwrap();
    assert!(!world.caller(&person).await.may(ActionName::ManageMembers));
    assert_eq!(world.last("role_revoked").await["grant"], grant.to_string());
    assert_eq!(refused(world.revoke(&by, grant).await), Code::NotFound);

    let project = world.project("Beside").await;
    world.grant(&by, to, Role::Admin, Some(project)).await.unwrap();
    assert!(!world.caller(&person).await.may(ActionName::ManageMembers));
}

async fn a_role_is_given_once(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let person = world.person(Role::Viewer).await;
    let to = Grantee::Member(person.member);
    assert_eq!(refused(world.grant(&by, to, Role::Viewer, ALL).await), Code::Taken);
    // Elsewhere it is another.
    let here = Some(world.tenant.project);
    world.grant(&by, to, Role::Viewer, here).await.unwrap();
    assert_eq!(refused(world.grant(&by, to, Role::Viewer, here).await), Code::Taken);
    assert_eq!(world.show(&by, person.member).await.unwrap().roles.len(), 2);
}

async fn what_is_not_there_gets_no_role(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let person = world.person(Role::Viewer).await;
    let group = Grantee::Group(GroupId::generate(world.now(), &OsRandom));
    assert_eq!(refused(world.grant(&by, group, Role::Viewer, ALL).await), Code::NotFound);
    let nowhere = ProjectId::generate(world.now(), &OsRandom);
    let to = Grantee::Member(person.member);
    assert_eq!(refused(world.grant(&by, to, Role::Admin, Some(nowhere)).await), Code::NotFound);
    // Nor a project of somebody else.
    let elsewhere = world.beside().await;
    let stranger = world.person_in(elsewhere, &[(Role::Owner, ALL)]).await;
    let caller = world.caller(&stranger).await;
    let theirs = world.members.create_project(&world.permit(&caller), "Theirs").await.unwrap();
    let refusal = world.grant(&by, to, Role::Admin, Some(theirs.project.id)).await;
    assert_eq!(refused(refusal), Code::NotFound);
}

async fn a_program_gives_only_what_it_has_itself(database: TestDatabase) {
    let world = World::new(database).await;
    let _owner = world.person(Role::Owner).await;
    let person = world.person(Role::Viewer).await;
    let to = Grantee::Member(person.member);
    let all_of = |role: Role| -> Vec<ActionName> {
        let carried = ActionName::ALL.iter().copied().filter(|one| role::carries(role, *one));
        carried.chain([ActionName::ManageMembers]).collect()
    };
    let scopes = |actions: Vec<ActionName>| Scopes { actions: Some(actions), ..Scopes::default() };

    let bare = world.program(&scopes(vec![ActionName::ManageMembers])).await;
    for role in Role::ALL {
        let refusal = world.grant(&bare, to, *role, ALL).await.err().unwrap();
        assert_eq!(refusal.code(), Code::Denied, "{role}");
        assert!(refusal.public().contains(role.as_str()), "{}", refusal.public());
    }
    for role in [Role::Developer, Role::Operator, Role::Auditor, Role::Admin] {
        let program = world.program(&scopes(all_of(role))).await;
        let grant = world.grant(&program, to, role, ALL).await.unwrap();
        world.revoke(&program, grant).await.unwrap();
        // One permission less is too little.
        let mut less = all_of(role);
        less.retain(|one| *one != ActionName::ReadApps);
        let program = world.program(&scopes(less)).await;
        assert_eq!(refused(world.grant(&program, to, role, ALL).await), Code::Denied, "{role}");
    }
    // Whatever its scopes name, no program makes an owner, or touches one.
    let most: Vec<ActionName> = ActionName::ALL.to_vec();
    let program = world.program(&scopes(most)).await;
    assert_eq!(refused(world.grant(&program, to, Role::Owner, ALL).await), Code::Denied);
    let second = world.person(Role::Owner).await;
    assert_eq!(refused(world.remove(&program, second.member).await), Code::Denied);
    assert_eq!(refused(world.deactivate(&program, second.member).await), Code::Denied);
    // Confined to some apps or requests, it has less than any role.
    for confined in [
        Scopes { apps: Some(vec!["slack".into()]), ..scopes(all_of(Role::Operator)) },
        Scopes {
            proxy: Some(vec![ProxyRule { methods: vec![], paths: vec![] }]),
            ..scopes(all_of(Role::Operator))
        },
    ] {
        let program = world.program(&confined).await;
        assert_eq!(refused(world.grant(&program, to, Role::Operator, ALL).await), Code::Denied);
    }
    // Putting somebody out takes less than letting them in.
    world.deactivate(&bare, person.member).await.unwrap();
    assert_eq!(refused(world.reactivate(&bare, person.member).await), Code::Denied);
    world.remove(&bare, person.member).await.unwrap();
}

async fn grants_are_listed_in_pages(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    for _ in 0..3 {
        world.person(Role::Viewer).await;
    }
    let permit = world.permit::<ReadMembers>(&by);
    let first = world.members.role_grants(&permit, RoleGrantId::lowest(), 2).await.unwrap();
    let rest = world.members.role_grants(&permit, first[1].id, 10).await.unwrap();
    assert_eq!((first.len(), rest.len()), (2, 2));
}
