//! Causeway's own signing keys: what somebody with the database's password cannot do with them,
//! and how they are rotated.

use crate::api_keys::manager;
use crate::tokens::{client, forge, give_back, granted, part, with_secret};
use crate::world::{World, secret};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use causeway_identity::{AuthenticateError, OwnKeys, OwnKeysError, TOKEN_LIFETIME};
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, Store, db, on_both};
use causeway_types::entity::{KeyPurpose, SigningKey};
use causeway_types::place::Sealed;
use causeway_types::{Actor, INSTALLATION, OsRandom, Place, SigningKeyId};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    a_planted_key_is_not_believed,
    a_key_whose_public_half_was_exchanged_is_not_believed,
    a_new_key_signs_and_the_old_one_counts_until_its_tokens_end,
    another_process_takes_a_new_key_up,
    rotations_at_once_leave_one_key,
);

/// How long a retired key may still sign on a node that has not heard of it.
const LAGGARDS: Duration = Duration::from_mins(5);

impl World {
    /// The keys, read as a process does that starts now.
    async fn opened(&self) -> Result<OwnKeys, OwnKeysError> {
        let store = &self.database.store;
        OwnKeys::open(store, &self.vault, &*self.clock, &OsRandom, Actor::Machine).await
    }

    async fn rotate(&self, keys: &OwnKeys) -> SigningKeyId {
        let rotated = keys.rotate(self.now(), &OsRandom, Actor::Machine).await.unwrap();
        let [access, audit] = rotated.as_slice() else { panic!("{rotated:?}") };
        assert_eq!((access.purpose, audit.purpose), (KeyPurpose::AccessToken, KeyPurpose::Audit));
        assert_eq!((access.active, audit.active), (keys.access().id(), keys.audit().id()));
        access.active
    }

    async fn stored(&self, purpose: KeyPurpose) -> Vec<SigningKey> {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, signing_key::list(purpose)).unwrap()
    }

    async fn plant(&self, key: &SigningKey) {
        let mut tx = self.database.store.write(Actor::Anonymous).await.unwrap();
        assert!(db!(tx, signing_key::insert(key)).unwrap());
        tx.commit_bookkeeping(Bookkeeping::Expired).await.unwrap();
    }

    /// Does to the database what somebody with its password can.
    async fn attack(&self, sql: String) {
        let sql = sqlx::AssertSqlSafe(sql);
        match &self.database.store {
            Store::Sqlite { writer, .. } => sqlx::raw_sql(sql).execute(writer).await.map(|_| ()),
            Store::Postgres { pool, .. } => sqlx::raw_sql(sql).execute(pool).await.map(|_| ()),
        }
        .unwrap();
    }

    fn kids(&self) -> Vec<String> {
        let set = self.machine.jwks();
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

/// The claims of a token that is made now and lives as long as others.
fn fresh(world: &World, token: &str) -> Value {
    let (mut claims, now) = (part(token, 1), world.now().as_secs());
    claims["iat"] = now.into();
    claims["exp"] = (now + TOKEN_LIFETIME.as_secs()).into();
    claims
}

async fn a_planted_key_is_not_believed(database: TestDatabase) {
    let world = World::new(database).await;
    let elsewhere = World::new(TestDatabase::sqlite().await).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let good = granted(&world, id, &client_secret).await;
    let pair = Ed25519KeyPair::generate().unwrap();
    let genuine = world.stored(KeyPurpose::AccessToken).await.remove(0);
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::Audit] {
        let planted = SigningKeyId::generate(world.now(), &OsRandom);
        let place = Place::SigningKey(planted);
        let foreign = elsewhere.vault.seal(INSTALLATION, &place, &[7; 32]).await.unwrap();
        // Even if the attacker could have Causeway seal something: not this key's other half.
        let another = world.vault.seal(INSTALLATION, &place, &[7; 32]).await.unwrap();
        for (what, sealed) in [
            ("in the clear", Sealed::from_bytes(vec![7; 32])),
            ("nothing", Sealed::from_bytes(Vec::new())),
            ("another key's", genuine.secret.clone()),
            ("another installation's", foreign),
            ("of another half", another),
        ] {
            let row = SigningKey {
                id: planted,
                purpose,
                public_key: pair.public_key().as_ref().to_vec(),
                secret: sealed,
                retired_at: Some(world.now()),
                ..genuine.clone()
            };
            world.plant(&row).await;
            let refused = world.opened().await.err();
            assert!(
                matches!(refused, Some(OwnKeysError::Vault(_) | OwnKeysError::Damaged(_))),
                "{purpose}, {what}: {refused:?}"
            );
            // Nor does a process that runs take it up, whoever makes it look.
            let mut header = part(&good, 0);
            header["kid"] = json!(planted.to_string());
            let forged = forge(&header, &fresh(&world, &good), |message| {
                pair.sign(message).as_ref().to_vec()
            });
            world.clock.advance(Duration::from_secs(1));
            let came = world.come_in(&forged).await;
            assert!(
                matches!(came, Err(AuthenticateError::Refused | AuthenticateError::Keys(_))),
                "{purpose}, {what}"
            );
            assert!(world.keys.renew().await.is_err(), "{purpose}, {what}");
            assert_eq!(world.kids(), [genuine.id.to_string()]);
            assert!(world.keys.audit_verifier(planted).is_none());
            // What it knows goes on.
            world.come_in(&granted(&world, id, &client_secret).await).await.unwrap();
            world.attack(format!("DELETE FROM signing_key WHERE id = '{planted}'")).await;
            assert!(!world.keys.renew().await.unwrap());
        }
    }
    world.opened().await.unwrap();
}

