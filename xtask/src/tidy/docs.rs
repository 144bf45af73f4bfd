//! What the texts point at exists.

use super::Finding;
use super::tree::{Tree, has_extension, numbered};

/// Top-level folders of the design that may not exist yet: a text that names a file in them
/// before it is there promises what is not.
const TOP: &[&str] = &[
    "apps", "bench", "console", "crates", "deploy", "docs", "examples", "runners", "sdk",
    "testing", "xtask", ".ci", ".config", ".cargo",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_doc(path)) {
        let mut fenced = false;
        for (number, line) in numbered(text) {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            if fenced {
                continue;
            }
            for named in code_spans(line).filter_map(repository_path) {
                if !tree.holds(named) {
                    findings.push(missing(path, number, named));
                }
            }
            for target in link_targets(line) {
                let full = resolve(path, target);
                if !full.is_empty() && !tree.holds(&full) {
                    findings.push(missing(path, number, target));
                }
            }
        }
    }
    for (path, text) in tree.files().filter(|(path, _)| !is_doc(path) && is_source(path)) {
        for (number, line) in numbered(text) {
            for named in pages(line).filter(|named| !tree.holds(named)) {
                findings.push(missing(path, number, named));
            }
        }
    }
    findings
}

fn missing(path: &str, line: usize, named: &str) -> Finding {
    Finding::new(
        path,
        line,
        format!("`{named}` does not exist"),
        "A reader who follows a text to nothing stops trusting the text",
        "Name the file that is there now, or take the sentence out",
    )
}

fn is_doc(path: &str) -> bool {
    has_extension(path, "md") && (path.starts_with("docs/") || !path.contains('/'))
}

fn is_source(path: &str) -> bool {
    ["rs", "toml", "yaml", "mjs", "js", "sql"].iter().any(|ending| has_extension(path, ending))
        && !path.starts_with("xtask/src/tidy/docs")
        && !path.starts_with("xtask/src/tidy/problems")
}

/// The pages of `docs/` that a line of code points its reader to.
fn pages(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("docs/").filter_map(|(at, _)| {
        let before = line.get(..at)?.chars().next_back();
        let named = line.get(at..)?.split_inclusive(".md").next()?;
        let plain = has_extension(named, "md")
            && named.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        (plain && before.is_none_or(|c| !c.is_alphanumeric() && c != '/')).then_some(named)
    })
}

/// The texts between single backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The part of a code span that names a path of the repository, if it looks like one: the first
/// component is one of ours, and what follows a wildcard or placeholder is left out.
fn repository_path(span: &str) -> Option<&str> {
    let (first, _) = span.split_once('/')?;
    if !TOP.contains(&first) || span.contains(char::is_whitespace) {
        return None;
    }
    let span = span.split(['#', ':']).next().unwrap_or(span);
    let fixed = match span.find(['<', '*', '{', '…', '$']) {
        Some(wild) => span.get(..wild)?.rsplit_once('/').map(|(folder, _)| folder)?,
        None => span,
    };
    Some(fixed.trim_end_matches('/'))
}

/// The targets of Markdown links, without those that lead elsewhere.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        (!target.is_empty() && !target.contains(':')).then_some(target)
    })
}

/// A link's target relative to the root.
fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_link_to_nothing_is_found() {
        let tree = Tree::of([
            ("crates/a/src/lib.rs", ""),
            (
                "docs/a.md",
                "`crates/a/src/lib.rs:3` `crates/a/src/gone.rs` [b](b.md) [x](../README.md)\n",
            ),
            (
                "README.md",
                "`docs/<code>.md` `apps/*/app.yaml` `POST /v1/x` [w](https://e.example/)\n",
            ),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|f| (f.path, f.what)).collect();
        let expected = [
            ("README.md", "`apps` does not exist"),
            ("docs/a.md", "`crates/a/src/gone.rs` does not exist"),
            ("docs/a.md", "`b.md` does not exist"),
        ];
        assert_eq!(found, expected.map(|(path, what)| (path.to_owned(), what.to_owned())));
    }

    #[test]
    fn a_page_that_code_points_to_exists() {
        let tree = Tree::of([
            (
                "a.rs",
                "// see docs/gone.md and docs/<code>.md\n// https://e.example/docs/x.md docs/b.md\n",
            ),
            ("docs/b.md", ""),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|f| (f.line, f.what)).collect();
        assert_eq!(found, [(1, "`docs/gone.md` does not exist".to_owned())]);
    }

    #[test]
    fn fenced_examples_are_not_followed() {
        let tree = Tree::of([("docs/a.md", "```\n`crates/gone.rs`\n```\n")]);
        assert_eq!(check(&tree), []);
    }
}
