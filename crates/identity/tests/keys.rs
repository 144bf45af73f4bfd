//! Bootstrap and API keys, on both databases.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here fails the test")]

use causeway_identity::token::{self, Plain};
use causeway_identity::{
    AuthenticateError, Authenticator, Bootstrap, Installation, action, authorize, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both, verify_chain};
use causeway_types::entity::{ApiKey, EnvironmentKind};
use causeway_types::{
    Actor, ApiKeyId, Clock as _, Code, Coded, ManualClock, OsRandom, SystemClock, Tenant, Timestamp,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use std::sync::Arc;
use std::time::Duration;

on_both!(
    the_first_bootstrap_makes_everything,
    a_second_bootstrap_makes_new_keys,
    bootstraps_at_once_make_one_workspace,
    expired_and_unknown_keys_get_the_same_answer,
    an_expiry_counts_although_the_key_is_remembered,
    the_database_holds_digests_only,
);

struct World {
    database: TestDatabase,
    vault: Vault,
    clock: Arc<ManualClock>,
    _keys: tempfile::TempDir,
}

impl World {
    async fn new(database: TestDatabase) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let key = FileKey::create(&keys.path().join("root.key"), database.folder(), &OsRandom);
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let root = RootKey::File(key.unwrap());
        let random = Arc::new(OsRandom);
        let vault =
            Vault::unlock(store, root, DEFAULT_KEY_LIFETIME, clock.clone(), random).await.unwrap();
        Self { database, vault, clock, _keys: keys }
    }

    async fn bootstrap(&self, environment: EnvironmentKind) -> Installation {
        let wanted =
            Bootstrap { workspace_name: "Acme".into(), project_name: "Main".into(), environment };
        bootstrap(&self.database.store, &self.vault, &*self.clock, &OsRandom, &wanted)
            .await
            .unwrap()
    }

    fn authenticator(&self) -> Authenticator {
        Authenticator::new(self.database.store.clone(), self.clock.clone())
    }

    async fn audit(&self, made: &Installation) -> Vec<String> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, made.workspace).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(made.workspace, 0, 100)).unwrap();
        rows.into_iter().map(|row| format!("{} {}", row.actor, row.action)).collect()
    }

    /// Stores a key that expires, as no bootstrap makes it.
    async fn expiring_key(&self, made: &Installation, expires_at: Timestamp) -> String {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let key = ApiKey {
            id: ApiKeyId::generate(self.clock.now(), &OsRandom),
            workspace_id: made.workspace,
            project_id: made.project,
            environment_id: made.development,
            name: "short".into(),
            digest: plain.digest().to_vec(),
            created_at: self.clock.now(),
            expires_at: Some(expires_at),
            revoked_at: None,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&key)).unwrap();
        let event = Audit::ApiKeyCreated { key: key.id, name: key.name };
        tx.commit(made.workspace, self.clock.now(), event).await.unwrap();
        format!("Bearer {}", plain.reveal().expose())
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
    assert_eq!((caller.tenant(), caller.actor()), (tenant, Actor::ApiKey(made.api_key_id)));
    assert!(authorize::<action::Deploy>(&caller).is_ok());
    assert!(authorize::<action::UseConnections>(&caller).is_err());
    assert_eq!(world.vault.check().await.unwrap(), 1, "it has a data key");
    assert_eq!(world.audit(&made).await, ["machine workspace_created"]);
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
    let old = authenticator.authenticate(Some(&header(&first))).await.unwrap();
    let new = authenticator.authenticate(Some(&header(&second))).await.unwrap();
    assert_eq!(old.tenant().environment, first.production);
    assert_eq!(new.tenant().environment, first.development);
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

async fn expired_and_unknown_keys_get_the_same_answer(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Development).await;
    let expired = world.expiring_key(&made, world.clock.now()).await;
    let unknown =
        format!("Bearer {}", Plain::<token::ApiKey>::generate(&OsRandom).reveal().expose());
    let authenticator = world.authenticator();
    let mut texts = Vec::new();
    for header in [&expired, &unknown] {
        let refused = authenticator.authenticate(Some(header)).await.unwrap_err();
        assert!(matches!(refused, AuthenticateError::Refused), "{refused}");
        texts.push(refused.public().into_owned());
    }
    assert_eq!(texts.first(), texts.last());
    let basic = header(&made).replace("Bearer", "Basic");
    let mistyped = format!("{}x", header(&made));
    for bad in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some(basic.as_str()),
        Some(mistyped.as_str()),
    ] {
        let refused = authenticator.authenticate(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{bad:?}");
        assert!(!matches!(refused, AuthenticateError::Refused), "no query was needed for {bad:?}");
    }
    let lower = header(&made).replace("Bearer", "bearer");
    assert!(authenticator.authenticate(Some(&lower)).await.is_ok(), "RFC 9110 section 11.1");
}

async fn an_expiry_counts_although_the_key_is_remembered(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Development).await;
    let end = world.clock.now().plus(Duration::from_secs(1));
    let short = world.expiring_key(&made, end).await;
    let authenticator = world.authenticator();
    authenticator.authenticate(Some(&short)).await.unwrap();
    // Without the database: what is remembered is enough, for as long as it is believed.
    world.database.store.close().await;
    authenticator.authenticate(Some(&short)).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let refused = authenticator.authenticate(Some(&short)).await.unwrap_err();
    assert!(matches!(refused, AuthenticateError::Refused), "{refused}");
    world.clock.advance(Duration::from_secs(2));
    let asked = authenticator.authenticate(Some(&short)).await.unwrap_err();
    assert_eq!(asked.code(), Code::StoreUnavailable, "it is looked up again");
}

async fn the_database_holds_digests_only(database: TestDatabase) {
    let world = World::new(database).await;
    let made = world.bootstrap(EnvironmentKind::Development).await;
    let digest = Plain::<token::ApiKey>::parse(made.api_key.expose()).ok().unwrap().digest();
    let mut conn = world.database.store.read().await.unwrap();
    let key = db!(conn, api_key::by_digest(digest.as_bytes())).unwrap().unwrap();
    assert!(digest.matches(&key.digest));
    if world.database.store.kind() == "sqlite" {
        world.database.store.forget_deleted().await.unwrap();
        let file = std::fs::read(world.database.folder().join("causeway.db")).unwrap();
        for secret in [&made.api_key, &made.client_secret] {
            let (_, body) = secret.expose().split_once('_').unwrap();
            assert!(!file.windows(body.len()).any(|window| window == body.as_bytes()));
        }
    }
}
