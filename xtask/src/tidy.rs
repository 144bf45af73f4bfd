//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy can hold.
//!
//! - A *rule* is a function from the [`Tree`] to findings, in a file of its own below `tidy/`.
//! - A *finding* names a place, what stands there, why that is not wanted, and what to do.

mod apps;
mod docs;
mod edges;
mod handlers;
mod lints;
mod migrations;
mod problems;
mod secrets;
mod sizes;
mod spdx;
mod supply;
mod tree;
mod words;
mod workplace;

use anyhow::ensure;
use std::fmt;
use std::io::Write as _;
use tree::Tree;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the root of the repository.
    path: String,
    /// From 1; 0 stands for the file as a whole.
    line: usize,
    /// What stands there.
    what: String,
    /// Why it is not wanted.
    why: &'static str,
    /// What to do.
    remedy: String,
}

impl Finding {
    fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), why, remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, why, remedy } = self;
        write!(f, "{path}:{}: {what}. {why}. {remedy}.", line.max(&1))
    }
}

pub(crate) fn run() -> anyhow::Result<()> {
    let root = crate::root();
    let tree = Tree::read(&root)?;
    let mut findings: Vec<Finding> = [
        sizes::check(&tree),
        lints::check(&tree)?,
        secrets::check(&tree),
        docs::check(&tree),
        problems::check(&tree),
        handlers::check(&tree),
        words::check(&tree),
        workplace::check(&tree, &workplace::folders(&root)),
        migrations::check(&tree),
        apps::check(&tree),
        edges::check(&edges::packages(&root)?, &tree),
        supply::check(&tree, &supply::Used::read(&root, &tree)?)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    writeln!(out, "tidy: {} files, nothing found", tree.len())?;
    Ok(())
}
