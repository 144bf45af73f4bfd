//! Prints what it costs to know who sends a request:
//! `cargo run --release -p causeway-identity --example key_checks`.
//!
//! Each line is the processor time of the whole process, database included, in microseconds a
//! check, the best of several rounds. *Looked up* is the first check of a key by a server that has
//! not seen it; *remembered* is each of the next three seconds. An *unknown* key has the right form
//! and checksum, and nobody's digest.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a measurement for people to look at"
)]

use causeway_identity::token::{self, Plain};
use causeway_identity::{
    Authenticator, Bootstrap, ClientProof, Installation, MachineAccess, MachineParts, OwnKeys,
    Scopes, TokenRequest, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, db};
use causeway_types::entity::{ApiKey, EnvironmentKind};
use causeway_types::{Actor, ApiKeyId, Clock as _, OsRandom, SystemClock};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

/// Checks in a round, each of another key.
const KEYS: usize = 2000;
const ROUNDS: usize = 7;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let database = TestDatabase::sqlite().await;
    let store = database.store.clone();
    let folder = tempfile::tempdir().unwrap();
    let root = FileKey::create(&folder.path().join("root.key"), database.folder(), &OsRandom);
    let (clock, random) = (Arc::new(SystemClock), Arc::new(OsRandom));
    let root = RootKey::File(root.unwrap());
    let vault =
        Vault::unlock(store.clone(), root, DEFAULT_KEY_LIFETIME, clock.clone(), random.clone());
    let vault = vault.await.unwrap();
    let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
    let wanted = Bootstrap {
        workspace_name: "Bench".into(),
        project_name: "Bench".into(),
        environment: EnvironmentKind::Production,
    };
    let made = bootstrap(&store, &vault, keys.token(), &*clock, &OsRandom, &wanted).await.unwrap();
    let machine = MachineAccess::new(MachineParts {
        store: store.clone(),
        keys: keys.clone(),
        clock,
        random,
        issuer: "https://connect.example.com".into(),
    });

    let known = insert(&store, &keys, &made).await;
    let unknown: Vec<String> = (0..KEYS)
        .map(|_| {
            format!("Bearer {}", Plain::<token::ApiKey>::generate(&OsRandom).reveal().expose())
        })
        .collect();
    let proof = ClientProof::Secret {
        client_id: made.client_id.to_string(),
        secret: made.client_secret,
        method: "client_secret_basic",
    };
    let request = TokenRequest { grant_type: "client_credentials".into(), scope: None };
    let client = machine.prove(proof).await.unwrap();
    let granted = machine.grant(client, request).await.unwrap();
    let jwt = vec![format!("Bearer {}", granted.access_token.expose()); KEYS];
    let (one, nobody) = (vec![known[0].clone(); KEYS], vec![unknown[0].clone(); KEYS]);

    let mut best = [f64::MAX; 6];
    for _ in 0..ROUNDS {
        let fresh = || machine.authenticator();
        let warm = fresh();
        for first in [&one, &nobody, &jwt] {
            check(&warm, &first[..1]).await;
        }
        let round = [
            check(&warm, &one).await,
            check(&warm, &nobody).await,
            check(&warm, &jwt).await,
            check(&fresh(), &known).await,
            check(&fresh(), &unknown).await,
            anew(&machine, &jwt[0]).await,
        ];
        for (best, this) in best.iter_mut().zip(round) {
            *best = best.min(this);
        }
    }
    println!("microseconds of processor time a check, the best of {ROUNDS} rounds of {KEYS}");
    for (what, micros) in [
        "known key, remembered",
        "unknown key, remembered",
        "access token, remembered",
        "known key, looked up",
        "unknown key, looked up",
        "access token, looked up",
    ]
    .into_iter()
    .zip(best)
    {
        println!("{what:<26}{micros:>9.2}   1,000/s: {:>5.2} % of a core", micros / 10.0);
    }
    store.close().await;
}

/// Processor time of the process so far, in microseconds.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

async fn check(authenticator: &Authenticator, headers: &[String]) -> f64 {
    let start = processor();
    for header in headers {
        let _ = std::hint::black_box(authenticator.authenticate(Some(header)).await);
    }
    (processor() - start) / headers.len() as f64
}

/// The same token by servers that have not seen it.
async fn anew(machine: &MachineAccess, header: &String) -> f64 {
    let servers: Vec<_> = (0..KEYS / 10).map(|_| machine.authenticator()).collect();
    let mut sum = 0.0;
    for server in &servers {
        sum += check(server, std::slice::from_ref(header)).await;
    }
    sum / servers.len() as f64
}

async fn insert(store: &Store, keys: &OwnKeys, made: &Installation) -> Vec<String> {
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let mut headers = Vec::with_capacity(KEYS);
    let now = SystemClock.now();
    for _ in 0..KEYS {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let key = ApiKey {
            id: ApiKeyId::generate(now, &OsRandom),
            workspace_id: made.workspace,
            project_id: made.project,
            environment_id: made.production,
            name: "bench".into(),
            hint: plain.hint(),
            digest: plain.keyed_digest(keys.token()).to_vec(),
            scopes: Scopes::default().to_text(),
            created_by: Actor::Machine.to_string(),
            created_at: now,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        db!(tx, api_key::insert(&key)).unwrap();
        headers.push(format!("Bearer {}", plain.reveal().expose()));
    }
    let event = Audit::ApiKeyCreated { key: made.api_key_id, name: "bench".into() };
    tx.commit(made.workspace, now, event).await.unwrap();
    headers
}