async fn a_key_whose_public_half_was_exchanged_is_not_believed(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let good = granted(&world, id, &client_secret).await;
    let pair = Ed25519KeyPair::generate().unwrap();
    let hex = data_encoding::HEXLOWER.encode(pair.public_key().as_ref());
    let literal = match world.database.store {
        Store::Sqlite { .. } => format!("x'{hex}'"),
        Store::Postgres { .. } => format!("'\\x{hex}'::bytea"),
    };
    let kid = kid(&good);
    let sql = format!("UPDATE signing_key SET public_key = {literal} WHERE id = '{kid}'");
    world.attack(sql).await;
    assert!(matches!(world.opened().await.err(), Some(OwnKeysError::Damaged(_))));
    assert!(matches!(world.keys.renew().await, Err(OwnKeysError::Damaged(_))));
    let forged = forge(&part(&good, 0), &fresh(&world, &good), |message| {
        pair.sign(message).as_ref().to_vec()
    });
    World::refused(world.come_in(&forged).await);
    world.come_in(&good).await.unwrap();
}

async fn a_new_key_signs_and_the_old_one_counts_until_its_tokens_end(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let before = granted(&world, id, &client_secret).await;
    let (old, old_audit) = (world.keys.access(), world.keys.audit());
    // Ids sort by age, to a millisecond.
    world.clock.advance(Duration::from_millis(1));
    let new = world.rotate(&world.keys).await;
    assert_eq!(world.kids(), [old.id().to_string(), new.to_string()]);
    let after = granted(&world, id, &client_secret).await;
    assert_eq!((kid(&before), kid(&after)), (old.id().to_string(), new.to_string()));
    for token in [&before, &after] {
        world.come_in(token).await.unwrap();
    }
    let proof = || with_secret(id, &client_secret);
    give_back(&world.machine, proof(), &secret(&before)).await.unwrap();
    World::refused(world.come_in(&before).await);

    let events = world.audit_of(INSTALLATION).await;
    let rotated: Vec<&Value> =
        events.iter().filter(|event| event["action"] == "signing_key_rotated").collect();
    assert_eq!(rotated.len(), 2);
    assert_eq!(
        (&rotated[0]["key"], &rotated[0]["successor"], &rotated[0]["purpose"]),
        (&json!(old.id()), &json!(new), &json!("access_token"))
    );
    assert_eq!(
        (&rotated[1]["key"], &rotated[1]["purpose"], &rotated[1]["actor"]),
        (&json!(old_audit.id()), &json!("audit"), &json!("machine"))
    );

    // Whoever has stolen the old key has it for as long as its tokens live, and no longer.
    let stolen = |world: &World| {
        let mut claims = fresh(world, &before);
        claims["jti"] = json!(format!("stolen at {}", world.now()));
        forge(&part(&before, 0), &claims, |message| old.sign(message))
    };
    world.clock.advance((TOKEN_LIFETIME + LAGGARDS).saturating_sub(Duration::from_secs(1)));
    world.come_in(&stolen(&world)).await.unwrap();
    assert_eq!(world.kids().len(), 2);
    world.clock.advance(Duration::from_secs(1));
    World::refused(world.come_in(&stolen(&world)).await);
    assert_eq!(world.kids(), [new.to_string()]);
    assert!(world.keys.audit_verifier(old_audit.id()).is_some(), "checkpoints stay for ever");

    // A process that starts now has the same keys.
    let opened = world.opened().await.unwrap();
    assert_eq!((opened.access().id(), opened.audit().id()), (new, world.keys.audit().id()));
    assert_eq!(opened.access_verifiers(world.now()), world.keys.access_verifiers(world.now()));
    assert_eq!(opened.audit_verifiers(), world.keys.audit_verifiers());
}

