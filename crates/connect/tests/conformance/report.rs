//! What was driven, and what came of it. `cargo xtask catalogue` reads it.

use serde::Serialize;
use std::path::PathBuf;

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It was driven, and everything fitted.
    Passed,
    /// The app does not offer it by this scheme, as its row says.
    NotOffered,
    /// It was not driven, because a step before it failed.
    NotReached,
    /// It was driven, and this did not fit.
    Failed(String),
}

/// One scheme of one app.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Driven {
    pub(crate) app: String,
    pub(crate) scheme: String,
    /// A connection was made.
    pub(crate) connect: Outcome,
    /// The credential was tried, and the account read.
    pub(crate) verify: Outcome,
    /// A call went through the proxy.
    pub(crate) call: Outcome,
    /// A call went through after the token had expired.
    pub(crate) refresh: Outcome,
    /// The grant was given back with the deletion.
    pub(crate) revoke: Outcome,
    /// What went over the wire is what the vendor's page shows.
    pub(crate) golden: Outcome,
}

impl Driven {
    pub(crate) fn new(app: &str, scheme: &str) -> Self {
        let not = || Outcome::NotReached;
        Self {
            app: app.to_owned(),
            scheme: scheme.to_owned(),
            connect: not(),
            verify: not(),
            call: not(),
            refresh: not(),
            revoke: not(),
            golden: not(),
        }
    }

    fn steps(&self) -> [(&'static str, &Outcome); 6] {
        [
            ("connect", &self.connect),
            ("verify", &self.verify),
            ("call", &self.call),
            ("refresh", &self.refresh),
            ("revoke", &self.revoke),
            ("golden", &self.golden),
        ]
    }

    /// What went wrong, in lines.
    pub(crate) fn faults(&self) -> Vec<String> {
        let line = |(step, outcome): (&str, &Outcome)| match outcome {
            Outcome::Failed(why) => Some(format!("{} {} {step}: {why}", self.app, self.scheme)),
            _ => None,
        };
        self.steps().into_iter().filter_map(line).collect()
    }

    /// Whether every step passed that the app offers.
    pub(crate) fn is_whole(&self) -> bool {
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Passed | Outcome::NotOffered);
        self.connect == Outcome::Passed && self.steps().iter().all(|(_, outcome)| done(outcome))
    }
}

/// Writes what was driven where `cargo xtask catalogue` wants it.
pub(crate) fn write(all: &[Driven]) {
    if let Some(file) = std::env::var_os("CAUSEWAY_CATALOGUE_REPORT").map(PathBuf::from) {
        std::fs::write(file, serde_json::to_vec(all).unwrap()).unwrap();
    }
}
