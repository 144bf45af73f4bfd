//! What one node takes away, another knows at once; and what it cannot hear of, it asks for.

use crate::api_keys::manager;
use crate::tokens::{client, give_back, granted, with_secret};
use crate::world::{World, bearer, secret};
use causeway_identity::action::ManageMachineAccess;
use causeway_identity::{Authenticator, Rotation};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Heard, Store, db, on_both};
use causeway_types::Actor;
use std::time::Duration;
use tokio::sync::watch;

on_both!(a_memory_outlives_the_database_for_a_moment_only);

/// Waits until a node has heard what is asked for.
async fn hears(heard: &mut watch::Receiver<Heard>, what: impl FnMut(&Heard) -> bool) {
    let waiting = heard.wait_for(what);
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
}

async fn changes(store: &Store, before: Heard) {
    hears(&mut store.notices().heard(), |heard| heard.changes > before.changes).await;
}

/// Waits until a node hears the others.
async fn listens(store: &Store) {
    hears(&mut store.notices().heard(), |heard| heard.listening).await;
}

async fn comes_in(authenticator: &Authenticator, text: &str) -> bool {
    match authenticator.authenticate(Some(&bearer(text))).await {
        Ok(_) => true,
        Err(causeway_identity::AuthenticateError::Refused) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_takes_away_the_other_refuses() {
    let world = World::new(TestDatabase::postgres().await).await;
    let (store, machine) = world.another_node().await;
    let there = machine.authenticator();
    listens(&store).await;
    let heard = || *store.notices().heard().borrow();
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);

    // A key that is revoked.
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    assert!(comes_in(&there, &key).await);
    let before = heard();
    world.machine.revoke_key(&permit, id).await.unwrap();
    changes(&store, before).await;
    assert!(!comes_in(&there, &key).await);

    // A key that is rotated without an overlap.
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    assert!(comes_in(&there, &key).await);
    let before = heard();
    let rotation = Rotation { overlap: Some(Duration::ZERO), ..Rotation::default() };
    world.machine.rotate_key(&permit, &maker, id, rotation).await.unwrap();
    changes(&store, before).await;
    assert!(!comes_in(&there, &key).await);

    // A token that is revoked, and a token whose client is.
    let (id, client_secret) = client(&world, &manager()).await;
    let (first, second) =
        (granted(&world, id, &client_secret).await, granted(&world, id, &client_secret).await);
    assert!(comes_in(&there, &first).await && comes_in(&there, &second).await);
    let before = heard();
    let proof = with_secret(id, &client_secret);
    give_back(&world.machine, proof, &secret(&first)).await.unwrap();
    changes(&store, before).await;
    assert!(!comes_in(&there, &first).await && comes_in(&there, &second).await);
    let before = heard();
    world.machine.revoke_client(&permit, id).await.unwrap();
    changes(&store, before).await;
    assert!(!comes_in(&there, &second).await);

    // The bystanders are still in.
    assert!(comes_in(&there, &world.insert_key(world.tenant, &manager(), None).await.1).await);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_does_not_commit_tells_nobody() {
    let world = World::new(TestDatabase::postgres().await).await;
    let (store, _) = world.another_node().await;
    listens(&store).await;
    let before = *store.notices().heard().borrow();
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    tx.access_changed(world.tenant.workspace).await.unwrap();
    drop(tx);
    // What commits later is heard first.
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    tx.access_changed(world.tenant.workspace).await.unwrap();
    let event = Audit::ClaimLinkMade {};
    tx.commit(world.tenant.workspace, world.now(), event).await.unwrap();
    changes(&store, before).await;
    assert_eq!(store.notices().heard().borrow().changes, before.changes + 1);
    store.close().await;
}

/// While a node hears nothing it believes nothing, and once it hears again it has forgotten what
/// it knew: a change in between was told to nobody here.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hears_nothing_asks() {
    let world = World::new(TestDatabase::postgres().await).await;
    let (store, machine) = world.another_node().await;
    let there = machine.authenticator();
    listens(&store).await;
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    assert!(comes_in(&there, &key).await);

    // Cut the connection that listens, and change the row behind everybody's back meanwhile.
    let (mut heard, before) = (store.notices().heard(), *store.notices().heard().borrow());
    let Store::Postgres { pool, .. } = &world.database.store else { panic!("not PostgreSQL") };
    let mut conn = pool.acquire().await.unwrap();
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query(cut).execute(&mut *conn).await.unwrap();
    drop(conn);
    let revoke = async |id| {
        let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
        assert!(db!(tx, api_key::revoke(world.tenant, id, world.now())).unwrap());
        let event = Audit::ApiKeyRevoked { key: id };
        tx.commit(world.tenant.workspace, world.now(), event).await.unwrap();
    };
    revoke(id).await;
    hears(&mut heard, |heard| heard.gaps > before.gaps).await;
    assert!(!comes_in(&there, &key).await);

    // It hears again by itself, and believes again.
    hears(&mut heard, |heard| heard.listening).await;
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    assert!(comes_in(&there, &key).await);
    revoke(id).await;
    assert!(comes_in(&there, &key).await, "what nobody tells is believed, for three seconds");
    world.clock.advance(Duration::from_secs(3));
    assert!(!comes_in(&there, &key).await);
    store.close().await;
}

async fn a_memory_outlives_the_database_for_a_moment_only(database: TestDatabase) {
    use causeway_types::{Code, Coded as _};
    let world = World::new(database).await;
    listens(&world.database.store).await;
    let end = world.now().plus(Duration::from_secs(2));
    let (_, short) = world.insert_key(world.tenant, &manager(), Some(end)).await;
    let (_, long) = world.insert_key(world.tenant, &manager(), None).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let token = granted(&world, id, &client_secret).await;
    for text in [&short, &long, &token] {
        world.come_in(text).await.unwrap();
    }
    if world.database.store.kind() == "sqlite" {
        // Without the database: what is remembered is enough, for as long as it is believed.
        world.database.store.close().await;
        for text in [&short, &long, &token] {
            world.come_in(text).await.unwrap();
        }
    }
    world.clock.advance(Duration::from_secs(2));
    World::refused(world.come_in(&short).await);
    world.come_in(&long).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    if world.database.store.kind() == "sqlite" {
        for text in [&long, &token] {
            let asked = world.come_in(text).await.unwrap_err();
            assert_eq!(asked.code(), Code::StoreUnavailable, "it is looked up again");
        }
    }
}
