//! Groups over SCIM, in the forms that Okta and Microsoft Entra send.

use crate::scim_users::{object, operations, query};
use crate::world::{ALL, World, refused};
use causeway_identity::action::{ActionName, ProvisionMembers};
use causeway_identity::scim::{Kind, ListQuery, Resource, ScimError};
use causeway_identity::{Grantee, NewMembers, Permit};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Role;
use causeway_types::{Code, Coded, GroupId};
use serde_json::{Value, json};

on_both!(
    okta_pushes_a_group,
    entra_keeps_a_group,
    a_group_carries_no_role_until_somebody_gives_it_one,
    nobody_becomes_an_owner_by_the_directory,
    what_is_no_user_comes_into_no_group,
    groups_are_found_and_counted,
    groups_of_other_workspaces_are_not_there,
    a_large_group_is_bounded,
    filters_in_paths_are_bounded,
);

impl World {
    async fn group(&self, permit: &Permit<ProvisionMembers>, name: &str) -> String {
        let group = object(json!({ "schemas": [Kind::Group.urn()], "displayName": name }));
        id(&self.scim.create_group(permit, &group).await.unwrap())
    }

    async fn inside(&self, permit: &Permit<ProvisionMembers>, id: &str) -> Vec<String> {
        let group = self.scim.group(permit, id, true).await.unwrap();
        let members = group["members"].as_array().unwrap();
        members.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }

    async fn patch(
        &self,
        permit: &Permit<ProvisionMembers>,
        id: &str,
        change: Value,
    ) -> Result<(), ScimError> {
        self.scim.patch_group(permit, id, &operations(change)).await
    }

    async fn viewer(&self) -> String {
        self.person(Role::Viewer).await.member.to_string()
    }
}

fn id(resource: &Resource) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

/// <https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20>
async fn okta_pushes_a_group(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let new = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Test SCIMv2",
        "members": [],
    });
    let made = world.scim.create_group(&permit, &object(new.clone())).await.unwrap();
    assert_eq!((&made["displayName"], &made["members"]), (&json!("Test SCIMv2"), &json!([])));
    let id = id(&made);
    let again = world.scim.create_group(&permit, &object(new)).await.err().unwrap();
    assert_eq!((again.code(), again.scim_type()), (Code::Taken, Some("uniqueness")));

    // The read-only id stands among what is replaced, at every change of members.
    let rename = json!([{ "op": "replace", "value": { "id": id, "displayName": "Test SCIMv20" } }]);
    world.patch(&permit, &id, rename.clone()).await.unwrap();
    let events = world.audit().await.len();
    world.patch(&permit, &id, rename).await.unwrap();
    assert_eq!(world.audit().await.len(), events, "the same name again is no change");
    let shown = world.scim.group(&permit, &id, true).await.unwrap();
    assert_eq!(shown["displayName"], "Test SCIMv20");

    let (ada, bob) = (world.viewer().await, world.viewer().await);
    world.patch(&permit, &id, json!([
        { "op": "replace", "path": "members", "value": [{ "value": ada, "display": "test.user@okta.local" }] },
    ])).await.unwrap();
    world.patch(&permit, &id, json!([
        { "op": "remove", "path": format!("members[value eq \"{ada}\"]") },
        { "op": "add", "path": "members", "value": [{ "value": bob, "display": "test.user@okta.local" }] },
    ])).await.unwrap();
    assert_eq!(world.inside(&permit, &id).await, std::slice::from_ref(&bob));
    // Once more: who is out is out, who is in is in.
    world
        .patch(
            &permit,
            &id,
            json!([
                { "op": "remove", "path": format!("members[value eq \"{ada}\"]") },
                { "op": "add", "path": "members", "value": [{ "value": bob }] },
            ]),
        )
        .await
        .unwrap();
    assert_eq!(world.inside(&permit, &id).await, std::slice::from_ref(&bob));

    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": id,
        "displayName": "Put", "members": [{ "value": ada }, { "value": bob }],
    });
    world.scim.replace_group(&permit, &id, &object(put)).await.unwrap();
    assert_eq!(world.inside(&permit, &id).await.len(), 2);
    let user = world.scim.user(&permit, &ada).await.unwrap();
    assert_eq!(user["groups"], json!([{ "value": id, "display": "Put", "type": "direct" }]));
    world.scim.delete_group(&permit, &id).await.unwrap();
    assert_eq!(refused(world.scim.group(&permit, &id, true).await), Code::NotFound);
}

