//! Changes at the same time: a workspace never loses its last owner, and nothing is done twice or
//! undone.

use crate::world::{ALL, Person, World};
use causeway_identity::action::ReadWorkspace;
use causeway_identity::{Grantee, NewMembers, SessionError};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both};
use causeway_types::entity::{MemberState, Role};
use causeway_types::{Actor, Code, Coded};
use serde_json::json;
use std::time::Duration;

on_both!(
    two_owners_who_demote_each_other_leave_one,
    two_owners_who_remove_each_other_leave_one,
    owners_who_all_leave_leave_one,
    the_directory_and_an_owner_leave_one,
    a_group_and_a_grant_leave_one,
    a_deactivation_is_not_undone_by_a_change_of_name,
    members_put_in_at_once_are_all_in,
    the_same_role_is_given_once,
    who_is_put_out_while_they_act_is_out,
);

const ROUNDS: usize = 8;

/// Asserts that of two changes one came through and the other was refused for the last owner's
/// sake, or for want of what the first took.
#[track_caller]
fn one_of<A: Coded, B: Coded>(first: Result<(), A>, second: Result<(), B>) {
    let codes = [first.err().map(|e| e.code()), second.err().map(|e| e.code())];
    let refused: Vec<Code> = codes.into_iter().flatten().collect();
    assert!(refused.len() <= 1, "{refused:?}");
    assert!(refused.iter().all(|code| *code == Code::LastOwner), "{refused:?}");
}

async fn two_owners_who_demote_each_other_leave_one(database: TestDatabase) {
    let world = World::new(database).await;
    for _ in 0..ROUNDS {
        let (one, two) = (world.person(Role::Owner).await, world.person(Role::Owner).await);
        let rest = world.owners().await - 2;
        assert!(rest <= 1);
        if rest == 1 {
            // Who was left over the last time goes first.
            let by = world.caller(&one).await;
            for owner in owners(&world).await {
                if owner != one.member && owner != two.member {
                    world.remove(&by, owner).await.unwrap();
                }
            }
        }
        let (first, second) = (world.caller(&one).await, world.caller(&two).await);
        let (of_one, of_two) =
            (world.grant_of(&one, Role::Owner).await, world.grant_of(&two, Role::Owner).await);
        let (a, b) = tokio::join!(world.revoke(&first, of_two), world.revoke(&second, of_one));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        one_of(a, b);
        assert_eq!(world.owners().await, 1);
    }
}

/// The owners' places.
async fn owners(world: &World) -> Vec<causeway_types::MemberId> {
    let mut conn = world.database.store.read().await.unwrap();
    let grants = db!(conn, role_grant::all(world.workspace())).unwrap();
    let owners = grants.iter().filter(|grant| grant.role == Role::Owner);
    owners.filter_map(|grant| grant.member_id).collect()
}

async fn two_owners_who_remove_each_other_leave_one(database: TestDatabase) {
    let world = World::new(database).await;
    let mut left = world.person(Role::Owner).await;
    for _ in 0..ROUNDS {
        let other = world.person(Role::Owner).await;
        let (first, second) = (world.caller(&left).await, world.caller(&other).await);
        let (a, b) = tokio::join!(
            world.remove(&first, other.member),
            world.deactivate(&second, left.member)
        );
        let kept = a.is_err();
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        one_of(a, b.map(drop));
        assert_eq!(world.owners().await, 1);
        if kept {
            left = other;
        }
    }
}

async fn owners_who_all_leave_leave_one(database: TestDatabase) {
    let world = World::new(database).await;
    let mut people = Vec::new();
    for _ in 0..6 {
        people.push(world.person(Role::Owner).await);
    }
    let mut permits = Vec::new();
    for person in &people {
        permits.push(world.permit::<ReadWorkspace>(&world.caller(person).await));
    }
    let leave = |permit| {
        let members = world.members.clone();
        tokio::spawn(async move { members.leave(&permit).await })
    };
    let leaving: Vec<_> = permits.into_iter().map(leave).collect();
    let mut stayed = 0;
    for one in leaving {
        if let Err(error) = one.await.unwrap() {
            assert_eq!(error.code(), Code::LastOwner);
            stayed += 1;
        }
    }
    assert_eq!((stayed, world.owners().await), (1, 1));
}

