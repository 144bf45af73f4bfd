//! What the command line prints: lines for people, or JSON for programs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the CLI prints")]

use serde::Serialize;
use std::process::ExitCode;

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A line for people; nothing with `--json`.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            println!("{}", text.as_ref());
        }
    }

    /// A result: JSON with `--json`, else what `people` makes of it.
    pub(crate) fn result<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) {
        if self.json {
            if let Ok(text) = serde_json::to_string(value) {
                println!("{text}");
            }
        } else {
            println!("{}", people(value).trim_end());
        }
    }
}

/// A line of progress that does not belong to the result.
pub(crate) fn note(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Prints why a command failed, with its causes, and gives the exit code.
pub(crate) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    if json {
        let problem = serde_json::json!({ "error": chain.join(": ") });
        eprintln!("{problem}");
    } else {
        eprintln!("error: {}", chain.first().map_or("", String::as_str));
        for cause in chain.iter().skip(1) {
            eprintln!("  because: {cause}");
        }
    }
    ExitCode::FAILURE
}