/// <https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups>
async fn entra_keeps_a_group(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let new = json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:Group",
            "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
        ],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "displayName",
        "meta": { "resourceType": "Group" },
    });
    let id = id(&world.scim.create_group(&permit, &object(new)).await.unwrap());
    let (ada, bob) = (world.viewer().await, world.viewer().await);
    world
        .patch(
            &permit,
            &id,
            json!([
                { "op": "Replace", "path": "displayName", "value": "1879db59-updatedDisplayName" },
            ]),
        )
        .await
        .unwrap();
    let add = json!([{ "op": "Add", "path": "members", "value": [
        { "$ref": null, "value": ada }, { "$ref": null, "value": bob },
    ] }]);
    world.patch(&permit, &id, add).await.unwrap();
    let event = world.last("group_updated").await;
    assert_eq!(event["added"].as_array().unwrap().len(), 2);
    // Is somebody in it?
    for (filter, found) in [
        (format!("id eq \"{id}\" and members eq \"{ada}\""), 1),
        (format!("members.value eq \"{ada}\""), 1),
        (format!("members[value eq \"{ada}\"]"), 1),
        (format!("id eq \"{id}\" and members eq \"mem_0\""), 0),
        ("externalId eq \"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159\"".to_owned(), 1),
        ("displayName eq \"1879DB59-updateddisplayname\"".to_owned(), 1),
        ("displayName eq \"displayName\"".to_owned(), 0),
    ] {
        let query = query(Kind::Group, &filter).unwrap();
        assert_eq!(world.scim.groups(&permit, &query).await.unwrap().total, found, "{filter}");
    }
    // Without its flag, members go by value; with it, by path.
    world
        .patch(
            &permit,
            &id,
            json!([
                { "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": ada }] },
            ]),
        )
        .await
        .unwrap();
    assert_eq!(world.inside(&permit, &id).await, std::slice::from_ref(&bob));
    world
        .patch(
            &permit,
            &id,
            json!([
                { "op": "remove", "path": format!("members[value eq \"{bob}\"]") },
            ]),
        )
        .await
        .unwrap();
    assert!(world.inside(&permit, &id).await.is_empty());
    // `excludedAttributes=members`.
    let shown = world.scim.group(&permit, &id, false).await.unwrap();
    assert!(!shown.contains_key("members"));
}

async fn a_group_carries_no_role_until_somebody_gives_it_one(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let person = world.person_in(world.workspace(), &[]).await;
    let id = world.group(&permit, "Admins").await;
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": person.member }] }]);
    world.patch(&permit, &id, add).await.unwrap();
    assert!(world.caller(&person).await.roles().is_empty());
    let group: GroupId = id.parse().unwrap();
    world.grant(&by, Grantee::Group(group), Role::Admin, ALL).await.unwrap();
    assert!(world.caller(&person).await.may(ActionName::ManageMembers));
    // From now on the directory decides who has it.
    let remove = json!([{ "op": "remove", "path": "members" }]);
    world.patch(&permit, &id, remove).await.unwrap();
    assert!(world.caller(&person).await.roles().is_empty());
}

async fn nobody_becomes_an_owner_by_the_directory(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let id = world.group(&permit, "Board").await;
    let group: GroupId = id.parse().unwrap();
    world.grant(&by, Grantee::Group(group), Role::Owner, ALL).await.unwrap();
    let eve = world.viewer().await;
    for change in [
        json!([{ "op": "add", "path": "members", "value": [{ "value": eve }] }]),
        json!([{ "op": "replace", "path": "members", "value": [{ "value": eve }] }]),
        json!([{ "op": "replace", "value": { "members": [{ "value": eve }] } }]),
        json!([{ "op": "add", "value": { "members": { "value": eve } } }]),
        json!([{ "op": "add", "path": format!("members[value eq \"{eve}\"]"), "value": {} }]),
    ] {
        let refusal = world.patch(&permit, &id, change.clone()).await.err().unwrap();
        assert_eq!(refusal.code(), Code::Denied, "{change}");
        assert!(refusal.public().contains("owner"), "{}", refusal.public());
    }
    let put = object(json!({ "displayName": "Board", "members": [{ "value": eve }] }));
    assert_eq!(refused(world.scim.replace_group(&permit, &id, &put).await), Code::Denied);
    assert_eq!(world.owners().await, 1);
    // It may take owners out, but for the last.
    let change = NewMembers::Exactly(vec![owner.member, eve.parse().unwrap()]);
    world.members.set_group_members(&world.permit(&by), &by, group, change).await.unwrap();
    let out = json!([{ "op": "remove", "path": format!("members[value eq \"{eve}\"]") }]);
    world.patch(&permit, &id, out).await.unwrap();
    let grant = world.grant_of(&owner, Role::Owner).await;
    world.revoke(&by, grant).await.unwrap();
    let all = json!([{ "op": "remove", "path": "members" }]);
    let refusal = world.patch(&permit, &id, all).await.err().unwrap();
    assert_eq!(refusal.code(), Code::LastOwner);
    assert_eq!(refused(world.scim.delete_group(&permit, &id).await), Code::LastOwner);
    world.caller(&owner).await;
}

