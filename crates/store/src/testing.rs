//! Fresh, migrated databases for tests, one of each kind.

#![expect(clippy::expect_used, reason = "a test that cannot have its database cannot go on")]

use crate::{Store, StoreOptions};
use sqlx::Connection as _;
use std::path::Path;

/// A database that lives as long as its test.
pub struct TestDatabase {
    /// The store on it.
    pub store: Store,
    /// How to open it again.
    pub options: StoreOptions,
    /// Its URL, as `--database-url` takes it.
    pub url: String,
    folder: tempfile::TempDir,
}

impl TestDatabase {
    /// A new SQLite file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let url = format!("sqlite:{}", folder.path().join("causeway.db").display());
        Self::open(url, folder).await
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
        let mut admin = sqlx::PgConnection::connect(&cluster).await.expect("the cluster answers");
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .expect("a database can be made");
        admin.close().await.expect("the connection closes");
        let url = format!(
            "{}/{name}",
            cluster.rsplit_once('/').expect("the cluster's URL names a database").0
        );
        Self::open(url, folder).await
    }

    async fn open(url: String, folder: tempfile::TempDir) -> Self {
        let options = StoreOptions::from_url(&url).expect("the URL is ours");
        let store = Store::connect(&options).await.expect("the database opens");
        Self { store, options, url, folder }
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
