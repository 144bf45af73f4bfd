//! Runs the tests with the counterparts that they need.

use anyhow::{Context, ensure};
use std::process::Command;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let cluster = causeway_testkit::postgres::Cluster::start().context("starting PostgreSQL")?;
    let status = Command::new("cargo")
        .args(["nextest", "run"])
        .args(arguments)
        .env("CAUSEWAY_TEST_POSTGRES", cluster.url("postgres"))
        .current_dir(crate::root())
        .status()
        .context("running cargo nextest")?;
    drop(cluster);
    ensure!(status.success(), "the tests failed");
    Ok(())
}
