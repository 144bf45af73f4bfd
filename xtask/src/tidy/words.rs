//! Words that must not stand in the tree: skipped tests, unfinished work without an issue, and
//! hosts of package registries.

use super::Finding;
use super::tree::{Tree, numbered};

/// This folder holds the words themselves and bad examples of their use.
const SELF: &str = "xtask/src/tidy/";

/// Ways to leave a test out, in the languages here.
const SKIPS: &[&str] =
    &["#[ignore", "it.skip(", "test.skip(", "describe.skip(", ".only(", "pytest.mark.skip"];

/// Ways to leave code out.
const HOLES: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "XXX:"];

const CODE: &[&str] = &[
    ".rs", ".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".sql", ".toml", ".yaml", ".html",
    "Makefile", ".ci/run",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !path.starts_with(SELF)) {
        if CODE.iter().any(|ending| path.ends_with(ending)) {
            findings
                .extend(numbered(text).filter_map(|(number, line)| unfinished(path, number, line)));
        }
        if names_a_registry(path).is_some_and(|names| text.lines().any(names)) {
            let line = numbered(text)
                .find(|(_, line)| names_a_registry(path).is_some_and(|names| names(line)))
                .map_or(1, |(number, _)| number);
            findings.push(Finding::new(
                path,
                line,
                "the file names the host of a package registry",
                "Everybody fetches from the registry that their own client is set up for",
                "Take the host out; npm leaves it out with `omit-lockfile-registry-resolved=true`",
            ));
        }
    }
    findings
}

fn unfinished(path: &str, number: usize, line: &str) -> Option<Finding> {
    if let Some(word) = SKIPS.iter().find(|word| line.contains(**word)) {
        return Some(Finding::new(
            path,
            number,
            format!("`{word}` leaves a test out"),
            "A test that does not run holds nothing",
            "Make it run, or take it out",
        ));
    }
    if let Some(word) = HOLES.iter().find(|word| line.contains(**word)) {
        return Some(Finding::new(
            path,
            number,
            format!("`{word}` marks work that is not done"),
            "What is in the tree works",
            "Finish it, or take it out and open an issue",
        ));
    }
    (line.contains("TODO") && !names_an_issue(line)).then(|| {
        Finding::new(
            path,
            number,
            "`TODO` without an issue",
            "What nobody tracks nobody does",
            "Write the issue's number beside it, as in `TODO(#12)`",
        )
    })
}

fn names_an_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// How a line of this file would name a registry, if the file is of a kind that could.
fn names_a_registry(path: &str) -> Option<fn(&str) -> bool> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "package-lock.json" | "npm-shrinkwrap.json" => {
            Some(|line| line.contains("\"resolved\": \"http"))
        }
        ".npmrc" => Some(|line| line.contains("registry=") || line.contains("registry =")),
        "Cargo.lock" => Some(|line| {
            line.starts_with("source = ") && !line.ends_with("rust-lang/crates.io-index\"")
        }),
        "uv.lock" | "pip.conf" => Some(|line| line.contains("http")),
        _ if name.starts_with("requirements") => {
            Some(|line| line.contains("index-url") || line.contains("://"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of([(path, text)])).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn skipped_tests_and_unfinished_work_are_found() {
        assert_eq!(found("a.rs", "#[ignore = \"slow\"]\n"), ["`#[ignore` leaves a test out"]);
        assert_eq!(found("a.test.mjs", "it.skip('x')\n"), ["`it.skip(` leaves a test out"]);
        assert_eq!(found("a.rs", "todo!()\n"), ["`todo!(` marks work that is not done"]);
        assert_eq!(found("a.rs", "// TODO: more\n"), ["`TODO` without an issue"]);
        assert_eq!(found("a.rs", "// TODO(#12): more\n"), [""; 0]);
    }

    #[test]
    fn registries_are_found_in_the_files_that_could_name_them() {
        let what = "the file names the host of a package registry";
        assert_eq!(
            found("x/package-lock.json", "\"resolved\": \"https://r.example/a.tgz\"\n"),
            [what]
        );
        assert_eq!(found(".npmrc", "registry=https://r.example/\n"), [what]);
        assert_eq!(found("testing/requirements.txt", "--index-url https://r.example\n"), [what]);
        assert_eq!(found("Cargo.lock", "source = \"registry+https://r.example/index\"\n"), [what]);
        let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(found("Cargo.lock", usual), [""; 0]);
        assert_eq!(found(".npmrc", "fund=false\n"), [""; 0]);
    }
}
