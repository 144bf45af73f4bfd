//! The two migrations make the same tables: every column by name, kind and nullability.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets an error has failed")]

use causeway_store::Store;
use causeway_store::testing::TestDatabase;
use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use std::collections::BTreeMap;

type Columns = BTreeMap<(String, String), (&'static str, bool)>;

/// The portable subset of docs/storage.md: text, integer, bytes.
fn kind(declared: &str) -> &'static str {
    match declared.to_ascii_lowercase().as_str() {
        "text" => "text",
        "integer" | "bigint" => "integer",
        "blob" | "bytea" => "bytes",
        other => panic!("`{other}` is outside the portable subset"),
    }
}

async fn columns(store: &Store) -> Columns {
    let rows: Vec<(String, String, String, bool)> = match store {
        Store::Sqlite { readers, .. } => sqlx::query_as(
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 1
             FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'",
        )
        .fetch_all(readers)
        .await
        .unwrap(),
        Store::Postgres { pool, .. } => sqlx::query_as(
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO'
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx\\_%'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
    };
    rows.into_iter()
        .map(|(table, column, declared, required)| ((table, column), (kind(&declared), required)))
        .collect()
}

/// The names of the indexes that were given one.
async fn indexes(store: &Store) -> Vec<String> {
    let mut names: Vec<(String,)> = match store {
        Store::Sqlite { readers, .. } => sqlx::query_as(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
        )
        .fetch_all(readers)
        .await
        .unwrap(),
        Store::Postgres { pool, .. } => sqlx::query_as(
            "SELECT indexname::text FROM pg_indexes
             WHERE schemaname = 'public' AND indexname !~ '_(pkey|key)$'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
    };
    names.sort();
    names.into_iter().map(|(name,)| name).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables() {
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    let (left, right) = (columns(&sqlite.store).await, columns(&postgres.store).await);
    assert!(left.len() > 100, "the query finds the columns: {}", left.len());
    for key in left.keys().chain(right.keys()) {
        assert_eq!(left.get(key), right.get(key), "{key:?}");
    }
    assert_eq!(indexes(&sqlite.store).await, indexes(&postgres.store).await);
}

/// A step of a database that an earlier build has made, which had no attempts.
#[tokio::test]
async fn steps_of_an_earlier_schema_stay() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("old.db").display());
    let mut conn = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let all = &causeway_store_sqlite::MIGRATIONS;
    let earlier: Vec<_> = all.iter().filter(|one| one.version < 11).cloned().collect();
    assert_eq!(earlier.len(), 10);
    let earlier = Migrator { migrations: earlier.into(), ..Migrator::DEFAULT };
    earlier.run(&mut conn).await.unwrap();
    sqlx::raw_sql(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO step VALUES ('s', 'w', 'i', 2, 'lookup', 'failed', 'user_error', x'09', 5, 6);",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    all.run(&mut conn).await.unwrap();
    let step: (String, i64, String, i64, String, Option<String>, Vec<u8>, i64, i64) =
        sqlx::query_as(
            "SELECT invocation_id, position, name, attempt, state, error_code, record,
               started_at_us, finished_at_us FROM step",
        )
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let (failed, code) = ("failed".to_owned(), Some("user_error".to_owned()));
    assert_eq!(step, ("i".into(), 2, "lookup".into(), 1, failed, code, vec![9], 5, 6));
    // The statement that deletes steps names this index.
    let index: String = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE tbl_name = 'step' AND name = 'sqlite_autoindex_step_2'",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(index, "sqlite_autoindex_step_2");
}