async fn the_directory_and_an_owner_leave_one(database: TestDatabase) {
    let world = World::new(database).await;
    let directory = world.directory().await;
    let mut left = world.person(Role::Owner).await;
    for _ in 0..ROUNDS {
        let other = world.person(Role::Owner).await;
        let by = world.caller(&left).await;
        let out = json!({ "Operations": [{ "op": "replace", "value": { "active": false } }] });
        let id = left.member.to_string();
        let (a, b) = tokio::join!(
            world.remove(&by, other.member),
            world.scim.patch_user(&directory, &id, out.as_object().unwrap())
        );
        let kept = a.is_err();
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        one_of(a, b.map(drop));
        assert_eq!(world.owners().await, 1);
        if kept {
            left = other;
        }
    }
}

async fn a_group_and_a_grant_leave_one(database: TestDatabase) {
    let world = World::new(database).await;
    let one = world.person(Role::Owner).await;
    let by = world.caller(&one).await;
    for round in 0..ROUNDS {
        // One owner by a group, one by a grant.
        let name = format!("Owners {round}");
        let group = world.members.create_group(&world.permit(&by), &name).await.unwrap();
        world.grant(&by, Grantee::Group(group.id), Role::Owner, ALL).await.unwrap();
        let two = world.person(Role::Viewer).await;
        let in_it = NewMembers::Exactly(vec![two.member]);
        let permit = world.permit(&by);
        world.members.set_group_members(&permit, &by, group.id, in_it).await.unwrap();
        assert_eq!(world.owners().await, 2);

        let second = world.caller(&two).await;
        let permit = world.permit(&by);
        let grant = world.grant_of(&one, Role::Owner).await;
        let (a, b) = tokio::join!(
            world.members.delete_group(&permit, &by, group.id),
            world.revoke(&second, grant)
        );
        let demoted = b.is_ok();
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        one_of(a, b);
        assert_eq!(world.owners().await, 1);
        if demoted {
            let again = Grantee::Member(one.member);
            world.grant(&second, again, Role::Owner, ALL).await.unwrap();
            let by = world.caller(&one).await;
            world.members.delete_group(&world.permit(&by), &by, group.id).await.unwrap();
        }
    }
}

async fn a_deactivation_is_not_undone_by_a_change_of_name(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let directory = world.directory().await;
    for round in 0..ROUNDS {
        let person = world.person(Role::Viewer).await;
        let id = person.member.to_string();
        let rename = json!({ "Operations": [
            { "op": "replace", "path": "displayName", "value": format!("New {round}") },
        ] });
        let (a, b) = tokio::join!(
            world.deactivate(&by, person.member),
            world.scim.patch_user(&directory, &id, rename.as_object().unwrap())
        );
        a.unwrap();
        b.unwrap();
        let shown = world.show(&by, person.member).await.unwrap().member;
        assert_eq!((shown.state, shown.name), (MemberState::Deactivated, format!("New {round}")));
    }
}

async fn members_put_in_at_once_are_all_in(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let directory = world.directory().await;
    let group = world.members.create_group(&world.permit(&by), "Crew").await.unwrap();
    let mut people = Vec::new();
    for _ in 0..6 {
        people.push(world.person(Role::Viewer).await.member);
    }
    let put = |member: causeway_types::MemberId| {
        let (scim, directory) = (world.scim.clone(), directory.clone());
        let request = json!({ "Operations": [
            { "op": "add", "path": "members", "value": [{ "value": member }] },
        ] });
        let id = group.id.to_string();
        tokio::spawn(async move {
            scim.patch_group(&directory, &id, request.as_object().unwrap()).await
        })
    };
    let putting: Vec<_> = people.iter().copied().map(put).collect();
    for one in putting {
        one.await.unwrap().unwrap();
    }
    let mut conn = world.database.store.read().await.unwrap();
    let mut there = db!(conn, group::members(world.workspace(), group.id)).unwrap();
    there.sort();
    people.sort();
    assert_eq!(there, people);
}

