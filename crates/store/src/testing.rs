//! Fresh, migrated databases for tests, one of each kind.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have its database cannot go on"
)]

use crate::{Store, StoreOptions};
use sqlx::Connection as _;
use std::path::Path;
use std::time::Duration;

/// A database that lives as long as its test.
pub struct TestDatabase {
    /// The store on it.
    pub store: Store,
    /// How to open it again.
    pub options: StoreOptions,
    /// Its URL, as `--database-url` takes it.
    pub url: String,
    // Dropped after the store, whose connections are then closed or about to be.
    _postgres: Option<PostgresDatabase>,
    folder: tempfile::TempDir,
}

/// A database in the tests' cluster, which goes when its test is over: hundreds of them would fill
/// a build machine's disk.
struct PostgresDatabase {
    cluster: String,
    name: String,
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let dropped = std::thread::scope(|scope| {
            // The test's own runtime may be this thread's, which must not wait for another's.
            scope
                .spawn(|| {
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .expect("a runtime can be made")
                        .block_on(run(
                            &self.cluster,
                            format!("DROP DATABASE {} WITH (FORCE)", self.name),
                        ));
                })
                .join()
        });
        // A second panic while a test fails would hide the first.
        assert!(dropped.is_ok() || std::thread::panicking(), "{} is not dropped", self.name);
    }
}

/// Runs a statement that no transaction may hold.
async fn run(cluster: &str, statement: String) {
    let mut admin = sqlx::PgConnection::connect(cluster).await.expect("the cluster answers");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut admin)
        .await
        .expect("the cluster does as it is told");
    admin.close().await.expect("the connection closes");
}

impl TestDatabase {
    /// A new SQLite file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let url = format!("sqlite:{}", folder.path().join("causeway.db").display());
        Self::open(url, folder, None).await
    }

    /// A new database in the cluster that `cargo xtask test` started.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests learn of their cluster by the environment"
    )]
    pub async fn postgres() -> Self {
        let cluster = std::env::var("CAUSEWAY_TEST_POSTGRES")
            .expect("run the tests through `cargo xtask test`, which starts PostgreSQL for them");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let name = format!(
            "t_{}",
            folder.path().file_name().expect("it has a name").to_string_lossy().replace('.', "_")
        )
        .to_lowercase();
        let name = format!("{name}_{}", std::process::id());
        run(&cluster, format!("CREATE DATABASE {name}")).await;
        let url = format!(
            "{}/{name}",
            cluster.rsplit_once('/').expect("the cluster's URL names a database").0
        );
        Self::open(url, folder, Some(PostgresDatabase { cluster, name })).await
    }

    async fn open(
        url: String,
        folder: tempfile::TempDir,
        postgres: Option<PostgresDatabase>,
    ) -> Self {
        let options = StoreOptions::from_url(&url).expect("the URL is ours");
        let store = Store::connect(&options).await.expect("the database opens");
        Self { store, options, url, _postgres: postgres, folder }
    }

    /// Waits until a transaction waits for a lock that another holds, with PostgreSQL.
    pub async fn somebody_waits(&self) {
        let Store::Postgres { pool, .. } = &self.store else {
            panic!("only PostgreSQL has several who write");
        };
        let waiting = async {
            let question = "SELECT COUNT(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while sqlx::query_scalar::<_, i64>(question)
                .fetch_one(pool)
                .await
                .expect("the cluster tells what it does")
                == 0
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("somebody waits");
    }

    /// A folder that lives as long as the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Declares each test twice, once for each database: `on_both!(name, …)` calls
/// `async fn name(database: TestDatabase)`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::testing::TestDatabase::sqlite().await).await })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::testing::TestDatabase::postgres().await).await })*
        }
    };
}
