//! Users over SCIM, in the forms that Okta and Microsoft Entra send.

use crate::world::{ALL, Person, World, refused};
use causeway_identity::Grantee;
use causeway_identity::action::{ActionName, ProvisionMembers};
use causeway_identity::scim::{Filter, FilterError, Kind, ListQuery, Listing, Resource, ScimError};
use causeway_identity::{Permit, Scopes, SessionError, authorize};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{MemberOrigin, MemberState, Role};
use causeway_types::{Code, Coded, MemberId, OsRandom};
use serde_json::{Value, json};

on_both!(
    okta_makes_changes_and_deactivates,
    entra_makes_changes_and_deactivates,
    deactivating_ends_sessions_at_once,
    the_directory_takes_no_last_owner_and_makes_none,
    addresses_are_one_and_unique,
    names_are_put_together,
    what_cannot_be_kept_is_refused,
    users_are_found_and_counted,
    users_of_other_workspaces_are_not_there,
    nobody_provisions_without_the_scope,
);

pub(crate) fn object(value: Value) -> Resource {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

/// A request with these operations.
pub(crate) fn operations(operations: Value) -> Resource {
    let schemas = json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]);
    Resource::from_iter([("schemas".into(), schemas), ("Operations".into(), operations)])
}

pub(crate) fn query(kind: Kind, filter: &str) -> Result<ListQuery, FilterError> {
    let filter = if filter.is_empty() { None } else { Some(Filter::read(kind, filter)?) };
    Ok(ListQuery { filter, start: 1, count: 100, relations: true })
}

impl World {
    async fn provision(
        &self,
        permit: &Permit<ProvisionMembers>,
        email: &str,
    ) -> Result<Resource, ScimError> {
        let user = json!({ "schemas": [Kind::User.urn()], "userName": email });
        self.scim.create_user(permit, &object(user)).await
    }

    async fn found(&self, permit: &Permit<ProvisionMembers>, filter: &str) -> Vec<Value> {
        let query = query(Kind::User, filter).unwrap();
        let listing = self.scim.users(permit, &query).await.unwrap();
        names(&listing)
    }

    async fn state(&self, member: MemberId) -> MemberState {
        let mut conn = self.database.store.read().await.unwrap();
        let found = causeway_store::db!(conn, member::get(self.workspace(), member)).unwrap();
        found.unwrap().state
    }
}

fn names(listing: &Listing) -> Vec<Value> {
    listing.resources.iter().map(|one| one["userName"].clone()).collect()
}

fn id(resource: &Resource) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

/// <https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20>
async fn okta_makes_changes_and_deactivates(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    assert!(world.found(&permit, "userName eq \"test.user@okta.local\"").await.is_empty());
    let new = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "test.user@okta.local",
        "name": { "givenName": "Test", "familyName": "User" },
        "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work" }],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    });
    let made = world.scim.create_user(&permit, &object(new.clone())).await.unwrap();
    assert_eq!(made["externalId"], "00ujl29u0le5T6Aj10h7");
    assert_eq!((&made["active"], &made["groups"]), (&json!(true), &json!([])));
    assert_eq!(
        made["name"],
        json!({ "formatted": "Test User", "givenName": "Test", "familyName": "User" })
    );
    assert!(!Value::from(made.clone()).to_string().contains("1mz050nq"), "a password came back");
    assert!(!format!("{:?}", world.audit().await).contains("1mz050nq"));
    let id = id(&made);
    let again = world.scim.create_user(&permit, &object(new)).await.err().unwrap();
    assert_eq!((again.code(), again.scim_type()), (Code::Taken, Some("uniqueness")));

    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": id,
        "userName": "test.user@okta.local",
        "name": { "givenName": "Another", "middleName": "Excited", "familyName": "User" },
        "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work", "display": "test.user@okta.local" }],
        "active": true,
        "groups": [],
        "meta": { "resourceType": "User" },
    });
    let changed = world.scim.replace_user(&permit, &id, &object(put)).await.unwrap();
    assert_eq!(changed["displayName"], "Another User");
    assert_eq!(changed["externalId"], "00ujl29u0le5T6Aj10h7", "what a PUT does not name stays");
    assert_eq!(world.last("member_updated").await["changed"], json!(["name"]));

    let out = operations(json!([{ "op": "replace", "value": { "active": false } }]));
    let changed = world.scim.patch_user(&permit, &id, &out).await.unwrap();
    assert_eq!(changed["active"], false);
    assert_eq!(world.last("member_deactivated").await["member"], *id);
    let back = operations(json!([{ "op": "replace", "value": { "active": true } }]));
    assert_eq!(world.scim.patch_user(&permit, &id, &back).await.unwrap()["active"], true);
    world.scim.delete_user(&permit, &id).await.unwrap();
    assert_eq!(refused(world.scim.user(&permit, &id).await), Code::NotFound);
    assert_eq!(refused(world.scim.delete_user(&permit, &id).await), Code::NotFound);
}

