//! Bootstrap and the keys that it makes, on both databases.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here fails the test")]

use causeway_identity::token::{self, Plain};
use causeway_identity::{
    AuthenticateError, Authenticator, Bootstrap, ClientProof, Installation, MachineAccess,
    MachineParts, OwnKeys, TokenRequest, action, authorize, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both, verify_chain};
use causeway_types::entity::EnvironmentKind;
use causeway_types::{
    Actor, Clock as _, Code, Coded, ManualClock, OsRandom, SecretString, SystemClock, Tenant,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use std::sync::Arc;

on_both!(
    the_first_bootstrap_makes_everything,
    a_second_bootstrap_makes_new_keys,
    bootstraps_at_once_make_one_workspace,
    what_is_no_key_is_refused_without_a_query,
    the_database_holds_digests_only,
);

struct World {
    database: TestDatabase,
    vault: Vault,
    keys: OwnKeys,
    clock: Arc<ManualClock>,
    _root: tempfile::TempDir,
}

impl World {
    async fn new(database: TestDatabase) -> Self {
        let root = tempfile::tempdir().unwrap();
        let key = FileKey::create(&root.path().join("root.key"), database.folder(), &OsRandom);
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let key = RootKey::File(key.unwrap());
        let random = Arc::new(OsRandom);
        let vault =
            Vault::unlock(store, key, DEFAULT_KEY_LIFETIME, clock.clone(), random).await.unwrap();
        let keys = OwnKeys::open(&database.store, &vault, &*clock, &OsRandom, Actor::Machine);
        let keys = keys.await.unwrap();
        Self { database, vault, keys, clock, _root: root }
    }

    async fn bootstrap(&self, environment: EnvironmentKind) -> Installation {
        let wanted =
            Bootstrap { workspace_name: "Acme".into(), project_name: "Main".into(), environment };
        let (store, token_key) = (&self.database.store, self.keys.token());
        bootstrap(store, &self.vault, token_key, &*self.clock, &OsRandom, &wanted).await.unwrap()
    }

    fn machine(&self) -> MachineAccess {
        MachineAccess::new(MachineParts {
            store: self.database.store.clone(),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            random: Arc::new(OsRandom),
            issuer: "https://connect.example.com".into(),
        })
    }

    fn authenticator(&self) -> Authenticator {
        self.machine().authenticator()
    }

    async fn audit(&self, made: &Installation) -> Vec<String> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, made.workspace).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(made.workspace, 0, 100)).unwrap();
        rows.into_iter().map(|row| format!("{} {}", row.actor, row.action)).collect()
    }
}

fn header(made: &Installation) -> String {
    format!("Bearer {}", made.api_key.expose())
}

async fn the_first_bootstrap_makes_everything(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Production).await;
    assert!(made.created);
    assert!(made.api_key.expose().starts_with("cwk_"));
    assert!(made.client_secret.expose().starts_with("cws_"));
    assert!(made.client_id.to_string().starts_with("mc_"));
    let caller = world.authenticator().authenticate(Some(&header(&made))).await.unwrap();
    let tenant =
        Tenant { workspace: made.workspace, project: made.project, environment: made.production };
    assert_eq!(caller.place().environment(), Some(tenant));
    assert_eq!(caller.actor(), Actor::ApiKey(made.api_key_id));
    assert!(authorize::<action::Deploy>(&caller, world.clock.now()).is_ok());
    assert!(authorize::<action::UseConnections>(&caller, world.clock.now()).is_err());
    assert!(authorize::<action::ManageMachineAccess>(&caller, world.clock.now()).is_ok());
    assert_eq!(world.vault.check().await.unwrap(), 2, "it and the installation have a data key");
    assert_eq!(world.audit(&made).await, ["machine workspace_created"]);
    // The client works too.
    let proof = ClientProof::Secret {
        client_id: made.client_id.to_string(),
        secret: made.client_secret,
        method: "client_secret_basic",
    };
    let request = TokenRequest { grant_type: "client_credentials".into(), scope: None };
    let client = world.machine().prove(proof).await.unwrap();
    let granted = world.machine().grant(client, request).await.unwrap();
    let token = format!("bearer {}", granted.access_token.expose());
    let caller = world.authenticator().authenticate(Some(&token)).await.unwrap();
    assert_eq!(caller.actor(), Actor::MachineClient(made.client_id));
}

