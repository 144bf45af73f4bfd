//! `cargo xtask catalogue`: checks every row, drives every app, and says what passed.
//!
//! The rows are read by the code that reads them in a server. The conformance tests of `connect`
//! drive every scheme of every app against a stand-in and write down what came of each step; what
//! is counted here is what stands there.

mod report;

use anyhow::{Context, ensure};
use causeway_catalog::Catalog;
use report::{Driven, Report};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the conformance tests write what they did; see `crates/connect/tests/conformance`.
const REPORT: &str = "CAUSEWAY_CATALOGUE_REPORT";

pub(crate) fn run(json: bool) -> anyhow::Result<()> {
    let apps = crate::root().join("apps");
    let checked = Catalog::check(&apps);
    let faults: Vec<String> = checked.faults.iter().map(ToString::to_string).collect();
    ensure!(faults.is_empty(), "rows are wrong:\n{}", faults.join("\n"));
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let file = folder.path().join("report.json");
    let passed = drive(&file)?;
    let driven: Vec<Driven> = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).context("reading what was driven")?,
        Err(_) => Vec::new(),
    };
    let report = Report::of(checked.rows, driven);
    let text = if json { report.json()? } else { report.text() };
    writeln!(std::io::stdout(), "{text}").context("printing the report")?;
    ensure!(passed && report.is_whole(), "the catalogue does not hold: see above");
    Ok(())
}

/// Runs the conformance tests; whether they passed.
fn drive(report: &Path) -> anyhow::Result<bool> {
    let tests = "package(causeway-catalog) | (package(causeway-connect) & binary(conformance))";
    let status = Command::new("cargo")
        .args(["nextest", "run", "-p", "causeway-catalog", "-p", "causeway-connect", "-E", tests])
        .env(REPORT, report)
        .stdout(Stdio::null())
        .current_dir(crate::root())
        .status()
        .context("running cargo nextest")?;
    Ok(status.success())
}