/// <https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups>
/// and, for the two ways of changing, `application-provisioning-config-problem-scim-compatibility`.
async fn entra_makes_changes_and_deactivates(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    // The test of a connection asks for somebody who is not there.
    let nobody = "userName eq \"non-existent user\"";
    assert!(world.found(&permit, nobody).await.is_empty());
    let new = json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User@testuser.com",
        "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Test_User@testuser.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R&D" },
        "roles": [{ "value": "owner", "primary": true }],
    });
    let made = world.scim.create_user(&permit, &object(new)).await.unwrap();
    let id = id(&made);
    assert_eq!(made["userName"], "test_user@testuser.com");
    let shown = world.scim.user(&permit, &id).await.unwrap();
    assert!(!shown.contains_key("roles"));

    let without_flag = operations(json!([
        { "op": "Replace", "path": "displayName", "value": "Pvlo" },
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "TestBcwqnm@test.microsoft.com" },
        { "op": "Replace", "path": "userName", "value": "TestBcwqnm@test.microsoft.com" },
        { "op": "Replace", "path": "name.givenName", "value": "Gtfd" },
        { "op": "Replace", "path": "name.familyName", "value": "Pkqf" },
        { "op": "Replace", "path": "externalId", "value": "Eqpj" },
        { "op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", "value": "Eqpj" },
        { "op": "Add", "path": "nickName", "value": "Babs" },
        { "op": "Add", "path": "addresses[type eq \"work\"].country", "value": "ML" },
        { "op": "Add", "path": "emails[type eq \"other\"].value", "value": "private@example.org" },
    ]));
    let changed = world.scim.patch_user(&permit, &id, &without_flag).await.unwrap();
    assert_eq!(changed["userName"], "testbcwqnm@test.microsoft.com");
    assert_eq!(changed["emails"].as_array().unwrap().len(), 1, "one address counts, one is kept");
    assert_eq!((&changed["displayName"], &changed["externalId"]), (&json!("Pvlo"), &json!("Eqpj")));

    let with_flag = operations(json!([
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "test_user@testuser.com" },
        { "op": "replace", "value": {
            "displayName": "Bjfe",
            "name.givenName": "Kkom",
            "name.familyName": "Unua",
            "userName": "test_user@testuser.com",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber": "Aklq",
        } },
    ]));
    let changed = world.scim.patch_user(&permit, &id, &with_flag).await.unwrap();
    assert_eq!(
        (&changed["displayName"], &changed["userName"]),
        (&json!("Bjfe"), &json!("test_user@testuser.com"))
    );

    for (value, active) in [
        (json!("False"), false),
        (json!("True"), true),
        (json!(false), false),
        (json!("true"), true),
    ] {
        let change = operations(json!([{ "op": "Replace", "path": "active", "value": value }]));
        let changed = world.scim.patch_user(&permit, &id, &change).await.unwrap();
        assert_eq!(changed["active"], active, "{value}");
    }
    for filter in [
        "userName eq \"Test_User@testuser.com\"",
        "emails[type eq \"work\"].value eq \"Test_User@testuser.com\"",
        "externalId eq \"Eqpj\"",
        "userName eq \"test_user@testuser.com\" and active eq true",
    ] {
        assert_eq!(world.found(&permit, filter).await, ["test_user@testuser.com"], "{filter}");
    }
    // The user is shown whether active or not.
    let out = operations(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    world.scim.patch_user(&permit, &id, &out).await.unwrap();
    assert_eq!(world.found(&permit, "userName eq \"test_user@testuser.com\"").await.len(), 1);
}

