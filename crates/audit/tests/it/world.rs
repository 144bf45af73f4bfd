//! An installation with a workspace whose chain has rows, and an attacker who has the database's
//! password and no key.

use aws_lc_rs::digest;
use causeway_audit::{AuditLog, Broken, Checkpoint, Keeper, Verified, VerifyError, verify};
use causeway_identity::action::{Action, ActionName};
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    Bootstrap, Denials, MachineAccess, MachineParts, OwnKeys, Permit, Scopes, authorize, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Store, db};
use causeway_types::entity::{ApiKey, AuditRow, EnvironmentKind};
use causeway_types::*;
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) keys: OwnKeys,
    pub(crate) log: AuditLog,
    pub(crate) denials: Denials,
    pub(crate) keeper: Keeper,
    pub(crate) tenant: Tenant,
    written: AtomicU32,
    _folder: tempfile::TempDir,
}

impl World {
    /// The workspace's chain has one row.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_790_000_000_000_000)));
        let root = FileKey::create(&folder.path().join("root.key"), database.folder(), &OsRandom);
        let (store, root) = (database.store.clone(), RootKey::File(root.unwrap()));
        let vault = Vault::unlock(
            store.clone(),
            root,
            DEFAULT_KEY_LIFETIME,
            clock.clone(),
            Arc::new(OsRandom),
        );
        let vault = vault.await.unwrap();
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Production,
        };
        let made = bootstrap(&store, &vault, keys.token(), &*clock, &OsRandom, &wanted);
        let made = made.await.unwrap();
        let tenant = Tenant {
            workspace: made.workspace,
            project: made.project,
            environment: made.production,
        };
        let denials = Denials::new(store.clone(), clock.clone());
        let log = AuditLog::new(store.clone(), keys.clone(), clock.clone());
        let keeper = keeper(&store, &keys, &denials, &clock);
        Self {
            database,
            clock,
            vault,
            keys,
            log,
            denials,
            keeper,
            tenant,
            written: AtomicU32::new(0),
            _folder: folder,
        }
    }

    /// The workspace's chain has so many rows.
    pub(crate) async fn with_rows(database: TestDatabase, rows: i64) -> Self {
        let world = Self::new(database).await;
        world.write(rows - 1).await;
        world
    }

    pub(crate) fn store(&self) -> &Store {
        &self.database.store
    }

    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.tenant.workspace
    }

    /// Another node on the same database.
    pub(crate) fn another_keeper(&self) -> Keeper {
        keeper(self.store(), &self.keys, &self.denials, &self.clock)
    }

    /// Appends so many rows.
    pub(crate) async fn write(&self, rows: i64) {
        for _ in 0..rows {
            // No two rows are alike: swapping those would change nothing.
            let number = self.written.fetch_add(1, Ordering::Relaxed);
            self.append(Audit::ProjectCreated {
                project: self.tenant.project,
                name: format!("number {number}"),
            })
            .await;
        }
    }

    pub(crate) async fn append(&self, event: Audit) {
        let tx = self.store().write(Actor::Machine).await.unwrap();
        tx.commit(self.workspace(), self.clock.now(), event).await.unwrap();
    }

    pub(crate) async fn rows(&self) -> Vec<AuditRow> {
        let mut conn = self.store().read().await.unwrap();
        db!(conn, audit::page(self.workspace(), i64::MIN, 100_000)).unwrap()
    }

    /// The last row's number.
    pub(crate) async fn last(&self) -> i64 {
        self.rows().await.last().unwrap().seq
    }

    pub(crate) async fn actions(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|row| row.action).collect()
    }

    pub(crate) async fn checkpoints(&self) -> Vec<Checkpoint> {
        let mut conn = self.store().read().await.unwrap();
        let found = db!(conn, audit::checkpoints(self.workspace(), i64::MIN, 1000)).unwrap();
        found.into_iter().map(Checkpoint::from).collect()
    }

    pub(crate) async fn signed(&self) -> Vec<i64> {
        self.checkpoints().await.iter().map(|one| one.seq).collect()
    }

    /// Has every chain signed as it is now.
    pub(crate) async fn sign(&self) {
        self.keeper.close().await;
    }

    pub(crate) async fn verify(&self) -> Verified {
        self.verify_with(&[]).await.unwrap_or_else(|broken| panic!("{broken}"))
    }

    pub(crate) async fn broken(&self) -> Broken {
        self.verify_with(&[]).await.unwrap_err()
    }

    pub(crate) async fn verify_with(&self, kept: &[Checkpoint]) -> Result<Verified, Broken> {
        verify(self.store(), &self.keys, self.workspace(), kept).await.map_err(
            |error| match error {
                VerifyError::Broken { broken, workspace } => {
                    assert_eq!(workspace, self.workspace());
                    broken
                }
                VerifyError::Store(error) => panic!("{error}"),
                VerifyError::Keys(error) => panic!("{error}"),
            },
        )
    }

    /// A permit for a program whose scopes name the action.
    pub(crate) async fn permit<A: Action>(&self) -> Permit<A> {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let now = self.clock.now();
        let key = ApiKey {
            id: ApiKeyId::generate(now, &OsRandom),
            workspace_id: self.tenant.workspace,
            project_id: self.tenant.project,
            environment_id: self.tenant.environment,
            name: "test".into(),
            hint: plain.hint(),
            digest: plain.keyed_digest(self.keys.token()).to_vec(),
            scopes: Scopes { actions: Some(vec![A::NAME]), ..Scopes::default() }.to_text(),
            created_by: "machine".into(),
            created_at: now,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&key)).unwrap();
        let event = Audit::ApiKeyCreated { key: key.id, name: key.name };
        tx.commit(self.workspace(), now, event).await.unwrap();
        let machine = MachineAccess::new(MachineParts {
            store: self.store().clone(),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            random: Arc::new(OsRandom),
            issuer: "http://127.0.0.1:8400".into(),
        });
        let header = format!("Bearer {}", plain.reveal().expose());
        let caller = machine.authenticator().authenticate(Some(&header)).await.unwrap();
        assert!(ActionName::ALL.contains(&A::NAME));
        authorize::<A>(&caller, now).unwrap_or_else(|denied| panic!("{denied}"))
    }

    /// Does to the database what somebody with its password can. `{ws}` stands for the workspace.
    pub(crate) async fn attack(&self, sql: &str) {
        let sql = sql.replace("{ws}", &format!("'{}'", self.workspace()));
        let sql = sqlx::AssertSqlSafe(sql);
        match self.store() {
            Store::Sqlite { writer, .. } => sqlx::raw_sql(sql).execute(writer).await.map(|_| ()),
            Store::Postgres { pool, .. } => sqlx::raw_sql(sql).execute(pool).await.map(|_| ()),
        }
        .unwrap();
    }

    /// Swaps the numbers of two rows.
    pub(crate) async fn swap(&self, one: i64, other: i64) {
        for (from, to) in [(one, -1), (other, one), (-1, other)] {
            self.attack(&format!(
                "UPDATE audit SET seq = {to} WHERE workspace_id = {{ws}} AND seq = {from}"
            ))
            .await;
        }
    }

    /// Computes the hashes of all rows from one on anew, and the head, as anybody can.
    pub(crate) async fn rehash(&self, from: i64) {
        let rows = self.rows().await;
        let mut previous = match rows.iter().rev().find(|row| row.seq < from) {
            Some(row) => row.hash.clone(),
            None => vec![0; 32],
        };
        for row in rows.iter().filter(|row| row.seq >= from) {
            previous = hash(self.workspace(), &previous, row);
            self.set_hash(row.seq, &previous).await;
        }
        self.set_head(rows.last().map_or(0, |row| row.seq), &previous).await;
    }

    pub(crate) async fn set_hash(&self, seq: i64, hash: &[u8]) {
        let hash = self.bytes(hash);
        self.attack(&format!(
            "UPDATE audit SET hash = {hash} WHERE workspace_id = {{ws}} AND seq = {seq}"
        ))
        .await;
    }

    pub(crate) async fn set_head(&self, seq: i64, hash: &[u8]) {
        let hash = self.bytes(hash);
        self.attack(&format!(
            "UPDATE audit_head SET seq = {seq}, hash = {hash} WHERE workspace_id = {{ws}}"
        ))
        .await;
    }

    /// Bytes as the database writes them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex = data_encoding::HEXLOWER.encode(bytes);
        match self.store() {
            Store::Sqlite { .. } => format!("x'{hex}'"),
            Store::Postgres { .. } => format!("'\\x{hex}'::bytea"),
        }
    }
}

fn keeper(store: &Store, keys: &OwnKeys, denials: &Denials, clock: &Arc<ManualClock>) -> Keeper {
    let actor = Actor::Node(NodeId::generate(clock.now(), &OsRandom));
    Keeper::new(store.clone(), keys.clone(), denials.clone(), clock.clone(), actor)
}

/// The hash of a row, written down once more from `docs/audit.md`.
pub(crate) fn hash(workspace: WorkspaceId, previous: &[u8], row: &AuditRow) -> Vec<u8> {
    let mut input = Vec::new();
    for part in [
        b"causeway audit v1".as_slice(),
        previous,
        workspace.to_string().as_bytes(),
        &row.seq.to_be_bytes(),
        &row.at.as_micros().to_be_bytes(),
        row.actor.as_bytes(),
        row.action.as_bytes(),
        row.detail.as_bytes(),
    ] {
        input.extend(u64::try_from(part.len()).unwrap().to_be_bytes());
        input.extend(part);
    }
    digest::digest(&digest::SHA256, &input).as_ref().to_vec()
}