async fn a_second_bootstrap_makes_new_keys(database: TestDatabase) {
    let world = World::new(database).await;
    let first = world.bootstrap(EnvironmentKind::Production).await;
    let second = world.bootstrap(EnvironmentKind::Development).await;
    assert!(!second.created);
    assert_eq!(
        (second.workspace, second.project, second.development, second.production),
        (first.workspace, first.project, first.development, first.production)
    );
    assert_ne!(second.client_id, first.client_id);
    let authenticator = world.authenticator();
    let environment = async |made: &Installation| {
        let caller = authenticator.authenticate(Some(&header(made))).await.unwrap();
        caller.place().environment().unwrap().environment
    };
    assert_eq!(environment(&first).await, first.production);
    assert_eq!(environment(&second).await, first.development);
    assert_eq!(world.audit(&first).await, ["machine workspace_created", "machine api_key_created"]);
}

async fn bootstraps_at_once_make_one_workspace(database: TestDatabase) {
    let world = World::new(database).await;
    let run = || world.bootstrap(EnvironmentKind::Development);
    let (a, b, c) = tokio::join!(run(), run(), run());
    assert_eq!((a.workspace, b.workspace), (b.workspace, c.workspace));
    let made = [a.created, b.created, c.created];
    assert_eq!(made.iter().filter(|created| **created).count(), 1, "{made:?}");
}

async fn what_is_no_key_is_refused_without_a_query(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Development).await;
    let authenticator = world.authenticator();
    let lower = header(&made).replace("Bearer", "bearer");
    assert!(authenticator.authenticate(Some(&lower)).await.is_ok(), "RFC 9110 section 11.1");
    world.database.store.close().await;
    let basic = header(&made).replace("Bearer", "Basic");
    let mistyped = format!("{}x", header(&made));
    let upper = header(&made).to_uppercase();
    let long = format!("Bearer cwk_{}", "a".repeat(10_000));
    for bad in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer cwk_"),
        Some(basic.as_str()),
        Some(mistyped.as_str()),
        Some(upper.as_str()),
        Some(long.as_str()),
        Some("Bearer a.b.c"),
        Some("Bearer .."),
    ] {
        let refused = authenticator.authenticate(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{bad:?}");
        assert!(!refused.public().contains("aaaa"), "it repeats what was sent");
    }
    // The secret of a client, and other things that Causeway hands out, are no API keys.
    let secret = SecretString::new(format!("Bearer {}", made.client_secret.expose()));
    let refused = authenticator.authenticate(Some(secret.expose())).await.unwrap_err();
    assert!(matches!(refused, AuthenticateError::Malformed(_)), "{refused}");
}

async fn the_database_holds_digests_only(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Development).await;
    let plain = Plain::<token::ApiKey>::parse(made.api_key.expose()).ok().unwrap();
    let digest = plain.keyed_digest(world.keys.token());
    let mut conn = world.database.store.read().await.unwrap();
    let key = db!(conn, api_key::by_digest(digest.as_bytes())).unwrap().unwrap();
    assert!(digest.matches(&key.digest));
    drop(conn);
    if world.database.store.kind() == "sqlite" {
        world.database.store.forget_deleted().await.unwrap();
        let file = std::fs::read(world.database.folder().join("causeway.db")).unwrap();
        for secret in [&made.api_key, &made.client_secret] {
            let (_, body) = secret.expose().split_once('_').unwrap();
            // The four characters of the hint are there; the rest is not.
            let (_, rest) = body.split_at(4);
            assert!(!file.windows(rest.len()).any(|window| window == rest.as_bytes()));
        }
    }
}