async fn deactivating_ends_sessions_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (permit, _owner) = (world.directory().await, world.person(Role::Owner).await);
    let put = json!({ "userName": "", "active": false });
    for way in ["patch", "put", "delete"] {
        let person = world.person(Role::Admin).await;
        let (id, second) = (person.member.to_string(), world.sign_in(person.user).await);
        let out = operations(json!([{ "op": "Replace", "path": "active", "value": "False" }]));
        match way {
            "patch" => drop(world.scim.patch_user(&permit, &id, &out).await.unwrap()),
            "put" => {
                let mut put = object(put.clone());
                put["userName"] = format!("{}@example.com", person.user).into();
                world.scim.replace_user(&permit, &id, &put).await.unwrap();
            }
            _ => world.scim.delete_user(&permit, &id).await.unwrap(),
        }
        for cookie in [person.cookie.clone(), second] {
            let person = Person { cookie, ..copy(&person) };
            assert!(matches!(world.comes(&person).await, Err(SessionError::Refused)), "{way}");
        }
        // Nor do they come back by signing in.
        let person = Person { cookie: world.sign_in(person.user).await, ..copy(&person) };
        assert!(matches!(world.comes(&person).await, Err(SessionError::Unknown)), "{way}");
        let event = if way == "delete" { "member_removed" } else { "member_deactivated" };
        assert_eq!(world.last(event).await["sessions_ended"], 2, "{way}");
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

async fn the_directory_takes_no_last_owner_and_makes_none(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let owner = world.person(Role::Owner).await;
    let by = world.caller(&owner).await;
    let id = owner.member.to_string();
    let active =
        |active: bool| operations(json!([{ "op": "replace", "path": "active", "value": active }]));
    let deactivated = world.scim.patch_user(&permit, &id, &active(false)).await.err().unwrap();
    assert_eq!((deactivated.code(), deactivated.scim_type()), (Code::LastOwner, None));
    assert!(deactivated.public().contains("owner"));
    assert_eq!(refused(world.scim.delete_user(&permit, &id).await), Code::LastOwner);
    world.caller(&owner).await;

    // Of two, one may go. The directory does not bring an owner back.
    let second = world.person(Role::Owner).await;
    let id = second.member.to_string();
    world.scim.patch_user(&permit, &id, &active(false)).await.unwrap();
    assert_eq!(refused(world.scim.patch_user(&permit, &id, &active(true)).await), Code::Denied);
    assert_eq!(world.state(second.member).await, MemberState::Deactivated);
    // Of a deactivated owner, and of an active one, the rest may be changed.
    let rename = operations(json!([{ "op": "replace", "path": "displayName", "value": "New" }]));
    world.scim.patch_user(&permit, &id, &rename).await.unwrap();
    world.scim.patch_user(&permit, &owner.member.to_string(), &rename).await.unwrap();
    world.reactivate(&by, second.member).await.unwrap();

    // Whoever is an owner before they have come keeps their address.
    let made = world.provision(&permit, "new@example.com").await.unwrap();
    let member: MemberId = made["id"].as_str().unwrap().parse().unwrap();
    let shown = world.show(&by, member).await.unwrap();
    assert_eq!((shown.member.origin, shown.roles.len()), (MemberOrigin::Scim, 0));
    let readdress =
        |to: &str| operations(json!([{ "op": "replace", "path": "userName", "value": to }]));
    let id = made["id"].as_str().unwrap();
    world.scim.patch_user(&permit, id, &readdress("newer@example.com")).await.unwrap();
    world.grant(&by, Grantee::Member(member), Role::Owner, ALL).await.unwrap();
    let changed = world.scim.patch_user(&permit, id, &readdress("eve@example.com")).await;
    assert_eq!(refused(changed), Code::Denied);
    // The same address in another spelling is no change.
    world.scim.patch_user(&permit, id, &readdress("NEWER@example.com")).await.unwrap();
}

async fn addresses_are_one_and_unique(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let ada = world.provision(&permit, "Ada@Example.com").await.unwrap();
    assert_eq!(
        ada["emails"],
        json!([{ "value": "ada@example.com", "type": "work", "primary": true }])
    );
    assert_eq!(refused(world.provision(&permit, "ADA@example.com").await), Code::Taken);
    let bob = id(&world.provision(&permit, "bob@example.com").await.unwrap());
    let to_ada =
        operations(json!([{ "op": "replace", "path": "userName", "value": "ada@EXAMPLE.com" }]));
    let taken = world.scim.patch_user(&permit, &bob, &to_ada).await.err().unwrap();
    assert_eq!((taken.code(), taken.scim_type()), (Code::Taken, Some("uniqueness")));

    // Look-alikes are refused, or are somebody else.
    for name in ["аda@example.com", "ada", "ada@", "ada@example.com\0", "ada @example.com", ""] {
        let refusal = world.provision(&permit, name).await.err().unwrap();
        let expected = (Code::InvalidEmail, Some("invalidValue"));
        assert_eq!((refusal.code(), refusal.scim_type()), expected, "{name:?}");
    }
    let other = world.provision(&permit, "ada@exаmple.com").await.unwrap();
    assert_eq!(other["userName"], "ada@xn--exmple-4nf.com");

    // Two addresses: which one would count?
    let two = json!({
        "userName": "upn@example.com",
        "emails": [{ "value": "mail@example.com", "type": "work", "primary": true }],
    });
    let refusal = world.scim.create_user(&permit, &object(two)).await.err().unwrap();
    assert!(matches!(refusal, ScimError::TwoAddresses), "{refusal}");
    for change in [
        json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "eve@example.com" }]),
        json!([{ "op": "replace", "path": "emails", "value": [{ "value": "eve@example.com", "primary": true }] }]),
        json!([{ "op": "add", "path": "emails", "value": [{ "value": "eve@example.com", "primary": true }] }]),
        json!([
            { "op": "replace", "path": "userName", "value": "new@example.com" },
            { "op": "replace", "path": "emails[primary eq true].value", "value": "eve@example.com" },
        ]),
    ] {
        let refusal =
            world.scim.patch_user(&permit, &bob, &operations(change)).await.err().unwrap();
        assert!(matches!(refusal, ScimError::TwoAddresses), "{refusal}");
    }
    // Another address beside is taken and not kept; taking all away takes nothing.
    for change in [
        json!([{ "op": "add", "path": "emails", "value": { "value": "home@example.com", "type": "home" } }]),
        json!([{ "op": "remove", "path": "emails" }]),
        json!([{ "op": "remove", "path": "emails[type eq \"work\"].value" }]),
    ] {
        let kept = world.scim.patch_user(&permit, &bob, &operations(change)).await.unwrap();
        assert_eq!(kept["emails"][0]["value"], "bob@example.com");
        assert_eq!(kept["emails"].as_array().unwrap().len(), 1);
    }
}

