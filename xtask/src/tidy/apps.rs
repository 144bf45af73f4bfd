//! Every app of the catalogue says where its vendor documents what its file claims.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .filter(|(path, _)| path.starts_with("apps/") && path.ends_with("/app.yaml"))
        .filter(|(_, text)| !text.lines().any(is_link))
        .map(|(path, _)| {
            Finding::new(
                path,
                1,
                "the app has no link to its vendor's documentation",
                "Whoever checks or repairs the file has to find what it was written from",
                "Add `docs: https://…`",
            )
        })
        .collect()
}

fn is_link(line: &str) -> bool {
    line.strip_prefix("docs:")
        .is_some_and(|rest| rest.trim_start().trim_start_matches(['"', '\'']).starts_with("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_without_a_docs_link_is_found() {
        let tree = Tree::of([
            ("apps/a/app.yaml", "name: a\ndocs: https://a.example/docs\n"),
            ("apps/b/app.yaml", "name: b\ndocs:\n"),
        ]);
        assert_eq!(check(&tree).len(), 1);
    }
}
