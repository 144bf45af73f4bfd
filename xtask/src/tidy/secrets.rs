//! Secrets are exposed only in files that were reviewed for it: `xtask/expose.txt` names each
//! with what it does with the value.

use super::Finding;
use super::tree::{Tree, is_test, line_of, production};
use std::collections::BTreeMap;

const LIST: &str = "xtask/expose.txt";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let list = tree.text(LIST).unwrap_or_default();
    let mut findings = Vec::new();
    let mut reviewed = BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(": ") {
            Some((path, reason)) if !reason.trim().is_empty() => {
                reviewed.insert(path, false);
            }
            _ => findings.push(Finding::new(
                LIST,
                line_of(list, line),
                format!("`{line}` gives no reason"),
                "Each file on the list says what it does with the secret",
                "Write `path: what it does with the value`",
            )),
        }
    }
    for (path, text) in tree.rust().filter(|(path, _)| !is_test(path)) {
        let Some((line, _)) = production(text).find(|(_, line)| exposes(line)) else { continue };
        if let Some(used) = reviewed.get_mut(path) {
            *used = true;
        } else {
            findings.push(Finding::new(
                path,
                line,
                "a secret is exposed here",
                "Each file that looks at a secret is reviewed once for where the value goes",
                format!("Pass the secret on unopened, or add the file to `{LIST}` with what it does with the value"),
            ));
        }
    }
    for (path, _) in reviewed.iter().filter(|(_, used)| !**used) {
        findings.push(Finding::new(
            LIST,
            line_of(list, path),
            format!("`{path}` exposes no secret"),
            "A list with more than it needs hides what is new",
            "Take the line out",
        ));
    }
    findings
}

fn exposes(line: &str) -> bool {
    (line.contains(concat!(".expose", "()")) || line.contains(concat!("Secret::", "expose")))
        && !line.trim_start().starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreviewed_file_a_stale_line_and_a_missing_reason_are_found() {
        let tree = Tree::of([
            (LIST, "# words\ncrates/a/src/a.rs: sends it\ncrates/a/src/gone.rs: was here\nx\n"),
            ("crates/a/src/a.rs", "f(secret.expose())\n"),
            ("crates/a/src/b.rs", "/// `.expose()`\nfn f() {\n    g(secret.expose())\n}\n"),
            ("crates/a/src/c.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\ns.expose()\n}\n"),
            ("crates/a/src/c/tests.rs", "s.expose()\n"),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|f| (f.path, f.line)).collect();
        let expected = [(LIST, 4), ("crates/a/src/b.rs", 3), (LIST, 3)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