async fn names_are_put_together(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let mut number = 0;
    let mut make = async |name: Value| {
        number += 1;
        let mut user = object(name);
        user.insert("userName".into(), format!("u{number}@example.com").into());
        world.scim.create_user(&permit, &user).await.unwrap()
    };
    for (given, expected) in [
        (json!({}), "u1@example.com"),
        (json!({ "displayName": "Ada L", "name": { "formatted": "no" } }), "Ada L"),
        (json!({ "name": { "formatted": "Ada Lovelace", "givenName": "no" } }), "Ada Lovelace"),
        (json!({ "name": { "givenName": "Ada", "familyName": "Lovelace" } }), "Ada Lovelace"),
        (json!({ "name": { "familyName": "Lovelace" } }), "Lovelace"),
        (json!({ "DISPLAYNAME": "  Ada  " }), "Ada"),
    ] {
        assert_eq!(make(given.clone()).await["displayName"], expected, "{given}");
    }
    let id = id(&make(json!({ "displayName": "Ada Byron" })).await);
    for (change, expected) in [
        (
            json!([{ "op": "replace", "path": "name.familyName", "value": "Lovelace" }]),
            "Ada Lovelace",
        ),
        (
            json!([{ "op": "add", "path": "name", "value": { "givenName": "Augusta Ada" } }]),
            "Augusta Ada Lovelace",
        ),
        (json!([{ "op": "replace", "path": "name.formatted", "value": "Ada" }]), "Ada"),
        (json!([{ "op": "remove", "path": "displayName" }]), "Ada"),
        (json!([{ "op": "remove", "path": "name" }]), "Ada"),
    ] {
        let changed =
            world.scim.patch_user(&permit, &id, &operations(change.clone())).await.unwrap();
        assert_eq!(changed["displayName"], expected, "{change}");
    }
}

