//! Machine clients: made, shown, given new secrets, revoked.

use crate::api_keys::{manager, scopes};
use crate::tokens::{granted, obtain, refused, with_secret};
use crate::world::World;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use causeway_identity::action::{ActionName, ManageMachineAccess, ReadMachineAccess};
use causeway_identity::{
    GrantError, MAX_OVERLAP, MachineError, NewMachineClient, OVERLAP, TokenRequest,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, Code, Coded as _, MachineClientId};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::time::Duration;

/// The smallest step of the clock.
const TICK: Duration = Duration::from_micros(1);

on_both!(
    a_client_is_shown_without_its_secret,
    a_client_needs_a_proof_that_can_be_used,
    a_new_secret_takes_the_place_of_the_old,
    an_old_secret_works_for_the_overlap,
    keys_are_changed_by_whoever_could_give_them,
    changes_at_once_do_not_undo_each_other,
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
    let at_once = Some(Duration::ZERO);
    let rotated = world.machine.rotate_client_secret(&permit, &maker, client.id, at_once).await;
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
    let denied = world.machine.rotate_client_secret(&permit, &lesser, client.id, None).await;
    assert_eq!(denied.err().unwrap().code(), Code::Denied);
}

async fn an_old_secret_works_for_the_overlap(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let made = world.machine.create_client(&permit, &maker, with_a_secret("Backend")).await;
    let (client, first) = made.unwrap();
    let first = first.unwrap();
    let rotate = |overlap| world.machine.rotate_client_secret(&permit, &maker, client.id, overlap);
    assert!(matches!(rotate(Some(MAX_OVERLAP + TICK)).await, Err(MachineError::Overlap)));
    let (view, second) = rotate(None).await.unwrap();
    assert_eq!(view.old_secret_until, Some(world.now().plus(OVERLAP)));
    for secret in [&first, &second] {
        granted(&world, client.id, secret.expose()).await;
    }
    // One old secret at a time.
    let (view, third) = rotate(Some(MAX_OVERLAP)).await.unwrap();
    refused(&world, with_secret(client.id, first.expose())).await;
    for secret in [&second, &third] {
        granted(&world, client.id, secret.expose()).await;
    }
    let end = view.old_secret_until.unwrap();
    world.clock.advance(end.since(world.now()).saturating_sub(TICK));
    granted(&world, client.id, second.expose()).await;
    world.clock.advance(TICK);
    refused(&world, with_secret(client.id, second.expose())).await;
    granted(&world, client.id, third.expose()).await;
    let read = world.permit::<ReadMachineAccess>(&maker);
    assert_eq!(world.machine.client(&read, client.id).await.unwrap().old_secret_until, None);
    let events = world.events("machine_client_secret_rotated").await;
    assert_eq!(events[1]["old_until"], json!(end));
}

fn ed25519() -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = BASE64URL_NOPAD.encode(pair.public_key().as_ref());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
}

async fn keys_are_changed_by_whoever_could_give_them(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let new = NewMachineClient {
        secret: false,
        public_keys: Some(json!({ "keys": [ed25519()] })),
        ..with_a_secret("Signs")
    };
    let (client, _) = world.machine.create_client(&permit, &maker, new).await.unwrap();
    let set = |keys: Option<Value>| {
        let (machine, permit, maker) = (world.machine.clone(), permit.clone(), maker.clone());
        async move { machine.set_client_keys(&permit, &maker, client.id, keys.as_ref()).await }
    };
    let keys = json!({ "keys": [ed25519(), ed25519()] });
    let changed = set(Some(keys.clone())).await.unwrap();
    assert_eq!(changed.public_keys, Some(keys));
    let event = world.events("machine_client_keys_changed").await.pop().unwrap();
    assert_eq!(
        (&event["client"], &event["actor"]),
        (&json!(client.id), &json!(maker.actor().to_string()))
    );
    assert_eq!(event["keys"].as_array().unwrap().len(), 2);
    assert!(matches!(set(None).await, Err(MachineError::NoProof)));
    assert!(matches!(set(Some(json!({ "keys": [] }))).await, Err(MachineError::Keys(_))));
    // With a secret beside, it needs no keys.
    let rotated = world.machine.rotate_client_secret(&permit, &maker, client.id, None).await;
    let (view, secret) = rotated.unwrap();
    assert_eq!((view.secret, view.old_secret_until), (true, None));
    assert_eq!(set(None).await.unwrap().public_keys, None);
    granted(&world, client.id, secret.expose()).await;

    // Who has less than the client, or a key that ends, gives it no keys of theirs.
    let own = scopes(&[ActionName::ManageMachineAccess, ActionName::Deploy]);
    let lesser = world.caller(&own).await;
    let (_, ends) =
        world.insert_key(world.tenant, &manager(), Some(world.now().plus(OVERLAP))).await;
    let ends = world.come_in(&ends).await.unwrap();
    let theirs = json!({ "keys": [ed25519()] });
    for caller in [lesser, ends] {
        let permit = world.permit::<ManageMachineAccess>(&caller);
        let denied =
            world.machine.set_client_keys(&permit, &caller, client.id, Some(&theirs)).await;
        assert_eq!(denied.err().unwrap().code(), Code::Denied);
    }
    world.machine.revoke_client(&permit, client.id).await.unwrap();
    assert!(matches!(set(Some(theirs)).await, Err(MachineError::ClientRevoked)));
}

async fn changes_at_once_do_not_undo_each_other(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    for _ in 0..8 {
        let made = world.machine.create_client(&permit, &maker, with_a_secret("Backend")).await;
        let (client, _) = made.unwrap();
        let keys = json!({ "keys": [ed25519()] });
        let (rotated, changed) = tokio::join!(
            world.machine.rotate_client_secret(&permit, &maker, client.id, Some(Duration::ZERO)),
            world.machine.set_client_keys(&permit, &maker, client.id, Some(&keys))
        );
        changed.unwrap();
        granted(&world, client.id, rotated.unwrap().1.expose()).await;
        let read = world.permit::<ReadMachineAccess>(&maker);
        let shown = world.machine.client(&read, client.id).await.unwrap();
        assert_eq!(shown.public_keys, Some(keys));
    }
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
    let again = world.machine.rotate_client_secret(&permit, &maker, client.id, None).await;
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
        world.machine.rotate_client_secret(&manage, &stranger, client.id, None).await.err(),
        world.machine.set_client_keys(&manage, &stranger, client.id, None).await.err(),
        world.machine.revoke_client(&manage, client.id).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(MachineError::UnknownClient)));
    }
    assert!(world.machine.clients(&read, MachineClientId::lowest(), 100).await.unwrap().is_empty());
    let request = TokenRequest { grant_type: "password".into(), scope: None };
    let proof = with_secret(client.id, secret.unwrap().expose());
    let other = obtain(&world.machine, proof, request).await;
    assert!(matches!(other, Err(GrantError::GrantType(_))));
}