async fn another_process_takes_a_new_key_up(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, client_secret) = client(&world, &manager()).await;
    let before = granted(&world, id, &client_secret).await;
    let there = world.opened().await.unwrap();
    let new = world.rotate(&there).await;
    // Nobody told this one, and a token of the new key comes here first.
    let mut header = part(&before, 0);
    header["kid"] = json!(new.to_string());
    let token = forge(&header, &part(&before, 1), |message| there.access().sign(message));
    world.come_in(&token).await.unwrap();
    assert_eq!(kid(&granted(&world, id, &client_secret).await), new.to_string());
    world.come_in(&before).await.unwrap();

    // Made-up keys make it look once a second.
    let newer = world.rotate(&there).await;
    header["kid"] = json!("sgn_00000000000000000000000000");
    World::refused(world.come_in(&forge(&header, &part(&before, 1), |_| vec![0; 64])).await);
    assert_ne!(world.keys.access().id(), newer, "it looked a moment ago");
    world.clock.advance(Duration::from_secs(1));
    World::refused(world.come_in(&forge(&header, &part(&before, 1), |_| vec![1; 64])).await);
    assert_eq!(world.keys.access().id(), newer);
}

async fn rotations_at_once_leave_one_key(database: TestDatabase) {
    let world = World::new(database).await;
    let there = world.opened().await.unwrap();
    let rotate = |keys: &OwnKeys| {
        let (keys, now) = (keys.clone(), world.now());
        async move { keys.rotate(now, &OsRandom, Actor::Machine).await.unwrap() }
    };
    tokio::join!(rotate(&world.keys), rotate(&there), rotate(&world.keys));
    for purpose in [KeyPurpose::AccessToken, KeyPurpose::Audit] {
        let stored = world.stored(purpose).await;
        assert_eq!(stored.len(), 4);
        assert_eq!(stored.iter().filter(|key| key.retired_at.is_none()).count(), 1);
    }
    world.keys.renew().await.unwrap();
    there.renew().await.unwrap();
    assert_eq!(world.keys.access().id(), there.access().id());
    let (id, client_secret) = client(&world, &manager()).await;
    world.come_in(&granted(&world, id, &client_secret).await).await.unwrap();
}

/// With PostgreSQL the other nodes hear of a rotation with the commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_of_a_rotation() {
    let world = World::new(TestDatabase::postgres().await).await;
    let (store, _) = world.another_node().await;
    let there = OwnKeys::open(&store, &world.vault, &*world.clock, &OsRandom, Actor::Machine).await;
    let there = there.unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (machine, shutdown) = (world.machine.clone(), shutdown.clone());
        async move { machine.run_background(shutdown).await }
    });
    let mut heard = world.database.store.notices().heard();
    heard.wait_for(|heard| heard.listening).await.unwrap();
    let new = world.rotate(&there).await;
    // Less than the time after which it looks by itself.
    let taken_up = tokio::time::timeout(Duration::from_secs(10), async {
        while world.keys.access().id() != new {
            tokio::task::yield_now().await;
        }
    });
    taken_up.await.unwrap();
    shutdown.cancel();
    running.await.unwrap();
    store.close().await;
}
