//! What was driven, in figures.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The steps, in their order.
const STEPS: [&str; 6] = ["connect", "verify", "call", "refresh", "revoke", "golden"];

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Passed,
    NotOffered,
    NotReached,
    Failed(String),
}

/// One scheme of one app, as the conformance tests write it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Driven {
    app: String,
    scheme: String,
    connect: Outcome,
    verify: Outcome,
    call: Outcome,
    refresh: Outcome,
    revoke: Outcome,
    golden: Outcome,
}

/// The figures of a scheme, or of all.
#[derive(Debug, Clone, Default, Serialize)]
struct Figures {
    /// Apps that offer it.
    apps: usize,
    /// Steps that passed, by name.
    passed: BTreeMap<&'static str, usize>,
    /// Steps that failed or were not reached.
    failed: usize,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Rows in `apps/`.
    rows: usize,
    /// Apps that were driven.
    apps: usize,
    /// Ways to connect that were driven, over all apps.
    schemes: usize,
    /// Steps that passed.
    passed: usize,
    /// Steps that failed or were not reached.
    failed: usize,
    /// By scheme.
    totals: BTreeMap<String, Figures>,
    driven: Vec<Driven>,
}

impl Driven {
    fn steps(&self) -> [(&'static str, &Outcome); 6] {
        let [connect, verify, call, refresh, revoke, golden] = STEPS;
        [
            (connect, &self.connect),
            (verify, &self.verify),
            (call, &self.call),
            (refresh, &self.refresh),
            (revoke, &self.revoke),
            (golden, &self.golden),
        ]
    }
}

impl Report {
    pub(crate) fn of(rows: usize, driven: Vec<Driven>) -> Self {
        let mut totals: BTreeMap<String, Figures> = BTreeMap::new();
        for one in &driven {
            let figures = totals.entry(one.scheme.clone()).or_default();
            figures.apps += 1;
            for (step, outcome) in one.steps() {
                match outcome {
                    Outcome::Passed => *figures.passed.entry(step).or_default() += 1,
                    Outcome::NotOffered => {}
                    Outcome::NotReached | Outcome::Failed(_) => figures.failed += 1,
                }
            }
        }
        let apps: BTreeSet<&str> = driven.iter().map(|one| one.app.as_str()).collect();
        Self {
            rows,
            apps: apps.len(),
            schemes: driven.len(),
            passed: totals.values().flat_map(|figures| figures.passed.values()).sum(),
            failed: totals.values().map(|figures| figures.failed).sum(),
            totals,
            driven,
        }
    }

    /// Whether every row was driven, and nothing failed.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows == self.apps && self.failed == 0
    }

    pub(crate) fn json(&self) -> anyhow::Result<String> {
        serde_json::to_string_pretty(self).context("writing the report")
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for one in &self.driven {
            let steps = one.steps().map(|(step, outcome)| match outcome {
                Outcome::Passed => step.to_owned(),
                Outcome::NotOffered => "-".to_owned(),
                Outcome::NotReached => format!("({step})"),
                Outcome::Failed(_) => format!("{step} FAILED"),
            });
            let steps = steps.map(|step| format!("{step:<9}")).join("");
            // Writing into memory cannot fail.
            let _ = writeln!(text, "{:<26}{:<20}{}", one.app, one.scheme, steps.trim_end());
        }
        for one in &self.driven {
            for (step, outcome) in one.steps() {
                if let Outcome::Failed(why) = outcome {
                    let _ = writeln!(text, "FAILED {} {} {step}: {why}", one.app, one.scheme);
                }
            }
        }
        let heads = STEPS.map(|step| format!("{step:>9}")).join("");
        let _ = writeln!(text, "\n{:<20}{:>6}{heads}{:>9}", "scheme", "apps", "failed");
        let mut all = Figures::default();
        for (scheme, figures) in &self.totals {
            let _ = writeln!(text, "{}", figures.line(scheme));
            all.apps += figures.apps;
            all.failed += figures.failed;
            for (step, count) in &figures.passed {
                *all.passed.entry(step).or_default() += count;
            }
        }
        let _ = writeln!(text, "{}", all.line("all"));
        let _ = write!(
            text,
            "\n{} rows, {} apps driven by {} schemes: {} checks passed, {} failed.",
            self.rows, self.apps, self.schemes, self.passed, self.failed
        );
        text
    }
}

impl Figures {
    fn line(&self, name: &str) -> String {
        let counts = STEPS.map(|step| self.passed.get(step).copied().unwrap_or_default());
        let counts = counts.map(|count| format!("{count:>9}")).join("");
        format!("{name:<20}{:>6}{counts}{:>9}", self.apps, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_driven_counts() {
        let driven = r#"[
            {"app":"a","scheme":"oauth2","connect":"passed","verify":"passed","call":"passed",
             "refresh":"not_offered","revoke":"passed","golden":"passed"},
            {"app":"a","scheme":"api_key","connect":"passed","verify":{"failed":"why"},
             "call":"not_reached","refresh":"not_reached","revoke":"not_reached","golden":"passed"}
        ]"#;
        let driven: Vec<Driven> = serde_json::from_str(driven).unwrap();
        let report = Report::of(1, driven.clone());
        assert_eq!((report.apps, report.schemes, report.passed, report.failed), (1, 2, 7, 4));
        assert!(!report.is_whole());
        let text = report.text();
        assert!(text.contains("FAILED a api_key verify: why"), "{text}");
        assert!(text.ends_with("1 rows, 1 apps driven by 2 schemes: 7 checks passed, 4 failed."));
        assert!(Report::of(1, driven[..1].to_vec()).is_whole());
        // A row that nobody drove.
        assert!(!Report::of(2, driven[..1].to_vec()).is_whole());
    }
}
