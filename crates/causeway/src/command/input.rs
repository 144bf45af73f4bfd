//! Values that are given on the command line, in a file or on standard input.

use anyhow::Context;
use serde_json::Value;
use std::io::Read;

/// `@FILE`, `-` for standard input, or the text itself.
pub(crate) fn read(given: &str) -> anyhow::Result<String> {
    if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        return Ok(text);
    }
    match given.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {path}")),
        None => Ok(given.to_owned()),
    }
}

/// The same, where the value is a secret: never on the command line itself.
pub(crate) fn read_secret(given: &str, what: &str) -> anyhow::Result<String> {
    anyhow::ensure!(
        given == "-" || given.starts_with('@'),
        "give {what} as @FILE, or - for standard input: other users of this machine see the command line"
    );
    Ok(read(given)?.trim_end_matches(['\r', '\n']).to_owned())
}

/// JSON, with its place in the error.
pub(crate) fn read_json(given: &str, what: &str) -> anyhow::Result<Value> {
    serde_json::from_str(&read(given)?).with_context(|| format!("reading {what} as JSON"))
}