async fn the_same_role_is_given_once(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    for _ in 0..ROUNDS {
        let person = world.person_in(world.workspace(), &[]).await;
        let to = Grantee::Member(person.member);
        let (a, b) = tokio::join!(
            world.grant(&by, to, Role::Viewer, ALL),
            world.grant(&by, to, Role::Viewer, ALL)
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert_eq!(a.err().or(b.err()).unwrap().code(), Code::Taken);
    }
}

async fn who_is_put_out_while_they_act_is_out(database: TestDatabase) {
    let world = World::new(database).await;
    let mut owner = world.person(Role::Owner).await;
    let mut by = world.caller(&owner).await;
    for round in 0..ROUNDS {
        let person = world.person(Role::Viewer).await;
        let second = Person { cookie: world.sign_in(person.user).await, ..copy(&person) };
        // Late enough that both requests note when they were made.
        world.clock.advance(Duration::from_mins(2));
        if round % 4 == 3 {
            owner.cookie = world.sign_in(owner.user).await;
            by = world.caller(&owner).await;
        }
        let (first, other, put_out) = tokio::join!(
            world.comes(&person),
            world.comes(&second),
            world.deactivate(&by, person.member)
        );
        put_out.unwrap();
        for came in [first, other] {
            let expected =
                matches!(came, Ok(_) | Err(SessionError::Refused | SessionError::Unknown));
            assert!(expected, "{came:?}");
        }
        assert!(matches!(world.comes(&person).await, Err(SessionError::Refused)));
        assert_eq!(world.last("member_deactivated").await["sessions_ended"], 2);
    }
}

fn copy(person: &Person) -> Person {
    Person {
        user: person.user,
        member: person.member,
        cookie: person.cookie.clone(),
        workspace: person.workspace,
    }
}

/// With PostgreSQL: somebody is put out, and signs in anew between the end of their sessions and
/// the lock on the workspace's chain.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_while_they_are_put_out_is_out() {
    let world = World::new(TestDatabase::postgres().await).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let directory = world.directory().await;
    let store = &world.database.store;
    for way in 0..3 {
        let person = world.person(Role::Viewer).await;
        let mut other = store.write(Actor::Machine).await.unwrap();
        assert!(db!(other, audit::lock_head(world.workspace())).unwrap());
        let put_out = async {
            let id = person.member.to_string();
            let out = json!({ "Operations": [{ "op": "replace", "value": { "active": false } }] });
            match way {
                0 => world.deactivate(&by, person.member).await.map(drop).unwrap(),
                1 => world.remove(&by, person.member).await.unwrap(),
                _ => {
                    let done = world.scim.patch_user(&directory, &id, out.as_object().unwrap());
                    done.await.map(drop).unwrap();
                }
            }
        };
        let ((), cookie) = tokio::join!(put_out, async {
            world.database.somebody_waits().await;
            let cookie = world.sign_in(person.user).await;
            let event = Audit::ClaimLinkMade {};
            other.commit(world.workspace(), world.now(), event).await.unwrap();
            cookie
        });
        let anew = Person { cookie, ..copy(&person) };
        for one in [&person, &anew] {
            assert!(matches!(world.comes(one).await, Err(SessionError::Refused)), "{way}");
        }
        let action = if way == 1 { "member_removed" } else { "member_deactivated" };
        assert_eq!(world.last(action).await["sessions_ended"], 2, "{way}");
    }
}
