//! Both databases go through the same migrations.

use super::Finding;
use super::tree::Tree;
use std::collections::BTreeSet;

const SQLITE: &str = "crates/store-sqlite/migrations/";
const POSTGRES: &str = "crates/store-postgres/migrations/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (sqlite, postgres) = (names(tree, SQLITE), names(tree, POSTGRES));
    let mut findings = Vec::new();
    for (have, folder, other, missing) in
        [(&sqlite, SQLITE, &postgres, POSTGRES), (&postgres, POSTGRES, &sqlite, SQLITE)]
    {
        for name in have.difference(other) {
            findings.push(Finding::new(
                &format!("{folder}{name}"),
                1,
                format!("there is no `{missing}{name}`"),
                "A number that stands for different tables on the two databases cannot be reasoned about",
                "Write the same step for the other database, under the same name",
            ));
        }
    }
    for (index, name) in sqlite.iter().enumerate() {
        if !name.starts_with(&format!("{:04}_", index + 1)) {
            findings.push(Finding::new(
                &format!("{SQLITE}{name}"),
                1,
                format!("the migration is not number {:04}", index + 1),
                "Migrations run in the order of their numbers, which have no gaps",
                "Give it the next number, on both databases",
            ));
        }
    }
    findings
}

fn names<'a>(tree: &'a Tree, folder: &str) -> BTreeSet<&'a str> {
    tree.files().filter_map(|(path, _)| path.strip_prefix(folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_of_one_database_and_a_gap_are_found() {
        let tree = Tree::of([
            (format!("{SQLITE}0001_first.sql"), ""),
            (format!("{POSTGRES}0001_first.sql"), ""),
            (format!("{SQLITE}0003_more.sql"), ""),
            (format!("{POSTGRES}0003_other.sql"), ""),
        ]);
        assert_eq!(check(&tree).len(), 3);
    }
}