async fn what_is_no_user_comes_into_no_group(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let elsewhere = world.beside().await;
    let stranger = world.person_in(elsewhere, &[(Role::Viewer, ALL)]).await.member.to_string();
    let id = world.group(&permit, "Crew").await;
    let inner = world.group(&permit, "Inner").await;
    for value in [
        json!(stranger),
        json!(inner),
        json!("mem_00000000000000000000000000"),
        json!("nobody"),
        json!(null),
        json!(7),
        json!({}),
    ] {
        let change = json!([{ "op": "add", "path": "members", "value": [{ "value": value }] }]);
        let refusal = world.patch(&permit, &id, change).await.err().unwrap();
        assert_eq!(refusal.scim_type(), Some("invalidValue"), "{value}");
        let new = json!({ "displayName": "New", "members": [{ "value": value }] });
        let made = world.scim.create_group(&permit, &object(new)).await.err().unwrap();
        assert_eq!(made.scim_type(), Some("invalidValue"), "{value}");
    }
    let query = query(Kind::Group, "").unwrap();
    assert_eq!(world.scim.groups(&permit, &query).await.unwrap().total, 2, "no half-made group");
    assert!(world.inside(&permit, &id).await.is_empty());
    for name in [json!(""), json!(null), json!(7), json!("x".repeat(101)), json!("a\0b")] {
        let new = object(json!({ "displayName": name }));
        let refusal = world.scim.create_group(&permit, &new).await.err().unwrap();
        assert_eq!(refusal.scim_type(), Some("invalidValue"), "{name}");
    }
}

async fn groups_are_found_and_counted(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    for number in 0..12 {
        world.group(&permit, &format!("Group {number:02}")).await;
    }
    let page = async |filter: &str, start: i64, count: i64| {
        let query = ListQuery { start, count, ..query(Kind::Group, filter).unwrap() };
        let listing = world.scim.groups(&permit, &query).await.unwrap();
        (listing.total, listing.resources.len())
    };
    assert_eq!(page("", 1, 100).await, (12, 12));
    assert_eq!(page("", 11, 5).await, (12, 2));
    assert_eq!(page("displayName sw \"group 0\"", 1, 3).await, (10, 3));
    assert_eq!(page("members pr", 1, 3).await, (0, 0));
    assert_eq!(page("not (members pr)", 1, 3).await, (12, 3));
}

async fn groups_of_other_workspaces_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let elsewhere = world.beside().await;
    let admin = world.person_in(elsewhere, &[(Role::Admin, ALL)]).await;
    let there = world.caller(&admin).await;
    let theirs = world.members.create_group(&world.permit(&there), "Theirs").await.unwrap();
    let theirs = theirs.id.to_string();
    for id in [theirs.as_str(), "", "x", "mem_00000000000000000000000000"] {
        assert_eq!(refused(world.scim.group(&permit, id, true).await), Code::NotFound);
        let rename = json!([{ "op": "replace", "path": "displayName", "value": "Mine" }]);
        assert_eq!(refused(world.patch(&permit, id, rename).await), Code::NotFound);
        let put = object(json!({ "displayName": "Mine" }));
        assert_eq!(refused(world.scim.replace_group(&permit, id, &put).await), Code::NotFound);
        assert_eq!(refused(world.scim.delete_group(&permit, id).await), Code::NotFound);
    }
    for filter in [format!("id eq \"{theirs}\""), "displayName eq \"Theirs\"".to_owned()] {
        let query = query(Kind::Group, &filter).unwrap();
        assert_eq!(world.scim.groups(&permit, &query).await.unwrap().total, 0, "{filter}");
    }
}

async fn a_large_group_is_bounded(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let id = world.group(&permit, "Crew").await;
    let many: Vec<Value> =
        (0..10_001).map(|number| json!({ "value": format!("mem_{number:026}") })).collect();
    for change in [
        json!([{ "op": "add", "path": "members", "value": many }]),
        json!([{ "op": "replace", "value": { "members": many } }]),
    ] {
        let refusal = world.patch(&permit, &id, change).await.err().unwrap();
        assert_eq!(refusal.scim_type(), Some("invalidValue"));
        assert!(refusal.public().contains("10000"), "{}", refusal.public());
    }
}

async fn filters_in_paths_are_bounded(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let id = world.group(&permit, "Crew").await;
    let mut people = Vec::new();
    for number in 0..1_001 {
        let email = format!("u{number}@example.com");
        let user = object(json!({ "userName": email }));
        people.push(world.scim.create_user(&permit, &user).await.unwrap()["id"].clone());
    }
    let all: Vec<Value> = people.iter().map(|one| json!({ "value": one })).collect();
    let put = json!([{ "op": "add", "path": "members", "value": all }]);
    world.patch(&permit, &id, put).await.unwrap();
    let costly = json!({ "op": "remove", "path": "members[value co \"nobody\"]" });
    let refusal = world.patch(&permit, &id, json!(vec![costly; 1_000])).await.err().unwrap();
    assert_eq!(refusal.scim_type(), Some("invalidValue"));
    // The way in which directories take members out is not counted.
    let out = |one: &Value| {
        let one = one.as_str().unwrap();
        json!({ "op": "remove", "path": format!("members[value eq \"{one}\"]") })
    };
    let gone: Vec<Value> = people.iter().take(1_000).map(out).collect();
    world.patch(&permit, &id, json!(gone)).await.unwrap();
    assert_eq!(world.inside(&permit, &id).await.len(), 1);
}
