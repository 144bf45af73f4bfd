//! Machine clients: made, shown, given new secrets, revoked.

use crate::api_keys::{manager, scopes};
use crate::tokens::{granted, refused, with_secret};
use crate::world::World;
use causeway_identity::action::{ActionName, ManageMachineAccess, ReadMachineAccess};
use causeway_identity::{GrantError, MachineError, NewMachineClient, TokenRequest};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, Code, Coded as _, MachineClientId};
use serde_json::json;

on_both!(
    a_client_is_shown_without_its_secret,
    a_client_needs_a_proof_that_can_be_used,
    a_new_secret_takes_the_place_of_the_old,
    a_revoked_client_and_its_tokens_stop_at_once,
    clients_of_other_environments_are_not_there,
);

fn with_a_secret(name: &str) -> NewMachineClient {
    NewMachineClient { name: name.into(), secret: true, ..NewMachineClient::default() }
}

async fn a_client_is_shown_without_its_secret(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let (manage, read) =
        (world.permit::<ManageMachineAccess>(&maker), world.permit::<ReadMachineAccess>(&maker));
    let made = world.machine.create_client(&manage, &maker, with_a_secret("Backend")).await;
    let (client, secret) = made.unwrap();
    let secret = secret.unwrap();
    assert!(secret.expose().starts_with("cws_"));
    assert!(client.secret && client.public_keys.is_none());
    assert_eq!(client.scopes.actions(), [ActionName::ReadWorkflows, ActionName::Deploy]);
    let event = world.events("machine_client_created").await.pop().unwrap();
    assert_eq!(event["client"], client.id.to_string());
    assert_eq!(event["environment"], world.tenant.environment.to_string());
    assert_eq!(event["actor"], maker.actor().to_string());

    let shown = world.machine.client(&read, client.id).await.unwrap();
    let listed = world.machine.clients(&read, MachineClientId::lowest(), 100).await.unwrap();
    assert!(listed.iter().any(|one| one.id == client.id));
    for text in [format!("{shown:?}"), format!("{listed:?}"), format!("{:?}", world.audit().await)]
    {
        assert!(!text.contains(secret.expose()));
    }
    assert_eq!(shown.last_used_at, None);
    let token = granted(&world, client.id, secret.expose()).await;
    assert_eq!(world.come_in(&token).await.unwrap().actor(), Actor::MachineClient(client.id));
    let shown = world.machine.client(&read, client.id).await.unwrap();
    assert_eq!(shown.last_used_at, Some(world.now()));
}

async fn a_client_needs_a_proof_that_can_be_used(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let create = |new| world.machine.create_client(&permit, &maker, new);
    let none = NewMachineClient { secret: false, ..with_a_secret("x") };
    assert!(matches!(create(none).await, Err(MachineError::NoProof)));
    for keys in [
        json!({}),
        json!({ "keys": [] }),
        json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }),
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "", "d": "" }] }),
    ] {
        let new = NewMachineClient { public_keys: Some(keys.clone()), ..with_a_secret("x") };
        let refused = create(new).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidRequest, "{keys}");
        assert!(refused.public().contains("`public_keys`"));
    }
    assert!(matches!(create(with_a_secret("")).await, Err(MachineError::Name)));
    let never =
        NewMachineClient { scopes: scopes(&[ActionName::RequestAccess]), ..with_a_secret("x") };
    assert!(matches!(create(never).await, Err(MachineError::Scopes(_))));
    assert_eq!(world.events("machine_client_created").await.len(), 0);
}

async fn a_new_secret_takes_the_place_of_the_old(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let made = world.machine.create_client(&permit, &maker, with_a_secret("Backend")).await;
    let (client, old) = made.unwrap();
    let old = old.unwrap();
    let token = granted(&world, client.id, old.expose()).await;
    let rotated = world.machine.rotate_client_secret(&permit, &maker, client.id).await;
    let (_, new) = rotated.unwrap();
    refused(&world, with_secret(client.id, old.expose())).await;
    granted(&world, client.id, new.expose()).await;
    world.come_in(&token).await.unwrap();
    let events = world.events("machine_client_secret_rotated").await;
    assert_eq!((events.len(), &events[0]["client"]), (1, &client.id.to_string().into()));

    // Who has less than the client does not get its secret.
    let own = scopes(&[ActionName::ManageMachineAccess, ActionName::Deploy]);
    let lesser = world.caller(&own).await;
    let permit = world.permit::<ManageMachineAccess>(&lesser);
    let denied = world.machine.rotate_client_secret(&permit, &lesser, client.id).await;
    assert_eq!(denied.err().unwrap().code(), Code::Denied);
}

async fn a_revoked_client_and_its_tokens_stop_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let made = world.machine.create_client(&permit, &maker, with_a_secret("Backend")).await;
    let (client, secret) = made.unwrap();
    let secret = secret.unwrap();
    let token = granted(&world, client.id, secret.expose()).await;
    world.come_in(&token).await.unwrap();
    world.machine.revoke_client(&permit, client.id).await.unwrap();
    World::refused(world.come_in(&token).await);
    refused(&world, with_secret(client.id, secret.expose())).await;
    world.machine.revoke_client(&permit, client.id).await.unwrap();
    assert_eq!(world.events("machine_client_revoked").await.len(), 1);
    let refusals = world.events("machine_authentication_refused").await;
    assert_eq!(refusals[0]["reason"], "revoked");
    let again = world.machine.rotate_client_secret(&permit, &maker, client.id).await;
    assert!(matches!(again, Err(MachineError::ClientRevoked)));
}

async fn clients_of_other_environments_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let made = world.machine.create_client(&permit, &maker, with_a_secret("Backend")).await;
    let (client, secret) = made.unwrap();
    let theirs = world.development().await;
    let (_, key) = world.insert_key(theirs, &manager(), None).await;
    let stranger = world.come_in(&key).await.unwrap();
    let (manage, read) = (
        world.permit::<ManageMachineAccess>(&stranger),
        world.permit::<ReadMachineAccess>(&stranger),
    );
    let errors = [
        world.machine.client(&read, client.id).await.err(),
        world.machine.rotate_client_secret(&manage, &stranger, client.id).await.err(),
        world.machine.revoke_client(&manage, client.id).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(MachineError::UnknownClient)));
    }
    assert!(world.machine.clients(&read, MachineClientId::lowest(), 100).await.unwrap().is_empty());
    let request = TokenRequest { grant_type: "password".into(), scope: None };
    let proof = with_secret(client.id, secret.unwrap().expose());
    let other = world.machine.grant(proof, request).await;
    assert!(matches!(other, Err(GrantError::GrantType(_))));
}
