//! Checks the store's queries against an empty, migrated database of each kind and writes what
//! the builds need to know about them into `crates/store-*/.sqlx`.

use anyhow::{Context, bail, ensure};
use sqlx::migrate::Migrator;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = crate::root();
    let cluster = causeway_testkit::postgres::Cluster::start().context("starting PostgreSQL")?;
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}/check.db?mode=rwc", folder.path().display());
    let postgres = cluster.url("postgres");
    tokio::runtime::Runtime::new()?.block_on(migrate(&root, &sqlite, &postgres))?;

    for (name, variable, url) in [
        ("sqlite", "SQLITE_DATABASE_URL", &sqlite),
        ("postgres", "POSTGRES_DATABASE_URL", &postgres),
    ] {
        let home = root.join(format!("crates/store-{name}"));
        let committed = home.join(".sqlx");
        let written = folder.path().join(name);
        std::fs::create_dir(&written)?;
        // The macros run again only if the crate changed.
        let source = std::fs::File::options().append(true).open(home.join("src/lib.rs"))?;
        let changed = source.metadata()?.modified()?;
        source.set_modified(now())?;
        let status = Command::new("cargo")
            .args(["check", "--quiet", "-p", &format!("causeway-store-{name}")])
            .env("SQLX_OFFLINE_DIR", &written)
            .env("SQLX_OFFLINE", "false")
            .env(variable, url)
            .current_dir(&root)
            .status()?;
        ensure!(status.success(), "the queries do not fit {name}");
        let (old, new) = (read(&committed)?, read(&written)?);
        if old == new {
            // So nothing that was built before has to be built again.
            source.set_modified(changed)?;
            continue;
        }
        if check {
            bail!("crates/store-{name}/.sqlx is out of date: run `cargo xtask sqlx`");
        }
        if committed.exists() {
            std::fs::remove_dir_all(&committed)?;
        }
        std::fs::create_dir(&committed)?;
        for (file, contents) in &new {
            std::fs::write(committed.join(file), contents)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a file's time has to be the machine's")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

async fn migrate(root: &Path, sqlite: &str, postgres: &str) -> anyhow::Result<()> {
    let migrations = |name: &str| root.join(format!("crates/store-{name}/migrations"));
    let pool = sqlx::SqlitePool::connect(sqlite).await?;
    Migrator::new(migrations("sqlite")).await?.run(&pool).await?;
    pool.close().await;
    let pool = sqlx::PgPool::connect(postgres).await?;
    Migrator::new(migrations("postgres")).await?.run(&pool).await?;
    pool.close().await;
    Ok(())
}

fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder)? {
            let path: PathBuf = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(files)
}
