//! No file grows past what a reader can hold in mind.

use super::Finding;
use super::tree::Tree;

/// The most lines that a source file may have.
const MOST: usize = 800;

/// What a person writes and reads; lock files, snapshots and data are neither.
const SOURCES: &[&str] =
    &[".rs", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".py", ".sh", ".sql", ".md", ".html", ".css"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .filter(|(path, _)| SOURCES.iter().any(|ending| path.ends_with(ending)))
        .filter(|(_, text)| !is_generated(text))
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > MOST).then(|| {
                Finding::new(
                    path,
                    lines,
                    format!("the file has {lines} lines"),
                    "A file over 800 lines is not read as a whole any more",
                    "Split it where its subject divides; generated files say `@generated` in their first lines",
                )
            })
        })
        .collect()
}

fn is_generated(text: &str) -> bool {
    text.lines().take(5).any(|line| line.contains("@generated"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_unless_it_is_generated() {
        let long = "x\n".repeat(801);
        let tree = Tree::of([
            ("a.rs", long.clone()),
            ("b.rs", format!("// @generated\n{long}")),
            ("c.rs", "x\n".repeat(800)),
            ("package-lock.json", long),
        ]);
        let found = check(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("a.rs", 801));
    }
}
