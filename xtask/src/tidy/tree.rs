//! The files of the repository, as git sees them: committed, or new and not ignored.

use anyhow::{Context, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The repository's files.
pub(super) struct Tree {
    /// Texts by their path; a file that is not UTF-8 stands with an empty text.
    files: BTreeMap<String, String>,
    /// Every folder that holds a file, at any depth.
    folders: BTreeSet<String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("running git ls-files")?;
        ensure!(
            output.status.success(),
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut files = Vec::new();
        for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
            // A file that is committed but deleted in the working tree is on its way out.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                files.push((path.to_owned(), String::from_utf8(bytes).unwrap_or_default()));
            }
        }
        Ok(Self::of(files))
    }

    pub(super) fn of<P: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Self {
        let files: BTreeMap<String, String> =
            files.into_iter().map(|(path, text)| (path.into(), text.into())).collect();
        let folders = files
            .keys()
            .flat_map(|path| path.match_indices('/').filter_map(|(end, _)| path.get(..end)))
            .map(ToOwned::to_owned)
            .collect();
        Self { files, folders }
    }

    /// Paths and texts, by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Paths and texts of the Rust sources, by path.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| has_extension(path, "rs"))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file or folder.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.folders.contains(path)
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

/// Whether the file's name ends in this extension, given without its dot.
pub(super) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Whether a Rust file is a test's: below `tests/` or `benches/`, or a module's `tests.rs`.
pub(super) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// The lines of a Rust file before its inline tests, which stand last, with their numbers.
pub(super) fn production(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = (0..lines.len()).find(|at| opens_tests(lines.get(*at..).unwrap_or_default()));
    numbered(text).take(tests.unwrap_or(lines.len()))
}

/// Whether a module of tests with its body in place begins here.
fn opens_tests(lines: &[&str]) -> bool {
    lines.first() == Some(&"#[cfg(test)]")
        && lines
            .iter()
            .find(|line| !line.starts_with("#["))
            .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
}

/// Lines with their numbers, from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The number of the first line that holds `needle`; 1 if none does.
pub(super) fn line_of(text: &str, needle: &str) -> usize {
    numbered(text).find(|(_, line)| line.contains(needle)).map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_held_at_every_depth() {
        let tree = Tree::of([("a/b/c.rs", "")]);
        assert!(tree.holds("a") && tree.holds("a/b") && tree.holds("a/b/c.rs"));
        assert!(!tree.holds("a/b/c") && !tree.holds("b"));
    }

    #[test]
    fn inline_tests_are_not_production() {
        let text = "one\ntwo\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(production(text).collect::<Vec<_>>(), [(1, "one"), (2, "two")]);
        let declared = "#[cfg(test)]\nmod tests;\nthree\n";
        assert_eq!(production(declared).count(), 3);
    }
}
