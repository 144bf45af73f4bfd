//! Reading an operator's rows anew while the catalogue is in use.
//!
//! A row that is wrong changes nothing: the one before stays. A row that is gone is gone, and the
//! built-in one of its slug, if there is one, is back. What works by a row goes on with the one
//! that it holds.

use crate::load::{Apps, Catalog, CatalogError, read_row, read_text, row_files};
use crate::row::App;
use crate::values::HostTemplate;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// At the files that look changed from outside.
    Changed,
    /// At every file.
    Everything,
}

/// What came of reading rows anew.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// What is different from now on.
    pub changes: Vec<Change>,
    /// What is wrong, each told once for as long as it stays the same. The rows before stay.
    pub faults: Vec<CatalogError>,
}

/// A row that is different from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The app can be connected from now on.
    Added {
        /// The app.
        slug: String,
    },
    /// The app's row is another one.
    Changed {
        /// The app.
        slug: String,
        /// Hosts that receive its credentials from now on and did not before.
        new_hosts: Vec<String>,
    },
    /// The catalogue no longer has the app.
    Removed {
        /// The app.
        slug: String,
    },
}

/// What was read in the operator's folder.
#[derive(Debug, Default)]
pub(crate) struct Own {
    rows: BTreeMap<String, OwnRow>,
    /// What was wrong with the folder itself.
    trouble: Option<String>,
}

#[derive(Debug)]
struct OwnRow {
    /// The file as it was when it was read last, also if it was wrong then.
    stamp: Option<Stamp>,
    /// What it held then; `None` if that was wrong.
    text: Option<String>,
    /// The last row of this folder that was right.
    app: Option<Arc<App>>,
}

/// What changes when a file is written or replaced, also behind a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file; `None` if it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let seen = fs::metadata(path).ok()?;
        Some(Self {
            inode: seen.ino(),
            bytes: seen.len(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }
}

impl Own {
    /// Remembers a row that was read.
    pub(crate) fn keep(&mut self, slug: String, stamp: Option<Stamp>, text: String, app: Arc<App>) {
        self.rows.insert(slug, OwnRow { stamp, text: Some(text), app: Some(app) });
    }

    /// The built-in rows, with these in their places.
    pub(crate) fn over(&self, embedded: &Apps) -> Apps {
        let mut apps = embedded.clone();
        let right = self.rows.iter().filter_map(|(slug, row)| Some((slug, row.app.as_ref()?)));
        apps.extend(right.map(|(slug, app)| (slug.clone(), Arc::clone(app))));
        apps
    }

    /// Reads a file, unless it is as it was.
    fn read(&mut self, slug: &str, path: &Path, look: Look) -> Option<CatalogError> {
        // Before the reading: what is written meanwhile is seen at the next look.
        let stamp = Stamp::of(path);
        let before = self.rows.get(slug);
        if look == Look::Changed && before.is_some_and(|row| row.stamp == stamp) {
            return None;
        }
        let kept = before.and_then(|row| row.app.clone());
        let (text, app, fault) = match read_text(path) {
            Ok(text) if before.is_some_and(|row| row.text.as_ref() == Some(&text)) => {
                (Some(text), kept, None)
            }
            Ok(text) => match read_row(path, slug, &text) {
                Ok(app) => (Some(text), Some(Arc::new(app)), None),
                Err(fault) => (None, kept, Some(fault)),
            },
            Err(fault) => (None, kept, Some(fault)),
        };
        self.rows.insert(slug.to_owned(), OwnRow { stamp, text, app });
        fault
    }
}

impl Catalog {
    /// Reads the operator's rows anew. Does nothing where there is no folder of an operator.
    pub fn reload(&self, look: Look) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let Some(root) = &self.folder else { return reloaded };
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let files = match row_files(root) {
            // A folder from which the file was taken is on its way out.
            Ok(files) => {
                files.into_iter().filter(|(_, path)| path.exists()).collect::<BTreeMap<_, _>>()
            }
            Err(fault) => {
                let trouble = Some(format!("{fault}: {:?}", std::error::Error::source(&fault)));
                if look == Look::Everything || own.trouble != trouble {
                    reloaded.faults.push(fault);
                }
                own.trouble = trouble;
                return reloaded;
            }
        };
        own.trouble = None;
        let before = own.over(&self.embedded);
        own.rows.retain(|slug, _| files.contains_key(slug));
        for (slug, path) in &files {
            reloaded.faults.extend(own.read(slug, path, look));
        }
        let after = own.over(&self.embedded);
        reloaded.changes = changes(&before, &after);
        if !reloaded.changes.is_empty() {
            self.swap(after);
        }
        reloaded
    }
}

fn changes(before: &Apps, after: &Apps) -> Vec<Change> {
    let mut changes = Vec::new();
    for (slug, app) in after {
        match before.get(slug) {
            None => changes.push(Change::Added { slug: slug.clone() }),
            Some(old) if Arc::ptr_eq(old, app) => {}
            Some(old) => {
                let known = |host: &str| old.hosts.iter().any(|one| one.as_str() == host);
                let hosts = app.hosts.iter().map(HostTemplate::as_str);
                let new_hosts = hosts.filter(|host| !known(host)).map(str::to_owned).collect();
                changes.push(Change::Changed { slug: slug.clone(), new_hosts });
            }
        }
    }
    let gone = before.keys().filter(|slug| !after.contains_key(*slug));
    changes.extend(gone.map(|slug| Change::Removed { slug: slug.clone() }));
    changes
}

#[cfg(test)]
mod tests;
