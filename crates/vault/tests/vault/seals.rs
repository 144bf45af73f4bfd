//! Sealing and opening through the database.

use crate::house::{House, unlock};
use causeway_store::db;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{
    Clock as _, ConnectionId, DataKeyId, EventId, OsRandom, Place, SystemClock, WorkspaceId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, RootKeySpec, VaultError};
use std::time::Duration;

on_both!(
    what_is_stored_opens_where_it_stands_and_nowhere_else,
    a_stolen_database_opens_nothing,
    keys_are_kept_for_a_bounded_time,
    many_who_need_the_keys_cause_one_load,
    a_workspace_without_a_key_is_named,
    opens_are_counted,
);

async fn what_is_stored_opens_where_it_stands_and_nowhere_else(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    assert_eq!(house.contents.len(), 13, "one of every kind of place");
    house.check(&house.vault, None).await;

    let events = house.events(2).await;
    let stored = house.stored().await;
    let moved = &stored[&format!("{:?}", Place::EventBody(events[0]))];
    let elsewhere = Place::EventBody(events[1]);
    let error = house.vault.open(house.workspace(), &elsewhere, moved).await.err().unwrap();
    assert!(matches!(error, VaultError::Open { .. }), "{error:?}");

    // The plaintext is nowhere in the stored bytes.
    for (name, sealed) in &stored {
        let bytes = sealed.as_bytes();
        assert!(!bytes.windows(6).any(|part| part == b"canary"), "{name}");
    }
}

async fn a_stolen_database_opens_nothing(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    // The thief has every byte of the database, and a root key of his own.
    let own = tempfile::tempdir().unwrap();
    let root = || async {
        RootKeySpec::in_configuration(own.path())
            .load_or_create(house.database.folder(), &OsRandom)
            .await
            .unwrap()
    };
    let error = unlock(&house.store, root().await, &house.clock).await.err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, VaultError::WrongRootKey { .. }));
    assert!(text.contains(house.vault.root_key()), "the stored one is named: {text}");
    assert!(text.contains(root().await.name()), "the given one is named: {text}");
    assert!(text.contains(&own.path().display().to_string()), "and where it is: {text}");

    // He writes the name of his key over that of the real one; the key still does not open.
    let mut tx = house.write().await;
    for key in db!(tx, data_key::of_workspace(house.workspace())).unwrap() {
        let name = root().await.name().to_owned();
        db!(tx, data_key::rewrap(key.workspace_id, key.id, &key.wrapped, &name, &key.wrapped))
            .unwrap();
    }
    house.commit(tx).await;
    let error = unlock(&house.store, root().await, &house.clock).await.err().unwrap();
    assert!(matches!(error, VaultError::Unwrap { .. }), "{error:?}");
}

async fn keys_are_kept_for_a_bounded_time(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.event().await;
    let unwraps = || house.vault.counts().unwraps;
    assert_eq!(unwraps(), 1);
    house.vault.seal(house.workspace(), &place(), b"x").await.unwrap();
    let last_second = Duration::from_secs(1);
    house.clock.advance(DEFAULT_KEY_LIFETIME.checked_sub(last_second).unwrap());
    house.vault.forget_expired();
    house.vault.seal(house.workspace(), &place(), b"x").await.unwrap();
    assert_eq!(unwraps(), 1, "still in memory");
    house.clock.advance(last_second);
    house.vault.seal(house.workspace(), &place(), b"x").await.unwrap();
    assert_eq!(unwraps(), 2, "expired and loaded again");

    let ring = std::sync::Arc::downgrade(&house.vault.keyring(house.workspace()).await.unwrap());
    house.vault.forget_expired();
    assert!(ring.upgrade().is_some());
    house.clock.advance(DEFAULT_KEY_LIFETIME);
    house.vault.forget_expired();
    assert!(ring.upgrade().is_none(), "nobody asks for it, and it is gone all the same");
}

async fn many_who_need_the_keys_cause_one_load(database: TestDatabase) {
    let house = House::new(database).await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (vault, workspace) = (house.vault.clone(), house.workspace());
            tokio::spawn(async move { vault.seal(workspace, &place(), b"x").await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(house.vault.counts().unwraps, 1);
    assert_eq!(house.vault.counts().seals, 100);
}

async fn a_workspace_without_a_key_is_named(database: TestDatabase) {
    let house = House::new(database).await;
    let stranger = WorkspaceId::generate(SystemClock.now(), &OsRandom);
    let error = house.vault.seal(stranger, &place(), b"x").await.err().unwrap();
    assert!(matches!(error, VaultError::NoDataKey(who) if who == stranger));
}

async fn opens_are_counted(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    let before = house.vault.counts();
    house.check(&house.vault, None).await;
    let sealed = house.vault.seal(house.workspace(), &place(), b"x").await.unwrap();
    let elsewhere = Place::EventBody(EventId::lowest());
    house.vault.open(house.workspace(), &elsewhere, &sealed).await.err().unwrap();
    let after = house.vault.counts();
    assert_eq!(after.opens - before.opens, 13);
    assert_eq!(after.refusals - before.refusals, 1);
    assert_eq!(after.seals - before.seals, 1);
    let keyring = house.vault.keyring(house.workspace()).await.unwrap();
    assert_ne!(keyring.active(), DataKeyId::lowest());
}

fn place() -> Place {
    Place::ConnectionCredential(ConnectionId::lowest())
}
