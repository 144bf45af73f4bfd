//! Every problem code has its page below `docs/problems/`, and every page its code.

use super::Finding;
use super::tree::{Tree, numbered};
use std::collections::BTreeMap;

const REGISTRY: &str = "crates/types/src/problem.rs";
const PAGES: &str = "docs/problems/";
const LIST: &str = "docs/problems/README.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree.text(REGISTRY).unwrap_or_default());
    let mut findings = Vec::new();
    for (code, line) in &codes {
        if !tree.holds(&format!("{PAGES}{code}.md")) {
            findings.push(Finding::new(
                REGISTRY,
                *line,
                format!("the code `{code}` has no page"),
                "The `type` of a problem leads its reader there",
                format!("Write `{PAGES}{code}.md`: what it means, why it happens, what to do"),
            ));
        }
    }
    let list = tree.text(LIST).unwrap_or_default();
    for (code, _) in codes.iter().filter(|(code, _)| !list.contains(&format!("]({code}.md)"))) {
        findings.push(Finding::new(
            LIST,
            1,
            format!("the code `{code}` is not in the list"),
            "The list is where a reader without a problem at hand begins",
            format!("Add a line that links to `{code}.md`"),
        ));
    }
    for (path, text) in tree.files() {
        let Some(code) = path.strip_prefix(PAGES).and_then(|name| name.strip_suffix(".md")) else {
            continue;
        };
        if code == "README" {
            continue;
        }
        if !codes.contains_key(code) {
            findings.push(Finding::new(
                path,
                1,
                format!("there is no code `{code}`"),
                "A page about what cannot happen misleads",
                format!("Take it out, or add the code to `{REGISTRY}`"),
            ));
        } else if text.lines().next() != Some(&format!("# {code}")) {
            findings.push(Finding::new(
                path,
                1,
                "the page does not begin with its code",
                "Readers arrive with the code in hand",
                format!("Begin with `# {code}`"),
            ));
        }
    }
    findings
}

/// Codes and the lines that register them, read from the call of `codes!`.
fn codes(registry: &str) -> BTreeMap<&str, usize> {
    numbered(registry)
        .skip_while(|(_, line)| !line.starts_with("codes! {"))
        .take_while(|(_, line)| *line != "}")
        .filter_map(|(number, line)| {
            let (_, rest) = line.split_once(" = \"")?;
            Some((rest.split_once('"')?.0, number))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
        let registry = "codes! {\n    /// A.\n    A = \"a\", Invalid, \"A\";\n    B = \"b\", Invalid, \"B = \";\n    C = \"c\", Invalid, \"C\";\n}\n";
        let tree = Tree::of([
            (REGISTRY, registry),
            ("docs/problems/a.md", "# a\n"),
            ("docs/problems/c.md", "# C\n"),
            ("docs/problems/z.md", "# z\n"),
            (LIST, "# Problems\n[a](a.md) [b](b.md)\n"),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|f| (f.line, f.what)).collect();
        let expected = [
            (4, "the code `b` has no page"),
            (1, "the code `c` is not in the list"),
            (1, "the page does not begin with its code"),
            (1, "there is no code `z`"),
        ];
        assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    }
}
