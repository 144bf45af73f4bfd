//! No path of the machine that a file was written on.

use super::Finding;
use super::tree::{Tree, numbered};
use std::path::Path;

/// Folders below which anybody may keep a checkout; a path there gives nobody away.
const COMMON: &[&str] = &["/usr", "/opt", "/srv", "/tmp", "/var", "/mnt"];

/// Hostile steps reach on purpose for what any machine may have.
const HOSTILE: &str = "crates/sandbox/tests/";

/// The folders of this machine that no file should name: the user's own and the one that the
/// checkout stands in.
pub(super) fn folders(root: &Path) -> Vec<String> {
    [std::env::home_dir(), root.parent().map(Path::to_owned)]
        .into_iter()
        .flatten()
        .filter(|folder| !COMMON.iter().any(|common| folder.starts_with(common)))
        .map(|folder| folder.display().to_string())
        .filter(|folder| folder.len() > 1)
        .collect()
}

pub(super) fn check(tree: &Tree, folders: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !path.starts_with(HOSTILE)) {
        for (number, line) in numbered(text) {
            if let Some(folder) = folders.iter().find(|folder| names(line, folder)) {
                findings.push(Finding::new(
                    path,
                    number,
                    format!("`{folder}/` is a folder of this machine"),
                    "It exists nowhere else",
                    "Write the path relative to the repository, or take it from a parameter",
                ));
            }
        }
    }
    findings
}

/// Whether a line names a path below the folder, and not one that only ends like it.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + folder.len()..).unwrap_or_default();
        after.starts_with('/')
            && !before.is_some_and(|c| c.is_alphanumeric() || "._-~/}>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_machine_is_found() {
        let tree = Tree::of([
            ("a.md", "see /home/me/notes.md\n"),
            ("b.rs", "\"$base/home/me/x\" \"https://e.example/home/me/x\" \"/home/men/x\"\n"),
        ]);
        let found = check(&tree, &["/home/me".to_owned()]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "a.md");
    }
}
