use super::*;

const ROW: &str = "slug: acme\nname: Acme\ndescription: Orders.\ndocs: https://acme.example/\n\
    categories: [crm]\nhosts: [api.acme.example]\nauth:\n  basic: { docs: https://acme.example/ }\n\
    verify:\n  url: https://api.acme.example/me\napi:\n  base_url: https://api.acme.example\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(rows: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (slug, text) in rows {
            folder.write(slug, text);
        }
        folder
    }

    fn write(&self, slug: &str, text: &str) {
        fs::create_dir_all(self.0.path().join(slug)).unwrap();
        fs::write(self.0.path().join(slug).join("app.yaml"), text).unwrap();
    }

    fn load(&self) -> Catalog {
        Catalog::load(Some(self.0.path())).unwrap()
    }
}

fn quiet(catalog: &Catalog) {
    let again = catalog.reload(Look::Changed);
    assert!(again.changes.is_empty() && again.faults.is_empty(), "{again:?}");
}

#[test]
fn a_changed_row_counts_and_what_is_held_stays() {
    let folder = Folder::with(&[("acme", ROW)]);
    let catalog = folder.load();
    quiet(&catalog);
    let held = catalog.get("acme").unwrap();
    folder.write("acme", &ROW.replace("name: Acme", "name: Acme Two"));
    let changed = Change::Changed { slug: "acme".into(), new_hosts: Vec::new() };
    assert_eq!(catalog.reload(Look::Changed).changes, [changed]);
    assert_eq!(catalog.get("acme").unwrap().name, "Acme Two");
    assert_eq!(held.name, "Acme");
    quiet(&catalog);
    folder.write("acme", &ROW.replace("[api.acme.example]", "[api.acme.example, eu.acme.example]"));
    let reloaded = catalog.reload(Look::Changed);
    let new_hosts = vec!["eu.acme.example".to_owned()];
    assert_eq!(reloaded.changes, [Change::Changed { slug: "acme".into(), new_hosts }]);
}

#[test]
fn a_file_that_was_written_without_a_change_changes_nothing() {
    let folder = Folder::with(&[("acme", ROW)]);
    let catalog = folder.load();
    let held = catalog.get("acme").unwrap();
    folder.write("acme", ROW);
    quiet(&catalog);
    let reloaded = catalog.reload(Look::Everything);
    assert!(reloaded.changes.is_empty() && reloaded.faults.is_empty());
    assert!(Arc::ptr_eq(&held, &catalog.get("acme").unwrap()));
}

#[test]
fn a_wrong_row_is_told_once_and_the_one_before_stays() {
    let folder = Folder::with(&[("acme", ROW)]);
    let catalog = folder.load();
    folder.write("acme", &ROW.replace("name: Acme\n", "name: Acme\nnmae: x\n"));
    folder.write("new", "slug: new\n");
    let reloaded = catalog.reload(Look::Changed);
    assert!(reloaded.changes.is_empty());
    let [acme, new] = &reloaded.faults[..] else { panic!("{reloaded:?}") };
    assert!(acme.to_string().contains("acme/app.yaml:3:1: unknown field `nmae`"), "{acme}");
    assert!(new.to_string().contains("new/app.yaml"), "{new}");
    assert_eq!(catalog.get("acme").unwrap().name, "Acme");
    assert!(catalog.get("new").is_none());
    quiet(&catalog);
    assert_eq!(catalog.reload(Look::Everything).faults.len(), 2, "whoever asks is told again");
    // Mended, in both ways.
    folder.write("acme", ROW);
    folder.write("new", &ROW.replace("slug: acme", "slug: new"));
    let reloaded = catalog.reload(Look::Changed);
    assert_eq!(
        reloaded.changes,
        [
            Change::Changed { slug: "acme".into(), new_hosts: Vec::new() },
            Change::Added { slug: "new".into() },
        ]
    );
}

#[test]
fn a_row_that_is_gone_gives_way_to_the_built_in_one() {
    let own = ROW.replace("slug: acme", "slug: github");
    let folder = Folder::with(&[("acme", ROW), ("github", &own)]);
    let catalog = folder.load();
    assert_eq!(catalog.get("github").unwrap().name, "Acme");
    let count = catalog.list().len();
    for slug in ["acme", "github"] {
        fs::remove_dir_all(folder.0.path().join(slug)).unwrap();
    }
    let changes = catalog.reload(Look::Changed).changes;
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(matches!(&changes[0], Change::Changed { slug, .. } if slug == "github"));
    assert_eq!(changes[1], Change::Removed { slug: "acme".into() });
    assert!(catalog.get("acme").is_none());
    assert_eq!(catalog.get("github").unwrap().name, "GitHub");
    assert_eq!(catalog.list().len(), count - 1);
}

#[test]
fn without_its_folder_everything_stays() {
    let folder = Folder::with(&[("acme", ROW)]);
    let catalog = folder.load();
    fs::rename(folder.0.path(), folder.0.path().with_extension("away")).unwrap();
    let reloaded = catalog.reload(Look::Changed);
    assert_eq!((reloaded.changes.len(), reloaded.faults.len()), (0, 1));
    quiet(&catalog);
    assert!(catalog.get("acme").is_some());
    fs::rename(folder.0.path().with_extension("away"), folder.0.path()).unwrap();
    quiet(&catalog);
}