async fn what_cannot_be_kept_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let id = id(&world.provision(&permit, "ada@example.com").await.unwrap());
    let events = world.audit().await.len();
    let long = "x".repeat(256);
    for (change, scim_type) in [
        (json!([{ "op": "move", "path": "userName", "value": "x" }]), "invalidSyntax"),
        (json!([{ "path": "userName", "value": "x" }]), "invalidSyntax"),
        (json!([7]), "invalidSyntax"),
        (json!("remove"), "invalidSyntax"),
        (json!([{ "op": "replace", "path": 7, "value": "x" }]), "invalidSyntax"),
        (json!([{ "op": "replace", "value": "x" }]), "invalidSyntax"),
        (json!([{ "op": "remove" }]), "noTarget"),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"home\"].value", "value": "x" }]),
            "noTarget",
        ),
        (json!([{ "op": "replace", "path": "nothing", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "replace", "path": "emails[", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "replace", "path": "emails[type eq]", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "replace", "path": long.repeat(40), "value": "x" }]), "invalidPath"),
        (json!([{ "op": "replace", "path": "id", "value": "mem_0" }]), "mutability"),
        (json!([{ "op": "replace", "path": "meta.created", "value": "x" }]), "mutability"),
        (json!([{ "op": "add", "path": "groups", "value": [{ "value": "grp_0" }] }]), "mutability"),
        (json!([{ "op": "remove", "path": "userName" }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "userName", "value": null }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "userName", "value": 7 }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "active", "value": "perhaps" }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "active", "value": 1 }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "displayName", "value": {} }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "displayName", "value": long }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "displayName", "value": "a\0b" }]), "invalidValue"),
        (json!([{ "op": "replace", "path": "externalId", "value": "a\nb" }]), "invalidValue"),
        (json!(vec![json!({ "op": "remove", "path": "title" }); 1001]), "invalidValue"),
        (
            json!([{ "op": "replace", "path": "emails", "value": vec![json!({ "primary": true }); 101] }]),
            "invalidValue",
        ),
    ] {
        let refusal = world.scim.patch_user(&permit, &id, &operations(change.clone())).await;
        let refusal = refusal.err().unwrap_or_else(|| panic!("{change}"));
        let told = change.to_string().chars().take(120).collect::<String>();
        assert_eq!(refusal.scim_type(), Some(scim_type), "{told}: {refusal}");
        assert_eq!(refusal.code().kind().status(), 400, "{told}");
    }
    assert_eq!(
        refused(world.scim.patch_user(&permit, &id, &Resource::new()).await),
        Code::InvalidRequest
    );
    // A failed operation takes those before it along.
    let half = operations(json!([
        { "op": "replace", "path": "displayName", "value": "Half" },
        { "op": "replace", "path": "nothing", "value": "x" },
    ]));
    assert!(world.scim.patch_user(&permit, &id, &half).await.is_err());
    assert_eq!(world.scim.user(&permit, &id).await.unwrap()["displayName"], "ada@example.com");
    // Another schema's resource is not a user; nor is one without a name.
    let group = json!({ "schemas": [Kind::Group.urn()], "userName": "x@example.com" });
    for wrong in [group, json!({}), json!({ "userName": null })] {
        let made = world.scim.create_user(&permit, &object(wrong)).await;
        assert_eq!(refused(made), Code::InvalidRequest);
    }
    assert_eq!(world.audit().await.len(), events, "nothing is left of what was refused");
}

async fn users_are_found_and_counted(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    for number in 0..25 {
        let user = json!({
            "userName": format!("u{number:02}@example.com"),
            "externalId": format!("X-{number}"),
            "active": number % 5 != 0,
            "displayName": format!("User {number:02}"),
        });
        world.scim.create_user(&permit, &object(user)).await.unwrap();
    }
    let page = async |filter: &str, start: i64, count: i64| {
        let query = ListQuery { start, count, ..query(Kind::User, filter).unwrap() };
        let listing = world.scim.users(&permit, &query).await.unwrap();
        (listing.total, listing.start, names(&listing).len())
    };
    assert_eq!(page("", 1, 100).await, (25, 1, 25));
    assert_eq!(page("", 0, 10).await, (25, 1, 10));
    assert_eq!(page("", -5, 10).await, (25, 1, 10));
    assert_eq!(page("", 21, 10).await, (25, 21, 5));
    assert_eq!(page("", 26, 10).await, (25, 26, 0));
    assert_eq!(page("", i64::MAX, i64::MAX).await, (25, i64::MAX, 0));
    assert_eq!(page("", 1, 0).await, (25, 1, 0));
    assert_eq!(page("", 1, -1).await, (25, 1, 0));
    assert_eq!(page("active eq false", 1, 100).await, (5, 1, 5));
    assert_eq!(page("active eq false", 4, 1).await, (5, 4, 1));
    assert_eq!(page("active eq false", i64::MIN, i64::MIN).await, (5, 1, 0));
    assert_eq!(page("externalId eq \"X-7\"", 1, 100).await, (1, 1, 1));
    assert_eq!(page("externalId eq \"x-7\"", 1, 100).await, (0, 1, 0));
    assert_eq!(page("displayName sw \"user 1\" and active eq true", 1, 3).await, (8, 1, 3));
    assert_eq!(page("userName co \"U2\" or userName sw \"u1\"", 1, 100).await, (15, 1, 15));
    assert_eq!(page("not (active eq true) and userName ew \".com\"", 1, 100).await, (5, 1, 5));
    assert_eq!(page("meta.created gt \"2020-01-01T00:00:00Z\"", 1, 2).await, (25, 1, 2));
    assert_eq!(page("id eq \"mem_0\"", 1, 2).await, (0, 1, 0));
    // The order stays the same from page to page.
    let mut seen = Vec::new();
    for start in [1, 11, 21] {
        let query = ListQuery { start, count: 10, ..query(Kind::User, "").unwrap() };
        seen.extend(names(&world.scim.users(&permit, &query).await.unwrap()));
    }
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 25);
    // A page never has more than a hundred.
    for number in 25..105 {
        world.provision(&permit, &format!("u{number}@example.com")).await.unwrap();
    }
    assert_eq!(page("", 1, 1_000_000).await, (105, 1, 100));
    assert_eq!(page("userName pr", 1, 1_000_000).await, (105, 1, 100));
}

async fn users_of_other_workspaces_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.directory().await;
    let elsewhere = world.beside().await;
    let stranger = world.person_in(elsewhere, &[(Role::Viewer, ALL)]).await;
    let (theirs, rename) = (
        stranger.member.to_string(),
        operations(json!([{ "op": "replace", "path": "displayName", "value": "Mine" }])),
    );
    let nobody = MemberId::generate(world.now(), &OsRandom).to_string();
    let put = object(json!({ "userName": "x@example.com" }));
    for id in [theirs.as_str(), &nobody, "", "x", "grp_00000000000000000000000000", "../Groups"] {
        assert_eq!(refused(world.scim.user(&permit, id).await), Code::NotFound, "{id}");
        assert_eq!(refused(world.scim.patch_user(&permit, id, &rename).await), Code::NotFound);
        assert_eq!(refused(world.scim.replace_user(&permit, id, &put).await), Code::NotFound);
        assert_eq!(refused(world.scim.delete_user(&permit, id).await), Code::NotFound);
    }
    for filter in [
        format!("id eq \"{theirs}\""),
        format!("userName eq \"{}@example.com\"", stranger.user),
        format!("emails.value eq \"{}@example.com\"", stranger.user),
        "userName pr".to_owned(),
    ] {
        assert!(world.found(&permit, &filter).await.is_empty(), "{filter}");
    }
    world.caller(&stranger).await;
    // The same address may be a user of both.
    world.provision(&permit, &format!("{}@example.com", stranger.user)).await.unwrap();
}

async fn nobody_provisions_without_the_scope(database: TestDatabase) {
    let world = World::new(database).await;
    for role in Role::ALL {
        let person = world.caller(&world.person(*role).await).await;
        assert!(authorize::<ProvisionMembers>(&person, world.now()).is_err(), "{role}");
    }
    for scopes in [Scopes::default(), Scopes::only(ActionName::ManageMembers)] {
        let program = world.program(&scopes).await;
        assert!(authorize::<ProvisionMembers>(&program, world.now()).is_err());
    }
}
